"""Chance: whether an augmentation happens to an image, from one number of its generator.

The number is drawn whatever the probability is, so that changing one probability does not
change what happens to the same image afterwards. A generator is made for each image from
(seed, epoch, index): then nothing depends on the order in which images are read.
"""

from __future__ import annotations

import numpy as np

from tronie.errors import BadInput


def happens(rng: np.random.Generator, p: float) -> bool:
    """True with probability `p`; takes exactly one number from `rng`.

    Raises:
        BadInput: `p` is not in [0, 1].
    """
    if not 0 <= p <= 1:
        raise BadInput(f"a probability must be in [0, 1]; got {p}")
    return bool(rng.random() < p)


def between(rng: np.random.Generator, low_high: tuple[float, float], what: str) -> float:
    """A number evenly from low to high; takes exactly one number from `rng`.

    Raises:
        BadInput: low is above high, or one is not finite; `what` is what the message calls it.
    """
    low, high = low_high
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise BadInput(f"{what} must be two numbers, the lower first; got {low} and {high}")
    return float(low + (high - low) * rng.random())
