"""Windows: a square of a photograph enlarged or shrunk to a square picture, and its faces with it.

    x on the picture = (x in the photograph - left) * size / side

That is of an edge, as boxes have them. A point stands on a pixel, half a pixel from its edge.

A window may reach over the border; what lies outside is filled with one grey level. Only the part
of the photograph that is seen is resized, and never the whole. That part begins and ends on whole
pixels of both, so its scale differs from size / side by less than a pixel over its length; boxes
and points are moved by the scale it was given, along each axis, and so lie where their faces lie.

Letters: F faces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.data.augment.face_photo import FaceLabels, FacePhoto, learnable, photographed
from tronie.errors import BadInput
from tronie.geometry.boxes import area, clip
from tronie.images.resize import Method, resize

GREY = 128
"""What lies outside a photograph, where nothing else is asked for."""


class Window(NamedTuple):
    """A square of a photograph, in its pixels."""

    left: float
    top: float
    side: float


@dataclass(frozen=True, kw_only=True)
class Filled:
    """How a picture is made of what a window shows."""

    size: int
    """Side of the picture in pixels."""
    pad_value: int = GREY
    """What lies outside the photograph, 0 to 255."""
    method: Method = "bilinear"
    """How pixels are mixed."""

    def __post_init__(self) -> None:
        if self.size < 1 or not 0 <= self.pad_value <= 255:
            raise BadInput(
                "a picture's size is at least 1 pixel and its padding a level from 0 to 255; got "
                f"{self.size} and {self.pad_value}"
            )


def centers(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Middles of boxes (F, 4): x y, (F, 2)."""
    return (boxes[:, :2].astype(np.float64) + boxes[:, 2:]) / 2


def strictly_inside(points: NDArray[np.float64], window: Window) -> NDArray[np.bool_]:
    """Which points (F, 2) lie in a window and not on its edge, (F,)."""
    away = points - (window.left, window.top)
    inside: NDArray[np.bool_] = np.all((away > 0) & (away < window.side), axis=1)
    return inside


def shown(photo: FacePhoto, window: Window, filled: Filled) -> FacePhoto:
    """The picture that a window shows, and the faces in its pixels; see `shown_labels`."""
    height, width = photo.image.shape[:2]
    columns = _axis(width, window.left, window.side, filled.size)
    rows = _axis(height, window.top, window.side, filled.size)
    image = np.full((filled.size, filled.size, 3), filled.pad_value, np.uint8)
    if columns is not None and rows is not None:
        part = photo.image[rows.first : rows.end, columns.first : columns.end]
        wide, high = columns.stop - columns.start, rows.stop - rows.start
        part = resize(part, width=wide, height=high, method=filled.method)
        left, top = max(0, columns.start), max(0, rows.start)
        part = part[top - rows.start :, left - columns.start :]
        part = part[: filled.size - top, : filled.size - left]
        image[top : top + part.shape[0], left : left + part.shape[1]] = part
    return photographed(
        image, shown_labels(photo, window, width=width, height=height, size=filled.size)
    )


def shown_labels(
    labels: FaceLabels, window: Window, *, width: int, height: int, size: int
) -> FaceLabels:
    """The faces that a window of a photograph of `width` x `height` shows, in its pixels.

    Faces to learn from are kept where their middle lies strictly inside the window, those to be
    ignored where it shows any of them. Nothing is clipped; the order stays.
    """
    inside = strictly_inside(centers(labels.boxes), window)
    kept = inside & learnable(labels, width=width, height=height)
    kept |= labels.ignore & _touched(labels.boxes, window)
    moves = np.array(
        [
            _move(_axis(width, window.left, window.side, size), window.left, window.side, size),
            _move(_axis(height, window.top, window.side, size), window.top, window.side, size),
        ]
    )
    origin, scale, start = moves.T
    corners = (labels.boxes[kept].reshape(-1, 2, 2) - origin) * scale + start
    points = (labels.points[kept] + 0.5 - origin) * scale + start - 0.5
    return FaceLabels(
        boxes=corners.reshape(-1, 4).astype(np.float32),
        ignore=labels.ignore[kept],
        points=points.astype(np.float32),
        has_points=labels.has_points[kept],
    )


class _Axis(NamedTuple):
    """`first` to `end` of the photograph come to lie at `start` to `stop` of the picture."""

    first: int
    end: int
    start: int
    stop: int


def _axis(length: int, begin: float, side: float, size: int) -> _Axis | None:
    """What is seen of `length` pixels from `begin` on, by whole pixels; None where nothing is."""
    first, end = max(0, math.floor(begin)), min(length, math.ceil(begin + side))
    if first >= end:
        return None
    start, stop = (round((edge - begin) * size / side) for edge in (first, end))
    return _Axis(first, end, start, max(start + 1, stop)) if start < size else None


def _move(axis: _Axis | None, begin: float, side: float, size: int) -> tuple[float, float, float]:
    """Origin, scale and start: x goes to (x - origin) * scale + start."""
    if axis is None:
        return begin, size / side, 0.0
    return axis.first, (axis.stop - axis.start) / (axis.end - axis.first), axis.start


def _touched(boxes: NDArray[np.float32], window: Window) -> NDArray[np.bool_]:
    """Which boxes (F, 4) share an area with a window, (F,)."""
    corner = (window.left, window.top, window.left, window.top)
    moved = boxes.astype(np.float64) - corner
    return area(clip(moved, width=window.side, height=window.side)) > 0
