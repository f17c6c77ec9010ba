"""Photometric: the light and the colors of an image changed, its pixels left in their places.

    brightness b    x * (1 + b)
    contrast c      m + (x - m) * (1 + c)           m: the image's mean grey
    saturation s    g + (x - g) * (1 + s)           g: the pixel's grey

in this order, rounded once at the end and cut to 0 ... 255. Grey is ITU-R BT.601's:
0.299 R + 0.587 G + 0.114 B. Each of b, c and s is drawn evenly from a range around 0.

Every function takes an image (H, W, 3) uint8 RGB and a generator, and returns a new image, or
the image itself where nothing happened to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.data.augment.chance import between, happens
from tronie.errors import BadInput
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


def _grey_of(image: NDArray[np.float32]) -> NDArray[np.float32]:
    weighed: NDArray[Any] = image @ _GREY
    return weighed.astype(np.float32)


def _expect_share(name: str, most: float) -> None:
    if not 0 <= most <= 1:
        raise BadInput(f"{name} changes by a share in [0, 1] at most; got {most}")
