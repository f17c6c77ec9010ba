"""Crops to try a model with where no photographs are at hand: drawn, seeded, and nobody's face.

An ellipse with two eyes, a mouth and hair, lit from one side, with noise. What the probes need of
them is that they differ from each other and from their mirror images as photographs do; a real
network tells them apart, but no accuracy can be read from them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIDE = 112
SEED = 1664


def drawn_crops(count: int, *, seed: int = SEED) -> NDArray[np.uint8]:
    """Crops (count, 112, 112, 3) uint8 RGB, the same for the same seed."""
    random = np.random.default_rng(seed)
    return np.stack([_crop(random) for _ in range(count)])


def _crop(random: np.random.Generator) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
    skin, hair, back, lips = random.uniform(20, 235, (4, 3))
    wide, high = random.uniform(34, 46), random.uniform(46, 58)
    turn = random.uniform(-8, 8)
    picture = np.broadcast_to(back, (SIDE, SIDE, 3)).copy()
    head = _ellipse(x, y, 56 + turn / 2, 60, wide, high)
    picture[head] = skin
    fringe = 24 + random.uniform(-6, 8) + (x - 56) * random.uniform(-0.25, 0.25)
    picture[head & (y < fringe)] = hair
    for side in (-1, 1):
        open_ = random.uniform(2, 5)
        across = 56 + turn + side * random.uniform(16, 20)
        picture[_ellipse(x, y, across, 51.5, random.uniform(5, 8), open_)] = 245
        picture[_ellipse(x, y, across + random.uniform(-2, 2), 51.5, 2.5, 2.5)] = hair / 3
    mouth = 92 + (x - 56) * random.uniform(-0.1, 0.1)
    picture[(abs(y - mouth) < random.uniform(1.5, 4)) & (abs(x - 56 - turn) < 18)] = lips
    light = 1 + random.uniform(-0.35, 0.35) * (x - 56) / 56 + random.uniform(-0.2, 0.2)
    noisy = picture * light[..., None] + random.normal(0, 4, picture.shape)
    crop: NDArray[np.uint8] = np.clip(noisy, 0, 255).astype(np.uint8)
    return crop


def _ellipse(
    x: NDArray[np.float64], y: NDArray[np.float64], cx: float, cy: float, rx: float, ry: float
) -> NDArray[np.bool_]:
    return np.asarray(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1)
