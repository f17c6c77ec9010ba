r"""The largest impostor scores of all pairs, exactly, in memory that the pairs do not fill.

`TopPairs` keeps the K + 1 best pairs of those it was shown. Pairs are ordered by falling
score, ties by their rows, so that "the K + 1 best" is one set whatever the order they come
in, in however many parts: the best of a whole are among the best of its parts.

The (K+1)-th best score v is the highest that must be refused when K may be accepted. The
threshold is the next float64 above it: every pair that ties with v is refused with it.

`impostor_tail` is the pass for sets whose every score may be looked at: beside the top it
counts all pairs coarsely. `tronie.evaluation.pairs.sweep` is the pass for sets of millions.

Letters: N rows, D numbers, K pairs wanted, M impostor pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tronie.evaluation.pairs.blocks import impostor_count, impostor_mask, upper_blocks
from tronie.evaluation.pairs.scores import at_most_float32, exact_scores, screen_error

BLOCK_ROWS = 2048
BINS = 8192
"""Of the coarse count over scores from -1 to 1: 1/4096 wide each."""

_SLACK = 1 << 12


class TopPairs:
    """The `keep` best pairs of those added; `floor` is what a pair must reach to matter.

    Args:
        keep: K + 1, how many are wanted.
        floor: Pairs below it were not looked for: an estimate, or -inf. It rises as soon as
            `keep` pairs are known, and then it is proven.
    """

    def __init__(self, keep: int, *, floor: float = -np.inf) -> None:
        self.keep = keep
        self.floor = floor
        self._scores: list[NDArray[np.float64]] = []
        self._codes: list[NDArray[np.int64]] = []
        self._size = 0

    def add(self, scores: NDArray[np.float64], codes: NDArray[np.int64]) -> None:
        """Exact scores (P,), and the number (P,) by which ties are ordered: no pair twice."""
        stay = scores >= self.floor
        self._scores.append(scores[stay])
        self._codes.append(codes[stay])
        self._size += int(stay.sum())
        if self._size > 2 * self.keep + _SLACK:
            self._cut()

    def tighten(self) -> None:
        """Raise `floor` to what is proven by now."""
        if self._size > self.keep:
            self._cut()

    def best(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Scores, falling, and codes of the best; fewer than `keep` if no more were added."""
        self._cut()
        scores, codes = self._scores[0], self._codes[0]
        order = np.lexsort((codes, -scores))
        return scores[order], codes[order]

    def _cut(self) -> None:
        scores = np.concatenate([*self._scores, np.empty(0)])
        codes = np.concatenate([*self._codes, np.empty(0, np.int64)])
        if len(scores) > self.keep:
            rank = len(scores) - self.keep
            last = float(np.partition(scores, rank)[rank])
            above = np.flatnonzero(scores > last)
            tied = np.flatnonzero(scores == last)
            tied = tied[np.argsort(codes[tied])][: self.keep - len(above)]
            stay = np.concatenate([above, tied])
            scores, codes = scores[stay], codes[stay]
        if len(scores) == self.keep > 0:
            self.floor = max(self.floor, float(scores.min()))
        self._scores, self._codes, self._size = [scores], [codes], len(scores)


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
    error = screen_error(unit.shape[1])
    top = TopPairs(keep + 1)
    bins = np.zeros(BINS + 1, np.int64)
    for block in upper_blocks(len(unit), size=block_rows):
        product = unit[block.top : block.bottom] @ unit[block.left : block.right].T
        counts = impostor_mask(block, people)
        bins += _binned(product[counts], error)
        i, j = np.nonzero(
            counts & (product >= at_most_float32(_floor(product, counts, top, error)))
        )
        first, second = i + block.top, j + block.left
        top.add(exact_scores(unit, first, second), first * len(unit) + second)
    scores, codes = top.best()
    return ImpostorTail(
        scores=scores,
        first=codes // len(unit),
        second=codes % len(unit),
        pairs=impostor_count(people),
        at_most=np.cumsum(bins[::-1])[::-1],
    )


def _floor(
    product: NDArray[np.float32], counts: NDArray[np.bool_], top: TopPairs, error: float
) -> float:
    """Below this a pair of the block is not among the best: by those seen, or by the block.

    If v is the keep-th largest product of the block, `keep` pairs of it truly score v - error
    or more; a product below v - 2 error belongs to none of the best.
    """
    floor = top.floor - error
    found = product[counts]
    if len(found) > top.keep:
        rank = len(found) - top.keep
        floor = max(floor, float(np.partition(found, rank)[rank]) - 2 * error)
    return floor


def _binned(scores: NDArray[np.float32], delta: float) -> NDArray[np.int64]:
    # Raised by the bound, so that a bin's edge is never passed unnoticed.
    bins = np.floor((scores.astype(np.float64) + (1 + delta)) * (BINS // 2))
    found = np.bincount(np.clip(bins, 0, BINS).astype(np.int64), minlength=BINS + 1)
    return found.astype(np.int64)
