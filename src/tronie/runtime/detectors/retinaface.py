"""Published RetinaFace heads: priors with variances.

Three outputs over all priors: boxes (P, 4), confidences (P, 2: background, face), landmarks
(P, 10). Priors stand at the middle of each cell, two sizes a stride: 16, 32 at stride 8,
64, 128 at 16, 256, 512 at 32. For a prior with center p and side q, in pixels:

    center   p + 0.1 q d_xy       side   q exp(0.2 d_wh)       point k   p + 0.1 q d_k

Input: BGR, mean (104, 117, 123) subtracted.
Source: Deng et al., "RetinaFace", CVPR 2020, arXiv:1905.00641, in the widely used PyTorch
form with MobileNet-0.25 (MIT); output layout of that form's ONNX exports.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadModel
from tronie.geometry.anchors import anchor_centers
from tronie.geometry.faces import Faces
from tronie.runtime.contract import Contract
from tronie.runtime.session import TensorSpec

SIZES = {8: (16, 32), 16: (64, 128), 32: (256, 512)}
CENTER_VARIANCE, SIZE_VARIANCE = 0.1, 0.2

CONTRACT = Contract(
    kind="detector",
    format="retinaface",
    color="bgr",
    mean=(104.0, 117.0, 123.0),
    std=(1.0, 1.0, 1.0),
    width=640,
    height=640,
    score_threshold=0.5,
    nms_threshold=0.4,
)


def matches(outputs: Sequence[TensorSpec]) -> bool:
    """Three outputs, by name where the last axes are free: boxes, confidences, landmarks."""
    if len(outputs) != 3:
        return False
    last = sorted(o.shape[-1] or 0 for o in outputs if o.shape)
    names = [o.name.lower()[:4] for o in outputs]
    named = names in (["bbox", "conf", "land"], ["loc", "conf", "land"])
    return last == [2, 4, 10] or (not any(last) and named)


def decode(
    outputs: Sequence[NDArray[np.float32]],
    *,
    width: int,
    height: int,
    score_threshold: float,
) -> Faces:
    """Faces above the threshold, unsuppressed, in pixels of the canvas of width x height.

    Raises:
        BadModel: the number of priors does not fit the canvas.
    """
    by_size = {o.shape[-1]: o.reshape(-1, o.shape[-1]) for o in outputs}
    if set(by_size) != {2, 4, 10}:
        raise BadModel(
            "a RetinaFace model must give boxes (P, 4), confidences (P, 2) and landmarks (P, 10); "
            f"got {[o.shape for o in outputs]}"
        )
    center, side = _priors(width, height)
    if len(center) != len(by_size[4]):
        raise BadModel(
            f"a RetinaFace model must give {len(center)} priors for {width}x{height} pixels; "
            f"it gave {len(by_size[4])}"
        )
    score = by_size[2][:, 1]
    keep = np.flatnonzero(score >= score_threshold)
    center, side = center[keep], side[keep, None]
    delta = by_size[4][keep]
    middle = center + CENTER_VARIANCE * side * delta[:, :2]
    half = side * np.exp(SIZE_VARIANCE * delta[:, 2:]) / 2
    offset = by_size[10][keep].reshape(-1, 5, 2)
    return Faces(
        boxes=np.concatenate([middle - half, middle + half], axis=1).astype(np.float32),
        scores=score[keep].astype(np.float32),
        landmarks=(center[:, None] + CENTER_VARIANCE * side[..., None] * offset).astype(np.float32),
    )


def _priors(width: int, height: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Centers (P, 2) and sides (P,), rows of cells, sizes innermost."""
    centers, sides = [], []
    for stride, sizes in SIZES.items():
        cells = anchor_centers(width=width, height=height, stride=stride, per_cell=len(sizes))
        centers.append(cells + np.float32(stride / 2))
        sides.append(np.tile(np.asarray(sizes, np.float32), len(cells) // len(sizes)))
    return np.concatenate(centers), np.concatenate(sides)
