r"""The largest impostor scores of all pairs, exactly, in memory that the pairs do not fill.

A float32 matrix product screens, float64 decides. For unit rows of D numbers the screen is
off by at most

    delta = gamma(D + 4),    gamma(n) = n u / (1 - n u),    u = 2^-24

whatever the order of the sum, since sum |a_i b_i| <= 1 for unit vectors; the 4 pays for the
rounding of the rows and of the sums below. If v is the (K+1)-th largest float32 score seen
so far, at least K + 1 pairs truly score v - delta or more; so a pair whose float32 score is
below v - 2 delta is not among the K + 1 largest, and is dropped. Those kept are scored
again in float64, where products of float32 numbers are exact and the order of the sum is
fixed: the result depends neither on the block size nor on the matrix library.

Letters: N rows, D numbers, K pairs wanted, M impostor pairs.

Source: Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1 (gamma).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tronie.evaluation.pairs.blocks import impostor_count, impostor_mask, upper_blocks

BLOCK_ROWS = 2048
BINS = 8192
"""Of the coarse count over scores from -1 to 1: 1/4096 wide each."""

_RESCORE_ROWS = 8192
_SLACK = 1 << 20


@dataclass(frozen=True, eq=False, kw_only=True)
class ImpostorTail:
    """The top of all impostor scores, and a coarse count of the rest."""

    scores: NDArray[np.float64]
    """Exact, falling, at least min(K + 1, M) of them and complete down to the last."""
    first: NDArray[np.int64]
    """Row of one side of each."""
    second: NDArray[np.int64]
    """Row of the other side."""
    pairs: int
    """M, all impostor pairs."""
    at_most: NDArray[np.int64]
    """(BINS + 1,): never fewer than the pairs that score >= -1 + k / 4096."""


def screen_error(dimension: int) -> float:
    """How far a float32 product of two unit rows can lie from the float64 one."""
    n = (dimension + 4) * 2.0**-24
    return n / (1 - n)


def exact_scores(
    unit: NDArray[np.float32], first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Cosine of rows `first` with rows `second`, in float64 and one fixed order of summing."""
    scores = np.empty(len(first))
    for start in range(0, len(first), _RESCORE_ROWS):
        part = slice(start, start + _RESCORE_ROWS)
        scores[part] = (unit[first[part]].astype(np.float64) * unit[second[part]]).sum(axis=1)
    return scores


def impostor_tail(
    unit: NDArray[np.float32],
    people: NDArray[np.integer],
    *,
    keep: int,
    block_rows: int = BLOCK_ROWS,
) -> ImpostorTail:
    """The `keep` + 1 largest scores of pairs of different people, exact.

    Args:
        unit: Unit rows, shape (N, D).
        people: Whose each row is, shape (N,), from 0.
        keep: K, how many of the pairs a threshold may accept at most.
    """
    delta = screen_error(unit.shape[1])
    wanted = keep + 1
    floor = -np.inf
    rough = np.empty(0, np.float32)
    places = np.empty(0, np.int64)  # i * N + j
    bins = np.zeros(BINS + 1, np.int64)
    for block in upper_blocks(len(unit), size=block_rows):
        product = unit[block.top : block.bottom] @ unit[block.left : block.right].T
        counts = impostor_mask(block, people)
        bins += _binned(product[counts], delta)
        i, j = np.nonzero(counts & (product >= floor))
        rough = np.concatenate([rough, product[i, j]])
        places = np.concatenate([places, (i + block.top) * len(unit) + j + block.left])
        if len(rough) > wanted + _SLACK:
            floor, rough, places = _cut(rough, places, wanted, delta)
    if len(rough) > wanted:
        _, rough, places = _cut(rough, places, wanted, delta)
    first, second = places // len(unit), places % len(unit)
    scores = exact_scores(unit, first, second)
    order = np.lexsort((places, -scores))[:wanted]
    return ImpostorTail(
        scores=scores[order],
        first=first[order],
        second=second[order],
        pairs=impostor_count(people),
        at_most=np.cumsum(bins[::-1])[::-1],
    )


def _cut(
    rough: NDArray[np.float32], places: NDArray[np.int64], wanted: int, delta: float
) -> tuple[float, NDArray[np.float32], NDArray[np.int64]]:
    rank = len(rough) - wanted
    floor = float(np.partition(rough, rank)[rank]) - 2 * delta
    stay = rough.astype(np.float64) >= floor
    return floor, rough[stay], places[stay]


def _binned(scores: NDArray[np.float32], delta: float) -> NDArray[np.int64]:
    # Raised by the bound, so that a bin's edge is never passed unnoticed.
    bins = np.floor((scores.astype(np.float64) + (1 + delta)) * (BINS // 2))
    found = np.bincount(np.clip(bins, 0, BINS).astype(np.int64), minlength=BINS + 1)
    return found.astype(np.int64)
