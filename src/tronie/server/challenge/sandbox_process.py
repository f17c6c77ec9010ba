"""A child process that is not trusted: bytes go both ways under deadlines, and it can be ended.

Nothing here waits for ever: each wait ends when the pipe is ready, when its deadline has passed,
when the child is larger than it may be, or when the child is gone. The child leads a session of
its own, which is killed as a group; it is always collected, so that no zombie stays.

The child gets three pipes and nothing else: no other open file, an environment of a few words, the
root folder. What it prints is read away, so that it never waits for us, and its end is kept,
escaped, for the organizer.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tronie.errors import TronieError

WATCH_S = 0.05
"""How often the child's size is looked at while it is waited for."""
LOG_KEPT = 2048
"""Bytes of what the child printed last."""
LOG_MOST = 16 * 2**20
"""Bytes read in all; then the pipe is closed, and printing on fails."""
GONE_S = 5.0
"""How long a killed child may take to be gone, or one whose pipe ended to say how."""
PIPE_BYTES = 2**20
"""Asked of the kernel for each pipe, so that a batch takes few turns."""

PASSED_ON = ("LD_LIBRARY_PATH",)
"""Variables without which Python itself might not start."""
QUIET = {
    "LANG": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",
}


class Overdue(TronieError):
    """The deadline passed."""


class Ended(TronieError):
    """The child closed its pipe or is gone."""


class TooLarge(TronieError):
    """The child uses more memory than it may."""


class Process:
    """One child; close it in any case. Meant for one thread at a time.

    Args:
        command: The program and its words.
        memory_bytes: Of real memory; the child is killed beyond.
    """

    def __init__(self, command: Sequence[str], *, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._tail = bytearray()
        self._printed = 0
        self._watched = 0.0
        kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self._child = subprocess.Popen(
            list(command),
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            close_fds=True,
            start_new_session=True,
            cwd="/",
            env=kept | QUIET,
        )
        self._requests, self._answers, self._prints = (
            pipe.fileno()
            for pipe in (self._child.stdin, self._child.stdout, self._child.stderr)
            if pipe is not None
        )
        for pipe in (self._requests, self._answers, self._prints):
            os.set_blocking(pipe, False)
        _widen(self._requests, self._answers)

    @property
    def pid(self) -> int:
        """Its number, which nobody else gets before `close`."""
        return self._child.pid

    @property
    def log(self) -> str:
        """The end of what it printed, in printable ASCII; never to be shown to strangers."""
        return escaped(bytes(self._tail).decode("ascii", errors="backslashreplace"))

    @property
    def code(self) -> int | None:
        """Its exit status once it is closed; a signal's number below zero."""
        return self._child.returncode

    @property
    def ending(self) -> str:
        """`code` in words."""
        if self.code is None:
            return "still there"
        if self.code >= 0:
            return f"exit status {self.code}"
        try:
            return signal.Signals(-self.code).name
        except ValueError:
            return f"signal {-self.code}"

    def send(self, data: bytes | memoryview, deadline: float) -> None:
        """Write all of `data` before `deadline`, a moment of `time.monotonic`.

        Raises:
            Overdue, Ended, TooLarge: what the child did instead of reading.
        """
        left = memoryview(data)
        while left:
            self._wait(self._requests, select.POLLOUT, deadline)
            try:
                left = left[os.write(self._requests, left) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise Ended("the child closed its pipe") from None

    def receive(self, size_bytes: int, deadline: float) -> bytearray:
        """Read so many bytes before `deadline`; for the errors see `send`."""
        data = bytearray(size_bytes)
        left = memoryview(data)
        while left:
            self._wait(self._answers, select.POLLIN, deadline)
            try:
                count = os.readv(self._answers, [left])
            except BlockingIOError:
                continue
            if count == 0:
                raise Ended("the child closed its pipe")
            left = left[count:]
        return data

    def await_end(self) -> bool:
        """Give a child whose pipe has ended a moment to end, so that `code` says how; has it?"""
        until = time.monotonic() + GONE_S
        while time.monotonic() < until:
            # Not collected yet, so that its number still names its group and nobody else.
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None:
                return True
            time.sleep(0.002)
        return False

    def cpu_s(self) -> float:
        """Processor time that the child has taken, or had when it ended; 0 once it is collected."""
        try:
            words = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            return 0.0
        user, system = words.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """Kill it and all that it started, and collect it; again is harmless."""
        if self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(timeout=GONE_S)
            self._drain()
        for pipe in (self._child.stdin, self._child.stdout, self._child.stderr):
            if pipe is not None:
                pipe.close()
        self._prints = -1

    def _wait(self, pipe: int, event: int, deadline: float) -> None:
        """Until the pipe is ready; prints are read, and the size is watched, meanwhile."""
        poll = select.poll()
        poll.register(pipe, event)
        if self._prints >= 0:
            poll.register(self._prints, select.POLLIN)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Overdue("the deadline passed")
            ready = dict(poll.poll(1000 * min(left, WATCH_S)))
            self._watch()
            if self._prints in ready and not self._drain():
                poll.unregister(self._prints)
                self._child_stops_printing()
            if pipe in ready:
                return

    def _watch(self) -> None:
        """Look at the child's size, if it was not just looked at."""
        now = time.monotonic()
        if now - self._watched < WATCH_S:
            return
        self._watched = now
        if _resident_bytes(self.pid) > self._memory_bytes:
            raise TooLarge("the child uses too much memory")

    def _drain(self) -> bool:
        """Read what was printed; whether there may be more."""
        while self._prints >= 0:
            try:
                data = os.read(self._prints, 65536)
            except BlockingIOError:
                return True
            self._printed += len(data)
            self._tail = (self._tail + data)[-LOG_KEPT:]
            if not data or self._printed > LOG_MOST:
                return False
            if len(data) < 65536:
                return True
        return False

    def _child_stops_printing(self) -> None:
        if self._child.stderr is not None:
            self._child.stderr.close()
        self._prints = -1


def escaped(text: str) -> str:
    """Printable ASCII and ends of lines as they are, the rest as backslash sequences."""
    safe = text.encode("ascii", errors="backslashreplace").decode()
    return "".join(c if c == "\n" or c.isprintable() else f"\\x{ord(c):02x}" for c in safe)


def _resident_bytes(pid: int) -> int:
    """Real memory of a process; 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _widen(*pipes: int) -> None:
    for pipe in pipes:
        with contextlib.suppress(OSError):  # more than one user may have
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
