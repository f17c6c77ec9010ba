r"""ATSS: which anchors answer for which face, by statistics of the face's own neighborhood.

    candidates   on each level the 9 anchors whose centres are nearest to the centre of the face
    threshold    mean + standard deviation (unbiased) of their IoU with the face
    positive     a candidate with IoU >= threshold whose centre lies in the face, by more than
                 0.001 of the square root of its area
    conflict     an anchor that two faces want goes to the one with the larger IoU

Ties are decided, the same on every device: candidates of one distance by their index, so that of
two anchors at one place the first comes first; faces of one IoU by their index.

`left_out` tells the anchors of which nothing is to be learned: those that an ignored box would win
by the same rule, and those with half of their square or more inside an ignored box.

The nearest anchors of a face lie in a small window around its centre, so that the cost grows with
the number of faces and not with faces times anchors; 2,000 faces in one picture are nothing.

Source: Zhang et al., "Bridging the Gap Between Anchor-based and Anchor-free Detection via
Adaptive Training Sample Selection", CVPR 2020, arXiv:1912.02424, algorithm 1.
Differs from the paper: 0.001, and 9 anchors where two share each place, as SCRFD is released;
ignored boxes, which its release switches off.

Letters: B pictures, F faces of the fullest, N faces of the batch, A anchors, C candidates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tronie.lab.nn.anchor_grid import AnchorGrid, Levels
from tronie.lab.nn.losses.box_overlap import iou

CANDIDATES = 9
INSIDE = 0.001
HALF = 0.5
NONE = -1
"""In an assignment: the anchor answers for no face."""
_BOXES_AT_ONCE = 128
_FAR = 2.0**20
"""Pixels beyond which a centre is taken to be there; squares of distances stay numbers."""


@torch.no_grad()
def atss(
    grid: AnchorGrid,
    levels: Levels,
    boxes: Tensor,
    valid: Tensor,
    *,
    per_cell: int,
    candidates: int = CANDIDATES,
) -> Tensor:
    """(B, A) int64: the face of each anchor as a row of `boxes[b]`, or NONE.

    Args:
        grid: The anchors.
        levels: Of the same grid.
        boxes: (B, F, 4) pixels. Boxes without area get no anchor.
        valid: (B, F) bool: the row holds a face.
        per_cell: Anchors at each place.
        candidates: Of each level.
    """
    count, anchors = len(boxes), len(grid.centers)
    picture, face = (valid & has_area(boxes)).nonzero(as_tuple=True)
    wanted = boxes[picture, face].float()
    found = [
        _nearest(wanted, level, per_cell=per_cell, candidates=candidates, first=first)
        for level, first in zip(levels, _firsts(levels, per_cell), strict=True)
    ]
    index = torch.cat(found, dim=1)
    overlap = iou(grid.boxes()[index], wanted[:, None])
    mean = overlap.mean(dim=1, keepdim=True)
    spread = (overlap - mean).square().sum(dim=1, keepdim=True) / max(1, index.shape[1] - 1)
    positive = (overlap >= mean + spread.sqrt()) & _inside(grid.centers[index], wanted[:, None])
    n, c = positive.nonzero(as_tuple=True)
    place = picture[n] * anchors + index[n, c]
    return strongest(place, overlap[n, c], face[n], count * anchors).reshape(count, anchors)


@torch.no_grad()
def left_out(
    grid: AnchorGrid, levels: Levels, boxes: Tensor, ignore: Tensor, *, per_cell: int
) -> Tensor:
    """(B, A) bool: anchors of which nothing is to be learned, unless they answer for a face.

    Args:
        grid: The anchors.
        levels: Of the same grid.
        boxes: (B, F, 4) pixels.
        ignore: (B, F) bool: the row is a box to be ignored.
    """
    result = atss(grid, levels, boxes, ignore, per_cell=per_cell) != NONE
    for b in ignore.any(dim=1).nonzero()[:, 0].tolist():
        result[b] |= half_inside(grid, boxes[b][ignore[b]])
    return result


@torch.no_grad()
def half_inside(grid: AnchorGrid, boxes: Tensor) -> Tensor:
    """(A,) bool: anchors with half of their square or more inside one of `boxes` (N, 4)."""
    squares = grid.boxes()
    result = torch.zeros(len(squares), dtype=torch.bool, device=squares.device)
    for part in torch.split(boxes.float(), _BOXES_AT_ONCE):
        upper = torch.maximum(squares[:, :2], part[:, None, :2])
        lower = torch.minimum(squares[:, 2:], part[:, None, 2:])
        sides = (lower - upper).clamp_min(0)
        shared = sides[..., 0] * sides[..., 1]
        result |= (shared >= HALF * grid.sides.square()).any(dim=0)
    return result


def _nearest(
    boxes: Tensor, level: tuple[int, int, int], *, per_cell: int, candidates: int, first: int
) -> Tensor:
    """(N, C) anchors of one level nearest to the centre of each box, nearest first.

    Between the place nearest to a centre and any other lie places at least as near, one a step.
    Hence a place among the nearest n is fewer than n steps away, along each axis.
    """
    stride, rows, columns = level
    center = ((boxes[:, :2] + boxes[:, 2:]) / 2).clamp(-_FAR, _FAR)
    reach = math.ceil(candidates / per_cell)
    steps = torch.arange(-reach, reach + 1, device=boxes.device)
    nearest = torch.round(center / stride)
    column = nearest[:, :1].clamp(0, columns - 1).long() + steps
    row = nearest[:, 1:].clamp(0, rows - 1).long() + steps
    across = (column * stride - center[:, :1]).square()
    down = (row * stride - center[:, 1:]).square()
    across = across.where((column >= 0) & (column < columns), math.inf)
    down = down.where((row >= 0) & (row < rows), math.inf)
    distance = (down[:, :, None] + across[:, None, :]).flatten(1)
    places = (row[:, :, None] * columns + column[:, None, :]).flatten(1)
    order = torch.sort(distance, dim=1, stable=True).indices[:, :reach]
    kept = min(candidates, rows * columns * per_cell)
    near = places.gather(1, order)[:, :, None] * per_cell
    near = near + torch.arange(per_cell, device=boxes.device)
    return first + near.flatten(1)[:, :kept]


def _firsts(levels: Levels, per_cell: int) -> Sequence[int]:
    """Index of the first anchor of each level."""
    firsts, total = [], 0
    for _, rows, columns in levels:
        firsts.append(total)
        total += rows * columns * per_cell
    return firsts


def _inside(centers: Tensor, boxes: Tensor) -> Tensor:
    """Whether centres (..., 2) lie in boxes (..., 4), clear of their sides."""
    sides = torch.cat([centers - boxes[..., :2], boxes[..., 2:] - centers], dim=-1)
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    return sides.amin(dim=-1) > INSIDE * (width * height).sqrt()


def has_area(boxes: Tensor) -> Tensor:
    """(...) whether boxes (..., 4) have an area, and numbers for corners."""
    real = boxes.isfinite().all(dim=-1)
    return real & (boxes[..., 2] > boxes[..., 0]) & (boxes[..., 3] > boxes[..., 1])


def strongest(place: Tensor, overlap: Tensor, face: Tensor, places: int) -> Tensor:
    """(places,) the face with the largest overlap at each place, the first of equals, or NONE."""
    best = overlap.new_zeros(places).scatter_reduce(0, place, overlap, "amax")
    wins = overlap == best[place]
    none = torch.iinfo(torch.int64).max
    winner = torch.full((places,), none, dtype=torch.int64, device=face.device)
    winner = winner.scatter_reduce(0, place[wins], face[wins], "amin")
    return torch.where(winner == none, NONE, winner)
