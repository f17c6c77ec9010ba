"""From all pairs of a set of photographs to thresholds with their error rates.

    FMR(t)   impostor pairs with score >= t, over all pairs of two people
    TAR(t)   genuine pairs with score >= t, over all pairs of one person

Every unordered pair of photographs counts once. Thresholds are exact (see
`tronie.evaluation.pairs.exact_threshold`) and decide as `score >= threshold`. Pairs share
people, so beside Wilson's interval, which pretends that they do not, stands one from
drawing people; what a rate says about people not in the set, no interval knows.

A FAR that fewer than ten false matches decide is kept, and says so.

Source: the rule that ten or so errors are needed before a rate means much is common in
biometrics (Doddington's "rule of 30" asks for thirty to be within 30 % at 90 %).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tronie.errors import BadArray, BadInput, NotEnoughData
from tronie.evaluation.metrics.intervals import (
    Interval,
    bootstrap_across,
    bootstrap_within,
    wilson,
)
from tronie.evaluation.metrics.verification import accepts_allowed, exact_rate, just_above
from tronie.evaluation.pairs.blocks import genuine_pairs
from tronie.evaluation.pairs.exact_threshold import (
    BINS,
    BLOCK_ROWS,
    ImpostorTail,
    impostor_tail,
)
from tronie.evaluation.pairs.scores import exact_scores
from tronie.geometry.hypersphere import normalize

FARS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
FEW_ERRORS = 10
CURVE_POINTS = 200


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """One threshold, and everything that was counted at it."""

    far: float
    """The FAR asked for; the measured `fmr` is never above it."""
    threshold: float
    """A cosine, to be used as `score >= threshold` in float64."""
    impostor_pairs: int
    false_matches: int
    fmr: float
    fmr_wilson: Interval
    fmr_identities: Interval | None
    genuine_pairs: int
    misses: int
    tar: float
    tar_wilson: Interval
    tar_identities: Interval | None
    note: str | None
    """"rests on N errors" where so few decide that the rate is rough."""

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary, ready for JSON."""
        return {
            key: value.to_dict() if isinstance(value, Interval) else value
            for key, value in vars(self).items()
        }


@dataclass(frozen=True, kw_only=True)
class FmrPoint:
    """One step: whatever scores `threshold` or more has at most this FMR."""

    threshold: float
    false_matches: int
    fmr: float
    """`false_matches` over all impostor pairs; 0 for the last step, to be read as "less
    than one in all impostor pairs"."""
    exact: bool
    """Counted exactly, or (far from any useful threshold) an upper bound."""


@dataclass(frozen=True, kw_only=True)
class CalibrationResult:
    """What one model does on one set of photographs."""

    points: tuple[OperatingPoint, ...]
    curve: tuple[FmrPoint, ...]
    """By rising threshold. The FMR of a score is that of the last step at or below it."""
    photos: int
    people: int
    impostor_pairs: int
    genuine_pairs: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary, ready for JSON."""
        return {
            **vars(self),
            "points": [point.to_dict() for point in self.points],
            "curve": [dict(vars(step)) for step in self.curve],
            "notes": list(self.notes),
        }


def calibrate(
    embeddings: NDArray[np.floating],
    labels: ArrayLike,
    *,
    fars: Sequence[float | Fraction] = FARS,
    seed: int = 0,
    block_rows: int = BLOCK_ROWS,
) -> CalibrationResult:
    """Thresholds at fixed FARs over all pairs of photographs, with counts and intervals.

    Args:
        embeddings: Shape (N, D), finite, of any length but zero. Leave photographs without
            a face out: their number belongs beside the result.
        labels: Whose each row is, shape (N,): names or integers.
        fars: False accept rates in (0, 1). Those below one in all impostor pairs cannot be
            measured; they are left out and named in `notes`.
        seed: Of the draws of people.

    Raises:
        BadArray: shapes do not fit, or a row is zero or not finite.
        BadInput: a FAR is outside (0, 1).
        NotEnoughData: no pair of one person, no pair of two, or no FAR can be measured.
    """
    unit, people = _checked(embeddings, labels)
    first, second = genuine_pairs(people)
    sizes = np.bincount(people)
    if len(first) == 0 or len(sizes) < 2:
        raise NotEnoughData(
            f"calibration needs two photographs of one person and two people; "
            f"got {len(unit)} photographs of {len(sizes)} people"
        )
    pairs = (len(unit) * (len(unit) - 1)) // 2 - len(first)
    if any(exact_rate(far) == 1 for far in fars):
        raise BadInput("a FAR of 1 accepts every pair and needs no threshold; ask for less")
    usable = sorted({far for far in fars if accepts_allowed(far, pairs)}, reverse=True)
    if not usable:
        raise NotEnoughData(
            f"none of the FARs {', '.join(str(far) for far in fars)} can be measured on {pairs} "
            "impostor pairs; add photographs, or ask for a larger one"
        )
    keep = accepts_allowed(usable[0], pairs)
    tail = impostor_tail(unit, people, keep=keep, block_rows=block_rows)
    genuine = exact_scores(unit, first, second)
    return CalibrationResult(
        points=tuple(_point(far, tail, people, genuine, people[first], seed) for far in usable),
        curve=fmr_curve(tail),
        photos=len(unit),
        people=len(sizes),
        impostor_pairs=tail.pairs,
        genuine_pairs=len(genuine),
        notes=tuple(
            f"FAR {float(far):g} is below one in {tail.pairs} impostor pairs and was left out"
            for far in fars
            if far not in usable
        ),
    )


def fmr_curve(tail: ImpostorTail, *, points: int = CURVE_POINTS) -> tuple[FmrPoint, ...]:
    """About `points` steps from threshold to FMR, rising thresholds, falling FMR.

    The FMR of a score is that of the last step whose threshold it reaches: an upper bound,
    as the true one can only be lower. A score below the first step has FMR 1; one that
    reaches the last has none measured, "less than one in all impostor pairs". Steps are
    even in the logarithm of the FMR, exact where `tail` is exact, bounds beyond.
    """
    falling = -tail.scores
    kept = len(tail.scores) - 1
    steps: dict[int, FmrPoint] = {}
    for count in np.geomspace(tail.pairs, kept + 1, max(2, points // 5)):
        edge = int(np.flatnonzero(tail.at_most <= count)[0]) if count < tail.pairs else 0
        found = int(tail.at_most[edge])
        if found > kept:
            steps[found] = _step(2 * edge / BINS - 1, found, tail.pairs, exact=edge == 0)
    allowed = np.append(np.geomspace(kept, 1, points - points // 5).round(), 0).astype(int)
    for rank in np.unique(allowed)[::-1]:
        threshold = just_above(float(tail.scores[rank]))
        found = int(np.searchsorted(falling, -threshold, side="right"))
        steps[found] = _step(threshold, found, tail.pairs, exact=True)
    return tuple(steps[found] for found in sorted(steps, reverse=True))


def _step(threshold: float, found: int, pairs: int, *, exact: bool) -> FmrPoint:
    return FmrPoint(threshold=threshold, false_matches=found, fmr=found / pairs, exact=exact)


def _point(
    far: float | Fraction,
    tail: ImpostorTail,
    people: NDArray[np.int64],
    genuine: NDArray[np.float64],
    owners: NDArray[np.int64],
    seed: int,
) -> OperatingPoint:
    allowed = accepts_allowed(far, tail.pairs)
    threshold = just_above(float(tail.scores[allowed]))
    false = int(np.count_nonzero(tail.scores >= threshold))
    accepted = genuine >= threshold
    hits, sizes = int(accepted.sum()), np.bincount(people)
    return OperatingPoint(
        far=float(far),
        threshold=threshold,
        impostor_pairs=tail.pairs,
        false_matches=false,
        fmr=false / tail.pairs,
        fmr_wilson=wilson(false, tail.pairs),
        fmr_identities=bootstrap_across(
            people[tail.first[:false]], people[tail.second[:false]], photos=sizes, seed=seed
        ),
        genuine_pairs=len(genuine),
        misses=len(genuine) - hits,
        tar=hits / len(genuine),
        tar_wilson=wilson(hits, len(genuine)),
        tar_identities=bootstrap_within(
            np.bincount(owners[accepted], minlength=len(sizes)),
            pairs=np.bincount(owners, minlength=len(sizes)),
            seed=seed,
        ),
        note=f"rests on {false} false matches" if allowed < FEW_ERRORS else None,
    )


def _checked(
    embeddings: NDArray[np.floating], labels: ArrayLike
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    names = np.asarray(labels)
    if embeddings.ndim != 2 or names.shape != embeddings.shape[:1]:
        raise BadArray(
            f"embeddings must be (N, D) and labels (N,); got {embeddings.shape} and {names.shape}"
        )
    unusable = int(np.count_nonzero(~np.isfinite(embeddings).all(axis=1)))
    if unusable:
        raise BadArray(
            f"{unusable} of {len(embeddings)} embeddings are not finite; leave photographs "
            "without a face out of the calibration"
        )
    _, people = np.unique(names, return_inverse=True)
    return normalize(embeddings)[0], people.astype(np.int64)
