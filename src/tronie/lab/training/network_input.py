"""Pixels as a network takes them: (b, H, W, 3) uint8 to (b, 3, H, W) float32 around 0.

    (pixel - 127.5) / scale

The channels of a pixel go on lying side by side, which is twice as fast on a CPU.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MIDDLE = 127.5


def to_input(images: NDArray[np.uint8], device: torch.device, *, scale: float = MIDDLE) -> Tensor:
    """Pictures (b, H, W, 3) uint8 RGB on a device, (b, 3, H, W) float32."""
    pixels = torch.from_numpy(images).to(device, non_blocking=True)
    return pixels.permute(0, 3, 1, 2).float().sub_(MIDDLE).div_(scale)
