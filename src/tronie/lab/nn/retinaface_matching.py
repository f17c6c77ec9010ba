"""Which anchor answers for which face, by overlap: RetinaFace's rule.

    positive    IoU with a face of `positive` or more; it answers for the face it shares most with
    best        where asked for, each face gets its best anchor too, if their IoU is `least` or more
    negative    IoU with every face below `negative`: background
    unused      all others; and what would not be background for an ignored box, or lies by half of
                its square or more inside one

An anchor that is the best of two faces goes to the one with the larger IoU. Ties go to the first
face, and to the first anchor. Faces are taken some at a time, so that 2,000 in one picture need no
more memory than a few.

Source: Deng et al., RetinaFace, CVPR 2020, arXiv:1905.00641, section 3.3, for positive 0.5 and
negative 0.3; its widely used PyTorch form for 0.35 and the best anchors, least 0.2.
Differs from that form: there the last face wins an anchor that is the best of two, and a face
below `least` still takes over the anchor of another.

Letters: B pictures, F faces of the fullest, A anchors, n faces of one picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tronie.lab.nn.anchor_grid import AnchorGrid
from tronie.lab.nn.assign import NONE, half_inside, has_area, strongest
from tronie.lab.nn.losses.box_overlap import iou

_FACES_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class Overlaps:
    """The numbers of the rule, IoUs in [0, 1]."""

    positive: float
    negative: float
    least: float | None
    """Of a best anchor; None: faces get none for being the best."""


@torch.no_grad()
def match(
    grid: AnchorGrid, boxes: Tensor, valid: Tensor, ignore: Tensor, *, overlaps: Overlaps
) -> tuple[Tensor, Tensor]:
    """The face of each anchor (B, A) int64, or NONE; and which of the others are unused, bool.

    Args:
        grid: The anchors.
        boxes: (B, F, 4) pixels. Boxes without area count for nothing.
        valid: (B, F) bool: the row holds a box.
        ignore: (B, F) bool: of those, the ones that are neither face nor background.
    """
    squares = grid.boxes()
    shape = (len(boxes), len(squares))
    faces = torch.full(shape, NONE, dtype=torch.int64, device=squares.device)
    unused = torch.zeros(shape, dtype=torch.bool, device=squares.device)
    good = valid & has_area(boxes)
    for b in good.any(dim=1).nonzero()[:, 0].tolist():
        rows = (good[b] & ~ignore[b]).nonzero()[:, 0]
        share, nearest, forced = _shares(squares, boxes[b][rows].float(), least=overlaps.least)
        taken = torch.where(forced != NONE, forced, nearest)
        chosen = (share >= overlaps.positive) | (forced != NONE)
        if len(rows):
            faces[b] = torch.where(chosen, rows[taken], NONE)
        rest = boxes[b][good[b] & ignore[b]].float()
        other, _, _ = _shares(squares, rest, least=None)
        unclear = torch.maximum(share, other) >= overlaps.negative
        unused[b] = (unclear | half_inside(grid, rest)) & ~chosen
    return faces, unused


def _shares(
    squares: Tensor, boxes: Tensor, *, least: float | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Of each square the largest IoU (A,) with boxes (n, 4), that box, and the one it is best of.

    Boxes are rows of `boxes`; the last is NONE where no box has the square for its best.
    """
    count = len(squares)
    share = squares.new_zeros(count)
    nearest = torch.zeros(count, dtype=torch.int64, device=squares.device)
    best, place = [squares.new_zeros(0)], [nearest[:0]]
    for first in range(0, len(boxes), _FACES_AT_ONCE):
        overlap = iou(squares[:, None], boxes[first : first + _FACES_AT_ONCE])
        value, index = overlap.max(dim=1)
        nearest = torch.where(value > share, index + first, nearest)
        share = torch.maximum(value, share)
        value, index = overlap.max(dim=0)
        best.append(value)
        place.append(index)
    if least is None:
        return share, nearest, torch.full_like(nearest, NONE)
    value, index = torch.cat(best), torch.cat(place)
    kept = (value >= least).nonzero()[:, 0]
    return share, nearest, strongest(index[kept], value[kept], kept, count)
