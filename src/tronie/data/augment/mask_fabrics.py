"""Fabrics: the color of a mask at each point of its surface, made from a few numbers.

    surgical    three pleats, a wire over the nose, welded side seams
    folded      a seam down the middle, welds beside the edges
    cup         a clip over the nose, a pressed ring
    cloth       hems and one of the patterns: plain, stripes, checks, dots, waves
    scarf       ribs and folds, plain or striped

All of it is computed here; no photograph of a fabric is used. u and v are those of
`mask_shapes`. Colors are shares of the light that is thrown back, in [0, 1].

Letters: M points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Color = tuple[int, int, int]

PATTERNS: Mapping[str, tuple[str, ...]] = {
    "surgical": ("plain",),
    "folded": ("plain",),
    "cup": ("plain",),
    "cloth": ("plain", "stripes", "checks", "dots", "waves"),
    "scarf": ("plain", "stripes"),
}
"""The patterns that each kind of mask comes in."""


@dataclass(frozen=True, kw_only=True)
class Fabric:
    """What a mask is made of."""

    kind: str
    pattern: str
    color: Color
    """Red, green and blue in white light, 0 to 255."""
    second: Color
    """The other color of a pattern, and of straps."""
    count: int
    """Repeats of the pattern across."""
    phase: float
    """Where its creases lie, in [0, 1)."""


def albedo(fabric: Fabric, u: Doubles, v: Doubles, *, pixel: float) -> Doubles:
    """The color (M, 3), in [0, 1], at points u, v (M,); NaN is a strap.

    Args:
        fabric: What the mask is made of.
        u: Across, in [-1, 1].
        v: Down, in [0, 1].
        pixel: How long a pixel is, in steps of v: lines that are narrower are drawn wider and
            as much fainter, so that none breaks up into dots.
    """
    strap = np.isnan(u)
    u, v = np.where(strap, 0.0, u), np.where(strap, 0.5, v)
    mixed = _pattern(fabric, u, v)[:, None]
    first, second = np.array(fabric.color) / 255, np.array(fabric.second) / 255
    colors = first * (1 - mixed) + second * mixed
    relief = _RELIEF[fabric.kind](u, v, pixel) * _creases(u, v, fabric.phase)
    colors = colors * relief[:, None]
    colors[strap] = second
    return np.asarray(colors.clip(0, 1))


def _pattern(fabric: Fabric, u: Doubles, v: Doubles) -> Doubles:
    """How much of the second color is at each point, in [0, 1]."""
    a, b = fabric.count * u, fabric.count * 0.8 * v  # about as long across as down
    if fabric.pattern == "stripes":
        return _soft(np.cos(2 * np.pi * b))
    if fabric.pattern == "checks":
        return (_soft(np.cos(2 * np.pi * a)) + _soft(np.cos(2 * np.pi * b))) / 2
    if fabric.pattern == "dots":
        x, y = a - np.round(a), b - np.round(b)
        return _soft((0.3 - np.hypot(x, y)) * 8)
    if fabric.pattern == "waves":
        return _soft(np.cos(2 * np.pi * b + 1.5 * np.cos(2 * np.pi * a)))
    return np.zeros_like(u)


def _surgical(u: Doubles, v: Doubles, pixel: float) -> Doubles:
    relief = np.ones_like(u)
    inside = 1 / (1 + np.exp((np.abs(u) - 0.93) / 0.01))
    for pleat in (0.3, 0.5, 0.7):
        below = (v - pleat).clip(0)
        shadow = 0.28 * _line(v, pleat, 0.012, pixel)
        relief -= inside * (shadow + 0.1 * (below > 0) * np.exp(-below / 0.06))
    relief -= 0.12 * _line(v, 0.09, 0.008, pixel) + 0.1 * _line(v, 0.04, 0.006, pixel)
    return relief - 0.12 * _line(np.abs(u), 0.93, 0.008, pixel)


def _folded(u: Doubles, v: Doubles, pixel: float) -> Doubles:
    relief = 1 - 0.3 * _line(u, 0.0, 0.012, pixel) - 0.1 * _line(np.abs(u), 0.04, 0.008, pixel)
    relief -= 0.12 * (_line(v, 0.06, 0.008, pixel) + _line(v, 0.94, 0.008, pixel))
    edges = _line(np.abs(u), 0.92, 0.008, pixel) + _line(np.abs(u), 0.88, 0.008, pixel)
    return relief - 0.12 * edges


def _cup(u: Doubles, v: Doubles, pixel: float) -> Doubles:
    ring = np.hypot(0.9 * u, 2 * (v - 0.5))
    ends = 1 / (1 + np.exp((np.abs(u) - 0.45) / 0.02))
    return 1 - 0.16 * _line(ring, 0.86, 0.02, pixel) - 0.4 * ends * _line(v, 0.075, 0.03, pixel)


def _cloth(u: Doubles, v: Doubles, pixel: float) -> Doubles:
    hems = _line(v, 0.05, 0.008, pixel) + _line(v, 0.95, 0.008, pixel)
    hems = hems + _line(np.abs(u), 0.94, 0.008, pixel)
    return 1 - 0.15 * hems - 0.15 * _line(u, 0.0, 0.01, pixel)


def _scarf(u: Doubles, v: Doubles, pixel: float) -> Doubles:
    ribs = 0.03 * np.cos(2 * np.pi * 40 * u) * np.exp(-((100 * pixel) ** 2))
    folds = 0.14 * np.cos(2 * np.pi * (3.2 * v + 0.45 * u**2)) * np.clip(3 * v - 1, 0, 1)
    return np.asarray(1 + ribs + folds - 0.2 * _line(v, 0.03, 0.012, pixel))


_RELIEF = {
    "surgical": _surgical,
    "folded": _folded,
    "cup": _cup,
    "cloth": _cloth,
    "scarf": _scarf,
}


def _creases(u: Doubles, v: Doubles, phase: float) -> Doubles:
    """Slow ripples of a few hundredths, and darker edges where the mask meets the face."""
    turn = 2 * np.pi * phase
    ripples = 0.03 * np.cos(7 * u + 4 * v + turn) + 0.02 * np.cos(11 * v - 5 * u + 3 * turn)
    edge = np.minimum(np.minimum(v, 1 - v), 1 - np.abs(u)).clip(0)
    return np.asarray((1 + ripples) * (1 - 0.15 * np.exp(-edge / 0.02)))


def _line(x: Doubles, at: float, half_width: float, pixel: float) -> Doubles:
    """1 on a line, falling to 0 on both sides; seen through pixels, wider and fainter."""
    wide = float(np.hypot(half_width, 0.7 * pixel))
    return np.asarray(half_width / wide * np.exp(-(((x - at) / wide) ** 2)))


def _soft(x: Doubles) -> Doubles:
    """0 below 0, 1 above, with a narrow slope between."""
    return np.asarray((0.5 + 3 * x).clip(0, 1))
