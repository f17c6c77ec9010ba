r"""Masks: put a mask on a face by its five points; the same face always gets the same mask.

    mask_for(key)           which mask: its kind, pattern, colors and fit, from a key alone
    put_on(image, ...)      a photograph with it, drawn by landmarks and shaded as the face was
    sometimes_masked(...)   the augmentation: with probability p, on an aligned crop

A key is whatever names the face, a person or a photograph. Its mask follows from the key and a
seed through BLAKE2b, and from nothing else: not from the order in which faces are seen, the
machine or the run. Under one seed the kinds have the shares in `KIND_SHARES`.

Light is taken from the picture: the face below gives the direction,

    minimize over a, b, c       sum over the mask's pixels (a + b nx + c ny - grey)^2

with n the way the mask faces there, and the brightest twentieth of its surroundings the
strength. In a photograph without colors the mask has none. Pixels that the mask does not touch
keep every bit, and so do the eyes.

Source of the idea: mask augmentation as the masked face challenge of ICCV 2021 allowed it
(arXiv:2108.08191). Differs from its renderer: five points instead of 68, no morphable model to
be fetched, and colors that are computed instead of photographs of masks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.catalog import not_found
from tronie.data.augment.chance import happens
from tronie.data.augment.mask_fabrics import PATTERNS, Color, Fabric, albedo
from tronie.data.augment.mask_shapes import Worn, worn
from tronie.geometry.alignment import five_point_template
from tronie.images.pixels import Pixels, expect_image
from tronie.images.resize import resize

KIND_SHARES: Mapping[str, float] = {
    "surgical": 0.45,
    "folded": 0.2,
    "cup": 0.1,
    "cloth": 0.2,
    "scarf": 0.05,
}
"""How often each kind is chosen, over many keys."""

_WHITE: Color = (236, 238, 238)
_BLACK: Color = (34, 34, 37)
_COLORS: Mapping[str, tuple[tuple[Color, float], ...]] = {
    "surgical": (
        (_WHITE, 0.35),
        ((150, 195, 222), 0.35),
        (_BLACK, 0.15),
        ((160, 210, 190), 0.1),
        ((238, 190, 205), 0.05),
    ),
    "folded": ((_WHITE, 0.7), (_BLACK, 0.2), ((205, 208, 210), 0.1)),
    "cup": ((_WHITE, 0.8), ((228, 216, 190), 0.2)),
}
_LOWERED = (-0.04, 0.0, 0.04, 0.08, 0.12)
_GREY = np.array([0.299, 0.587, 0.114])
_MOST_SPAN = 350.0  # pixels from the first to the last of the five points, drawn as they are
_COLORFUL = 0.06  # mean spread of the channels of a photograph that has its colors


@dataclass(frozen=True, kw_only=True)
class Mask:
    """One mask, and how it sits."""

    fabric: Fabric
    lowered: float
    """How far down the nose its upper edge is, in eye distances, from where it belongs."""

    @property
    def kind(self) -> str:
        """One of `KIND_SHARES`."""
        return self.fabric.kind


def mask_for(key: str | int, *, seed: int = 0, kind: str | None = None) -> Mask:
    """The mask of whoever `key` names: always the same one for the same key, seed and kind.

    Args:
        key: A person or a photograph. A number is not the text of its digits.
        seed: Another seed deals out other masks.
        kind: One of `KIND_SHARES`; None chooses by their shares.

    Raises:
        NotFound: there is no such kind.
    """
    if kind is not None and kind not in KIND_SHARES:
        raise not_found(kind, KIND_SHARES, where="the kinds of masks")
    name = repr(key if isinstance(key, str) else int(key))
    digest = hashlib.blake2b(f"{seed} {name}".encode("utf-8", "surrogatepass"), digest_size=16)
    rng = np.random.default_rng(int.from_bytes(digest.digest(), "little"))
    drawn = _drawn(rng, tuple(KIND_SHARES), tuple(KIND_SHARES.values()))
    chosen = kind or drawn
    if chosen in _COLORS:
        colors, shares = zip(*_COLORS[chosen], strict=True)
        color: Color = _drawn(rng, colors, shares)
        second = _WHITE if color != _BLACK else _BLACK
    else:
        color, second = _any_color(rng), _any_color(rng)
    patterns = PATTERNS[chosen]
    fabric = Fabric(
        kind=chosen,
        pattern=_drawn(rng, patterns, (1 / len(patterns),) * len(patterns)),
        color=color,
        second=second,
        count=int(rng.integers(3, 8)),
        phase=float(rng.random()),
    )
    return Mask(fabric=fabric, lowered=_LOWERED[int(rng.integers(len(_LOWERED)))])


def put_on(image: Pixels, landmarks: NDArray[np.floating[Any]], mask: Mask) -> Pixels:
    """The photograph with the mask on one of its faces.

    Args:
        image: Shape (H, W, 3), uint8 RGB; not written to.
        landmarks: The face's points, (5, 2), x y in pixels, ordered as in
            `tronie.geometry.landmarks`.
        mask: See `mask_for`.

    Returns:
        A new image; or `image` itself where the mask lies wholly outside it.

    Raises:
        BadArray: an array of another shape or dtype, or points that give no pose.
    """
    expect_image(image)
    if landmarks.shape == (5, 2) and float(np.ptp(landmarks, axis=0).max()) > _MOST_SPAN:
        return _put_on_large(image, landmarks.astype(np.float64), mask)
    laid = _laid(image, landmarks, mask)
    if laid is None:
        return image
    on, colors = laid
    mixed = image[on.rows, on.columns] * (1 - on.opacity) + colors * on.opacity
    masked = image.copy()
    masked[on.rows, on.columns] = np.rint(mixed).astype(np.uint8)
    return masked


def sometimes_masked(
    image: Pixels,
    rng: np.random.Generator,
    *,
    key: str | int,
    seed: int = 0,
    p: float = 0.1,
    kind: str | None = None,
) -> Pixels:
    """With probability `p`, an aligned crop with the mask of whoever `key` names.

    Args:
        image: Shape (112, 112, 3) or of another size that has a five-point template, uint8
            RGB; its face's points are taken to be where the template has them.
        rng: Decides whether, and gives one number; which mask it is does not depend on it.
        key: See `mask_for`.
        seed: See `mask_for`.
        p: Probability, in [0, 1].
        kind: See `mask_for`.

    Raises:
        BadArray: `image` has another shape or dtype.
        BadInput: `p` is not in [0, 1], or the image's size has no template.
        NotFound: there is no such kind.
    """
    expect_image(image)
    template = five_point_template((image.shape[1], image.shape[0]))
    if not happens(rng, p):
        return image
    return put_on(image, template, mask_for(key, seed=seed, kind=kind))


def _drawn(rng: np.random.Generator, things: tuple[Any, ...], shares: tuple[float, ...]) -> Any:
    """One of some things, by their shares; takes one number from `rng`."""
    edges = np.cumsum(shares)
    return things[min(int(np.searchsorted(edges, rng.random(), side="right")), len(things) - 1)]


def _any_color(rng: np.random.Generator) -> Color:
    """A color of any hue, dyed more or less."""
    strength, value = rng.uniform(0.1, 0.75), rng.uniform(0.25, 0.92)
    channels = rng.permutation([1.0, 1.0 - strength * rng.random(), 1.0 - strength])
    red, green, blue = np.rint(255 * value * channels).astype(int).tolist()
    return red, green, blue


def _laid(
    image: Pixels, landmarks: NDArray[np.floating[Any]], mask: Mask
) -> tuple[Worn, NDArray[np.float64]] | None:
    """Which pixels are covered, and their colors (M, 3), 0 to 255; None where none is."""
    on = worn(landmarks, mask.kind, lowered=mask.lowered, size=(image.shape[0], image.shape[1]))
    if on is None:
        return None
    around = _around(image, on)
    colors = albedo(mask.fabric, on.u, on.v, pixel=on.pixel)
    light = _light(around, image[on.rows, on.columns], on)
    colors = _with_colors_of(around, colors) * light[:, None]
    return on, 255 * colors.clip(0, 1)


def _put_on_large(image: Pixels, landmarks: NDArray[np.float64], mask: Mask) -> Pixels:
    """The same for a face so large that its mask is drawn smaller and enlarged."""
    span = float(np.ptp(landmarks, axis=0).max())
    center = landmarks.mean(axis=0).clip(-4 * span, np.array(image.shape[1::-1]) + 4 * span)
    left, top = (center - 4 * span).clip(0).astype(int).tolist()
    right, bottom = (center + 4 * span).clip(0).astype(int).tolist()
    near = image[top:bottom, left:right]
    width, height = near.shape[1], near.shape[0]
    ratio = _MOST_SPAN / span
    if ratio * min(width, height) < 1:  # the face is 350 times as large as what is seen of it
        return image
    wide, high = max(1, round(width * ratio)), max(1, round(height * ratio))
    scale = np.array([wide / width, high / height])
    small = resize(np.ascontiguousarray(near), width=wide, height=high, method="area")
    laid = _laid(small, (landmarks - [left, top] + 0.5) * scale - 0.5, mask)
    if laid is None:
        return image
    on, colors = laid
    paint = np.full(small.shape, colors.mean(axis=0).round(), np.uint8)
    paint[on.rows, on.columns] = np.rint(colors)
    cover = np.zeros(small.shape, np.uint8)
    cover[on.rows, on.columns] = np.rint(255 * on.opacity)
    opacity = resize(cover, width=width, height=height).astype(np.float32) / 255
    color = resize(paint, width=width, height=height)
    masked = image.copy()
    masked[top:bottom, left:right] = np.rint(near * (1 - opacity) + color * opacity)
    return masked


def _around(image: Pixels, on: Worn) -> Pixels:
    """Sparse pixels of the mask's surroundings: half as much again on every side."""
    top, left = int(on.rows.min()), int(on.columns.min())
    bottom, right = int(on.rows.max()) + 1, int(on.columns.max()) + 1
    down, across = (bottom - top) // 2, (right - left) // 2
    near = image[max(0, top - down) : bottom + down, max(0, left - across) : right + across]
    return near[:: 1 + near.shape[0] // 96, :: 1 + near.shape[1] // 96]


def _with_colors_of(around: Pixels, colors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The colors, or their greys as far as the photograph has none either."""
    spread = float(np.ptp(around, axis=2).mean()) / 255
    kept = min(1.0, spread / _COLORFUL)
    greys = (colors @ _GREY)[:, None]
    return np.asarray(greys + (colors - greys) * kept)


def _light(around: Pixels, under: Pixels, on: Worn) -> NDArray[np.float64]:
    """How much light falls on each covered pixel, (M,), 1 where white is white."""
    strength = float(np.percentile(around @ _GREY, 95)) / 255
    every = 1 + len(under) // 3000
    grey = under[::every] @ _GREY
    known = np.column_stack([np.ones(len(grey)), on.normals[::every, :2]])
    price = np.diag([0.0, 1.0, 1.0]) * 0.02 * len(grey)
    a, b, c = np.linalg.solve(known.T @ known + price, known.T @ grey)
    turned = a + b * on.normals[:, 0] + c * on.normals[:, 1]
    share = (turned / max(float(grey.mean()), 1.0)).clip(0.4, 1.3)
    facing = 0.82 - 0.18 * on.normals[:, 2]  # cloth is darker where it is seen edge on
    return np.asarray((0.12 + 0.98 * strength) * share * facing)
