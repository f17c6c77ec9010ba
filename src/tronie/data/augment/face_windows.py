"""Windows around one face, which is given a size: what scale enhancement and data anchors share.

    one face of the photograph, each as likely          s = sqrt(width * height)
    the photograph enlarged by T / s                    T is drawn by whoever asks
    a square of `size` pixels of it that holds the face where it can, else lies within the face
    faces whose middle is inside are kept and clipped; those with sqrt(area) < 8 pixels are dropped,
    but not if no face were left

Up to 50 squares are drawn, until one holds a whole face or has an IoU above 0.7 with one. Squares
may reach over the border, as far as their face allows. Where the enlarged photograph is smaller
than a square along both axes, it lies anywhere within.

Source: the release of Liu et al., "MogFace", CVPR 2022, arXiv:2103.11139, whose crops go back to
Tang et al., "PyramidBox", ECCV 2018, arXiv:1803.07737.
Differs from the source: only the square is resized and never the whole photograph; a pixel is
enlarged to `size` pixels at most; a photograph without faces gives a plain square crop.

Letters: F faces.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tronie.data.augment.face_photo import FaceLabels, FacePhoto, learnable
from tronie.data.augment.square_crops import PLAIN_SCALES, square_window
from tronie.data.augment.windows import Filled, Window, shown
from tronie.geometry.boxes import area, clip, iou
from tronie.images.resize import Method

Target = Callable[[np.random.Generator, float], float]
"""The size in pixels that a face of size s is to have."""

MOST_SIDE = 12_000
"""The photograph is enlarged to no more than the area of a square of this side."""
TRIES = 50
ALIKE = 0.7
LEAST_SIZE = 8.0
METHODS: tuple[Method, ...] = ("bilinear", "cubic", "area", "nearest", "lanczos")


def face_crop(
    photo: FacePhoto,
    rng: np.random.Generator,
    *,
    size: int,
    target: Target,
    least_size: float,
    pad_value: int,
) -> FacePhoto:
    """A square of the photograph around a face of the size asked for, as a picture.

    Raises:
        BadInput: `size` or `pad_value` out of its range.
    """
    method = METHODS[int(rng.integers(len(METHODS)))]
    filled = Filled(size=size, pad_value=pad_value, method=method)
    height, width = photo.image.shape[:2]
    window = face_window(photo, rng, width=width, height=height, size=size, target=target)
    found = shown(photo, window, filled)
    found = replace(found, boxes=clip(found.boxes, width=size, height=size))
    small = ~found.ignore & (np.sqrt(area(found.boxes)) < least_size)
    if small[~found.ignore].all():
        return found
    return replace(
        found,
        boxes=found.boxes[~small],
        ignore=found.ignore[~small],
        points=found.points[~small],
        has_points=found.has_points[~small],
    )


def face_window(
    labels: FaceLabels,
    rng: np.random.Generator,
    *,
    width: int,
    height: int,
    size: int,
    target: Target,
) -> Window:
    """Which square `face_crop` takes of a photograph of `width` x `height`."""
    boxes = labels.boxes[learnable(labels, width=width, height=height)].astype(np.float64)
    if not len(boxes):
        return square_window(labels, rng, width=width, height=height, scales=PLAIN_SCALES)
    chosen = boxes[int(rng.integers(len(boxes)))]
    face = math.sqrt((chosen[2] - chosen[0]) * (chosen[3] - chosen[1]))
    most = min(MOST_SIDE / math.sqrt(width * height), size)
    side = size / min(target(rng, face) / face, most)
    for _ in range(TRIES):
        if side > max(width, height):
            left, top = rng.uniform(width - side, 0), rng.uniform(height - side, 0)
        else:
            left = _begin(chosen[0], chosen[2], side, rng)
            top = _begin(chosen[1], chosen[3], side, rng)
        window = Window(left, top, side)
        if _holds(window, boxes):
            break
    return window


def _begin(first: float, last: float, side: float, rng: np.random.Generator) -> float:
    """Where a square begins along one axis that holds a face from `first` to `last`, or is held."""
    low, high = sorted((last - side, first))
    return float(rng.uniform(low, high))


def _holds(window: Window, boxes: NDArray[np.float64]) -> bool:
    """Whether a square holds one of the boxes (F, 4) whole, or is about as large as one there."""
    square = np.array([[*window[:2], window.left + window.side, window.top + window.side]])
    whole = (boxes[:, :2] >= square[:, :2]) & (boxes[:, 2:] <= square[:, 2:])
    return bool(whole.all(axis=1).any() or (iou(square, boxes) > ALIKE).any())
