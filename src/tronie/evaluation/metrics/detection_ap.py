"""Average precision of a detector by the rules of WIDER FACE.

    best      each detection meets the face it overlaps most, of all faces of the photograph,
              those to be ignored included; below an IoU of 0.5 it meets none
    discard   a detection that meets an ignored face is neither right nor wrong
    found     a counted face is found by the first detection that meets it; each later one
              that meets it is wrong
    sweep     at each of the thresholds 0.999, 0.998, ... 0 of the normalized score
                  precision = faces found / detections not discarded
                  recall    = faces found / faces counted
    AP        the area under precision over recall, after precision was made to fall: at
              each recall the highest precision that any higher recall has

IoU counts pixels: a box is x2 - x1 + 1 wide. Where a threshold leaves no detection,
precision is 0 / 0: NaN, as in numpy. That can only happen before the first face is found,
where recall does not rise, so no NaN enters the area.

Letters: N detections, M faces, T thresholds.

Source: Yang et al., "WIDER FACE", CVPR 2016, and the evaluation toolkit of its site; area
under the curve from PASCAL VOC 2010 (all points). Differs from the toolkit: none in the
number; a photograph is matched once, not once a subset.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, NotEnoughData
from tronie.geometry.boxes import iou

THRESHOLDS = 1.0 - np.arange(1, 1001) / 1000
"""(T,), falling; the last is exactly 0."""
IOU_THRESHOLD = 0.5
PIXEL_OFFSET = 1.0

_ENTRIES = 1 << 22  # of the overlap matrix that are held at once


def best_faces(
    boxes: NDArray[np.floating],
    faces: NDArray[np.floating],
    *,
    iou_threshold: float = IOU_THRESHOLD,
) -> NDArray[np.int64]:
    """The row of the face that each detection overlaps most, -1 where that is not enough.

    Of equally overlapped faces the lower row is taken.

    Args:
        boxes: Detections, shape (N, 4), x1 y1 x2 y2 in pixels.
        faces: Shape (M, 4), ignored ones included.

    Returns:
        Shape (N,).

    Raises:
        BadArray: an input does not have shape (N, 4).

    Example:
        >>> face = np.array([[0.0, 0.0, 9.0, 9.0]])
        >>> best_faces(np.array([[0.0, 0.0, 9.0, 4.0], [0.0, 0.0, 9.0, 3.0]]), face)
        array([ 0, -1])
    """
    best = np.full(len(boxes), -1, np.int64)
    if len(faces) == 0:
        return best
    step = max(1, _ENTRIES // len(faces))
    for start in range(0, len(boxes), step):
        overlaps = iou(boxes[start : start + step], faces, pixel_offset=PIXEL_OFFSET)
        nearest = overlaps.argmax(axis=1)
        enough = overlaps[np.arange(len(overlaps)), nearest] >= iou_threshold
        best[start : start + step] = np.where(enough, nearest, -1)
    return best


def sweep(
    best: NDArray[np.int64], scores: NDArray[np.floating], *, counted: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Detections not discarded, and faces found, of one photograph at each threshold.

    Sum over the photographs, and hand the sum to `average_precision`.

    Args:
        best: As `best_faces` gives it, shape (N,).
        scores: Normalized, shape (N,), falling.
        counted: Whether each face counts, shape (M,); the others are ignored.

    Returns:
        Shape (T, 2). All zeros where the photograph has no face or no detection: wrong
        detections on a photograph without a face do not count.

    Raises:
        BadArray: shapes that do not fit, or scores that rise.
    """
    if best.shape != scores.shape or best.ndim != 1 or counted.ndim != 1:
        raise BadArray(
            "best and scores must have shape (N,) and counted (M,);"
            f" got {best.shape}, {scores.shape} and {counted.shape}"
        )
    if (np.diff(scores) > 0).any():
        raise BadArray("scores must fall: sort the detections of a photograph first")
    if len(best) == 0 or len(counted) == 0:
        return np.zeros((len(THRESHOLDS), 2), np.int64)
    met = best >= 0
    kept = ~met | counted[best]
    first = np.zeros(len(best), np.bool_)
    first[np.unique(best, return_index=True)[1]] = True
    running = np.zeros((len(best) + 1, 2), np.int64)
    np.cumsum(np.stack([kept, first & met & kept], axis=1), axis=0, out=running[1:])
    # How many of the falling scores reach each threshold; NaN reaches none.
    reach = np.searchsorted(-scores, -THRESHOLDS, side="right")
    return running[reach]


def normalized(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """All scores of a set, shifted and stretched to [0, 1]: NaN where all are equal."""
    exact = np.asarray(scores, np.float64)
    if exact.size == 0:
        return exact
    low, high = exact.min(), exact.max()
    with np.errstate(invalid="ignore"):
        return np.asarray((exact - low) / (high - low), np.float64)


def average_precision(counts: NDArray[np.int64], *, faces: int) -> float:
    """The area under precision over recall, in [0, 1].

    Args:
        counts: Sums over all photographs of what `sweep` gives, shape (T, 2).
        faces: All that count, those of photographs without any detection included.

    Raises:
        NotEnoughData: no face counts.
    """
    if faces < 1:
        raise NotEnoughData("average precision needs a face that counts; got none")
    kept, found = counts[:, 0].astype(np.float64), counts[:, 1].astype(np.float64)
    with np.errstate(invalid="ignore"):
        precision = np.concatenate([[0.0], found / kept, [0.0]])
    recall = np.concatenate([[0.0], found / faces, [1.0]])
    highest_after = np.maximum.accumulate(precision[::-1])[::-1]
    rises = np.flatnonzero(recall[1:] != recall[:-1]) + 1
    return float(((recall[rises] - recall[rises - 1]) * highest_after[rises]).sum())
