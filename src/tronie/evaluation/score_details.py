"""Genuine and impostor scores, all in memory, made into what a Report shows of them.

For sets whose pairs are listed in a file, such as IJB's 15.7 million: every score is kept, so
thresholds are those of `threshold_at_far`, and curve and histograms are counted, not sampled.
Sets whose pairs are all pairs of a matrix are the business of `tronie.evaluation.pairs`.

Intervals are Wilson's, and say that they are optimistic: a list of scores does not tell which
pairs share a person, so no bootstrap over people can be made from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput, NotEnoughData
from tronie.evaluation.metrics.intervals import Interval, wilson
from tronie.evaluation.metrics.verification import accepts_allowed, just_above, too_few_pairs
from tronie.evaluation.report import Value
from tronie.evaluation.report_parts import Curve, CurvePoint, Details, Histogram, OperatingPoint

CURVE_POINTS = 100
BINS = 200

_COSINE_WITHIN = 1e-3  # past 1 by rounding; farther away a score is no cosine


def details_of_scores(
    genuine: NDArray[np.floating],
    impostor: NDArray[np.floating],
    *,
    fars: Sequence[float | Fraction],
    of: str = "",
    impostor_pairs: int | None = None,
) -> Details:
    """Operating points, a DET curve and two histograms.

    Args:
        genuine: Scores of same-identity pairs, shape (G,), finite.
        impostor: Scores of different-identity pairs, shape (M,), finite.
        fars: False accept rates in (0, 1). One below 1 / M is left out: say so with
            `notes_on_fars`.
        of: Which set of the protocol these are.
        impostor_pairs: M, where `impostor` holds only the largest of M scores: then the curve
            ends with them, and there is no histogram of impostor pairs.

    Returns:
        Points by falling FAR; a curve of about 100 points, evenly apart in the logarithm of
        FMR, and those of `fars`; histograms of 200 bins, from -1 to 1 where all scores are
        cosines and from the least to the largest otherwise.

    Raises:
        BadArray: a shape is not (N,), or a score is not finite.
        BadInput: a FAR is outside (0, 1), or more scores are needed for it.
        NotEnoughData: no pair of one kind, or none of the FARs can be measured.
    """
    same, other = _sorted("genuine", genuine), _sorted("impostor", impostor)
    pairs = len(other) if impostor_pairs is None else impostor_pairs
    allowed = _allowed(fars, pairs, known=len(other))
    points = tuple(
        _point(float(far), same, other, pairs, count, of)
        for far, count in sorted(allowed.items(), reverse=True)
    )
    whole = len(other) == pairs
    return Details(
        points=points,
        curves=(_curve(same, other, pairs, set(allowed.values()), of),),
        histograms=histograms_of_scores(same, other if whole else np.empty(0), of=of),
    )


def notes_on_fars(
    fars: Sequence[float | Fraction], impostor_pairs: int, *, of: str = ""
) -> tuple[str, ...]:
    """A sentence if some of the FARs are below one in all pairs, and so were left out."""
    low = [float(far) for far in fars if not accepts_allowed(far, impostor_pairs)]
    if not low:
        return ()
    names = ", ".join(f"{far:g}" for far in sorted(set(low), reverse=True))
    among = f" of {of}" if of else ""
    return (
        f"left out: FAR {names}; {impostor_pairs} impostor pairs{among} measure none below "
        f"{1 / impostor_pairs:.2g}",
    )


def tar_values(points: Sequence[OperatingPoint], *, prefix: str = "") -> dict[str, Value]:
    """ "tar_at_far_1e-06" and its like, each with its counts, and the numbers of pairs."""
    values = {
        f"{prefix}tar_at_far_{point.far:g}": Value(
            value=point.tar,
            unit="fraction",
            count=point.accepted,
            total=point.genuine_pairs,
            interval=point.tar_interval,
        )
        for point in points
    }
    if points:
        genuine, impostor = points[0].genuine_pairs, points[0].impostor_pairs
        values[f"{prefix}genuine_pairs"] = Value(value=genuine, unit="pairs")
        values[f"{prefix}impostor_pairs"] = Value(value=impostor, unit="pairs")
    return values


def optimistic(count: int, total: int) -> Interval:
    """Wilson's interval, labeled as what it is where pairs share people."""
    return replace(wilson(count, total), method="Wilson, optimistic: pairs taken as independent")


def histograms_of_scores(
    genuine: NDArray[np.float64], impostor: NDArray[np.float64], *, of: str = ""
) -> tuple[Histogram, ...]:
    """How both kinds are spread, over the same bins; a kind without scores is left out."""
    scores = [("genuine", genuine), ("impostor", impostor)]
    scores = [(kind, values) for kind, values in scores if len(values)]
    if not scores:
        return ()
    low = min(float(values.min()) for _, values in scores)
    high = max(float(values.max()) for _, values in scores)
    if low >= -1 - _COSINE_WITHIN and high <= 1 + _COSINE_WITHIN:
        low, high = -1.0, 1.0
    elif low == high:
        low, high = low - 0.5, high + 0.5
    return tuple(
        Histogram(of=of, kind=kind, low=low, high=high, counts=_counted(values, low, high))
        for kind, values in scores
    )


def _counted(values: NDArray[np.float64], low: float, high: float) -> tuple[int, ...]:
    counts = np.histogram(np.clip(values, low, high), bins=BINS, range=(low, high))[0]
    return tuple(counts.tolist())


def _allowed(
    fars: Sequence[float | Fraction], pairs: int, *, known: int
) -> dict[float | Fraction, int]:
    """Each FAR that can be measured, and how many impostor pairs it may accept."""
    for far in fars:
        if not 0 < far < 1:
            raise BadInput(f"a FAR must lie inside (0, 1); got {far}")
    allowed = {far: accepts_allowed(far, pairs) for far in fars}
    possible = {far: count for far, count in allowed.items() if count}
    if not possible:
        if not allowed:
            raise BadInput("name at least one FAR")
        raise too_few_pairs(max(allowed), pairs)
    if (most := max(possible.values())) >= known:
        raise BadInput(
            f"FAR {float(max(possible)):g} needs the {most + 1} largest impostor scores; "
            f"got {known} of {pairs}"
        )
    return possible


def _point(
    far: float,
    genuine: NDArray[np.float64],
    impostor: NDArray[np.float64],
    pairs: int,
    allowed: int,
    of: str,
) -> OperatingPoint:
    threshold = _threshold(impostor, allowed)
    accepted, false_matches = _reach(genuine, threshold), _reach(impostor, threshold)
    return OperatingPoint(
        of=of,
        far=far,
        threshold=threshold,
        achieved_far=false_matches / pairs,
        false_matches=false_matches,
        impostor_pairs=pairs,
        tar=accepted / len(genuine),
        accepted=accepted,
        genuine_pairs=len(genuine),
        far_interval=optimistic(false_matches, pairs),
        tar_interval=optimistic(accepted, len(genuine)),
    )


def _curve(
    genuine: NDArray[np.float64],
    impostor: NDArray[np.float64],
    pairs: int,
    asked: set[int],
    of: str,
) -> Curve:
    """By rising FMR, one point a threshold: where pairs tie, several counts have the same."""
    spread = np.geomspace(1, len(impostor) - 1, CURVE_POINTS).round().astype(int)
    counts = asked | set(spread.tolist())
    points = []
    for threshold in sorted({_threshold(impostor, count) for count in counts}, reverse=True):
        false_matches = _reach(impostor, threshold)
        misses = len(genuine) - _reach(genuine, threshold)
        points.append(
            CurvePoint(
                threshold=threshold,
                fmr=false_matches / pairs,
                fnmr=misses / len(genuine),
                false_matches=false_matches,
                misses=misses,
            )
        )
    return Curve(of=of, points=tuple(points))


def _threshold(impostor: NDArray[np.float64], allowed: int) -> float:
    """`threshold_at_far` of rising scores, for fewer `allowed` pairs than there are scores."""
    return just_above(float(impostor[len(impostor) - allowed - 1]))


def _reach(scores: NDArray[np.float64], threshold: float) -> int:
    return len(scores) - int(np.searchsorted(scores, threshold))


def _sorted(name: str, values: NDArray[np.floating]) -> NDArray[np.float64]:
    scores = np.asarray(values, np.float64)
    if scores.ndim != 1 or not np.isfinite(scores).all():
        raise BadArray(
            f"{name} scores must be finite, of shape (N,); got shape {scores.shape} "
            f"with {int(np.count_nonzero(~np.isfinite(scores)))} that are not"
        )
    if len(scores) == 0:
        raise NotEnoughData(f"a rate needs at least one {name} pair; got none")
    return np.sort(scores)
