"""YuNet heads: the default detector's form.

Twelve outputs: cls, obj, bbox, kps at strides 8, 16 and 32; one prediction a cell, cells row
by row. For the cell in row r and column c of stride s:

    score    sqrt(cls * obj), both clipped to [0, 1]
    center   (c + dx) s, (r + dy) s
    size     exp(dw) s, exp(dh) s
    point k  (c + x_k) s, (r + y_k) s

Input: BGR, 0..255, nothing subtracted.
Source: Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023; the layout is
that of the file face_detection_yunet_2023mar.onnx (MIT).
Differs from the source: nothing; its users set the score threshold to 0.6 to 0.9.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tronie.geometry.anchors import anchor_centers, distances_to_points
from tronie.geometry.faces import Faces
from tronie.runtime.contract import Contract
from tronie.runtime.session import TensorSpec

STRIDES = (8, 16, 32)

CONTRACT = Contract(
    kind="detector",
    format="yunet",
    color="bgr",
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    width=640,
    height=640,
    score_threshold=0.6,
    nms_threshold=0.3,
)


def matches(outputs: Sequence[TensorSpec]) -> bool:
    """Twelve outputs whose last axes are 1 six times, 4 three times and 10 three times."""
    last = [o.shape[-1] for o in outputs if o.shape]
    return last == [1] * 6 + [4] * 3 + [10] * 3


def decode(
    outputs: Sequence[NDArray[np.float32]],
    *,
    width: int,
    height: int,
    score_threshold: float,
) -> Faces:
    """Faces above the threshold, unsuppressed, in pixels of the canvas of width x height."""
    boxes, scores, points = [], [], []
    for level, stride in enumerate(STRIDES):
        cls, obj, delta, offset = (
            outputs[level + 3 * head].reshape(-1, size) for head, size in enumerate((1, 1, 4, 10))
        )
        score = np.sqrt(np.clip(cls, 0, 1) * np.clip(obj, 0, 1))[:, 0]
        keep = np.flatnonzero(score >= score_threshold)
        corner = anchor_centers(width=width, height=height, stride=stride)[keep]
        center = corner + delta[keep, :2] * stride
        half = np.exp(delta[keep, 2:]) * (stride / 2)
        boxes.append(np.concatenate([center - half, center + half], axis=1))
        scores.append(score[keep])
        points.append(distances_to_points(corner, offset[keep] * stride))
    return Faces(
        boxes=np.concatenate(boxes).astype(np.float32),
        scores=np.concatenate(scores).astype(np.float32),
        landmarks=np.concatenate(points).astype(np.float32),
    )
