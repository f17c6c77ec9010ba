"""From the maps of a detector's head to one row for each anchor.

A map of level n holds, at each place, the numbers of the first anchor there, then those of the
second, and so on. Rows lie level by level, row by row, left to right, as `Outputs` has them.

Letters: B pictures, n anchors at a place, A anchors of one picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tronie.lab.nn.detector import Outputs

POINTS = 5


class LevelMaps(NamedTuple):
    """What a head says of one level."""

    stride: int
    scores: Tensor
    """(B, n, H, W) logits."""
    distances: Tensor
    """(B, 4 n, H, W)"""
    points: Tensor | None
    """(B, 10 n, H, W)"""


def outputs_of(answers: Sequence[LevelMaps]) -> Outputs:
    """Scores (B, A), distances (B, A, 4) and points (B, A, 10) or None of all levels."""
    points = [rows_of(level.points, 2 * POINTS) for level in answers if level.points is not None]
    return Outputs(
        scores=torch.cat([rows_of(level.scores, 1)[..., 0] for level in answers], dim=1),
        distances=torch.cat([rows_of(level.distances, 4) for level in answers], dim=1),
        points=torch.cat(points, dim=1) if points else None,
        levels=tuple((level.stride, *level.scores.shape[2:]) for level in answers),
    )


def rows_of(maps: Tensor, numbers: int) -> Tensor:
    """(B, n * numbers, H, W) to (B, H * W * n, numbers)."""
    return maps.permute(0, 2, 3, 1).reshape(maps.shape[0], -1, numbers)
