"""Boxes (N, 4): x1 y1 x2 y2 in pixels, the corners of faces.

    area    max(0, x2 - x1 + o) * max(0, y2 - y1 + o)
    IoU     area of what two boxes share / area of what they cover together

o is `pixel_offset`. 0 measures between corners, as geometry does. 1 counts pixels, both
corner pixels included: the convention of the WIDER FACE evaluation and of the published
SCRFD suppression. It moves the IoU of small faces a lot, so it is always stated.

Letters: N and M boxes. A box whose corners are the wrong way round has area 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput

Floats = NDArray[np.floating[Any]]


def area(boxes: Floats, *, pixel_offset: float = 0.0) -> NDArray[np.float64]:
    """Area of each box, shape (N,), in square pixels.

    Raises:
        BadArray: `boxes` does not have shape (N, 4).

    Example:
        >>> area(np.array([[10.0, 10.0, 14.0, 13.0]]))
        array([12.])
    """
    x1, y1, x2, y2 = _columns("boxes", boxes)
    return np.maximum(x2 - x1 + pixel_offset, 0.0) * np.maximum(y2 - y1 + pixel_offset, 0.0)


def iou(a: Floats, b: Floats, *, pixel_offset: float = 0.0) -> NDArray[np.float64]:
    """Intersection over union of every box in `a` (N, 4) with every box in `b` (M, 4).

    Computed in float64 whatever the inputs are. Two boxes without area have IoU 0.

    Returns:
        Shape (N, M), in [0, 1].

    Raises:
        BadArray: an input does not have shape (N, 4).

    Example:
        >>> iou(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 3.0, 2.0]])).round(3)
        array([[0.333]])
    """
    ax1, ay1, ax2, ay2 = (column[:, None] for column in _columns("a", a))
    bx1, by1, bx2, by2 = _columns("b", b)
    width = np.minimum(ax2, bx2) - np.maximum(ax1, bx1) + pixel_offset
    height = np.minimum(ay2, by2) - np.maximum(ay1, by1) + pixel_offset
    shared = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    covered = area(a, pixel_offset=pixel_offset)[:, None] + area(b, pixel_offset=pixel_offset)
    covered -= shared
    ratio = np.zeros_like(shared)
    np.divide(shared, covered, out=ratio, where=covered > 0)
    return ratio


def clip(boxes: Floats, *, width: float, height: float) -> Floats:
    """The boxes cut to an image of `width` x `height` pixels; the dtype is kept.

    A box wholly outside becomes one of area 0 on the border.

    Raises:
        BadArray: `boxes` does not have shape (N, 4).
    """
    _columns("boxes", boxes)
    upper = np.array([width, height, width, height], boxes.dtype)
    return np.clip(boxes, np.zeros(4, boxes.dtype), upper)


def scale(boxes: Floats, *, x: float, y: float) -> Floats:
    """The boxes in an image that was stretched by `x` and `y`; the dtype is kept.

    To go back from a letterbox, pass 1 / scale_x and 1 / scale_y.

    Raises:
        BadArray: `boxes` does not have shape (N, 4).
        BadInput: a factor is not above 0.
    """
    _columns("boxes", boxes)
    if not (x > 0 and y > 0):
        raise BadInput(f"boxes can be scaled by factors above 0; got x = {x:g} and y = {y:g}")
    return boxes * np.array([x, y, x, y], boxes.dtype)


def mirror(boxes: Floats, *, width: float) -> Floats:
    """The boxes in the horizontally flipped image, a new array of the same dtype.

    Edges are turned, x becomes width - x; twice changes nothing. Landmarks stand on pixels, and
    are turned by half a pixel less on each side: see `tronie.geometry.landmarks`.

    Raises:
        BadArray: `boxes` does not have shape (N, 4).

    Example:
        >>> mirror(np.array([[1.0, 2.0, 4.0, 6.0]]), width=10)
        array([[6., 2., 9., 6.]])
    """
    _columns("boxes", boxes)
    flipped = boxes.copy()
    flipped[:, 0], flipped[:, 2] = width - boxes[:, 2], width - boxes[:, 0]
    return flipped


def xywh_to_xyxy(boxes: Floats) -> Floats:
    """Corner, width and height (N, 4) to two corners (N, 4).

    Raises:
        BadArray: `boxes` does not have shape (N, 4).
    """
    _columns("boxes", boxes)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def _columns(name: str, boxes: Floats) -> tuple[NDArray[np.float64], ...]:
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise BadArray(f"{name} must have shape (N, 4); got shape {boxes.shape}")
    columns = boxes.astype(np.float64, copy=False).T
    return columns[0], columns[1], columns[2], columns[3]
