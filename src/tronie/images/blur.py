"""Blur: pictures out of focus, smoothed by medians, or smeared by a moving camera.

Edges are reflected, the outermost pixel once: ...2 1 | 0 1 2...

OpenCV's rules: a Gaussian of 8 bit pixels is summed in fixed point and is the same on every
machine; the smear is a sum in float32, rounded half to even, which may differ by 1 between
machines.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from tronie.errors import BadInput
from tronie.images.pixels import Pixels, expect_image

MOST_PIXELS = 255
"""The widest window; a wider one costs seconds and leaves nothing to be seen."""


def gaussian_blur(image: Pixels, *, sigma: float) -> Pixels:
    """Each pixel the mean of those around it, weighted by exp(-distance^2 / (2 sigma^2)).

    Args:
        image: Shape (H, W, 3), uint8.
        sigma: In pixels, at most 40; 0 leaves the image as it is.

    Raises:
        BadArray: `image` has another shape or dtype.
        BadInput: another `sigma`.
    """
    expect_image(image)
    if not 0 <= sigma <= 40:
        raise BadInput(f"sigma must be from 0 to 40 pixels; got {sigma}")
    if sigma == 0:
        return image
    side = 2 * math.ceil(3 * sigma) + 1
    return np.asarray(cv2.GaussianBlur(image, (side, side), sigma), np.uint8)


def median_blur(image: Pixels, *, side: int) -> Pixels:
    """Each channel of each pixel the median of a square window; 1 leaves the image as it is.

    Args:
        image: Shape (H, W, 3), uint8. Its edge pixels are repeated.
        side: Of the window, odd, in pixels.

    Raises:
        BadArray: `image` has another shape or dtype.
        BadInput: another `side`.
    """
    expect_image(image)
    if side % 2 != 1 or not 1 <= side <= MOST_PIXELS:
        raise BadInput(f"a median's window has an odd side from 1 to {MOST_PIXELS}; got {side}")
    return image if side == 1 else np.asarray(cv2.medianBlur(image, side), np.uint8)


def motion_blur(image: Pixels, *, length: int, angle: float) -> Pixels:
    """Each pixel the mean along a line through it, as if the camera had moved.

    Args:
        image: Shape (H, W, 3), uint8.
        length: Of the line in pixels, odd; 1 leaves the image as it is.
        angle: Of the line, in radians, clockwise from the x axis as seen in the image.

    Raises:
        BadArray: `image` has another shape or dtype.
        BadInput: another `length`, or an `angle` that is not finite.
    """
    expect_image(image)
    if length % 2 != 1 or not 1 <= length <= MOST_PIXELS or not math.isfinite(angle):
        raise BadInput(
            f"a smear has an odd length from 1 to {MOST_PIXELS} pixels and a finite angle;"
            f" got {length} and {angle}"
        )
    if length == 1:
        return image
    reach = length // 2
    along = (np.arange(8 * length) + 0.5) / 8 - length / 2  # eight points a pixel
    column = np.rint(reach + along * math.cos(angle)).astype(np.int64)
    row = np.rint(reach + along * math.sin(angle)).astype(np.int64)
    kernel = np.zeros((length, length), np.float32)
    np.add.at(kernel, (row, column), 1)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)
