"""Suppression of overlapping boxes: of those that show one face, the most certain stays.

    take the box of highest score; drop every other whose IoU with it is above the
    threshold; repeat with what is left

A box at exactly the threshold stays. Letters: N boxes, K kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput
from tronie.geometry.boxes import iou


def greedy_nms(
    boxes: NDArray[np.floating[Any]],
    scores: NDArray[np.floating[Any]],
    *,
    iou_threshold: float,
    pixel_offset: float = 0.0,
) -> NDArray[np.int64]:
    """Rows of the boxes to keep, by falling score; of equal scores the lower row comes first.

    Args:
        boxes: Shape (N, 4), x1 y1 x2 y2 in pixels.
        scores: Shape (N,).
        iou_threshold: In [0, 1]; a box goes when its IoU with a kept one is above this.
        pixel_offset: 1.0 for the convention of the published SCRFD code; see `boxes`.

    Returns:
        Row numbers, shape (K,): use as `boxes[rows]`.

    Raises:
        BadArray: the shapes do not fit, or a box or score is not finite.
        BadInput: the threshold is outside [0, 1].

    Example:
        >>> boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60.0]])
        >>> greedy_nms(boxes, np.array([0.8, 0.9, 0.7]), iou_threshold=0.4)
        array([1, 2])
    """
    expect_scored(boxes, scores)
    if not 0.0 <= iou_threshold <= 1.0:
        raise BadInput(f"iou_threshold must be in [0, 1]; got {iou_threshold:g}")

    rows = np.argsort(-scores, kind="stable").astype(np.int64)
    left = boxes[rows].astype(np.float64)
    kept = []
    while len(rows):
        kept.append(rows[0])
        stays = iou(left[:1], left[1:], pixel_offset=pixel_offset)[0] <= iou_threshold
        rows, left = rows[1:][stays], left[1:][stays]
    return np.array(kept, np.int64)


def expect_scored(boxes: NDArray[np.floating[Any]], scores: NDArray[np.floating[Any]]) -> None:
    """Refuse what are no boxes with a score each.

    Raises:
        BadArray: the shapes do not fit, or a box or score is not finite.
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != boxes.shape[:1]:
        raise BadArray(
            "boxes must have shape (N, 4) and scores (N,);"
            f" got shapes {boxes.shape} and {scores.shape}"
        )
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise BadArray("boxes and scores must be finite; got NaN or infinity")
