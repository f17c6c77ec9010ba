"""A detector of torch that needs no training: what is bright is a face.

`Bright(cell=32)` answers for every square of `cell` pixels; the box is the square, the score how
bright it is, from 0 for black to 1 for white.
"""

from __future__ import annotations

from typing import Any

import torch

from tronie.lab.nn.anchor_grid import anchor_grid, boxes_at
from tronie.lab.nn.detector import Detector, Outputs


class Bright(Detector):
    """See above; scores are multiplied with `gain`, and in training they are noise."""

    def __init__(self, gain: float = 1.0, *, cell: int = 32) -> None:
        super().__init__()
        self.cell = cell
        self.gain = torch.nn.Parameter(torch.tensor(gain))
        self.register_buffer("reach", torch.tensor([0.0, 0.0, 1.0, 1.0]))
        self.noise = torch.nn.Dropout(0.5)

    def forward(self, images: Any) -> Outputs:
        gray = self.noise(images).mean(1, keepdim=True)
        seen = torch.nn.functional.avg_pool2d(gray, self.cell)
        scores = ((seen * 128 + 127.5) / 255 * self.gain).flatten(1)
        return Outputs(
            scores=scores,
            distances=torch.zeros_like(scores)[..., None] + self.reach,
            points=None,
            levels=((self.cell, seen.shape[2], seen.shape[3]),),
        )

    def loss(self, outputs: Outputs, targets: Any) -> tuple[Any, dict[str, Any]]:
        return outputs.scores.sum(), {}

    def decode(self, outputs: Outputs) -> tuple[Any, Any, None]:
        sides = ((float(self.cell),),)
        grid = anchor_grid(outputs.levels, sides, device=outputs.scores.device)
        return boxes_at(grid.centers, grid.strides, outputs.distances), outputs.scores, None
