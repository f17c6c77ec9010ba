"""A photograph and its faces, as a detector learns from them; and the same in a mirror.

    boxes   x1 y1 x2 y2 in pixels: edges, so that a picture W wide ends at x = W
    points  x y of the five points, in the order of `tronie.geometry.landmarks`

Boxes may reach over the border, lie outside, or have no area. A face to learn from is one that is
not ignored, has an area, and shares some of it with the photograph; the others count for nothing.

Letters: F faces.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.widerface import LabeledPhoto
from tronie.errors import BadArray
from tronie.geometry.boxes import area, clip
from tronie.geometry.landmarks import mirror
from tronie.images.pixels import Pixels

FARTHEST = float(1 << 20)
"""Pixels; a labeled corner or point beyond is taken to be there, so that squares stay numbers."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FaceLabels:
    """What is known of the faces of one photograph."""

    boxes: NDArray[np.float32]
    """(F, 4)"""
    ignore: NDArray[np.bool_]
    """(F,): neither face nor background."""
    points: NDArray[np.float32]
    """(F, 5, 2); anything where a point is not known."""
    has_points: NDArray[np.bool_]
    """(F, 5): the point is known."""

    def __post_init__(self) -> None:
        faces = len(self.boxes)
        found = (self.boxes.shape, self.ignore.shape, self.points.shape, self.has_points.shape)
        if found != ((faces, 4), (faces,), (faces, 5, 2), (faces, 5)):
            raise BadArray(
                "faces have boxes (F, 4), ignore (F,), points (F, 5, 2) and has_points (F, 5); got"
                f" shapes {', '.join(map(str, found))}"
            )

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True, eq=False, kw_only=True)
class FacePhoto(FaceLabels):
    """A photograph and its faces."""

    image: Pixels
    """(H, W, 3) uint8 RGB"""


def learnable(labels: FaceLabels, *, width: float, height: float) -> NDArray[np.bool_]:
    """Which faces can be learned from in a photograph of `width` x `height`, (F,).

    Example:
        >>> learnable(boxes_only([[2, 2, 4, 4], [2, 2, 2, 4], [9, 0, 12, 3]]), width=8, height=8)
        array([ True, False, False])
    """
    whole = labels.boxes.astype(np.float64)
    seen = area(clip(whole, width=width, height=height)) > 0
    return seen & (area(whole) > 0) & ~labels.ignore


def faces_of(photo: LabeledPhoto) -> FaceLabels:
    """The faces of a line of labels or more: those that have an area, points marked."""
    real = area(photo.boxes) > 0
    points = photo.landmarks[real]
    known: NDArray[np.bool_] = np.all(np.isfinite(points), axis=2)
    return FaceLabels(
        boxes=photo.boxes[real].clip(-FARTHEST, FARTHEST).astype(np.float32),
        ignore=photo.ignored[real],
        points=np.where(known[..., None], points, 0.0).clip(-FARTHEST, FARTHEST).astype(np.float32),
        has_points=known,
    )


def boxes_only(boxes: object) -> FaceLabels:
    """Faces of which nothing but their boxes (F, 4) is known."""
    rows = np.asarray(boxes, np.float32).reshape(-1, 4)
    return FaceLabels(
        boxes=rows,
        ignore=np.zeros(len(rows), np.bool_),
        points=np.zeros((len(rows), 5, 2), np.float32),
        has_points=np.zeros((len(rows), 5), np.bool_),
    )


def photographed(image: Pixels, labels: FaceLabels) -> FacePhoto:
    """Faces and the photograph they are in."""
    return FacePhoto(
        image=image,
        boxes=labels.boxes,
        ignore=labels.ignore,
        points=labels.points,
        has_points=labels.has_points,
    )


def sizes(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """The size of each face in pixels, (F,): the longer side of its box (F, 4)."""
    spans = boxes[:, 2:].astype(np.float64) - boxes[:, :2]
    longer: NDArray[np.float64] = spans.max(axis=1)
    return longer


def ignored_below(photo: FacePhoto, least_side: float) -> FacePhoto:
    """The same, where faces of a size below `least_side` pixels are to be ignored."""
    return replace(photo, ignore=photo.ignore | (sizes(photo.boxes) < least_side))


def mirrored(photo: FacePhoto) -> FacePhoto:
    """The photograph in a mirror; left and right eyes and corners of the mouth change names.

    Twice is the photograph again. A box is turned by its edges, x -> W - x; a point by the pixel
    it stands on, x -> W - 1 - x, as `tronie.geometry.landmarks` has it.
    """
    width = photo.image.shape[1]
    x1, y1, x2, y2 = photo.boxes.T
    return FacePhoto(
        image=np.ascontiguousarray(photo.image[:, ::-1]),
        boxes=np.stack([width - x2, y1, width - x1, y2], axis=1).astype(np.float32),
        ignore=photo.ignore,
        points=mirror(photo.points, width=width).astype(np.float32),
        has_points=_renamed(photo.has_points),
    )


def _renamed(known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is known of each point (F, 5), where left and right have changed names."""
    marks = np.repeat(known[..., None], 2, axis=2).astype(np.float32)
    return mirror(marks, width=1)[..., 1] > 0
