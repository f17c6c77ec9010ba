"""AFLW: landmark error over the size of the face's box.

    nme                  mean distance / sqrt(width * height) of the box, over the faces
    failure_rate_0.1     share of the faces whose error is above a tenth
    auc_0.1              area under the cumulative curve up to there

Inputs: points of N faces, x y in pixels, shape (N, K, 2); K is 19 in the usual markup of
24,386 faces, 5 for detectors that give five points. Hidden points are left out by `visible`.

Source: Koestinger et al., "Annotated Facial Landmarks in the Wild", ICCVW 2011; the length
and the five points as in Deng et al., "RetinaFace", arXiv:1905.00641.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tronie.evaluation.metrics.landmark_error import (
    box_size,
    error_curve,
    mean_distances,
    normalized_errors,
    summarized,
)
from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report
from tronie.evaluation.report_parts import Details
from tronie.provenance import Provenance

THRESHOLD = 0.1


def score(
    found: NDArray[np.floating],
    truth: NDArray[np.floating],
    boxes: NDArray[np.floating],
    *,
    visible: NDArray[np.bool_] | None = None,
    provenance: Provenance | None = None,
) -> Report:
    """Judge landmarks over the box of each face.

    Args:
        found: Shape (N, K, 2), all NaN for a face that was not found.
        truth: Shape (N, K, 2).
        boxes: Of the ground truth, shape (N, 4), x1 y1 x2 y2 in pixels.
        visible: Shape (N, K); default: every point is asked for.

    Raises:
        BadArray: shapes that do not fit, or a box without area.
        NotEnoughData: no face.
    """
    distances = mean_distances(found, truth, visible=visible)
    errors = normalized_errors(distances, box_size(boxes))
    return Report(
        name=PROTOCOL.name,
        version=PROTOCOL.version,
        values=summarized(errors, threshold=THRESHOLD),
        details=Details(error_curves=(error_curve(errors, threshold=THRESHOLD),)),
        provenance=provenance,
    )


PROTOCOL = Protocol(
    name="landmarks-aflw",
    version="1",
    source="Koestinger et al., AFLW, ICCVW 2011; length as in RetinaFace, arXiv:1905.00641",
    needs=("points (N, K, 2) found and true, and the boxes (N, 4) of the ground truth",),
    score=score,
)
