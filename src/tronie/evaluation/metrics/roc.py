"""Curves of true positives over false positives, and the numbers read from them.

    best accuracy      of one threshold on as many genuine as impostor pairs:
                       max over the curve of (TPR + 1 - FPR) / 2
    rate at N          the highest true positive rate of a point with at most N false
                       positives: a step is never interpolated
    FDDB               each threshold matches the detections that reach it one to one with
                       the faces, so that the sum of the overlaps is largest; then
                           discrete      a match of IoU above 0.5 counts 1
                           continuous    a match counts its IoU
                           false         detections without a discrete match
                       over all photographs, divided by all faces

Best accuracy is read after the fact from the scores it judges: it is never below what
cross-validation gives.

Letters: K points of a curve, N detections, M faces.

Source: Huang et al., UMass TR 07-49, 2007 (the curves); Jain and Learned-Miller, "FDDB",
UM-CS-2010-009, section 6. Differs from FDDB's program: none in the rules; overlaps are
exact areas, see `tronie.evaluation.metrics.ellipse_overlap`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, NotEnoughData
from tronie.evaluation.metrics.assignment import growing_assignment

IOU_ABOVE = 0.5


class Steps(NamedTuple):
    """What each score threshold changes in one photograph, by falling score."""

    scores: NDArray[np.float64]
    """(K,), each once."""
    matches: NDArray[np.float64]
    """(K,), discrete matches gained, or lost to a better sum of overlaps."""
    overlap: NDArray[np.float64]
    """(K,), overlap gained."""
    detections: NDArray[np.int64]
    """(K,), detections that reach this threshold and no higher one."""


@dataclass(frozen=True, eq=False, kw_only=True)
class DetectionRoc:
    """Both curves of a set of photographs, by falling score."""

    thresholds: NDArray[np.float64]
    """(K,), to be used as score >= threshold."""
    discrete: NDArray[np.float64]
    """(K,), fractions of the faces."""
    continuous: NDArray[np.float64]
    """(K,), fractions of the faces."""
    false_positives: NDArray[np.int64]
    """(K,), counts."""
    faces: int


def best_accuracy(curve: NDArray[np.floating]) -> float:
    """The accuracy of the best single threshold, where both kinds of pairs are as many.

    Args:
        curve: Rows of (true positive rate, false positive rate), shape (K, 2), any order.

    Raises:
        BadArray: another shape, or a rate that is not in [0, 1].

    Example:
        >>> best_accuracy(np.array([[0.0, 0.0], [0.9, 0.1], [1.0, 1.0]]))
        0.9
    """
    _expect_curve(curve)
    return float(((curve[:, 0] + (1.0 - curve[:, 1])) / 2).max())


def rate_at(
    rates: NDArray[np.floating], false_positives: NDArray[np.number], *, most: float
) -> float:
    """The highest of `rates` (K,) at a point with at most `most` false positives.

    0 where the first point already has more: accepting nothing is always possible.

    Raises:
        BadArray: the shapes differ.
    """
    if rates.shape != false_positives.shape or rates.ndim != 1:
        raise BadArray(
            f"rates and false_positives must have shape (K,);"
            f" got {rates.shape} and {false_positives.shape}"
        )
    reached = rates[false_positives <= most]
    return float(reached.max()) if len(reached) else 0.0


def matched_steps(overlaps: NDArray[np.floating], scores: NDArray[np.floating]) -> Steps:
    """What one photograph adds to both curves at each of its scores.

    Args:
        overlaps: IoU of every detection with every face, shape (N, M).
        scores: Of the detections, shape (N,), any order, finite.

    Raises:
        BadArray: shapes that do not fit, or a score that is not finite.
    """
    if overlaps.ndim != 2 or scores.shape != overlaps.shape[:1] or not np.isfinite(scores).all():
        raise BadArray(
            "overlaps must have shape (N, M) and scores (N,), finite;"
            f" got {overlaps.shape} and {scores.shape}"
        )
    order = np.argsort(-scores, kind="stable")
    falling = np.asarray(scores[order], np.float64)
    gains = np.asarray(overlaps[order], np.float64)
    meets = np.flatnonzero((gains > 0).any(axis=1)) if gains.size else np.zeros(0, np.int64)
    owners = growing_assignment(gains[meets])
    taken = np.where(owners >= 0, np.take_along_axis(gains[meets], owners.clip(0), 0), 0.0)
    matches, overlap = np.zeros(len(falling) + 1), np.zeros(len(falling) + 1)
    # A detection that meets no face leaves the sums as they were.
    matches[meets + 1] = np.diff((taken > IOU_ABOVE).sum(axis=1), prepend=0)
    overlap[meets + 1] = np.diff(taken.sum(axis=1), prepend=0.0)
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True)) if len(falling) else meets
    ends = np.concatenate([[0], last + 1])
    return Steps(
        falling[last],
        np.diff(np.cumsum(matches)[ends]),
        np.diff(np.cumsum(overlap)[ends]),
        np.diff(ends),
    )


def detection_roc(photographs: Iterable[Steps], *, faces: int) -> DetectionRoc:
    """Both curves of all photographs together.

    Args:
        photographs: As `matched_steps` gives them, one a photograph.
        faces: In all photographs, those without detections included.

    Raises:
        NotEnoughData: no face.
    """
    if faces < 1:
        raise NotEnoughData("a detection curve needs a face; got none")
    parts = list(photographs)
    nothing = np.zeros(0)
    scores = np.concatenate([nothing, *(part.scores for part in parts)])
    thresholds, place = np.unique(-scores, return_inverse=True)
    size = len(thresholds)
    sums = [
        np.cumsum(np.bincount(place, np.concatenate([nothing, *column]), minlength=size))
        for column in (
            [part.matches for part in parts],
            [part.overlap for part in parts],
            [part.detections for part in parts],
        )
    ]
    matches, overlap, detections = sums
    return DetectionRoc(
        thresholds=-thresholds,
        discrete=np.rint(matches) / faces,
        continuous=overlap / faces,
        false_positives=np.rint(detections - matches).astype(np.int64),
        faces=faces,
    )


def _expect_curve(curve: NDArray[np.floating]) -> None:
    if curve.ndim != 2 or curve.shape[1] != 2 or len(curve) == 0:
        raise BadArray(f"a curve must have shape (K, 2), K >= 1; got {curve.shape}")
    if not ((curve >= 0) & (curve <= 1)).all():
        raise BadArray("the rates of a curve must lie in [0, 1]")
