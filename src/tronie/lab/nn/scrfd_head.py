"""SCRFD's head: the same few convolutions on each map, then scores, distances and points.

    tower     3x3, norm, ReLU, several times; or 3x3 on each channel alone, norm, ReLU, 1x1, norm,
              ReLU, several times. Scores and boxes share it
    scores    3x3 to one logit an anchor        bias -4.595, so that a fresh network says 0.01
    boxes     3x3 to four distances an anchor, times a number that is learned for each level
    points    3x3 to ten offsets an anchor, where points are asked for

With group norm the tower and what follows are shared by all levels; with batch norm, whose
statistics differ from level to level, each level has its own.

Source: Guo et al., SCRFD, ICLR 2022, arXiv:2105.04714, and its released configurations.

Letters: B pictures, A anchors of one picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tronie.lab.nn.anchor_rows import POINTS, LevelMaps, outputs_of
from tronie.lab.nn.detector import Outputs

SCORE_BIAS = -4.595
"""The logit of 0.01."""
SPREAD = 0.01


class MapNorm(nn.GroupNorm):
    """Group norm that takes a map of one place too, and gives its bias for it."""

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        return torch.group_norm(maps, self.num_groups, self.weight, self.bias, self.eps)


class Branch(nn.Module):
    """The tower and its three ends; (B, inner, H, W) to maps of scores, distances and points."""

    def __init__(
        self,
        inner: int,
        width: int,
        *,
        depth: int,
        groups: int | None,
        depthwise: bool,
        per_cell: int,
        points: bool,
    ) -> None:
        super().__init__()
        self.tower = nn.Sequential()
        for n in range(depth):
            before = inner if n == 0 else width
            if depthwise:
                self.tower.extend(_layer(before, before, kernel=3, each=True, groups=groups))
                self.tower.extend(_layer(before, width, kernel=1, each=False, groups=groups))
            else:
                self.tower.extend(_layer(before, width, kernel=3, each=False, groups=groups))
        self.scores = nn.Conv2d(width, per_cell, 3, padding=1)
        self.distances = nn.Conv2d(width, 4 * per_cell, 3, padding=1)
        self.points = nn.Conv2d(width, 2 * POINTS * per_cell, 3, padding=1) if points else None
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.normal_(part.weight, std=SPREAD)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)
        nn.init.constant_(self.scores.bias, SCORE_BIAS)  # type: ignore[arg-type]

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Maps of (B, per_cell, H, W), 4 and 10 times as many channels."""
        maps = self.tower(maps)
        points = None if self.points is None else self.points(maps)
        return self.scores(maps), self.distances(maps), points


class ScrfdHead(nn.Module):
    """Maps (B, inner, H_n, W_n), one a stride, to Outputs."""

    def __init__(
        self,
        inner: int,
        width: int,
        *,
        strides: Sequence[int],
        depth: int,
        groups: int | None,
        depthwise: bool,
        per_cell: int,
        points: bool,
        scaled: bool,
    ) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.branches = nn.ModuleList(
            Branch(
                inner,
                width,
                depth=depth,
                groups=groups,
                depthwise=depthwise,
                per_cell=per_cell,
                points=points,
            )
            for _ in (self.strides if groups is None else self.strides[:1])
        )
        self.scales = nn.Parameter(torch.ones(len(self.strides))) if scaled else None

    def forward(self, maps: Sequence[Tensor]) -> Outputs:
        """Scores (B, A), distances (B, A, 4) and points (B, A, 10) or None, in strides."""
        answers = []
        for n, (stride, map_) in enumerate(zip(self.strides, maps, strict=True)):
            branch = self.branches[n if len(self.branches) > 1 else 0]
            score, distance, point = branch(map_)
            if self.scales is not None:
                distance = distance * self.scales[n]
            answers.append(LevelMaps(stride, score, distance, point))
        return outputs_of(answers)


def _layer(
    inner: int, outer: int, *, kernel: int, each: bool, groups: int | None
) -> list[nn.Module]:
    """A convolution without bias, its norm and ReLU."""
    norm = nn.BatchNorm2d(outer) if groups is None else MapNorm(groups, outer)
    conv = nn.Conv2d(
        inner, outer, kernel, padding=kernel // 2, groups=inner if each else 1, bias=False
    )
    return [conv, norm, nn.ReLU(inplace=True)]
