"""WFLW: error of 98 points over the distance of the outer corners of the eyes.

    nme, failure_rate_0.1, auc_0.1      all 2,500 test faces
    pose_..., expression_..., ...       the faces with that attribute

Inputs: 98 points of N faces in WFLW's order, x y in pixels, shape (N, 98, 2): outer eye
corners are rows 60 and 72, counted from 0. Attributes stand in the lists after the points
and the box, in this order: pose, expression, illumination, make-up, occlusion, blur.

Source: Wu et al., "Look at Boundary: A Boundary-Aware Face Alignment Algorithm", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray
from tronie.evaluation.metrics.landmark_error import (
    error_curve,
    mean_distances,
    normalized_errors,
    point_distance,
    summarized,
)
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report
from tronie.evaluation.report_parts import Details
from tronie.provenance import Provenance

POINTS = 98
OUTER_EYE_CORNERS = (60, 72)
ATTRIBUTES = ("pose", "expression", "illumination", "makeup", "occlusion", "blur")
THRESHOLD = 0.1


def score(
    found: NDArray[np.floating],
    truth: NDArray[np.floating],
    attributes: Mapping[str, NDArray[np.bool_]],
    *,
    provenance: Provenance | None = None,
) -> Report:
    """Judge 98 points over the inter-ocular distance, for all faces and by attribute.

    Args:
        found: Shape (N, 98, 2), all NaN for a face that was not found.
        truth: Shape (N, 98, 2).
        attributes: Any of ATTRIBUTES to a mask (N,).

    Raises:
        BadArray: shapes that do not fit, an unknown attribute, or eye corners in one place.
        NotEnoughData: no face.
    """
    if truth.shape[1:] != (POINTS, 2):
        raise BadArray(f"need points (N, {POINTS}, 2); got {truth.shape}")
    for name, mask in attributes.items():
        if name not in ATTRIBUTES or mask.shape != truth.shape[:1]:
            raise BadArray(
                f"attributes are masks ({len(truth)},) called {', '.join(ATTRIBUTES)};"
                f" got {name!r} of shape {mask.shape}"
            )
    lengths = point_distance(truth, *OUTER_EYE_CORNERS)
    errors = normalized_errors(mean_distances(found, truth), lengths)
    values = summarized(errors, threshold=THRESHOLD)
    curves = [error_curve(errors, threshold=THRESHOLD)]
    for name, mask in attributes.items():
        if mask.any():
            values |= summarized(errors[mask], threshold=THRESHOLD, prefix=f"{name}_")
            curves.append(error_curve(errors[mask], threshold=THRESHOLD, of=name))
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values=values,
        details=Details(error_curves=tuple(curves)),
        provenance=provenance,
    )


PROTOCOL = Protocol(
    name="landmarks-wflw",
    version="1",
    source="Wu et al., Look at Boundary, CVPR 2018 (the WFLW set)",
    needs=("98 points (N, 98, 2) found and true, and a mask (N,) for each attribute",),
    score=score,
)
