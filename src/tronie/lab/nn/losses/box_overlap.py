r"""How much two boxes share, and a loss that pulls boxes together even where they share nothing.

    IoU     shared area / area that both cover together
    DIoU    1 - IoU + d^2 / c^2     d between their centres, c the diagonal of the smallest box
                                    that holds both; in [0, 2)

Boxes are x1 y1 x2 y2; a box whose corners are the wrong way round has area 0. Two boxes without
area have IoU 0. Shapes (..., 4) broadcast, so that (N, 1, 4) with (M, 4) gives every pair.

Source: Zheng et al., "Distance-IoU Loss", AAAI 2020, arXiv:1911.08287, equation 7.
Differs from the paper: nothing; a diagonal of 0 is counted as the least one above 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

_LEAST = 1e-7


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union (...) of boxes (..., 4) that broadcast."""
    upper = torch.maximum(a[..., :2], b[..., :2])
    lower = torch.minimum(a[..., 2:], b[..., 2:])
    shared = _area(upper, lower)
    covered = _area(a[..., :2], a[..., 2:]) + _area(b[..., :2], b[..., 2:]) - shared
    return shared / covered.clamp_min(_LEAST)


def diou_loss(predicted: Tensor, wanted: Tensor) -> Tensor:
    """The DIoU loss (...) of each pair of boxes (..., 4); any unit of length."""
    upper = torch.minimum(predicted[..., :2], wanted[..., :2])
    lower = torch.maximum(predicted[..., 2:], wanted[..., 2:])
    diagonal = (lower - upper).square().sum(dim=-1)
    twice = (predicted[..., :2] + predicted[..., 2:]) - (wanted[..., :2] + wanted[..., 2:])
    apart = twice.square().sum(dim=-1) / 4
    return 1 - iou(predicted, wanted) + apart / diagonal.clamp_min(_LEAST)


def _area(upper: Tensor, lower: Tensor) -> Tensor:
    sides = (lower - upper).clamp_min(0)
    return sides[..., 0] * sides[..., 1]
