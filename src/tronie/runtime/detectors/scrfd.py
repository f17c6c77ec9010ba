"""Published SCRFD heads: scores and distances per stride.

    outputs   6   scores and boxes at strides 8, 16, 32           two anchors a cell
              9   and five points
             10   scores and boxes at strides 8, 16, 32, 64, 128  one anchor a cell
             15   and five points

A head is told by its last axis (1 score, 4 distances, 10 offsets), its stride by its number
of rows, largest first; names and batch axis differ between exporters and are not used.
For the anchor at (x, y) of stride s, with distances l t r b in stride units:

    box      x - l s, y - t s, x + r s, y + b s         point k   x + px_k s, y + py_k s

Input: RGB, (x - 127.5) / 128. The published suppression counts a box's width as
x2 - x1 + 1, hence `nms_pixel_offset`.
Source: Guo et al., "Sample and Computation Redistribution for Efficient Face Detection",
ICLR 2022, arXiv:2105.04714; output layout as its authors export it.
Differs from the authors' runner: image coordinates are divided by the exact scale of each
axis, where the runner uses the scale of the height for both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadModel
from tronie.geometry.anchors import anchor_centers, distances_to_boxes, distances_to_points
from tronie.geometry.faces import Faces
from tronie.runtime.contract import Contract
from tronie.runtime.session import TensorSpec

CONTRACT = Contract(
    kind="detector",
    format="scrfd",
    color="rgb",
    mean=(127.5, 127.5, 127.5),
    std=(128.0, 128.0, 128.0),
    width=640,
    height=640,
    score_threshold=0.5,
    nms_threshold=0.4,
    nms_pixel_offset=1.0,
)
_HEADS = {6: (1, 4), 9: (1, 4, 10), 10: (1, 4), 15: (1, 4, 10)}


def matches(outputs: Sequence[TensorSpec]) -> bool:
    """6, 9, 10 or 15 outputs, as many of each head."""
    sizes = _HEADS.get(len(outputs))
    if sizes is None:
        return False
    levels = len(outputs) // len(sizes)
    last = sorted(o.shape[-1] or 0 for o in outputs if o.shape)
    return last == sorted(sizes * levels)


def decode(
    outputs: Sequence[NDArray[np.float32]],
    *,
    width: int,
    height: int,
    score_threshold: float,
) -> Faces:
    """Faces above the threshold, unsuppressed, in pixels of the canvas of width x height.

    Raises:
        BadModel: the rows of a head do not fit the canvas.
    """
    heads = {size: _levels(outputs, size) for size in (1, 4, 10)}
    per_cell = 2 if len(heads[1]) == 3 else 1
    boxes, scores, points = [], [], []
    for level, score_rows in enumerate(heads[1]):
        stride = 8 << level
        score = score_rows[:, 0]
        centers = anchor_centers(width=width, height=height, stride=stride, per_cell=per_cell)
        if len(centers) != len(score):
            raise BadModel(
                f"an SCRFD model must give {len(centers)} scores at stride {stride} for "
                f"{width}x{height} pixels; it gave {len(score)}"
            )
        keep = np.flatnonzero(score >= score_threshold)
        centers = centers[keep]
        scores.append(score[keep])
        boxes.append(distances_to_boxes(centers, heads[4][level][keep] * stride))
        if heads[10]:
            points.append(distances_to_points(centers, heads[10][level][keep] * stride))
    return Faces(
        boxes=np.concatenate(boxes).astype(np.float32),
        scores=np.concatenate(scores).astype(np.float32),
        landmarks=np.concatenate(points).astype(np.float32) if points else None,
    )


def _levels(outputs: Sequence[NDArray[np.float32]], size: int) -> list[NDArray[np.float32]]:
    """The outputs of one head as (rows, size), finest stride first."""
    found = [o.reshape(-1, size) for o in outputs if o.shape[-1] == size]
    return sorted(found, key=len, reverse=True)
