"""Landmark errors: normalized mean error, its cumulative curve, failures and the area.

    NME        mean distance of a face's points from where they are / a length of that face
    CED(t)     share of the faces with NME <= t
    failures   share of the faces with NME > t
    AUC(t)     area under CED from 0 to t, divided by t; exactly
                   mean over faces of max(0, 1 - NME / t)

The length is the distance between two points (inter-ocular), or a side of the box, taken
from the ground truth. A face whose points were not found is a row of NaN: it fails at every
threshold and adds nothing to the area, but has no distance and is not in the mean.

Letters: N faces, K points.

Source: Sagonas et al., "300 Faces in-the-Wild Challenge", IVC 2016 (CED, failures, area).
Differs from published code: that sums the curve with Simpson's rule on a grid of 1e-4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput, NotEnoughData
from tronie.evaluation.error_curve import ErrorCurve
from tronie.evaluation.report import Value

Floats = NDArray[np.floating]
CURVE_POINTS = 101


def mean_distances(
    found: Floats, truth: Floats, *, visible: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Mean distance of each face's points, shape (N,), in pixels; NaN where none was found.

    Args:
        found: Shape (N, K, 2); a face that was not found is all NaN.
        truth: Shape (N, K, 2).
        visible: Shape (N, K): only these points are asked for. Default: all.

    Raises:
        BadArray: shapes that do not fit, a truth that is not finite where it is asked for,
            points found only in part, or a face without a visible point.
    """
    if found.ndim != 3 or found.shape[2] != 2 or found.shape != truth.shape:
        raise BadArray(
            f"found and truth must share the shape (N, K, 2); got {found.shape}, {truth.shape}"
        )
    asked = np.ones(truth.shape[:2], np.bool_) if visible is None else visible
    if asked.shape != truth.shape[:2] or not asked.any(axis=1).all():
        raise BadArray(
            f"visible must have shape {truth.shape[:2]} and at least one point of each face"
        )
    if not np.isfinite(truth[asked]).all():
        raise BadArray("the true points must be finite where they are visible")
    absent = np.asarray(np.isnan(found).all(axis=(1, 2)), np.bool_)
    if not np.isfinite(found[asked & ~absent[:, None]]).all():
        raise BadArray("the points of a face must be finite, or all NaN where it was not found")
    gap = np.where(asked[..., None], found.astype(np.float64) - truth, 0.0)
    return np.asarray(np.hypot(gap[..., 0], gap[..., 1]).sum(axis=1) / asked.sum(axis=1))


def point_distance(truth: Floats, first: int, second: int) -> NDArray[np.float64]:
    """Distance between two of each face's points (N, K, 2), shape (N,): inter-ocular.

    Raises:
        BadArray: no such points.
    """
    if truth.ndim != 3 or truth.shape[2] != 2 or max(first, second) >= truth.shape[1]:
        raise BadArray(f"points {first} and {second} are not in an array of shape {truth.shape}")
    gap = truth[:, first].astype(np.float64) - truth[:, second]
    return np.asarray(np.hypot(gap[:, 0], gap[:, 1]))


def box_size(boxes: Floats) -> NDArray[np.float64]:
    """sqrt(width * height) of boxes (N, 4), x1 y1 x2 y2: shape (N,).

    Raises:
        BadArray: another shape.
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise BadArray(f"boxes must have shape (N, 4); got {boxes.shape}")
    sides = boxes[:, 2:].astype(np.float64) - boxes[:, :2]
    return np.asarray(np.sqrt(np.maximum(sides, 0.0).prod(axis=1)))


def normalized_errors(distances: Floats, lengths: Floats) -> NDArray[np.float64]:
    """NME of each face, shape (N,), a fraction of its length; NaN where it was not found.

    Raises:
        BadArray: shapes that differ, or a length that is not above 0.
    """
    if distances.shape != lengths.shape or distances.ndim != 1:
        raise BadArray(f"need one length a face; got {distances.shape} and {lengths.shape}")
    bad = ~((lengths > 0) & np.isfinite(lengths))
    if bad.any():
        raise BadArray(f"the length of face {int(bad.argmax())} must be above 0 to divide by it")
    return np.asarray(distances / lengths, np.float64)


def ced(errors: Floats, thresholds: Floats) -> NDArray[np.float64]:
    """Share of the faces with an error up to each threshold, of the shape of `thresholds`.

    Raises:
        NotEnoughData: no face.
    """
    _expect_faces(errors)
    within = np.searchsorted(np.sort(errors), thresholds, side="right")  # NaN sorts last
    return np.asarray(within / len(errors), np.float64)


def failure_rate(errors: Floats, threshold: float) -> float:
    """Share of the faces with an error above `threshold`, or that were not found.

    Raises:
        NotEnoughData: no face.
    """
    _expect_faces(errors)
    return float((~(errors <= threshold)).mean())


def area_under_ced(errors: Floats, threshold: float) -> float:
    """Area under the cumulative curve from 0 to `threshold`, as a share of the whole.

    Raises:
        NotEnoughData: no face.
        BadInput: a threshold that is not above 0.

    Example:
        >>> area_under_ced(np.array([0.0, 0.05, 0.2, np.nan]), 0.1)
        0.375
    """
    _expect_faces(errors)
    if not threshold > 0:
        raise BadInput(f"the area needs a threshold above 0; got {threshold}")
    with np.errstate(invalid="ignore"):
        gained = np.where(errors <= threshold, 1.0 - errors / threshold, 0.0)
    return float(gained.mean())


def summarized(errors: Floats, *, threshold: float, prefix: str = "") -> dict[str, Value]:
    """NME, failure rate and AUC of some faces, with counts, for a Report.

    The names are `nme`, `failure_rate_T` and `auc_T`, T the threshold, after `prefix`. The
    mean is left out where no face was found.

    Raises:
        NotEnoughData: no face.
    """
    _expect_faces(errors)
    failed, found = round(failure_rate(errors, threshold) * len(errors)), ~np.isnan(errors)
    values = {
        f"{prefix}failure_rate_{threshold:g}": Value(
            value=failed / len(errors), unit="fraction", count=failed, total=len(errors)
        ),
        f"{prefix}auc_{threshold:g}": Value(
            value=area_under_ced(errors, threshold), unit="fraction"
        ),
    }
    if not found.any():
        return values
    mean = Value(
        value=float(errors[found].mean()), unit="fraction of the length",
        count=int(found.sum()), total=len(errors),
    )  # fmt: skip
    return {f"{prefix}nme": mean, **values}


def error_curve(errors: Floats, *, threshold: float, of: str = "") -> ErrorCurve:
    """The cumulative curve up to `threshold`, at 101 errors, for a Report.

    Raises:
        NotEnoughData: no face.
    """
    shares = ced(errors, np.linspace(0.0, threshold, CURVE_POINTS))
    return ErrorCurve(of=of, faces=len(errors), limit=threshold, shares=tuple(shares.tolist()))


def _expect_faces(errors: Floats) -> None:
    if errors.ndim != 1 or len(errors) == 0:
        raise NotEnoughData(f"need the errors of at least one face; got shape {errors.shape}")
