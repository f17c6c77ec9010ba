"""RetinaFace's pyramid: maps of a backbone to one width, each mixed with the coarser one.

    lateral    1x1 on each map
    merge      from coarse to fine: the coarser answer, doubled by repeating, is added; 3x3. The
               coarsest map has no 3x3
    further    where asked for, one more level: 3x3 with stride 2 on the backbone's coarsest map

Each convolution is followed by batch norm and an activation.

Source: Lin et al., FPN, CVPR 2017, arXiv:1612.03144, as RetinaFace (Deng et al., CVPR 2020,
arXiv:1905.00641) and its releases have it.
Differs from FPN: norms and activations, and that a map is filtered before it is passed on.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import interpolate

from tronie.lab.nn.layers.context import Convolution
from tronie.lab.nn.layers.conv import Activation, conv_norm


class MergedPyramid(nn.Module):
    """Maps (N, C_n, H_n, W_n), the finest first, to maps (N, outer, H_n, W_n), one more if asked.

    Args:
        convolution: Makes the 3x3 of `merge`.
    """

    def __init__(
        self,
        inner: Sequence[int],
        outer: int,
        *,
        activation: Activation,
        convolution: Convolution,
        further: bool,
    ) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(
            conv_norm(width, outer, activation=activation) for width in inner
        )
        self.merge = nn.ModuleList(
            convolution(outer, outer, kernel=3, activation=activation) for _ in inner[1:]
        )
        self.further = (
            conv_norm(inner[-1], outer, kernel=3, stride=2, activation=activation)
            if further
            else None
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The mixed maps, the finest first."""
        mixed = [lateral(map_) for lateral, map_ in zip(self.lateral, maps, strict=True)]
        for n in range(len(mixed) - 2, -1, -1):
            coarse = interpolate(mixed[n + 1], size=mixed[n].shape[2:], mode="nearest")
            mixed[n] = self.merge[n](mixed[n] + coarse)
        return mixed if self.further is None else [*mixed, self.further(maps[-1])]
