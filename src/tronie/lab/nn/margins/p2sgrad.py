r"""P2SGrad: a gradient without a softmax, without a scale and without a margin.

    gradient by cos(theta_j)    cos(theta_j) - [j = y]
    loss of a row               1/2 sum over j of (cos(theta_j) - [j = y])^2

theta is the angle between an embedding and a class centre, in radians. The paper puts the
cosine in the place of the probability in the gradient of a softmax, and states no loss; the
second line is the loss whose gradient that is. It is large just where the angle is.

Source: Zhang et al., "P2SGrad", CVPR 2019, arXiv:1905.02479.
Differs from the paper: nothing. `softmax` is False: a head calls `loss`, whose numbers add up
over the shards of the centres, and takes their mean over the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tronie.lab.nn.angles import own_cosine, scaled
from tronie.lab.nn.margin_rule import MarginRule, accepted


class Margin(MarginRule):
    """The differences whose squares P2SGrad sums; it has nothing to set."""

    softmax = False

    def forward(
        self,
        cosine: Tensor,
        labels: Tensor,
        *,
        target: Tensor | None = None,
        norms: Tensor | None = None,
    ) -> Tensor:
        """cos(theta_j) - [j = y], (N, C); not to be put through a softmax."""
        cosine = accepted(cosine, labels)
        return scaled(cosine, labels, own_cosine(cosine, labels) - 1, scale=1.0)

    def loss(self, cosine: Tensor, labels: Tensor, target: Tensor | None = None) -> Tensor:
        """Loss of each row over the columns of this shard, (N,); `target` is not looked at."""
        return 0.5 * torch.square(self(cosine, labels)).sum(dim=1)
