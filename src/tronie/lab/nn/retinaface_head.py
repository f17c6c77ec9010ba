"""RetinaFace's head: 1x1 on each map to two logits, four box numbers and ten of the points.

The logits are of background and face. What comes out as the score is face minus background, whose
sigmoid is the softmax of the two; so nothing is lost.

Shared, one head answers for all levels; otherwise each level has its own.

Source: Deng et al., RetinaFace, CVPR 2020, arXiv:1905.00641 (shared), and its widely used PyTorch
form (a head for each level).

Letters: B pictures, n anchors at a place.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from tronie.lab.nn.anchor_rows import POINTS, LevelMaps, outputs_of
from tronie.lab.nn.detector import Outputs

SPREAD = 0.01


class Ends(nn.Module):
    """(B, inner, H, W) to maps of scores (B, n, H, W), boxes and points."""

    def __init__(self, inner: int, *, per_cell: int) -> None:
        super().__init__()
        self.classes = nn.Conv2d(inner, 2 * per_cell, 1)
        self.boxes = nn.Conv2d(inner, 4 * per_cell, 1)
        self.points = nn.Conv2d(inner, 2 * POINTS * per_cell, 1)
        for part in (self.classes, self.boxes, self.points):
            nn.init.normal_(part.weight, std=SPREAD)
            nn.init.zeros_(part.bias)  # type: ignore[arg-type]

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The three."""
        logits = self.classes(maps)
        return logits[:, 1::2] - logits[:, ::2], self.boxes(maps), self.points(maps)


class RetinaFaceHead(nn.Module):
    """Maps (B, inner, H_n, W_n), one a stride, to Outputs."""

    def __init__(self, inner: int, *, strides: Sequence[int], per_cell: int, shared: bool) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.ends = nn.ModuleList(
            Ends(inner, per_cell=per_cell) for _ in self.strides[: 1 if shared else None]
        )

    def forward(self, maps: Sequence[Tensor]) -> Outputs:
        """Scores (B, A), boxes (B, A, 4) and points (B, A, 10), as the network learns them."""
        return outputs_of(
            [
                LevelMaps(stride, *self.ends[n if len(self.ends) > 1 else 0](map_))
                for n, (stride, map_) in enumerate(zip(self.strides, maps, strict=True))
            ]
        )
