"""Hard negatives: of the background, only what looks most like a face is learned from.

Nearly all anchors of a picture are background, and nearly all of these are easy. Of each picture
those with the largest loss are kept, a fixed number for each anchor that answers for a face.

Source: Shrivastava et al., OHEM, CVPR 2016, arXiv:1604.03540; with a fixed ratio as Liu et al.,
SSD, ECCV 2016, arXiv:1512.02325, have it.
Differs from the paper: nothing; of equal losses the first is taken.
"""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def hardest(losses: Tensor, candidates: Tensor, count: Tensor) -> Tensor:
    """(B, A) bool: of the candidates of each picture the `count` with the largest loss, or all.

    Args:
        losses: (B, A) of each anchor.
        candidates: (B, A) bool: anchors that may be taken.
        count: (B,) whole numbers.
    """
    order = losses.masked_fill(~candidates, -torch.inf).argsort(dim=1, descending=True, stable=True)
    places = torch.arange(losses.shape[1], device=losses.device).expand_as(order)
    rank = torch.empty_like(order).scatter_(1, order, places)
    return candidates & (rank < count[:, None])
