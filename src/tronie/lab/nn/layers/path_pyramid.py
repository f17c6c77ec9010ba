"""PAFPN: maps of a backbone to one width, mixed from coarse to fine and back again.

    lateral    1x1 on each map
    down       each map gets the coarser one, doubled by repeating; 3x3 on each
    up         each map gets the finer one through 3x3 with stride 2; 3x3 on all but the finest

Convolutions have a bias, and neither norm nor activation.

Source: Liu et al., "Path Aggregation Network", CVPR 2018, arXiv:1803.01534, in the form that
SCRFD's released configurations use.
Differs from the paper: no norm, no activation.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import interpolate


class PathPyramid(nn.Module):
    """Maps (N, C_n, H_n, W_n), the finest first, to as many maps (N, outer, H_n, W_n)."""

    def __init__(self, inner: Sequence[int], outer: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(width, outer, 1) for width in inner)
        self.down = nn.ModuleList(nn.Conv2d(outer, outer, 3, padding=1) for _ in inner)
        self.shrink = nn.ModuleList(nn.Conv2d(outer, outer, 3, 2, 1) for _ in inner[1:])
        self.up = nn.ModuleList(nn.Conv2d(outer, outer, 3, padding=1) for _ in inner[1:])
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.xavier_uniform_(part.weight)
                nn.init.zeros_(part.bias)  # type: ignore[arg-type]

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The mixed maps, the finest first."""
        mixed = [lateral(map_) for lateral, map_ in zip(self.lateral, maps, strict=True)]
        for n in range(len(mixed) - 1, 0, -1):
            finer = mixed[n - 1]
            mixed[n - 1] = finer + interpolate(mixed[n], size=finer.shape[2:], mode="nearest")
        mixed = [down(map_) for down, map_ in zip(self.down, mixed, strict=True)]
        for n, shrink in enumerate(self.shrink):
            mixed[n + 1] = mixed[n + 1] + shrink(mixed[n])
        return [mixed[0], *(up(map_) for up, map_ in zip(self.up, mixed[1:], strict=True))]
