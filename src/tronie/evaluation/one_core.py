"""One core for the whole process while something is timed, and seconds a photograph.

Threads that an engine started long ago are moved too, and threads that start later follow the
one that starts them. What the system cannot do is told, and not passed over: elsewhere than
on Linux nothing is moved.

`busy_cores` is the processor time of the process over the wall time: it stays near 1 or below
where one core was used, whoever promised what.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tronie.errors import BadInput

_THREADS = Path("/proc/self/task")

Clock = Callable[[], float]
"""Seconds from some moment on."""


@dataclass(frozen=True, kw_only=True)
class Timed:
    """What each of several steps took."""

    seconds: tuple[float, ...]
    """Wall time of each step."""
    warm_up: int
    """How many steps were run before, untimed."""
    pinned: bool
    """The process was kept on one core."""
    busy_cores: float
    """Processor time over wall time."""

    @property
    def mean(self) -> float:
        """Seconds a step."""
        return sum(self.seconds) / len(self.seconds)


def timed(
    steps: Sequence[Callable[[], None]],
    *,
    warm_up: int,
    after: Callable[[Sequence[float]], None] = lambda seconds: None,
    clock: Clock = time.perf_counter,
    processor_clock: Clock = time.process_time,
) -> Timed:
    """Run each step once, on one core, and time it; the first ones are run before, untimed.

    Args:
        steps: At least one.
        warm_up: How many of the first steps are run before; they are run again and timed.
        after: Called after each timed step with the seconds so far; what it raises ends all.

    Raises:
        BadInput: there is no step, or `warm_up` is negative.
    """
    if not steps or warm_up < 0:
        raise BadInput(f"timing needs a step and a warm-up of 0 or more; got {warm_up}")
    seconds: list[float] = []
    with one_core() as core:
        for step in steps[:warm_up]:
            step()
        busy, began = processor_clock(), clock()
        for step in steps:
            start = clock()
            step()
            seconds.append(clock() - start)
            after(seconds)
        wall, busy = clock() - began, processor_clock() - busy
    return Timed(
        seconds=tuple(seconds),
        warm_up=min(warm_up, len(steps)),
        pinned=core is not None,
        busy_cores=busy / wall if wall > 0 else 0.0,
    )


@contextmanager
def one_core() -> Iterator[int | None]:
    """Keep every thread of this process on one core; its number, or None where that cannot be."""
    if not hasattr(os, "sched_setaffinity") or not _THREADS.is_dir():
        yield None
        return
    allowed = os.sched_getaffinity(0)
    core = max(allowed)  # the first is where most other programs begin
    before = {thread: _cores_of(thread) for thread in _threads()}
    try:
        _move({thread: {core} for thread in _threads()})
        yield core
    finally:
        _move({thread: before.get(thread) or allowed for thread in _threads()})


def _threads() -> list[int]:
    return [int(entry.name) for entry in _THREADS.iterdir()]


def _cores_of(thread: int) -> set[int] | None:
    with suppress(OSError):  # it has ended
        return os.sched_getaffinity(thread)
    return None


def _move(cores: dict[int, set[int]]) -> None:
    for thread, wanted in cores.items():
        with suppress(OSError):  # it has ended
            os.sched_setaffinity(thread, wanted)
