r"""SCRFD with its decoding inside its convolutions: the same faces, in the form that runs fastest.

    head            three convolutions behind the tower: scores, distances, points
    joined          one, whose outputs lie anchor by anchor:  score, l t r b, x y x y ...
    distances       times -s, -s, s, s, and the level's learned number, in the weights
    points          times the stride s, in the weights
    what is left    one addition of the anchor's place, and one split

An engine pads the channels of a convolution to blocks of 8 or 16, so that 2 + 8 + 20 channels
apart cost as much as 48 or 64, and together as 32; and each map leaves the engine's own order
once, not three times. On a CPU the whole network takes a fifth less time than with the decoding
behind it (0.5g-kps on VGA, one thread of onnxruntime).

Of a network in evaluation, whose weights are copied where they change: not for training.

Letters: B pictures, A anchors, R rows and C columns of a level, K numbers of an anchor.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tronie.lab.nn.scrfd_head import Branch, ScrfdHead

_BOX = 4


class JoinedScrfd(nn.Module):
    """Pictures (B, 3, H, W) to boxes (B, A, 4), scores (B, A) and points (B, A, 10) or None.

    Args:
        backbone: Gives the maps of all strides; the first is not looked at.
        neck: Of the others.
        head: Whose ends are joined.
    """

    def __init__(self, backbone: nn.Module, neck: nn.Module, head: ScrfdHead) -> None:
        super().__init__()
        self.backbone, self.neck, self.strides = backbone, neck, head.strides
        scales = [1.0] * len(self.strides) if head.scales is None else head.scales.tolist()
        own = [branch for branch in head.branches if isinstance(branch, Branch)]
        branches = own if len(own) > 1 else own * len(self.strides)
        self.towers = nn.ModuleList(branch.tower for branch in branches)
        self.ends = nn.ModuleList(
            _joined(branch, stride, scale)
            for branch, stride, scale in zip(branches, self.strides, scales, strict=True)
        )
        first = branches[0]
        self.per_cell = first.scores.out_channels
        self.length = (
            1
            + _BOX
            + (
                0
                if first.points is None
                else first.points.out_channels // first.scores.out_channels
            )
        )
        """K"""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """See the class."""
        maps = self.neck(self.backbone(images)[1:])
        levels = []
        for stride, tower, end, map_ in zip(
            self.strides, self.towers, self.ends, maps, strict=True
        ):
            numbers = end(tower(map_)).permute(0, 2, 3, 1)
            rows = numbers.reshape(images.shape[0], -1, self.length)
            levels.append(rows + self._places(map_, stride))
        parts = [1, _BOX] if self.length == 1 + _BOX else [1, _BOX, self.length - 1 - _BOX]
        scores, boxes, *points = torch.cat(levels, dim=1).split(parts, dim=-1)
        return boxes, scores.flatten(1).sigmoid(), points[0] if points else None

    def _places(self, map_: Tensor, stride: int) -> Tensor:
        """(A of the level, K): what is added to each number; x, y, or nothing to a score."""
        pairs = (self.length - 1) // 2
        across = map_.new_tensor(([0.0] + [stride, 0.0] * pairs) * self.per_cell)
        down = map_.new_tensor(([0.0] + [0.0, stride] * pairs) * self.per_cell)
        columns = torch.arange(map_.shape[3], device=map_.device, dtype=map_.dtype)
        lines = torch.arange(map_.shape[2], device=map_.device, dtype=map_.dtype)
        row = (columns[:, None] * across).reshape(1, -1)  # (1, C * per_cell * K)
        column = (lines[:, None] * down).repeat(1, map_.shape[3])
        return (row + column).reshape(-1, self.length)


def _joined(branch: Branch, stride: int, scale: float) -> nn.Conv2d:
    """The three ends of a branch as one convolution, in pixels from the anchor."""
    cells = branch.scores.out_channels
    sides = branch.scores.weight.new_tensor([-1.0, -1.0, 1.0, 1.0]) * stride * scale
    weights = [_by_anchor(branch.scores.weight, cells)]
    biases = [_by_anchor(branch.scores.bias, cells)]
    weights.append(_by_anchor(branch.distances.weight, cells) * sides[:, None, None, None])
    biases.append(_by_anchor(branch.distances.bias, cells) * sides)
    if branch.points is not None:
        weights.append(_by_anchor(branch.points.weight, cells) * stride)
        biases.append(_by_anchor(branch.points.bias, cells) * stride)
    weight, bias = torch.cat(weights, dim=1).flatten(0, 1), torch.cat(biases, dim=1).flatten()
    kernel, padding = branch.scores.kernel_size, branch.scores.padding
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], kernel, padding=padding)  # type: ignore[arg-type]
    conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(bias)
    return conv


def _by_anchor(numbers: Tensor | None, cells: int) -> Tensor:
    """(cells * k, ...) to (cells, k, ...)."""
    assert numbers is not None
    return numbers.detach().reshape(cells, -1, *numbers.shape[1:])
