r"""Distance of predicted points from annotated ones, a smooth L1; missing points count nothing.

    |e| < beta      e^2 / (2 beta)
    otherwise       |e| - beta / 2                          e: one coordinate's error

Summed over both coordinates of all points that were annotated.

Source: Guo et al., SCRFD, ICLR 2022, arXiv:2105.04714, as released: beta 1/9.
Differs from the release: there one flag holds for all five points of a face, the largest.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import smooth_l1_loss


def point_distance(
    predicted: Tensor, wanted: Tensor, present: Tensor, *, beta: float = 1 / 9
) -> Tensor:
    """The loss (...) of each face.

    Args:
        predicted: (..., K, 2), any unit.
        wanted: The same shape.
        present: (..., K) bool; where it is False, `wanted` may hold anything, NaN too.
    """
    known = wanted.where(present[..., None], predicted.detach())
    errors = smooth_l1_loss(predicted, known, reduction="none", beta=beta)
    return errors.sum(dim=(-2, -1))
