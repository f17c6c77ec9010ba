"""Box voting: boxes that show one face are averaged, instead of all but one being dropped.

    take the box of highest score; gather all that are left whose IoU with it is at least the
    threshold, itself included; their mean, weighted by score, is the voted box, and the highest
    score is its score; take them all away, and repeat

For what several looks at one picture found. A box that overlaps none is its own mean.

Source: as RetinaFace is tested, Deng et al., arXiv:1905.00641, section 4.1: IoU 0.4, and at most
750 boxes a picture. Differs from it: boxes that all have score 0 weigh alike.
Letters: N boxes, K voted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadInput
from tronie.geometry.boxes import iou
from tronie.geometry.nms import expect_scored

VOTING_IOU = 0.4
MOST = 750


def vote_boxes(
    boxes: NDArray[np.floating[Any]],
    scores: NDArray[np.floating[Any]],
    *,
    iou_threshold: float = VOTING_IOU,
    pixel_offset: float = 0.0,
    most: int = MOST,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The voted boxes, by falling score, and the row of the best box behind each.

    Args:
        boxes: Shape (N, 4), x1 y1 x2 y2 in pixels.
        scores: Shape (N,), 0 or more. Of equal ones the lower row is the higher score.
        iou_threshold: In (0, 1]; a box at exactly the threshold votes.
        pixel_offset: See `tronie.geometry.boxes`.
        most: Stop after this many.

    Returns:
        Boxes (K, 4), and row numbers (K,): a voted box has the score `scores[row]`, and its
        landmarks, which are not averaged, are those of that row.

    Raises:
        BadArray: the shapes do not fit, or a box or score is not finite.
        BadInput: a score below 0, a threshold outside (0, 1], or `most` below 1.

    Example:
        >>> voted, rows = vote_boxes(
        ...     np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60.0]]),
        ...     np.array([0.25, 0.75, 0.5]),
        ... )
        >>> voted[:, 0].tolist(), rows.tolist()
        ([0.75, 50.0], [1, 2])
    """
    expect_scored(boxes, scores)
    if (scores < 0).any():
        raise BadInput(f"scores weigh boxes and must be 0 or more; got {scores.min():g}")
    if not 0.0 < iou_threshold <= 1.0:
        raise BadInput(f"iou_threshold must be in (0, 1]; got {iou_threshold:g}")
    if most < 1:
        raise BadInput(f"at least 1 box must be allowed; got {most}")

    rows = np.argsort(-scores, kind="stable").astype(np.int64)
    left = boxes[rows].astype(np.float64)
    voted: list[NDArray[np.float64]] = []
    best: list[int] = []
    while len(rows) and len(voted) < most:
        votes = iou(left[:1], left, pixel_offset=pixel_offset)[0] >= iou_threshold
        votes[0] = True  # a box without area overlaps nothing, not even itself
        weights = scores[rows[votes]].astype(np.float64)
        if not weights.any():
            weights = np.ones_like(weights)
        voted.append(weights @ left[votes] / weights.sum())
        best.append(int(rows[0]))
        rows, left = rows[~votes], left[~votes]
    return np.array(voted, np.float64).reshape(-1, 4), np.array(best, np.int64)
