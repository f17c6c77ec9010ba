"""Landmarks: sets of points on a face, what each is called, and their mirror image.

The five points, in the order that every detector here gives them in:

        0       1           0 left eye      1 right eye
            2               2 nose tip
         3     4            3 left mouth corner      4 right mouth corner

"Left" is left in the image, so the left eye is the sitter's right one. Points are x y in
pixels; a pixel's centre has whole coordinates, hence the mirror of x is width - 1 - x.

Letters: N faces.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray

Floats = NDArray[np.floating[Any]]

FIVE_POINTS: tuple[str, ...] = (
    "left_eye",
    "right_eye",
    "nose",
    "left_mouth_corner",
    "right_mouth_corner",
)

_MIRRORED = np.array([1, 0, 2, 4, 3])  # which point takes the place of each in a mirror


def mirror(points: Floats, *, width: float) -> Floats:
    """The five points in the horizontally flipped image; doing it twice changes nothing.

    x becomes width - 1 - x, and left and right change names, so that the left eye is
    still the one on the left.

    Args:
        points: Shape (N, 5, 2), x y in pixels.
        width: Of the image, in pixels.

    Returns:
        Shape (N, 5, 2), a new array of the same dtype.

    Raises:
        BadArray: `points` does not have shape (N, 5, 2).
    """
    _expect_five(points)
    flipped = points[:, _MIRRORED, :]
    flipped[..., 0] = (width - 1) - flipped[..., 0]
    return flipped


def interocular_distance(points: Floats) -> NDArray[np.float64]:
    """Distance between the two eyes of each face, shape (N,), in pixels.

    Raises:
        BadArray: `points` does not have shape (N, 5, 2).

    Example:
        >>> interocular_distance(np.array([[[0, 0], [3, 4], [2, 5], [0, 8], [3, 8.0]]]))
        array([5.])
    """
    _expect_five(points)
    gap = points[:, 1].astype(np.float64) - points[:, 0]
    return np.hypot(gap[:, 0], gap[:, 1])


def _expect_five(points: Floats) -> None:
    if points.ndim != 3 or points.shape[1:] != (5, 2):
        raise BadArray(f"five points a face have shape (N, 5, 2); got shape {points.shape}")
