"""Anchors: the grid a detector answers on, and distances from its points to faces.

    centre      (column * stride, row * stride)         no half-pixel offset
    grid        ceil(height / stride) rows, ceil(width / stride) columns
    box         x - l, y - t, x + r, y + b              distances l t r b in pixels
    point       x + dx, y + dy                          offsets in pixels

Order: row by row, in a row from left to right, and at each place `per_cell` times. That
is how SCRFD, RetinaFace and YuNet lay their outputs out. Networks that speak in units of
the stride have their outputs multiplied by it before they come here.

Letters: K anchors, P points a face. Leading axes are allowed and kept.
Source: SCRFD, arXiv:2105.04714, and its published configurations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput

Floats = NDArray[np.floating[Any]]


def anchor_centers(
    *, width: int, height: int, stride: int, per_cell: int = 1
) -> NDArray[np.float32]:
    """Centres of all anchors of one stride in an image of `width` x `height` pixels.

    Returns:
        Shape (K, 2), x y in pixels, K = ceil(height / stride) * ceil(width / stride) *
        per_cell, ordered by row, column, anchor.

    Raises:
        BadInput: a size that is not above 0.

    Example:
        >>> anchor_centers(width=16, height=9, stride=8).tolist()
        [[0.0, 0.0], [8.0, 0.0], [0.0, 8.0], [8.0, 8.0]]
    """
    if min(width, height, stride, per_cell) < 1:
        raise BadInput(
            "anchors need width, height, stride and per_cell of at least 1;"
            f" got {width}, {height}, {stride} and {per_cell}"
        )
    rows, columns = -(-height // stride), -(-width // stride)
    centers = np.empty((rows, columns, per_cell, 2), np.float32)
    centers[..., 0] = (np.arange(columns) * stride)[None, :, None]
    centers[..., 1] = (np.arange(rows) * stride)[:, None, None]
    return centers.reshape(-1, 2)


def distances_to_boxes(centers: Floats, distances: Floats) -> Floats:
    """Boxes (..., K, 4) x1 y1 x2 y2 from centres (K, 2) and distances (..., K, 4) l t r b.

    Raises:
        BadArray: the shapes do not fit each other.
    """
    _expect(centers, "distances", distances, distances.shape[-1:] == (4,), "4")
    return np.concatenate([centers - distances[..., :2], centers + distances[..., 2:]], axis=-1)


def boxes_to_distances(centers: Floats, boxes: Floats) -> Floats:
    """Distances (..., K, 4) l t r b from centres (K, 2) to boxes (..., K, 4) x1 y1 x2 y2.

    A distance is negative where the centre lies outside its box.

    Raises:
        BadArray: the shapes do not fit each other.
    """
    _expect(centers, "boxes", boxes, boxes.shape[-1:] == (4,), "4")
    return np.concatenate([centers - boxes[..., :2], boxes[..., 2:] - centers], axis=-1)


def distances_to_points(centers: Floats, offsets: Floats) -> Floats:
    """Points (..., K, P, 2) from centres (K, 2) and offsets (..., K, 2P) as x y x y ...

    Raises:
        BadArray: the shapes do not fit each other.
    """
    _expect(centers, "offsets", offsets, sum(offsets.shape[-1:]) % 2 == 0, "2P")
    pairs = offsets.reshape(*offsets.shape[:-1], offsets.shape[-1] // 2, 2)
    return centers[:, None, :] + pairs


def points_to_distances(centers: Floats, points: Floats) -> Floats:
    """Offsets (..., K, 2P) as x y x y ... from centres (K, 2) to points (..., K, P, 2).

    Raises:
        BadArray: the shapes do not fit each other.
    """
    if centers.ndim != 2 or centers.shape[1] != 2 or points.shape[-1:] != (2,) or points.ndim < 3:
        raise BadArray(
            "centers must have shape (K, 2) and points (..., K, P, 2);"
            f" got shapes {centers.shape} and {points.shape}"
        )
    if points.shape[-3] != len(centers):
        raise BadArray(f"got {len(centers)} centers, but points of shape {points.shape}")
    offsets = points - centers[:, None, :]
    return offsets.reshape(*offsets.shape[:-2], 2 * offsets.shape[-2])


def _expect(centers: Floats, name: str, values: Floats, last_fits: bool, last: str) -> None:
    rows_fit = values.ndim >= 2 and values.shape[-2] == len(centers)
    if centers.ndim != 2 or centers.shape[1] != 2 or not rows_fit or not last_fits:
        raise BadArray(
            f"centers must have shape (K, 2) and {name} (..., K, {last});"
            f" got shapes {centers.shape} and {values.shape}"
        )
