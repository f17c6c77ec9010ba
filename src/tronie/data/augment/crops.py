"""Crops: an image mirrored, moved a little, or cut smaller, at its old size.

A face that was aligned by five points is never aligned perfectly; a network that has seen it
a pixel or two beside its place does not mind. What comes in from beyond the edges is black,
as it is in aligned crops. Pixels are mixed bilinearly.

Every function takes an image (H, W, 3) uint8 RGB and a generator, and returns a new image of
the same size, or the image itself where nothing happened to it.
"""

from __future__ import annotations

import math

import numpy as np

from tronie.data.augment.chance import between, happens
from tronie.errors import BadInput
from tronie.images.pixels import Pixels, expect_image
from tronie.images.resize import resize
from tronie.images.warp import warp_affine


def flip(image: Pixels, rng: np.random.Generator, *, p: float = 0.5) -> Pixels:
    """With probability `p`, the image in a mirror: left and right exchanged.

    Raises:
        BadArray: `image` has another shape or dtype.
        BadInput: `p` is not in [0, 1].
    """
    expect_image(image)
    return np.ascontiguousarray(image[:, ::-1]) if happens(rng, p) else image


def move(
    image: Pixels,
    rng: np.random.Generator,
    *,
    shift: float = 0.03,
    scale: float = 0.05,
    turn: float = 0.05,
    p: float = 1.0,
) -> Pixels:
    """With probability `p`, the image shifted, scaled and turned about its middle.

    Args:
        image: Shape (H, W, 3), uint8 RGB.
        rng: Gives five numbers where it happens, one where it does not.
        shift: Most along each axis, as a share of that side, in [0, 1].
        scale: Most that it grows or shrinks by, as a share, in [0, 1).
        turn: Most to either side, in radians.
        p: Probability, in [0, 1].

    Raises:
        BadArray: `image` has another shape or dtype.
        BadInput: a number outside its range.
    """
    expect_image(image)
    if not (0 <= shift <= 1 and 0 <= scale < 1 and 0 <= turn <= math.pi):
        raise BadInput(
            "shift is a share in [0, 1], scale in [0, 1), turn in [0, pi]; "
            f"got {shift}, {scale} and {turn}"
        )
    if not happens(rng, p):
        return image
    height, width = image.shape[:2]
    right = width * between(rng, (-shift, shift), "shift")
    down = height * between(rng, (-shift, shift), "shift")
    grown = 1 + between(rng, (-scale, scale), "scale")
    angle = between(rng, (-turn, turn), "turn")
    a, b = grown * math.cos(angle), grown * math.sin(angle)
    x, y = (width - 1) / 2, (height - 1) / 2
    matrix = np.array([[[a, -b, x + right - a * x + b * y], [b, a, y + down - b * x - a * y]]])
    return np.asarray(warp_affine(image, matrix, width=width, height=height)[0])


def cut(
    image: Pixels,
    rng: np.random.Generator,
    *,
    side: tuple[float, float] = (0.9, 1.0),
    p: float = 1.0,
) -> Pixels:
    """With probability `p`, a window somewhere in the image, enlarged to the image's size.

    Args:
        image: Shape (H, W, 3), uint8 RGB.
        rng: Gives four numbers where it happens, one where it does not.
        side: Least and most of each side that the window has, as a share, in (0, 1].
        p: Probability, in [0, 1].

    Raises:
        BadArray: `image` has another shape or dtype.
        BadInput: a number outside its range.
    """
    expect_image(image)
    if not 0 < side[0] <= side[1] <= 1:
        raise BadInput(f"a window's side is a range of shares in (0, 1]; got {side}")
    if not happens(rng, p):
        return image
    height, width = image.shape[:2]
    share = between(rng, side, "side")
    high, wide = max(1, round(share * height)), max(1, round(share * width))
    top = int(rng.random() * (height - high + 1))
    left = int(rng.random() * (width - wide + 1))
    window = np.ascontiguousarray(image[top : top + high, left : left + wide])
    return resize(window, width=width, height=height)
