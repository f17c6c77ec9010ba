"""How long a model takes on this machine: the median and the 99th percentile of many calls.

    warm-up   at least one call, not counted: engines prepare themselves in the first
    calls     until `BUDGET_S` is spent, at least `LEAST_RUNS`, at most `MOST_RUNS`
    median    of the calls, in milliseconds for a whole batch
    p99       the shortest time that 99 % of the calls did not exceed (nearest rank), which is
              the longest of all where there are fewer than 100

Pictures are noise; the time of a network does not depend on what it sees.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tronie.errors import BadModel
from tronie.runtime.session import Session

BUDGET_S = 3.0
LEAST_RUNS = 3
MOST_RUNS = 1000
WARM_UP_SHARE = 0.2
"""Of the budget, which warming up may take where calls are short."""
MOST_WARM_UPS = 20


@dataclass(frozen=True, kw_only=True)
class Latency:
    """The time of one call on `batch` pictures with `threads` cores, over `runs` calls."""

    batch: int
    median_ms: float
    p99_ms: float
    runs: int
    threads: int


def latency(
    session: Session,
    *,
    batch: int,
    size: tuple[int, int] = (112, 112),
    clock: Callable[[], float] = time.perf_counter,
) -> Latency:
    """Time `session` on `batch` pictures of (height, width) `size`, where its file is free.

    `clock` tells seconds.

    Raises:
        BadModel: the file fixes another batch, or the engine failed.
    """
    if session.batch not in (None, batch):
        raise BadModel(
            f"model {session.name} takes batches of {session.batch} only, and cannot be timed on "
            f"{batch}; ask for --batch {session.batch}, or export it with a free batch axis"
        )
    _, channels, height, width = session.input.shape
    shape = (batch, channels or 3, height or size[0], width or size[1])
    pictures = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)

    def call() -> float:
        start = clock()
        session.run(pictures)
        return clock() - start

    warm = call()
    for _ in range(min(MOST_WARM_UPS, int(WARM_UP_SHARE * BUDGET_S / max(warm, 1e-9)))):
        call()
    times: list[float] = []
    while len(times) < LEAST_RUNS or (sum(times) < BUDGET_S and len(times) < MOST_RUNS):
        times.append(call())
    return Latency(
        batch=batch,
        median_ms=1000 * statistics.median(times),
        p99_ms=1000 * nearest_rank(times, 0.99),
        runs=len(times),
        threads=session.threads,
    )


def nearest_rank(values: Sequence[float], fraction: float) -> float:
    """The least of `values` that at least `fraction` of them do not exceed.

    Example:
        >>> nearest_rank([4.0, 1.0, 3.0, 2.0], 0.5)
        2.0
    """
    return sorted(values)[max(0, math.ceil(fraction * len(values)) - 1)]
