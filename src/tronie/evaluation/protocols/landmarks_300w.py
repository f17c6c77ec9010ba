"""300W: error of 68 points over the distance of the outer corners of the eyes.

    nme, failure_rate_0.08, auc_0.08             all 689 faces of the full test set
    common_..., challenging_...                  its two parts, 554 and 135 faces

Inputs: 68 points of N faces in the order of Multi-PIE's markup, x y in pixels, shape
(N, 68, 2): outer eye corners are rows 36 and 45, counted from 0. `challenging` tells the
two parts apart: LFPW and HELEN's test faces are common, IBUG's challenging.

Source: Sagonas et al., "300 Faces in-the-Wild Challenge", ICCVW 2013 and IVC 2016.
"""

from __future__ import annotations

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

POINTS = 68
OUTER_EYE_CORNERS = (36, 45)
THRESHOLD = 0.08


def score(
    found: NDArray[np.floating],
    truth: NDArray[np.floating],
    challenging: NDArray[np.bool_],
    *,
    provenance: Provenance | None = None,
) -> Report:
    """Judge 68 points over the inter-ocular distance.

    Args:
        found: Shape (N, 68, 2), all NaN for a face that was not found.
        truth: Shape (N, 68, 2).
        challenging: Shape (N,), the part each face belongs to.

    Raises:
        BadArray: shapes that do not fit, or eye corners in one place.
        NotEnoughData: no face.
    """
    if truth.shape[1:] != (POINTS, 2) or challenging.shape != truth.shape[:1]:
        raise BadArray(
            f"need points (N, {POINTS}, 2) and challenging (N,); got {truth.shape} and"
            f" {challenging.shape}"
        )
    lengths = point_distance(truth, *OUTER_EYE_CORNERS)
    errors = normalized_errors(mean_distances(found, truth), lengths)
    values = summarized(errors, threshold=THRESHOLD)
    curves = [error_curve(errors, threshold=THRESHOLD)]
    for name, part in (("common", ~challenging), ("challenging", challenging)):
        if part.any():
            values |= summarized(errors[part], threshold=THRESHOLD, prefix=f"{name}_")
            curves.append(error_curve(errors[part], threshold=THRESHOLD, of=name))
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values=values,
        details=Details(error_curves=tuple(curves)),
        provenance=provenance,
    )


PROTOCOL = Protocol(
    name="landmarks-300w",
    version="1",
    source="Sagonas et al., 300 Faces in-the-Wild Challenge, IVC 47, 2016",
    needs=("68 points (N, 68, 2) found and true, and which faces are of the challenging part",),
    score=score,
)
