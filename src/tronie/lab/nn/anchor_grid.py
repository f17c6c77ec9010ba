"""Anchors in torch: the grid a detector answers on, and distances from its points to faces.

    centre      (column * stride, row * stride)         no half-pixel offset
    grid        ceil(height / stride) rows, ceil(width / stride) columns
    box         x - l s, y - t s, x + r s, y + b s      distances l t r b in units of the stride s
    point       x + dx s, y + dy s

It is the grid of `tronie.geometry.anchors`, which decodes published files in numpy; here
gradients flow, and a grid can be traced into an exported graph, for which sizes stay free.

Letters: A anchors, K points a face. Leading axes are allowed and kept.
Source: SCRFD, arXiv:2105.04714, and its published configurations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Levels = tuple[tuple[int, int, int], ...]
"""Stride, rows and columns of each level, the finest first."""


@dataclass(frozen=True, eq=False)
class AnchorGrid:
    """All anchors of one picture: level by level, row by row, from left to right."""

    centers: Tensor
    """(A, 2) x y in pixels."""
    strides: Tensor
    """(A,) pixels between neighbors of the anchor's level."""
    sides: Tensor
    """(A,) side of the square that the anchor stands for, in pixels."""

    def boxes(self) -> Tensor:
        """(A, 4) the squares, x1 y1 x2 y2."""
        half = self.sides[:, None] / 2
        return torch.cat([self.centers - half, self.centers + half], dim=1)


def anchor_grid(
    levels: Levels, sides: Sequence[Sequence[float]], *, device: torch.device | str = "cpu"
) -> AnchorGrid:
    """The anchors of `levels`; at each place of level n one for each number of `sides[n]`."""
    centers, strides, lengths = [], [], []
    for (stride, rows, columns), squares in zip(levels, sides, strict=True):
        x = torch.arange(columns, device=device, dtype=torch.float32) * stride
        y = torch.arange(rows, device=device, dtype=torch.float32) * stride
        down, across = torch.meshgrid(y, x, indexing="ij")
        place = torch.stack([across, down], dim=-1).reshape(-1, 1, 2)
        centers.append(place.expand(-1, len(squares), 2).reshape(-1, 2))
        each = [torch.full_like(place[:, 0, 0], side) for side in squares]
        lengths.append(torch.stack(each, dim=1).reshape(-1))
        strides.append(torch.full_like(lengths[-1], float(stride)))
    return AnchorGrid(torch.cat(centers), torch.cat(strides), torch.cat(lengths))


def level_sizes(height: int, width: int, strides: Sequence[int]) -> Levels:
    """The levels of a picture of `height` x `width` pixels."""
    return tuple((s, -(-height // s), -(-width // s)) for s in strides)


def boxes_at(centers: Tensor, strides: Tensor, distances: Tensor) -> Tensor:
    """Boxes (..., A, 4) in pixels from distances (..., A, 4) l t r b in units of the stride."""
    reach = distances * strides[..., None]
    return torch.cat([centers - reach[..., :2], centers + reach[..., 2:]], dim=-1)


def distances_at(centers: Tensor, strides: Tensor, boxes: Tensor) -> Tensor:
    """The distances (..., A, 4) from which `boxes_at` makes `boxes` (..., A, 4)."""
    reach = torch.cat([centers - boxes[..., :2], boxes[..., 2:] - centers], dim=-1)
    return reach / strides[..., None]


def points_at(centers: Tensor, strides: Tensor, offsets: Tensor) -> Tensor:
    """Points (..., A, K, 2) in pixels from offsets (..., A, 2K) as x y x y ... in strides."""
    pairs = offsets.reshape(*offsets.shape[:-1], -1, 2)
    return centers[..., None, :] + pairs * strides[..., None, None]


def offsets_at(centers: Tensor, strides: Tensor, points: Tensor) -> Tensor:
    """The offsets (..., A, 2K) from which `points_at` makes `points` (..., A, K, 2)."""
    return ((points - centers[..., None, :]) / strides[..., None, None]).flatten(-2)
