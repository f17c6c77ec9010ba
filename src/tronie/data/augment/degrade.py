"""Degrade: an image as bad cameras and small files leave it: coarse, compressed, blurred.

    low_resolution      shrunk by a factor and enlarged again
    jpeg                stored as JPEG of a low quality and read again
    gaussian            out of focus
    median              smoothed, edges kept
    motion              smeared along a line
    degrade             the first two, each by chance, then by chance one of the three blurs

The default ranges are those that training for the masked face challenge of ICCV 2021 used
(JPEG 30 to 80, median 1 to 7, motion 5 to 12 pixels at 112), and low resolution 0.5 to 0.8.

Every function takes an image (H, W, 3) uint8 RGB and a generator, and returns a new image of
the same size, or the image itself where nothing happened to it. Sizes are in pixels of the
image: meant for crops of 112.
"""

from __future__ import annotations

import math

import numpy as np

from tronie.data.augment.chance import between, happens
from tronie.errors import BadInput
from tronie.images.blur import gaussian_blur, median_blur, motion_blur
from tronie.images.io import decode_image, encode_image
from tronie.images.pixels import Pixels, expect_image
from tronie.images.resize import resize


def low_resolution(
    image: Pixels,
    rng: np.random.Generator,
    *,
    factor: tuple[float, float] = (0.5, 0.8),
    p: float = 0.1,
) -> Pixels:
    """With probability `p`, each side shrunk by a factor drawn from a range in (0, 1], and back.

    Raises:
        BadArray: `image` has another shape or dtype.
        BadInput: a number outside its range.
    """
    expect_image(image)
    if not 0 < factor[0] <= factor[1] <= 1:
        raise BadInput(f"an image shrinks by a range of factors in (0, 1]; got {factor}")
    if not happens(rng, p):
        return image
    height, width = image.shape[:2]
    drawn = between(rng, factor, "factor")
    small = resize(
        image,
        width=max(1, round(width * drawn)),
        height=max(1, round(height * drawn)),
        method="area",
    )
    return resize(small, width=width, height=height)


def jpeg(
    image: Pixels,
    rng: np.random.Generator,
    *,
    quality: tuple[int, int] = (30, 80),
    p: float = 0.1,
) -> Pixels:
    """With probability `p`, stored as a JPEG of a quality drawn from a range in 1 to 100.

    Raises:
        BadArray: `image` has another shape or dtype.
        BadInput: a number outside its range.
    """
    expect_image(image)
    if not 1 <= quality[0] <= quality[1] <= 100:
        raise BadInput(f"a JPEG's quality is a range in 1 to 100; got {quality}")
    if not happens(rng, p):
        return image
    return decode_image(encode_image(image, ".jpg", quality=_whole(rng, quality)))


def gaussian(
    image: Pixels,
    rng: np.random.Generator,
    *,
    sigma: tuple[float, float] = (0.4, 1.2),
    p: float = 0.1,
) -> Pixels:
    """With probability `p`, out of focus by a sigma drawn from a range in 0 to 40 pixels.

    Raises:
        BadArray: `image` has another shape or dtype.
        BadInput: a number outside its range.
    """
    expect_image(image)
    if not 0 <= sigma[0] <= sigma[1] <= 40:
        raise BadInput(f"sigma is a range in 0 to 40 pixels; got {sigma}")
    return gaussian_blur(image, sigma=between(rng, sigma, "sigma")) if happens(rng, p) else image


def median(
    image: Pixels,
    rng: np.random.Generator,
    *,
    side: tuple[int, int] = (1, 7),
    p: float = 0.1,
) -> Pixels:
    """With probability `p`, the median of a square window, of an odd side from a range.

    Raises:
        BadArray: `image` has another shape or dtype.
        BadInput: a number outside its range.
    """
    expect_image(image)
    _expect_odd("a median's window", side)
    return median_blur(image, side=_odd(rng, side)) if happens(rng, p) else image


def motion(
    image: Pixels,
    rng: np.random.Generator,
    *,
    length: tuple[int, int] = (5, 11),
    p: float = 0.1,
) -> Pixels:
    """With probability `p`, smeared along a line of any direction, of an odd length from a range.

    Raises:
        BadArray: `image` has another shape or dtype.
        BadInput: a number outside its range.
    """
    expect_image(image)
    _expect_odd("a smear", length)
    if not happens(rng, p):
        return image
    angle = between(rng, (0.0, math.pi), "angle")
    return motion_blur(image, length=_odd(rng, length), angle=angle)


def degrade(image: Pixels, rng: np.random.Generator, *, p: float = 0.1) -> Pixels:
    """Each with probability `p`: coarse pixels, JPEG, and one of the three blurs, in that order.

    Raises:
        BadArray: `image` has another shape or dtype.
        BadInput: `p` is not in [0, 1].
    """
    image = jpeg(low_resolution(image, rng, p=p), rng, p=p)
    if not happens(rng, p):
        return image
    blur = (gaussian, median, motion)[_whole(rng, (0, 2))]
    return blur(image, rng, p=1.0)


def _whole(rng: np.random.Generator, low_high: tuple[int, int]) -> int:
    """A whole number from a range, both ends included; takes one number from `rng`."""
    low, high = low_high
    return low + int(rng.random() * (high - low + 1))


def _odd(rng: np.random.Generator, low_high: tuple[int, int]) -> int:
    low, high = low_high
    return low + 2 * _whole(rng, (0, (high - low) // 2))


def _expect_odd(what: str, low_high: tuple[int, int]) -> None:
    low, high = low_high
    if not (1 <= low <= high <= 255 and low % 2 == high % 2 == 1):
        raise BadInput(f"{what} has a range of odd pixels, 1 to 255; got {low_high}")
