"""Colors: levels through a table, and hue and saturation changed, on whole images at once.

    hue          around a circle: red, yellow, green, cyan, blue, magenta, red
    saturation   (V - least channel) / V, where the value V is the greatest channel; V stays

This is the hexagonal HSV of Smith, "Color Gamut Transform Pairs", SIGGRAPH 1978, in bytes: a hue
has 256 places, and a grey pixel stays as it is.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput
from tronie.images.pixels import Pixels, expect_image


def through_table(image: Pixels, table: NDArray[np.uint8]) -> Pixels:
    """Each level v of an image (H, W, 3) replaced by `table[v]`; a new image.

    Raises:
        BadArray: `image` is none, or `table` is not (256,) uint8.
    """
    expect_image(image)
    if table.shape != (256,) or table.dtype != np.uint8:
        raise BadArray(f"a table is (256,) uint8; got {table.dtype} of shape {table.shape}")
    return np.asarray(cv2.LUT(image, table), np.uint8)


def recolored(image: Pixels, *, hue: float = 0.0, saturation: float = 1.0) -> Pixels:
    """The image with every hue turned and every saturation multiplied; a new image.

    Args:
        image: Shape (H, W, 3), uint8 RGB.
        hue: Radians; a third of a turn makes red green.
        saturation: From 0, which is grey; what goes beyond a full saturation is cut there.

    Raises:
        BadArray: `image` is none.
        BadInput: a number that is not finite, or a saturation below 0.
    """
    expect_image(image)
    if not (math.isfinite(hue) and math.isfinite(saturation) and saturation >= 0):
        raise BadInput(
            "a hue is an angle in radians and a saturation a factor from 0 on; got "
            f"{hue} and {saturation}"
        )
    levels = np.arange(256)
    tables = np.empty((1, 256, 3), np.uint8)
    tables[0, :, 0] = (levels + round(hue / math.tau * 256)) % 256
    tables[0, :, 1] = np.rint(levels * min(saturation, 255.0)).clip(0, 255)
    tables[0, :, 2] = levels
    parts = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    return np.asarray(cv2.cvtColor(cv2.LUT(parts, tables), cv2.COLOR_HSV2RGB_FULL), np.uint8)
