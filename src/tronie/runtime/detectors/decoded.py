"""Our own export: boxes and points already in pixels of the canvas.

Two or three outputs, told by name: `boxes` (N, K, 4) xyxy, `scores` (N, K) in [0, 1] and,
where the model gives them, `landmarks` (N, K, 10) or (N, K, 5, 2). Nothing is left to decode.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tronie.geometry.faces import Faces
from tronie.runtime.contract import Contract
from tronie.runtime.session import TensorSpec

CONTRACT = Contract(
    kind="detector",
    format="decoded",
    color="rgb",
    mean=(127.5, 127.5, 127.5),
    std=(128.0, 128.0, 128.0),
    width=640,
    height=640,
    score_threshold=0.5,
    nms_threshold=0.4,
)


def matches(outputs: Sequence[TensorSpec]) -> bool:
    """Outputs named boxes, scores and perhaps landmarks, in this order."""
    return [o.name for o in outputs] in (["boxes", "scores"], ["boxes", "scores", "landmarks"])


def decode(
    outputs: Sequence[NDArray[np.float32]],
    *,
    width: int,
    height: int,
    score_threshold: float,
) -> Faces:
    """Faces above the threshold, unsuppressed; width and height are not needed here."""
    scores = outputs[1].reshape(-1)
    keep = np.flatnonzero(scores >= score_threshold)
    points = outputs[2].reshape(-1, 5, 2)[keep] if len(outputs) == 3 else None
    return Faces(
        boxes=outputs[0].reshape(-1, 4)[keep].astype(np.float32),
        scores=scores[keep].astype(np.float32),
        landmarks=None if points is None else points.astype(np.float32),
    )
