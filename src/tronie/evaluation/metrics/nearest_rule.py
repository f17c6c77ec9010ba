r"""The published IJB rule: the point of the ROC whose FAR is nearest to the one asked for.

    ROC       a point for each distinct score t, accepting score >= t, from the highest on;
              points between two others on one straight line are dropped; (0, 0) in front
    chosen    the point with the smallest |FAR - asked|; of equally near ones that of the
              larger FAR, then of the larger TAR

The chosen point may accept more impostor pairs than were asked for: the nearest FAR lies above
as often as below, and with few pairs or ties far above. `threshold_at_far` never does, and is
what this package decides by; this rule is here so that published numbers can be compared with.

Distances are taken between fractions in float64, as the scripts do, so that a tie is a tie
there and here. Letters: K points of the ROC.

Source: the IJB evaluation scripts of InsightFace, which read scikit-learn's `roc_curve` with
its default of dropping points. Differs: none known; computed here without scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, NotEnoughData
from tronie.evaluation.metrics.verification import Rate


@dataclass(frozen=True, eq=False, kw_only=True)
class PublishedRoc:
    """Points of a ROC by falling threshold, the first accepting nothing."""

    thresholds: NDArray[np.float64]
    """(K,), to be used as `score >= threshold`; the first is infinite."""
    false_matches: NDArray[np.int64]
    """(K,), rising."""
    accepted: NDArray[np.int64]
    """(K,), rising."""
    impostor_pairs: int
    genuine_pairs: int


@dataclass(frozen=True, kw_only=True)
class NearestPoint:
    """The chosen point for one FAR."""

    far: float
    """As asked."""
    threshold: float
    """To be used as `score >= threshold`; infinite where nothing is accepted."""
    achieved_far: Rate
    """Which may be above `far`."""
    tar: Rate


def published_roc(genuine: NDArray[np.floating], impostor: NDArray[np.floating]) -> PublishedRoc:
    """The ROC of all scores, with the points that the published scripts see.

    Args:
        genuine: Scores of same-identity pairs, shape (G,), finite.
        impostor: Scores of different-identity pairs, shape (I,), finite.

    Raises:
        BadArray: a shape is not (N,), or a score is not finite.
        NotEnoughData: there is no pair of one kind.
    """
    same, other = _checked("genuine", genuine), _checked("impostor", impostor)
    thresholds = np.unique(np.concatenate([same, other]))[::-1]
    accepted, false_matches = (
        len(scores) - np.searchsorted(np.sort(scores), thresholds) for scores in (same, other)
    )
    corners = np.ones(len(thresholds), np.bool_)
    if len(thresholds) > 2:
        # Second differences of counts: a point between two equal steps is on their line.
        corners[1:-1] = (np.diff(false_matches, 2) != 0) | (np.diff(accepted, 2) != 0)
    return PublishedRoc(
        thresholds=np.concatenate([[np.inf], thresholds[corners]]),
        false_matches=np.concatenate([[0], false_matches[corners]]),
        accepted=np.concatenate([[0], accepted[corners]]),
        impostor_pairs=len(other),
        genuine_pairs=len(same),
    )


def nearest_points(roc: PublishedRoc, fars: Sequence[float]) -> tuple[NearestPoint, ...]:
    """The point of the ROC nearest to each FAR, in the order asked.

    Example:
        >>> roc = published_roc(np.array([0.9, 0.4]), np.array([0.5, 0.3]))
        >>> nearest_points(roc, [0.4])[0].achieved_far  # 40 % were asked for
        Rate(count=1, total=2)
    """
    rates = roc.false_matches / roc.impostor_pairs
    points = []
    for far in fars:
        distance = np.abs(rates - far)
        at = int(np.flatnonzero(distance == distance.min())[-1])
        points.append(
            NearestPoint(
                far=far,
                threshold=float(roc.thresholds[at]),
                achieved_far=Rate(int(roc.false_matches[at]), roc.impostor_pairs),
                tar=Rate(int(roc.accepted[at]), roc.genuine_pairs),
            )
        )
    return tuple(points)


def _checked(name: str, values: NDArray[np.floating]) -> NDArray[np.float64]:
    scores = np.asarray(values, np.float64)
    if scores.ndim != 1 or not np.isfinite(scores).all():
        raise BadArray(
            f"{name} scores must be finite, of shape (N,); got shape {scores.shape} "
            f"with {int(np.count_nonzero(~np.isfinite(scores)))} that are not"
        )
    if len(scores) == 0:
        raise NotEnoughData(f"a ROC needs at least one {name} pair; got none")
    return scores
