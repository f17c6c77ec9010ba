"""What a process takes away from itself before it touches a stranger's bytes; see `sandbox`.

In this order:

    limits        memory, processor time, files, threads; no core dumps
    namespaces    a network, message queues and a host name of its own, with nothing in them
    user          of root: a user number that nobody else has. Of others: the one it was, in a
                  user namespace, which it takes to have namespaces at all
    privileges    none, and none to be gained by starting anything
    parent        the kernel kills this process with the thread that started it
    Landlock      no file, no folder, no address can be opened; no other process be signaled
    seccomp       few system calls are left at all; see `seccomp`

Each step that this machine does not allow is passed over and named; nothing is promised that the
kernel did not confirm. The limits of memory and threads, the user and Landlock hold for threads
that come later, so the process has to have a single one when it locks itself.

Source: Linux man pages setrlimit(2), namespaces(7), user_namespaces(7), capabilities(7),
landlock(7), prctl(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import resource
import signal
import struct
from collections.abc import Mapping
from pathlib import Path

from tronie.errors import TronieError
from tronie.server.challenge import seccomp

NOT_ENFORCED = "not enforced"
LONE_USERS = 2_000_000_000
"""User numbers from here are given to nobody (systemd's list of ranges); a process id is added."""
NOBODY = 65534

CLONE_NEWUSER = 0x10000000
CLONE_NEW = 0x40000000 | 0x08000000 | 0x04000000
"""Of the network, of message queues, of names."""
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
SYS_UNSHARE = {"x86_64": 272, "aarch64": 97}
SYS_CAPSET = {"x86_64": 126, "aarch64": 91}
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446


class LockFailed(TronieError):
    """A step failed that was needed for another."""


def limit(*, memory_bytes: int, cpu_s: float, file_bytes: int, open_files: int) -> dict[str, str]:
    """Limits that hold from here on; what is enforced by them."""
    cpu = max(1, int(-(-cpu_s // 1)))
    for what, least, most in (
        (resource.RLIMIT_CPU, cpu, cpu + 1),
        (resource.RLIMIT_FSIZE, file_bytes, file_bytes),
        (resource.RLIMIT_NOFILE, open_files, open_files),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 0, 0),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
        (resource.RLIMIT_AS, memory_bytes, memory_bytes),
    ):
        _lower(what, least, most)
    with contextlib.suppress(OSError):  # the first to go where the whole machine runs out
        Path("/proc/self/oom_score_adj").write_text("1000")
    return {
        "memory": "address space",
        "cpu_time": "limit",
        "file_size": "limit",
        "open_files": "limit",
        "core_dumps": "none",
    }


def lock(*, parent: int, threads: int, found: Mapping[str, str]) -> dict[str, str]:
    """All that is left; `found` is what `limit` gave, and comes back completed.

    Raises:
        LockFailed: there is more than one thread, the parent is gone, or a step that the kernel
            has to allow everybody failed.
    """
    running = len(list(Path("/proc/self/task").iterdir()))
    if running != 1:
        raise LockFailed(f"a process must have 1 thread to lock itself; this one has {running}")
    enforced = dict(found)
    namespaces, user, counted = _be_alone()
    enforced["network"] = "namespace" if namespaces else NOT_ENFORCED
    enforced["namespaces"] = namespaces or NOT_ENFORCED
    enforced["user"] = user or NOT_ENFORCED
    enforced["privileges"] = _give_up_privileges()
    libc = _libc()
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise LockFailed(f"the kernel knows no PR_SET_NO_NEW_PRIVS: {_reason()}")
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # a change of user would undo it
    if os.getppid() != parent:
        raise LockFailed("the process that asked for the sandbox is gone")
    enforced["parent_death"] = "kill signal"
    if counted:
        _lower(resource.RLIMIT_NPROC, threads, threads)
    enforced["threads"] = "limit" if counted else "address space"
    landlocked = landlock()
    filtered = seccomp.install(os.getpid()) == ""
    by_filter = "seccomp" if filtered else NOT_ENFORCED
    enforced["system_calls"] = by_filter
    enforced["filesystem"] = "landlock" if landlocked else by_filter
    enforced["processes"] = by_filter if filtered or not counted else "limit"
    if not namespaces:
        enforced["network"] = by_filter
    return enforced


def landlock() -> bool:
    """Nothing can be opened any more, if the kernel has Landlock; files that are open stay so.

    PR_SET_NO_NEW_PRIVS must have been set.
    """
    libc = _libc()
    version = libc.syscall(LANDLOCK_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    rights = (1 << 13) - 1  # files and folders: read, write, run, make, remove
    for since, right in ((2, 13), (3, 14), (5, 15)):  # move, truncate, control of devices
        if version >= since:
            rights |= 1 << right
    network = 0b11 if version >= 4 else 0  # TCP: bind, connect
    scopes = 0b11 if version >= 6 else 0  # abstract sockets, signals
    rules = struct.pack("=QQQ", rights, network, scopes)
    rules = rules[: 24 if version >= 6 else 16 if version >= 4 else 8]
    handle = libc.syscall(LANDLOCK_CREATE_RULESET, rules, len(rules), 0)
    if handle < 0:
        return False
    try:
        return bool(libc.syscall(LANDLOCK_RESTRICT_SELF, handle, 0) == 0)
    finally:
        os.close(handle)


def _be_alone() -> tuple[str, str, bool]:
    """The namespaces it is in, the user it became, and whether its threads are counted apart.

    Who may make namespaces does it before it becomes somebody who may not; the others need a user
    namespace around them.
    """
    number = SYS_UNSHARE.get(os.uname().machine)
    libc = _libc()
    plain = os.geteuid() == 0 and number is not None and libc.syscall(number, CLONE_NEW) == 0
    lone = _become_nobody()
    became = "unprivileged user" if lone else ""
    if plain or number is None:
        return "network, ipc, uts" if plain else "", became, lone > NOBODY
    user, group = os.getuid(), os.getgid()
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else its own files in /proc are root's
    if libc.syscall(number, CLONE_NEW | CLONE_NEWUSER) != 0:
        return "", became, lone > NOBODY
    with contextlib.suppress(OSError):
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{NOBODY} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{NOBODY} {group} 1")
    apart = lone > NOBODY or (user != 0 and counts_by_namespace(os.uname().release))
    return "user, network, ipc, uts", became or "user namespace", apart


def counts_by_namespace(kernel: str) -> bool:
    """Whether a user's threads are counted in each user namespace anew, as since Linux 5.14.

    Example:
        >>> counts_by_namespace("5.10.0-23-amd64")
        False
    """
    numbers = re.match(r"(\d+)\.(\d+)", kernel)
    return numbers is not None and tuple(int(n) for n in numbers.groups()) >= (5, 14)


def _become_nobody() -> int:
    """The number of the user that root became; 0 where it is not root, or has to stay so."""
    if os.geteuid() != 0:
        return 0
    for number in (LONE_USERS + os.getpid(), NOBODY):
        try:
            os.setgroups([])
            os.setresgid(number, number, number)
            os.setresuid(number, number, number)
        except OSError:  # a container may lack the right, or the number
            continue
        return number
    return 0


def _give_up_privileges() -> str:
    """Empty every set of capabilities, and see that a user who was root cannot be it again."""
    number = SYS_CAPSET.get(os.uname().machine)
    header, nothing = struct.pack("=Ii", 0x20080522, 0), bytes(24)
    if number is None or _libc().syscall(number, header, nothing) != 0:
        return NOT_ENFORCED
    if os.getuid() != 0:
        try:
            os.setuid(0)
        except OSError:
            return "none left"
        raise LockFailed("the user could be changed back to root")
    return "none left"


def _lower(what: int, least: int, most: int) -> None:
    """Set a limit; one that was stricter stays."""
    _, before = resource.getrlimit(what)
    if before != resource.RLIM_INFINITY:
        least, most = min(least, before), min(most, before)
    resource.setrlimit(what, (least, most))


def _reason() -> str:
    return os.strerror(ctypes.get_errno())


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
