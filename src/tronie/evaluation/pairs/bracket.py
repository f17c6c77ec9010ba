r"""The exact threshold where too many pairs lie above it to keep them: count, and keep a slice.

    score    ... lo ------------- hi ...
    pairs        kept, in float64   counted only

A bracket [lo, hi) is guessed from a sample. A pass counts the pairs at or above hi, and keeps
the exact scores in between. Where a float32 product decides surely, it decides; within its
error of lo or hi the pair is scored in float64. If after the pass

    #(score >= hi)  <=  K  <  #(score >= lo)

the (K+1)-th largest score v lies inside and is read off. Otherwise the counts say on which side
it lies, and the next pass looks there. If more pairs lie inside than may be kept, the next
bracket is one single score, their median: it needs no memory and halves what is left.

Letters: N rows, K pairs that may be accepted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tronie.evaluation.metrics.verification import just_above
from tronie.evaluation.pairs.scores import at_most_float32

MAX_KEPT = 1 << 25
"""Pairs kept inside a bracket, 16 bytes each."""

_WIDEN = 4
_SPARSE = 32


@dataclass(eq=False, kw_only=True)
class Bracket:
    """Counts of one pass, or of a part of it; parts are joined by `merge`."""

    low: float
    high: float
    rows: NDArray[np.int64]
    """(N,): pairs at or above `high` that each row takes part in."""
    above: int = 0
    """Pairs at or above `high`."""
    inside: int = 0
    """Pairs in [low, high)."""
    overflowed: bool = False
    """More lay inside than may be kept: `scores` are only some of them."""
    scores: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    codes: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def single(self) -> bool:
        """Whether it holds one float64 only, so that counting is enough."""
        return just_above(self.low) >= self.high

    def limits(self, error: float) -> tuple[np.float32, np.float32]:
        """Products at or above the first may be inside; at or above the second they are above."""
        return at_most_float32(self.low - error), -at_most_float32(-(self.high + error))

    def add_sure(
        self, over: NDArray[np.bool_], first: NDArray[np.int64], second: NDArray[np.int64]
    ) -> None:
        """Pairs of a tile at or above `high`: a mask (L, R) over rows `first` and `second`."""
        count = int(np.count_nonzero(over))
        if count == 0:
            return
        if count < over.size // _SPARSE:
            i, j = np.divmod(np.flatnonzero(over), over.shape[1])
            down = np.bincount(i, minlength=over.shape[0])
            across = np.bincount(j, minlength=over.shape[1])
        else:
            down, across = over.sum(axis=1, dtype=np.int32), over.sum(axis=0, dtype=np.int32)
        self.above += count
        self.rows[first] += down  # no row is twice on one side
        self.rows[second] += across

    def add_scored(
        self, scores: NDArray[np.float64], first: NDArray[np.int64], second: NDArray[np.int64]
    ) -> None:
        """Pairs of rows with their exact scores, wherever they lie."""
        over = scores >= self.high
        self.above += int(over.sum())
        np.add.at(self.rows, first[over], 1)
        np.add.at(self.rows, second[over], 1)
        held = (scores >= self.low) & ~over
        self.inside += int(held.sum())
        if not self.single and not self.overflowed:
            self.scores = np.concatenate([self.scores, scores[held]])
            codes = first[held] * len(self.rows) + second[held]
            self.codes = np.concatenate([self.codes, codes])
            self.overflowed = len(self.scores) > MAX_KEPT

    def merge(self, part: Bracket) -> None:
        """Take over the counts of another part of the same pass."""
        self.above += part.above
        self.inside += part.inside
        self.rows += part.rows
        self.overflowed = self.overflowed or part.overflowed
        if not self.overflowed or len(self.scores) == 0:
            self.scores = np.concatenate([self.scores, part.scores])
            self.codes = np.concatenate([self.codes, part.codes])
            self.overflowed = self.overflowed or len(self.scores) > MAX_KEPT

    def holds(self, allowed: int) -> bool:
        """Whether, after a whole pass, the score to be refused lies inside."""
        known = self.single or not self.overflowed
        return known and self.above <= allowed < self.above + self.inside

    def refused(self, allowed: int) -> float:
        """The (allowed + 1)-th largest score; only where it `holds`."""
        if self.single:
            return self.low
        rank = self.inside - 1 - (allowed - self.above)
        return float(np.partition(self.scores, rank)[rank])

    def accepted(self, threshold: float) -> tuple[int, NDArray[np.int64]]:
        """Pairs that score `threshold` or more, and how many of them touch each row."""
        taken = self.codes[self.scores >= threshold]
        n = len(self.rows)
        first, second = taken // n, taken % n
        rows = self.rows + np.bincount(first, minlength=n) + np.bincount(second, minlength=n)
        return self.above + len(taken), rows

    def following(
        self, allowed: int, wanted: tuple[float, float]
    ) -> tuple[tuple[float, float], tuple[float, float]]:
        """Where to look next, and what is still wanted, after a pass that found no answer.

        `wanted` is the range thought to hold the answer when this pass began.
        """
        if self.overflowed and not self.single:
            middle = float(np.median(self.scores))
            if middle not in self.scores:
                middle = float(self.scores[np.argmin(np.abs(self.scores - middle))])
            return (middle, just_above(middle)), (self.low, self.high)
        width = _WIDEN * (wanted[1] - wanted[0]) + 1e-3
        if self.above > allowed:  # it lies higher
            top = wanted[1] if wanted[1] > self.high else self.high + width
            return (self.high, top), (self.high, top)
        bottom = wanted[0] if wanted[0] < self.low else self.low - width
        return (bottom, self.low), (bottom, self.low)
