"""Where the best share of a part lies, from networks that were drawn at random and judged.

    draw a quarter of the N networks, with replacement; take the best of them; note its shares
    do so 10,000 times: the middle 95 % of a share's notes are its best range, their median its best

A part that does not matter has a range as wide as what was drawn. The range is of the best of a
handful, not of the very best there is, and is of no use before a few dozen are judged.

Source: Radosavovic et al., "Designing Network Design Spaces", CVPR 2020, arXiv:2003.13678, whose
empirical bootstrap SCRFD (arXiv:2105.04714) shows of its shares.

Letters: N networks, D draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, NotEnoughData

QUARTER = 0.25
CONFIDENCE = 0.95
LEAST = 8
"""Networks below which a quarter is no choice."""


@dataclass(frozen=True, kw_only=True)
class BestRange:
    """Of one part: where the best networks spend their computation."""

    low: float
    median: float
    high: float


def best_range(
    shares: NDArray[np.float64], scores: NDArray[np.float64], *, draws: int = 10_000, seed: int = 0
) -> BestRange:
    """The range of the best share of one part.

    Args:
        shares: Of that part, in each network; (N,).
        scores: Of the networks, the higher the better; (N,), no NaN.
        draws: How often a quarter is drawn. The same seed draws the same of every part.

    Raises:
        BadArray: the two are of different lengths, or hold NaN.
        NotEnoughData: fewer than 8 networks.
    """
    if shares.shape != scores.shape or shares.ndim != 1 or np.isnan([shares, scores]).any():
        raise BadArray(
            f"shares and scores must be (N,) and hold no NaN; got {shares.shape} and {scores.shape}"
        )
    count = len(scores)
    if count < LEAST:
        raise NotEnoughData(f"a best range needs {LEAST} networks or more; got {count}")
    rng = np.random.default_rng(seed)
    drawn = rng.integers(count, size=(draws, max(2, round(QUARTER * count))))
    best = drawn[np.arange(draws), scores[drawn].argmax(axis=1)]
    low, median, high = np.quantile(
        shares[best],
        [(1 - CONFIDENCE) / 2, 0.5, (1 + CONFIDENCE) / 2],
        method="inverted_cdf",  # a share that some network has
    )
    return BestRange(low=float(low), median=float(median), high=float(high))
