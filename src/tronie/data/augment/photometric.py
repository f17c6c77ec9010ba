"""Photometric: the light and the colors of an image changed, its pixels left in their places.

    brightness b    x * (1 + b)
    contrast c      m + (x - m) * (1 + c)           m: the image's mean grey
    saturation s    g + (x - g) * (1 + s)           g: the pixel's grey

in this order, rounded once at the end and cut to 0 ... 255. Grey is ITU-R BT.601's:
0.299 R + 0.587 G + 0.114 B. Each of b, c and s is drawn evenly from a range around 0.

`distort` is what detectors are trained with, each step with a probability of one half:

    brightness    x + b                              b within 32 grey levels
    contrast      x * c                              c from 0.5 to 1.5; before the next two or after
    saturation    S * s                              s from 0.5 to 1.5, in HSV
    hue           H + h                              h within 18 degrees, pi / 10

Source: Liu et al., "SSD", ECCV 2016, arXiv:1512.02325, after Howard, arXiv:1312.5402; the ranges
are those of SCRFD and MogFace as released.
Differs from the source: pixels are bytes after each step, where they are floats to the end.

Every function takes an image (H, W, 3) uint8 RGB and a generator, and returns a new image, or
the image itself where nothing happened to it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.data.augment.chance import between, happens
from tronie.errors import BadInput
from tronie.images.colors import recolored, through_table
from tronie.images.pixels import Pixels, expect_image

_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def jitter(
    image: Pixels,
    rng: np.random.Generator,
    *,
    brightness: float = 0.125,
    contrast: float = 0.05,
    saturation: float = 0.0,
    p: float = 1.0,
) -> Pixels:
    """With probability `p`, brightness, contrast and saturation changed by chance.

    Args:
        image: Shape (H, W, 3), uint8 RGB.
        rng: Gives four numbers where it happens, one where it does not.
        brightness: Most that brightness changes either way, in [0, 1].
        contrast: The same for contrast.
        saturation: The same for saturation.
        p: Probability, in [0, 1].

    Raises:
        BadArray: `image` has another shape or dtype.
        BadInput: a number outside [0, 1].
    """
    expect_image(image)
    for name, most in (("brightness", brightness), ("contrast", contrast)):
        _expect_share(name, most)
    _expect_share("saturation", saturation)
    if not happens(rng, p):
        return image
    b = between(rng, (-brightness, brightness), "brightness")
    c = between(rng, (-contrast, contrast), "contrast")
    s = between(rng, (-saturation, saturation), "saturation")
    return adjusted(image, brightness=b, contrast=c, saturation=s)


def distort(
    image: Pixels,
    rng: np.random.Generator,
    *,
    brightness: float = 32.0,
    contrast: tuple[float, float] = (0.5, 1.5),
    saturation: tuple[float, float] = (0.5, 1.5),
    hue: float = math.pi / 10,
    p: float = 1.0,
) -> Pixels:
    """With probability `p`, light and colors changed as detectors are trained with.

    Args:
        image: Shape (H, W, 3), uint8 RGB.
        rng: Gives ten numbers where it happens, one where it does not.
        brightness: Most that is added either way, in grey levels from 0 to 255.
        contrast: Least and most that pixels are multiplied by, from 0 on.
        saturation: The same for saturations.
        hue: Most that hues turn either way, in radians, from 0 to pi.
        p: Probability, in [0, 1].

    Raises:
        BadArray: `image` has another shape or dtype.
        BadInput: a number outside its range.
    """
    expect_image(image)
    if not (0 <= brightness <= 255 and min(*contrast, *saturation) >= 0 and 0 <= hue <= math.pi):
        raise BadInput(
            "brightness changes by 0 to 255 levels, contrast and saturation by factors from 0 on, "
            f"hue by 0 to pi; got {brightness}, {contrast}, {saturation} and {hue}"
        )
    if not happens(rng, p):
        return image
    added = _maybe(rng, (-brightness, brightness), "brightness", otherwise=0.0)
    times = _maybe(rng, contrast, "contrast", otherwise=1.0)
    early = happens(rng, 0.5)
    full = _maybe(rng, saturation, "saturation", otherwise=1.0)
    turned = _maybe(rng, (-hue, hue), "hue", otherwise=0.0)
    image = _leveled(image, times=times if early else 1.0, added=added)
    if full != 1 or turned:
        image = recolored(image, hue=turned, saturation=full)
    return _leveled(image, times=1.0 if early else times, added=0.0)


def grey(image: Pixels, rng: np.random.Generator, *, p: float = 0.1) -> Pixels:
    """With probability `p`, the image without its colors.

    Raises:
        BadArray: `image` has another shape or dtype.
        BadInput: `p` is not in [0, 1].
    """
    expect_image(image)
    return adjusted(image, saturation=-1.0) if happens(rng, p) else image


def adjusted(
    image: Pixels, *, brightness: float = 0.0, contrast: float = 0.0, saturation: float = 0.0
) -> Pixels:
    """The image under stated changes, by the formulas at the top; at -1 nothing of it is left."""
    changed = image.astype(np.float32)
    if brightness:
        changed *= 1 + brightness
    if contrast:
        mean = float(_grey_of(changed).mean())
        changed = mean + (changed - mean) * (1 + contrast)
    if saturation:
        greys = _grey_of(changed)[..., None]
        changed = greys + (changed - greys) * (1 + saturation)
    return np.rint(changed).clip(0, 255).astype(np.uint8)


def _maybe(
    rng: np.random.Generator, low_high: tuple[float, float], what: str, *, otherwise: float
) -> float:
    """With probability one half a number from a range; takes two numbers whatever comes of it."""
    drawn = happens(rng, 0.5)
    number = between(rng, low_high, what)
    return number if drawn else otherwise


def _leveled(image: Pixels, *, times: float, added: float) -> Pixels:
    """Each level v as (v + added) * times, cut to a byte after each of the two."""
    if times == 1 and added == 0:
        return image
    levels = np.rint((np.arange(256) + added).clip(0, 255) * times).clip(0, 255)
    return through_table(image, levels.astype(np.uint8))


def _grey_of(image: NDArray[np.float32]) -> NDArray[np.float32]:
    weighed: NDArray[Any] = image @ _GREY
    return weighed.astype(np.float32)


def _expect_share(name: str, most: float) -> None:
    if not 0 <= most <= 1:
        raise BadInput(f"{name} changes by a share in [0, 1] at most; got {most}")
