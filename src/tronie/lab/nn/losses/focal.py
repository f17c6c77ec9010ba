r"""Quality focal loss: the score of an anchor is taught how well its box fits.

    |y - p|^beta * (-y log(p) - (1 - y) log(1 - p))         p = sigmoid(logit)

y is the IoU of the anchor's box with its face, 0 where there is no face. What is right already
weighs little, so that thousands of easy background anchors do not drown the few faces.

Source: Li et al., "Generalized Focal Loss", NeurIPS 2020, arXiv:2006.04388, equation 2, beta 2.
Differs from the paper: nothing. The gradient flows through the factor too.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def quality_focal_loss(logits: Tensor, quality: Tensor, *, beta: float = 2.0) -> Tensor:
    """The loss of each anchor, in the shape of `logits`, not summed.

    Args:
        logits: Any shape.
        quality: The same shape, y in [0, 1].
    """
    wrong = torch.abs(quality - logits.sigmoid())
    return wrong**beta * binary_cross_entropy_with_logits(logits, quality, reduction="none")
