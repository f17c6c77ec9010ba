"""Run a stranger's model in a process that can do nothing else, and is stopped when it takes long.

    this process                          a child with one model
    Sandbox(model, name=...)              locks itself (`sandbox_lock`), says what holds,
      the bytes of the file        ──>    only then reads them and opens the model
    run(pixels)                    ──>    one call of the engine
      arrays within their bounds   <──

    bound by the kernel     address space, processor time, threads, files, sockets, signals,
                            system calls; none of the parent's rights, files or variables
    bound from here         wall clock of a call and in all, real memory, size and form of answers;
                            beyond, the child and all in its group are killed

What could be enforced depends on the machine: `enforced` tells it of each sandbox, `host_report`
of this machine. The kernel's own account of the child (/proc) is compared with what the child says.

A model sees numbers and gives numbers. What the child prints and what the engine says about the
graph is the stranger's text: it is in `log`, for the organizer, and in no message.

Keep the thread that made a Sandbox alive while it is used: the kernel kills the child with it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput, TronieError
from tronie.server.challenge import sandbox_frames as frames
from tronie.server.challenge.sandbox_frames import BadFrame, Kind
from tronie.server.challenge.sandbox_process import Ended, Overdue, Process, TooLarge, escaped

Fault = Literal["memory", "time", "crashed", "output", "refused", "start"]

CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from tronie.server.challenge.sandbox_child import main; main()"
)
"""What the child's Python is told to do."""
PROVIDER = "CPUExecutionProvider"
START_S = 60.0
"""Of wall clock, from the start of the child until it is locked."""
NAME_MOST = 80
GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What one model may use."""

    memory_bytes: int = 4 * GIB
    """Of address space; an engine takes up to 0.3 GiB before it has read a file, and opening
    one about three times its size."""
    cpu_s: float = 3600.0
    """Of processor time, all threads together."""
    wall_s: float = 3600.0
    """From start to end."""
    call_s: float = 120.0
    """Wall clock of opening the model, of one `run`, of one `latencies_ms`."""
    file_bytes: int = 0
    """Of a file that is written."""
    processes: int = 64
    """Threads; there are never other processes."""
    open_files: int = 64
    output_bytes: int = 256 * 2**20
    """Of all outputs of one call together."""
    threads: int = 1
    """Of one call of the engine."""

    def __post_init__(self) -> None:
        if not 1 <= self.threads < self.processes:
            raise BadInput(
                f"threads must be 1 or more and below processes; got {self.threads} and "
                f"{self.processes}"
            )
        for name in ("memory_bytes", "cpu_s", "wall_s", "call_s", "open_files", "output_bytes"):
            if not 0 < getattr(self, name) < math.inf:
                raise BadInput(f"{name} must be above 0 and finite; got {getattr(self, name)}")


DEFAULT = Bounds()


class SandboxError(TronieError):
    """A model that could not be run within its bounds.

    Attributes:
        kind: "memory", "time", "crashed", "output" (too large, or no arrays of numbers),
            "refused" (the engine does not take the model, or failed on it) or "start" (ours:
            the sandbox itself did not come about, or was ended from outside).
        log: What the stranger's model made the engine say, escaped; for the organizer only.
    """

    def __init__(self, message: str, *, kind: Fault, log: str = "") -> None:
        super().__init__(message)
        self.kind: Fault = kind
        self.log = log


class Sandbox:
    """One model in one child process; a context manager, for one thread at a time.

    Args:
        model: The bytes of an ONNX file; they are not looked at here.
        name: What messages call it.
        bounds: What it may use.
        providers: The CPU is all that there is.

    Attributes:
        enforced: What holds for the child, by what, as in {"network": "namespace"}; the value is
            "not enforced" where this machine did not allow it.
        inputs, outputs: Of the model, as the engine declares them; the names are the stranger's.

    Raises:
        SandboxError: the model could not be opened within the bounds.
    """

    def __init__(
        self,
        model: bytes,
        *,
        name: str,
        bounds: Bounds = DEFAULT,
        providers: Sequence[str] = (PROVIDER,),
    ) -> None:
        if tuple(providers) != (PROVIDER,):
            raise BadInput(
                f"a sandbox runs models with {PROVIDER}; got {', '.join(providers) or 'none'}"
            )
        self.name = escaped(name).replace("\n", " ")[:NAME_MOST]
        self.bounds = bounds
        self._lock = threading.Lock()
        self._words = ""
        self._over: SandboxError | None = None
        self._ends = time.monotonic() + bounds.wall_s
        self._process = _started(bounds)
        try:
            self.enforced = _ready(self._process)
            request = {"threads": bounds.threads}
            head, _ = self._ask(Kind.MODEL, request, memoryview(model), Kind.OPENED)
            self.inputs = frames.signatures_of(head, "inputs")
            self.outputs = frames.signatures_of(head, "outputs")
        except BadFrame as fault:
            raise self._broken("output", "described itself in no form that is read") from fault
        finally:
            if not hasattr(self, "outputs"):
                self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def log(self) -> str:
        """The end of what the child printed and the engine said, escaped; for the organizer."""
        return self._process.log + self._words

    def close(self) -> None:
        """Kill the child; again is harmless."""
        if self._over is None:
            self._over = SandboxError(f"the sandbox of {self.name} is closed", kind="crashed")
        self._process.close()

    def run(self, pixels: NDArray[np.float32]) -> list[NDArray[Any]]:
        """The outputs of one call in file order, for `pixels` (N, 3, H, W) float32.

        As many arrays, of the element types, that the model declares; NaN and shapes are passed on
        as they are.

        Raises:
            BadArray: `pixels` are something else.
            SandboxError: the model broke a bound; after "refused" and "output" others may follow,
                else the sandbox is over.
        """
        _check_pixels(pixels)
        body = frames.flat(pixels)
        head, answer = self._ask(Kind.RUN, frames.described([pixels]), body, Kind.RESULT)
        try:
            found = frames.arrays_of(head, answer)
        except BadFrame as fault:
            raise self._broken("output", "answered in no form that is read") from fault
        types = [a.dtype.name for a in found]
        if types != [dtype for _, dtype, _ in self.outputs]:
            raise self._broken("output", "gave other outputs than it declares")
        return found

    def latencies_ms(
        self, pixels: NDArray[np.float32], *, batch: int = 1, rounds: int, warmup: int
    ) -> NDArray[np.float64]:
        """Milliseconds of `rounds` calls, timed in the child around the engine alone, (rounds,).

        Each call takes the next `batch` of `pixels` (M, 3, H, W), and begins again at their end;
        `warmup` calls come before and are not told. For the errors see `run`; all calls together
        are one call for the bounds.
        """
        _check_pixels(pixels)
        if batch < 1 or warmup < 0 or not 1 <= rounds <= 10**6:
            raise BadInput(
                "timing takes a batch of 1 or more, 1 to 1000000 rounds and a warmup of 0 or more; "
                f"got {batch}, {rounds} and {warmup}"
            )
        request = frames.described([pixels])
        request |= {"batch": batch, "warmup": warmup, "rounds": rounds}
        start = time.monotonic()
        head, answer = self._ask(Kind.TIME, request, frames.flat(pixels), Kind.TIMES)
        elapsed_ms = 1000 * (time.monotonic() - start)
        try:
            (times,) = frames.arrays_of(head, answer)
            credible = times.shape == (rounds,) and times.dtype == np.float64
        except (BadFrame, ValueError):
            credible = False
        if not credible or not times.min() >= 0 or not times.sum() <= elapsed_ms:
            raise self._broken("output", "told times that cannot be")
        return times

    def _ask(
        self, kind: Kind, head: Mapping[str, Any], body: memoryview, expected: Kind
    ) -> tuple[dict[str, Any], bytearray]:
        """One request and its answer."""
        with self._lock:
            if self._over is not None:
                raise SandboxError(str(self._over), kind=self._over.kind, log=self._over.log)
            self._over = SandboxError(f"a call of {self.name} was interrupted", kind="crashed")
            deadline = min(time.monotonic() + self.bounds.call_s, self._ends)
            try:
                self._process.send(frames.prefix(kind, head, body.nbytes), deadline)
                self._process.send(body, deadline)
                said, told, answer = _received(
                    self._process, deadline, body_most=self.bounds.output_bytes
                )
                if said not in (expected, Kind.FAULT):
                    raise BadFrame("an answer to another question arrived")
            except Overdue as fault:
                raise self._overdue() from fault
            except Ended as fault:
                raise self._ended() from fault
            except TooLarge as fault:
                raise self._too_large() from fault
            except BadFrame as fault:
                raise self._broken("output", "answered in no form that is read") from fault
            self._over = None
            if said is Kind.FAULT:
                raise self._refused(told, opening=kind is Kind.MODEL)
            return told, answer

    def _refused(self, told: Mapping[str, Any], *, opening: bool) -> SandboxError:
        """The child could not, and lives."""
        self._words = escaped(str(told.get("text", "")))[:2048]
        why = told.get("why")
        if why == "memory":
            return self._too_large()
        if why == "output":
            sentence = (
                f"model {self.name} gives no arrays of numbers, or more than "
                f"{self.bounds.output_bytes} bytes of them in one call"
            )
            return SandboxError(sentence, kind="output", log=self.log)
        what = "cannot open" if opening else "failed on"
        sentence = f"the engine {what} model {self.name}; see whether it runs with onnxruntime"
        return SandboxError(sentence, kind="refused", log=self.log)

    def _overdue(self) -> SandboxError:
        in_all = time.monotonic() >= self._ends
        limit = f"{self.bounds.wall_s:g} s in all" if in_all else f"{self.bounds.call_s:g} s"
        return self._broken("time", f"took longer than {limit}")

    def _too_large(self) -> SandboxError:
        return self._broken(
            "memory", f"asked for more than {self.bounds.memory_bytes / GIB:.3g} GiB of memory"
        )

    def _ended(self) -> SandboxError:
        """The child is gone, or has closed its pipe: how did it end?"""
        by_itself, used_s = self._process.await_end(), self._process.cpu_s()
        self._process.close()
        code = self._process.code
        if code == -signal.SIGXCPU:
            return self._broken("time", f"used more than {self.bounds.cpu_s:g} s of processor time")
        if code == -signal.SIGABRT and "bad_alloc" in self._process.log:
            return self._too_large()
        if code == -signal.SIGSYS:
            return self._broken("crashed", "tried a system call that no model needs")
        if by_itself and used_s < self.bounds.cpu_s and code in (-signal.SIGKILL, -signal.SIGTERM):
            # Not by us, and not by the bound on its time: by somebody else, or for want of memory
            # in all. A locked child has no call to send itself these.
            return self._broken("start", f"was ended from outside ({self._process.ending})")
        return self._broken("crashed", f"ended its process ({self._process.ending})")

    def _broken(self, kind: Fault, what: str) -> SandboxError:
        """The child is killed, and the sandbox is over."""
        self._process.close()
        self._over = SandboxError(
            f"model {self.name} {what} and was stopped", kind=kind, log=self.log
        )
        return self._over


def host_report() -> Mapping[str, str]:
    """What can be enforced on this machine, found out by a child that locks itself and no more.

    Raises:
        SandboxError: the child did not come so far; kind "start".
    """
    process = _started(DEFAULT)
    try:
        return _ready(process)
    finally:
        process.close()


def _started(bounds: Bounds) -> Process:
    package = Path(__file__).resolve().parents[3]
    path = [str(Path(entry).absolute()) for entry in sys.path if entry] + [str(package)]
    settings = {
        "parent": os.getpid(),
        "memory_bytes": bounds.memory_bytes,
        "cpu_s": bounds.cpu_s,
        "file_bytes": bounds.file_bytes,
        "processes": bounds.processes,
        "open_files": bounds.open_files,
        "output_bytes": bounds.output_bytes,
        "threads": bounds.threads,
    }
    words = [sys.executable, "-I", "-B", "-c", CHILD, json.dumps(path), json.dumps(settings)]
    try:
        return Process(words, memory_bytes=bounds.memory_bytes)
    except OSError as fault:
        raise SandboxError(
            f"the sandbox cannot start {sys.executable}: {fault.strerror}", kind="start"
        ) from fault


def _ready(process: Process) -> dict[str, str]:
    """What the child enforces; nothing of the stranger's has reached it yet."""
    try:
        kind, told, _ = _received(process, time.monotonic() + START_S, body_most=0)
    except (Overdue, Ended, TooLarge, BadFrame) as fault:
        if isinstance(fault, Ended):
            process.await_end()
        process.close()
        raise SandboxError(
            f"the sandbox did not come up ({fault}; {process.ending}): see its log, and "
            "whether the memory it may use is enough for the engine",
            kind="start",
            log=process.log,
        ) from fault
    seen = _kernel_says(process.pid)
    filtered = told.get("system_calls") == "seccomp"
    if kind is not Kind.READY or (filtered and seen.get("Seccomp", "2") != "2"):
        raise SandboxError("the sandbox says that it is locked, and is not", kind="start")
    enforced = {str(name): str(value) for name, value in told.items()}
    return enforced | {"wall_clock": "parent", "output_size": "parent", "environment": "scrubbed"}


def _received(
    process: Process, deadline: float, *, body_most: int
) -> tuple[Kind, dict[str, Any], bytearray]:
    """One frame from the child."""
    start = process.receive(frames.PREFIX.size, deadline)
    kind, head_bytes, body_bytes = frames.sizes(start, body_most=body_most)
    head = frames.head_of(process.receive(head_bytes, deadline))
    return kind, head, process.receive(body_bytes, deadline)


def _kernel_says(pid: int) -> dict[str, str]:
    """The lines of /proc/PID/status; empty where there is none."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return {name: rest.strip() for name, _, rest in (line.partition(":") for line in lines)}
    return {}


def _check_pixels(pixels: NDArray[np.float32]) -> None:
    if pixels.ndim != 4 or pixels.dtype != np.float32 or pixels.size == 0:
        raise BadArray(
            "a sandbox takes pictures as float32 of shape (N, 3, H, W), at least one; got "
            f"{pixels.dtype} of shape {pixels.shape}"
        )
