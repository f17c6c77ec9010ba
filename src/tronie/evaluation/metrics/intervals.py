"""Confidence intervals of a rate: Wilson, and bootstrap over identities.

    wilson          as if every pair were drawn independently. Pairs that share a person are
                    not, so this is the narrowest interval that can be claimed.
    bootstrap       people are drawn with replacement, S of S, and everything a person takes
                    part in is counted as often as the person was drawn:

                        across people   sum w_i w_j errors_ij / sum w_i w_j pairs_ij,  i < j
                        within people   sum w_i errors_i / sum w_i pairs_i

                    and the interval holds the middle of the resampled rates (percentiles).
                    The threshold is kept where it is.

Letters: S people, E errors (or accepted pairs), B resamples.

Source: Wilson, JASA 22, 1927; Bolle, Ratha and Pankanti, "Error analysis of pattern
recognition systems: the subsets bootstrap", CVIU 93, 2004 (people and not pairs are drawn);
Conti and Clemencon, "Assessing uncertainty in similarity scoring", ICLR 2024, arXiv:2211.07245
(why it must be re-centered). Differs from it: the first-order term only, percentiles of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadInput, NotEnoughData

RESAMPLES = 1000
_CHUNK = 2048


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Both ends of an interval, and how it was made."""

    low: float
    high: float
    method: str
    confidence: float = 0.95

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary, ready for JSON."""
        return asdict(self)


def wilson(count: int, total: int, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of `count` of `total`, as if they were independent.

    Exactly 0 at the low end when nothing was counted, exactly 1 at the high end when all was.

    Raises:
        NotEnoughData: `total` is zero.
        BadInput: `count` is not between 0 and `total`, or `confidence` not inside (0, 1).

    Example:
        >>> round(wilson(0, 100).high, 4)
        0.037
    """
    if total == 0:
        raise NotEnoughData("an interval needs at least one pair; got none")
    if not 0 <= count <= total or not 0 < confidence < 1:
        raise BadInput(
            f"need 0 <= count <= total and 0 < confidence < 1; got {count} of {total} "
            f"at {confidence}"
        )
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    rate = count / total
    center = (rate + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(rate * (1 - rate) / total + (z / (2 * total)) ** 2)
    return Interval(
        low=0.0 if count == 0 else max(0.0, center - half),
        high=1.0 if count == total else min(1.0, center + half),
        method="Wilson, pairs taken as independent",
        confidence=confidence,
    )


def bootstrap_across(
    first: NDArray[np.integer],
    second: NDArray[np.integer],
    *,
    photos: NDArray[np.integer],
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> Interval | None:
    """Interval of a rate over all pairs of photographs of two different people.

    Args:
        first: The person on one side of each counted pair, shape (E,), rows of `photos`.
        second: The person on the other side, shape (E,), never the same as `first`.
        photos: How many photographs each person has, shape (S,).

    Returns:
        The interval; None when no pair was counted, or all were: resampling what was never
        seen says nothing, and `wilson` must do.
    """
    sizes = np.asarray(photos, dtype=np.float64)
    if len(first) in (0, _pairs_across(sizes, np.ones((1, len(sizes))))[0]):
        return None
    weights = _draws(len(sizes), resamples, seed)
    counted = np.zeros(resamples)
    columns = np.ascontiguousarray(weights.T, dtype=np.float32)  # (S, B); small whole numbers
    for start in range(0, len(first), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        counted += np.einsum("eb,eb->b", columns[first[chunk]], columns[second[chunk]])
    return _percentiles(counted, _pairs_across(sizes, weights), confidence)


def bootstrap_within(
    counted: NDArray[np.integer],
    *,
    pairs: NDArray[np.integer],
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> Interval | None:
    """Interval of a rate over pairs of photographs of one and the same person.

    Args:
        counted: How many pairs of each person were counted, shape (S,).
        pairs: How many pairs each person has, shape (S,).

    Returns:
        The interval; None when no pair was counted, or all were.
    """
    if counted.sum() in (0, pairs.sum()):
        return None
    have = pairs > 0  # people with one photograph say nothing here, and only add draws of 0/0
    weights = _draws(int(have.sum()), resamples, seed)
    return _percentiles(weights @ counted[have], weights @ pairs[have], confidence)


def bootstrap_recentered(
    errors: NDArray[np.integer],
    pairs: NDArray[np.integer],
    *,
    counts: Sequence[int],
    total: int,
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> list[Interval | None]:
    """Intervals of several rates over the same pairs, from what each person takes part in.

    Args:
        errors: Counted pairs that each person takes part in, shape (F, S): one row a rate.
            A pair of two people is in two columns, a pair of one person in one.
        pairs: All pairs that each person takes part in, shape (S,), in the same way.
        counts: E, how many pairs were counted, for each of the F rates.
        total: P, all pairs.

    Returns:
        For each rate its interval, inside [0, 1]; None when no pair was counted, or all were.
    """
    rng = np.random.default_rng(seed)
    people = len(pairs)
    values = np.vstack([errors, pairs]).astype(np.float64).T  # (S, F + 1)
    shifts = np.empty((resamples, values.shape[1]))
    for shift in shifts:
        weights = np.bincount(rng.integers(people, size=people), minlength=people) - 1.0
        shift[:] = weights @ values
    drawn = total + shifts[:, -1]
    tail = (1 - confidence) / 2
    intervals: list[Interval | None] = []
    for n, count in enumerate(counts):
        if count in (0, total):
            intervals.append(None)
            continue
        usable = drawn > 0
        rates = (count + shifts[usable, n]) / drawn[usable]
        low, high = np.clip(np.quantile(rates, [tail, 1 - tail]), 0, 1)
        method = f"bootstrap over identities, re-centered, {resamples} resamples"
        intervals.append(
            Interval(low=float(low), high=float(high), method=method, confidence=confidence)
        )
    return intervals


def _draws(people: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """How often each person is drawn: (B, S), each row summing to S."""
    rng = np.random.default_rng(seed)
    weights = np.empty((resamples, people))
    for row in weights:
        row[:] = np.bincount(rng.integers(people, size=people), minlength=people)
    return weights


def _pairs_across(sizes: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    # sum over i < j of (w_i m_i)(w_j m_j), from the square of the sum.
    parts = weights * sizes
    total: NDArray[np.float64] = (parts.sum(axis=1) ** 2 - (parts**2).sum(axis=1)) / 2
    return total


def _percentiles(
    counted: NDArray[np.float64], pairs: NDArray[np.float64], confidence: float
) -> Interval:
    usable = pairs > 0
    tail = (1 - confidence) / 2
    low, high = np.quantile(counted[usable] / pairs[usable], [tail, 1 - tail])
    return Interval(
        low=float(low),
        high=float(high),
        method=f"bootstrap over identities, {len(counted)} resamples",
        confidence=confidence,
    )
