"""A context module: what lies 3, 5 and 7 pixels around each place of a map, side by side.

    wide      3x3 to half of the channels
    wider     3x3 to a quarter, activation; 3x3
    widest    from the middle of `wider` on: 3x3, activation; 3x3
    answer    the three side by side, ReLU

Each convolution is followed by its norm. Two and three filters of 3x3, one behind the other, see
as far as one of 5x5 or 7x7.

Source: Najibi et al., "SSH", ICCV 2017, arXiv:1708.03979, figure 4; in the form that RetinaFace
has (Deng et al., CVPR 2020, arXiv:1905.00641).
Differs from SSH: half, a quarter and a quarter of the channels, so that the widths stay.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from tronie.lab.nn.layers.conv import Activation


class Convolution(Protocol):
    """Makes a convolution with its norm, as `conv_norm` and `deformable_norm` do."""

    def __call__(
        self, inner: int, outer: int, *, kernel: int, activation: Activation | None
    ) -> nn.Module:
        """(N, inner, H, W) to (N, outer, H, W)."""


class ContextModule(nn.Module):
    """(N, width, H, W) to the same; `width` is a multiple of 4."""

    def __init__(self, width: int, *, activation: Activation, convolution: Convolution) -> None:
        super().__init__()
        part = width // 4
        self.wide = convolution(width, 2 * part, kernel=3, activation=None)
        self.middle = convolution(width, part, kernel=3, activation=activation)
        self.wider = convolution(part, part, kernel=3, activation=None)
        self.further = convolution(part, part, kernel=3, activation=activation)
        self.widest = convolution(part, part, kernel=3, activation=None)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        """The module's answer."""
        middle = self.middle(maps)
        seen = [self.wide(maps), self.wider(middle), self.widest(self.further(middle))]
        answer: Tensor = self.activation(torch.cat(seen, dim=1))
        return answer
