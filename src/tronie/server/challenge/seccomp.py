"""The system calls that are left to a process that runs a stranger's model; see `sandbox`.

A filter for the kernel (classic BPF), put together here, for x86_64 and aarch64:

    allowed     what arithmetic, memory, threads and open pipes need
    refused     everything else, known to us or not: the call fails. Opening a file is among
                them, for reading too: all that an engine needs was opened before
    fatal       what no model and no engine ever needs (sockets, other programs, new processes,
                debugging, mounts, keys, kernel modules): the process is killed

Calls with conditions: `clone` makes threads and nothing else; `mmap` and `mprotect` make no memory
executable; `tgkill` reaches this process alone; `prlimit64` only reads; `prctl` only names a
thread. `clone3`, whose arguments a filter cannot see, is answered as a kernel without it would,
and the C library takes `clone`.

A filter is never taken off again, and holds for every thread that comes after it.

Source: Linux, Documentation/userspace-api/seccomp_filter.rst; numbers of the system calls from
the kernel's tables for both architectures.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from dataclasses import dataclass
from typing import Literal

Architecture = Literal["x86_64", "aarch64"]
Numbers = tuple[int | None, int | None]
"""Of one call on x86_64 and on aarch64; None where it does not exist."""

AUDIT: dict[Architecture, int] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""How the kernel tells a filter for which architecture a call was made."""
X32 = 0x40000000
"""Set in numbers of the third, forgotten calling convention of x86_64."""

KILL = 0x80000000
ALLOW = 0x7FFF0000
ENOSYS, EACCES = 0x00050000 | 38, 0x00050000 | 13

ALLOWED: dict[str, Numbers] = {
    "futex": (202, 98),
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "close": (3, 57),
    "lseek": (8, 62),
    "fstat": (5, 80),
    "poll": (7, None),
    "ppoll": (271, 73),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "brk": (12, 214),
    "madvise": (28, 233),
    "membarrier": (324, 283),
    "futex_waitv": (449, 449),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "set_tid_address": (218, 96),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "getrusage": (98, 165),
    "getrlimit": (97, 163),
    "getcpu": (309, 168),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "gettid": (186, 178),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getrandom": (318, 278),
    "uname": (63, 160),
    "sysinfo": (99, 179),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
"""Without conditions; those of every inner loop first, since the filter is read from the top."""

FATAL: dict[str, Numbers] = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "bpf": (321, 280),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "umount2": (166, 39),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "open_tree": (428, 428),
    "mount_setattr": (442, 442),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "io_uring_setup": (425, 425),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "open_by_handle_at": (304, 265),
}

PROT_EXEC = 4
CLONE_THREAD = 0x00010000
CLONE_NEW_NAMESPACE = 0x7E020000
PR_SET_NAME = 15


@dataclass(frozen=True)
class Condition:
    """What an argument's lower 32 bits must be, or the call is answered by `otherwise`."""

    argument: int
    must: Literal["equal", "hold", "lack"]
    """Equal `bits`; hold the one bit `bits`; lack all of `bits`."""
    bits: int
    otherwise: int = EACCES
    upper: bool = False
    """The upper 32 bits instead, for pointers."""


def conditional(pid: int) -> dict[str, tuple[Numbers, tuple[Condition, ...]]]:
    """The calls that are allowed if all their conditions hold, for the process `pid`."""
    not_executable = (Condition(2, "lack", PROT_EXEC),)
    return {
        "mmap": ((9, 222), not_executable),
        "mprotect": ((10, 226), not_executable),
        "clone": (
            (56, 220),
            (
                Condition(0, "hold", CLONE_THREAD, KILL),
                Condition(0, "lack", CLONE_NEW_NAMESPACE, KILL),
            ),
        ),
        "tgkill": ((234, 131), (Condition(0, "equal", pid),)),
        "prlimit64": (
            (302, 261),
            (Condition(2, "equal", 0), Condition(2, "equal", 0, upper=True)),
        ),
        "prctl": ((157, 167), (Condition(0, "equal", PR_SET_NAME),)),
    }


def program(architecture: Architecture, pid: int) -> bytes:
    """The filter for the process `pid`, as the kernel reads it: 8 bytes an instruction."""
    column = 0 if architecture == "x86_64" else 1
    lines = [
        _load(4),
        _jump("equal", AUDIT[architecture], skip_if_true=1),
        _answer(KILL),
        _load(0),
    ]
    if architecture == "x86_64":
        lines += [_jump("at_least", X32, skip_if_false=1), _answer(KILL)]
    for calls, answer in ((ALLOWED, ALLOW), (FATAL, KILL)):
        for numbers in calls.values():
            lines += _block(numbers[column], (), answer)
    for numbers, conditions in conditional(pid).values():
        lines += _block(numbers[column], conditions, ALLOW)
    lines += _block(435, (), ENOSYS)  # clone3 on both
    lines.append(_answer(EACCES))
    return b"".join(lines)


def architecture_here() -> Architecture | None:
    """The architecture of this process, None where there is no filter for it."""
    if struct.calcsize("P") != 8 or os.uname().sysname != "Linux":
        return None
    names: dict[str, Architecture] = {
        "x86_64": "x86_64",
        "amd64": "x86_64",
        "aarch64": "aarch64",
        "arm64": "aarch64",
    }
    return names.get(platform.machine().lower())


def install(pid: int) -> str:
    """Put the filter before this process, `pid`, for good: "" when it holds, or why not.

    PR_SET_NO_NEW_PRIVS must have been set.
    """
    architecture = architecture_here()
    if architecture is None:
        return f"there is no filter for {platform.machine()}"
    code = program(architecture, pid)
    lines = ctypes.create_string_buffer(code, len(code))
    header = _Program(len(code) // 8, ctypes.addressof(lines))
    libc = ctypes.CDLL(None, use_errno=True)
    PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(header), 0, 0) != 0:
        return f"the kernel refused the filter: {os.strerror(ctypes.get_errno())}"
    return ""


class _Program(ctypes.Structure):
    """The kernel's struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("lines", ctypes.c_void_p))


def _block(number: int | None, conditions: tuple[Condition, ...], answer: int) -> list[bytes]:
    """If the call has this number: its conditions in turn, then its answer."""
    if number is None:
        return []
    inside: list[bytes] = []
    for condition in conditions:
        inside += [
            _load(16 + 8 * condition.argument + (4 if condition.upper else 0)),
            _keeps(condition),
            _answer(condition.otherwise),
        ]
    inside.append(_answer(answer))
    return [_jump("equal", number, skip_if_false=len(inside)), *inside]


def _keeps(condition: Condition) -> bytes:
    """Skip the refusal that follows where the condition holds."""
    if condition.must == "equal":
        return _jump("equal", condition.bits, skip_if_true=1)
    if condition.must == "hold":
        return _jump("any_bit", condition.bits, skip_if_true=1)
    return _jump("any_bit", condition.bits, skip_if_false=1)


def _load(offset: int) -> bytes:
    """Load 32 bits of the kernel's struct seccomp_data: number 0, architecture 4, arguments 16."""
    return struct.pack("=HBBI", 0x20, 0, 0, offset)


def _jump(
    test: Literal["equal", "at_least", "any_bit"],
    value: int,
    *,
    skip_if_true: int = 0,
    skip_if_false: int = 0,
) -> bytes:
    code = {"equal": 0x15, "at_least": 0x35, "any_bit": 0x45}[test]
    return struct.pack("=HBBI", code, skip_if_true, skip_if_false, value)


def _answer(value: int) -> bytes:
    return struct.pack("=HBBI", 0x06, 0, 0, value)
