"""A sample of impostor pairs: for the loose end of a curve, and for its histogram.

Pairs are drawn independently and uniformly from all impostor pairs, with replacement. So the
rate of a threshold that was fixed before has Wilson's interval; and the threshold of a FAR has
the interval between two order statistics of the sample.

Letters: S pairs drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tronie.errors import NotEnoughData
from tronie.evaluation.metrics.verification import accepts_allowed, just_above, too_few_pairs
from tronie.evaluation.pairs.pairing import Pairing
from tronie.evaluation.pairs.scores import Rows, exact_scores

_AT_ONCE = 1 << 16
_TRIES = 1000


@dataclass(frozen=True, kw_only=True)
class SampledThreshold:
    """The threshold of a FAR, estimated."""

    threshold: float
    low: float
    """The true threshold lies between `low` and `high` with the confidence asked for."""
    high: float
    false_matches: int
    """Pairs of the sample at or above `threshold`."""


def sample_impostors(
    unit: Rows, chosen: Pairing, *, pairs: int, seed: int = 0
) -> NDArray[np.float64]:
    """Exact scores (S,), ascending, of `pairs` impostor pairs drawn independently.

    Raises:
        NotEnoughData: hardly any pair of two rows is an impostor pair.
    """
    rng = np.random.default_rng(seed)
    parts: list[NDArray[np.float64]] = []
    wanted = pairs
    for _ in range(_TRIES + pairs // _AT_ONCE):
        if wanted == 0:
            return np.sort(np.concatenate([np.empty(0), *parts]))
        i = rng.integers(len(chosen.left), size=_AT_ONCE)
        j = rng.integers(len(chosen.right), size=_AT_ONCE)
        if chosen.itself:
            i, j = np.minimum(i, j), np.maximum(i, j)
        counts = np.flatnonzero(chosen.are_impostors(i, j))[:wanted]
        parts.append(exact_scores(unit, chosen.left[i[counts]], chosen.right[j[counts]]))
        wanted -= len(counts)
    raise NotEnoughData(
        f"{_TRIES * _AT_ONCE} pairs of rows were drawn and hardly any is an impostor pair "
        f"({chosen.impostor_pairs} of all); measure all of them instead of a sample"
    )


def sampled_threshold(
    scores: NDArray[np.float64], far: float | Fraction, *, confidence: float = 0.95
) -> SampledThreshold:
    """The threshold that accepts at most `far` of the sample, and between which it may lie.

    The ends are those of a normal approximation, one pair wider on each side: with 5 pairs
    allowed they hold as often as they say, with 1 or 2 they do not, and plans ask for 30.

    Args:
        scores: (S,), ascending.

    Raises:
        NotEnoughData: not one pair of the sample may be accepted.
    """
    size = len(scores)
    allowed = accepts_allowed(far, size)
    if allowed == 0:
        raise too_few_pairs(far, size)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    spread = z * math.sqrt(allowed * (1 - allowed / size))
    fewer, more = math.floor(allowed - spread) - 1, math.ceil(allowed + spread) + 1

    def above(k: int) -> float:
        """The threshold that accepts at most k of the sample."""
        return just_above(float(scores[size - 1 - k]))

    threshold = above(allowed)
    return SampledThreshold(
        threshold=threshold,
        low=above(more) if more < size else -1.0,
        high=above(fewer) if fewer > 0 else max(threshold, just_above(1.0)),
        false_matches=size - int(np.searchsorted(scores, threshold, side="left")),
    )
