"""Pictures of bytes to the tensor a network takes.

    (N, H, W, 3) uint8 RGB  ->  (N, 3, H, W) float32,  (pixel - mean) / std

A division, not a multiplication by the reciprocal: the value is then the nearest float32
to the formula, the same on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tronie.runtime.contract import Contract


def network_input(images: NDArray[np.uint8], contract: Contract) -> NDArray[np.float32]:
    """`images` (N, H, W, 3) uint8 RGB as the contract's model takes them, contiguous."""
    n, height, width, _ = images.shape
    result = np.empty((n, 3, height, width), np.float32)
    step = -1 if contract.color == "bgr" else 1
    result[...] = images[..., ::step].transpose(0, 3, 1, 2)
    if any(contract.mean):
        result -= np.asarray(contract.mean, np.float32).reshape(3, 1, 1)
    if any(s != 1.0 for s in contract.std):
        result /= np.asarray(contract.std, np.float32).reshape(3, 1, 1)
    return result
