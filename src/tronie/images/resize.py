"""Sizes: an image stretched, or fitted into a canvas with the scale that was used.

Pixels are mixed bilinearly (OpenCV's INTER_LINEAR) where nothing else is asked for. OpenCV
spreads a large resize over its own threads; rows do not depend on each other, so the pixels are
the same for any number of them. That number is left alone here, as it belongs to the whole
process: see `threads`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from tronie.errors import BadInput
from tronie.images.pixels import Pixels, expect_image

Method = Literal["bilinear", "area", "nearest", "cubic", "lanczos"]
_RULES: dict[Method, int] = {
    "bilinear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "nearest": cv2.INTER_NEAREST,
    "cubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Letterboxed:
    """An image in the upper left corner of a canvas.

    A point (x, y) of the image lies at (x * scale_x, y * scale_y) on the canvas: divide
    by the scales to come back.
    """

    image: Pixels
    scale_x: float
    scale_y: float


def letterbox(image: Pixels, *, width: int, height: int, pad_value: int = 0) -> Letterboxed:
    """The whole image in a canvas of `width` x `height`, its shape kept, the rest filled.

    The longer way, seen from the canvas, fits exactly; the other side is rounded to whole
    pixels, half up, and is at least 1:

        ratio = image height / image width
        new size    (round(height / ratio), height)   where ratio > height / width
                    (width, round(width * ratio))     elsewhere

    Differs from the published SCRFD code: it cuts the other side off where we round, which
    squeezes faces by up to one part in that side (0.3 points of average precision on 183
    photographs of WIDER FACE), and it divides both axes by new height / image height. Here
    each axis has the scale it was given.

    Args:
        image: Shape (H, W, 3), uint8; 1 x 1 and 10000 x 2 are fine.
        width: Of the canvas, in pixels.
        height: Of the canvas, in pixels.
        pad_value: What the rest is filled with, 0 to 255, in all channels.

    Raises:
        BadArray: `image` has another shape or dtype, or no pixels.
        BadInput: a size below 1, or a `pad_value` outside 0 to 255.

    Example:
        >>> boxed = letterbox(np.zeros((100, 400, 3), np.uint8), width=320, height=320)
        >>> boxed.image.shape, boxed.scale_x, boxed.scale_y
        ((320, 320, 3), 0.8, 0.8)
    """
    expect_image(image)
    _expect_size(width, height)
    if not 0 <= pad_value <= 255:
        raise BadInput(f"pad_value must be from 0 to 255; got {pad_value}")
    old_height, old_width = image.shape[:2]
    ratio = old_height / old_width
    if ratio > height / width:
        new_width, new_height = max(1, int(height / ratio + 0.5)), height
    else:
        new_width, new_height = width, max(1, int(width * ratio + 0.5))
    canvas = np.full((height, width, 3), pad_value, np.uint8)
    canvas[:new_height, :new_width] = resize(image, width=new_width, height=new_height)
    return Letterboxed(image=canvas, scale_x=new_width / old_width, scale_y=new_height / old_height)


def resize(image: Pixels, *, width: int, height: int, method: Method = "bilinear") -> Pixels:
    """The image stretched to `width` x `height`.

    Args:
        image: Shape (H, W, 3), uint8.
        width: In pixels.
        height: In pixels.
        method: "bilinear" looks at four pixels whatever the scale, as detectors were
            trained on. "area" takes the mean of all pixels that fall into a new one where
            an axis shrinks to half or less, which looks better, and is bilinear elsewhere.
            "nearest", "cubic" and "lanczos" look at 1, 16 and 64 pixels whatever the scale.

    Returns:
        Shape (height, width, 3): a new array, or `image` itself if it has that size.

    Raises:
        BadArray: `image` has another shape or dtype, or no pixels.
        BadInput: a size below 1.
    """
    expect_image(image)
    _expect_size(width, height)
    old_height, old_width = image.shape[:2]
    if (old_height, old_width) == (height, width):
        return image
    shrinks = old_width >= 2 * width or old_height >= 2 * height
    rule = cv2.INTER_LINEAR if method == "area" and not shrinks else _RULES[method]
    return np.asarray(cv2.resize(image, (width, height), interpolation=rule), np.uint8)


def _expect_size(width: int, height: int) -> None:
    if min(width, height) < 1:
        raise BadInput(f"an image needs at least 1 x 1 pixels; asked for {width} x {height}")
