"""All genuine pairs: exact scores, counted at thresholds, by row and in bins.

They are few beside the impostor pairs, so every one is scored in float64.

Letters: N rows, P genuine pairs, T thresholds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tronie.evaluation.pairs.exact_threshold import TopPairs
from tronie.evaluation.pairs.pairing import Pairing
from tronie.evaluation.pairs.scores import Rows, exact_scores

BINS = 400
"""Of the histogram over scores from -1 to 1: 0.005 wide each."""

_Scored = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Genuine:
    """What the genuine pairs say."""

    misses: NDArray[np.int64]
    """(T,): pairs below each threshold."""
    misses_of_row: NDArray[np.int64]
    """(F, N): for the first F thresholds, the misses that each row takes part in."""
    pairs_of_row: NDArray[np.int64]
    """(N,): genuine pairs that each row takes part in."""
    lowest_scores: NDArray[np.float64]
    """Rising."""
    lowest_codes: NDArray[np.int64]
    """first row * N + second row, of each of the lowest."""
    histogram: NDArray[np.int64]
    """(BINS,): scores in equal bins from -1 to 1, those outside in the first and last."""


def count_genuine(
    unit: Rows,
    chosen: Pairing,
    thresholds: Sequence[float],
    *,
    by_row: int,
    lowest: int,
    workers: int,
) -> Genuine:
    """Score all genuine pairs.

    Args:
        unit: Stored unit rows (N, D).
        thresholds: T of them, to be used as `score >= threshold`.
        by_row: F: for how many, from the first, misses are counted by row.
        lowest: How many of the lowest pairs to return.
        workers: Threads that score; they change nothing but the time.
    """
    n = len(unit)
    rising = np.sort(np.asarray(thresholds, np.float64))
    below = np.zeros(len(rising), np.int64)
    of_row = np.zeros((by_row, n), np.int64)
    pairs = np.zeros(n, np.int64)
    histogram = np.zeros(BINS, np.int64)
    bottom = TopPairs(lowest)
    for first, second, scores in _scored(unit, chosen, workers):
        pairs += np.bincount(first, minlength=n) + np.bincount(second, minlength=n)
        below += np.searchsorted(np.sort(scores), rising, side="left")
        histogram += histogram_of(scores)
        if lowest:
            bottom.add(-scores, first * n + second)
        for k in range(by_row):
            missed = scores < thresholds[k]
            of_row[k] += np.bincount(first[missed], minlength=n)
            of_row[k] += np.bincount(second[missed], minlength=n)
    found, codes = bottom.best() if lowest else (np.empty(0), np.empty(0, np.int64))
    return Genuine(
        misses=below[np.searchsorted(rising, thresholds)],
        misses_of_row=of_row,
        pairs_of_row=pairs,
        lowest_scores=-found,
        lowest_codes=codes,
        histogram=histogram,
    )


def histogram_of(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many scores lie in each of BINS equal bins from -1 to 1."""
    bins = np.clip(np.floor((scores + 1) * (BINS / 2)), 0, BINS - 1).astype(np.int64)
    return np.bincount(bins, minlength=BINS).astype(np.int64)


def _scored(unit: Rows, chosen: Pairing, workers: int) -> Iterator[_Scored]:
    """Genuine pairs with their scores, in the order of `Pairing.genuine`."""
    waiting: deque[tuple[NDArray[np.int64], NDArray[np.int64], Future[NDArray[np.float64]]]]
    waiting = deque()
    with ThreadPoolExecutor(max_workers=workers) as pool:
        for first, second in chosen.genuine():
            waiting.append((first, second, pool.submit(exact_scores, unit, first, second)))
            if len(waiting) > 2 * workers:
                a, b, scores = waiting.popleft()
                yield a, b, scores.result()
        for a, b, scores in waiting:
            yield a, b, scores.result()
