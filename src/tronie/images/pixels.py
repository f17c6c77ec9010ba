"""Pixels: what an image is in this package, and the check that it is one.

(H, W, 3) uint8, RGB, upright, rows from the top; the centre of the upper left pixel
is the point (0, 0)
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray

Pixels: TypeAlias = NDArray[np.uint8]


def expect_image(image: Pixels) -> None:
    """Return if `image` is uint8 of shape (H, W, 3) with at least one pixel.

    Raises:
        BadArray: it is not.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise BadArray(
            "an image must be uint8 of shape (H, W, 3) with at least one pixel;"
            f" got {image.dtype} of shape {image.shape}. Read files with tronie.read_image"
        )
