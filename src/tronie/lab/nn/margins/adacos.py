r"""AdaCos: a softmax over cosines whose scale follows the training; no margin.

    every column    s * cos(theta)
    s_0             = sqrt(2) ln(C - 1)                    and always, with rule "fixed"
    s_t             = ln(B) / cos(min(pi / 4, theta_med))   with rule "dynamic"
    B               = mean over rows of the sum over j != y of exp(s_{t-1} cos(theta_j))
    theta_med       = median over rows of the angle to the own class

theta is the angle between an embedding and a class centre, in radians, C the number of classes.
As the angles to the own class shrink, so does the scale, and the supervision stays hard.

Source: Zhang et al., "AdaCos", CVPR 2019, arXiv:1905.00292.
Differs from the paper: nothing in the formula. A new scale that is not finite or not above 0
is not taken. Sharded centres: see `others` and `update`.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from tronie.errors import BadInput
from tronie.lab.nn.angles import angle, compared, own_cosine
from tronie.lab.nn.margin_rule import MarginRule, accepted, one_of


class Margin(MarginRule):
    """Logits of AdaCos.

    Args:
        classes: C over all shards, 3 or more.
        rule: How the scale is found.

    Raises:
        BadInput: `classes` is below 3, where the scale would be 0, or `rule` is unknown.
    """

    scale: Tensor

    def __init__(self, *, classes: int, rule: Literal["dynamic", "fixed"] = "dynamic") -> None:
        super().__init__()
        if classes < 3:
            raise BadInput(f"the scale of AdaCos is sqrt(2) ln(C - 1); C = {classes} is too few")
        self.classes = classes
        self.needs_others = one_of("rule", rule, ("dynamic", "fixed")) == "dynamic"
        start = math.sqrt(2) * math.log(classes - 1)
        self.register_buffer("scale", torch.tensor(start, dtype=torch.float64))

    def forward(
        self,
        cosine: Tensor,
        labels: Tensor,
        *,
        target: Tensor | None = None,
        norms: Tensor | None = None,
    ) -> Tensor:
        """Logits (N, C).

        In training mode the dynamic scale is brought up to date first if `cosine` holds all C
        classes; if it is a part of them, the caller has called `update`.
        """
        cosine = accepted(cosine, labels)
        if self.training and self.needs_others and cosine.shape[1] == self.classes:
            own_class, known = compared(cosine, labels, target)
            self.update(own_class[known], self.others(cosine, labels)[known])
        return cosine * self.scale.to(cosine.dtype)

    @torch.no_grad()
    def others(self, cosine: Tensor, labels: Tensor) -> Tensor:
        """Sum over this shard's j != y of exp(s cos(theta_j)), (N,) float64.

        These add up over shards. From a sample of the centres, divide by the share sampled.
        """
        exponents = accepted(cosine, labels) * self.scale.to(cosine.dtype)
        if cosine.shape[1] == 0:
            return exponents.new_zeros(len(cosine), dtype=torch.float64)
        column = labels.clamp(min=0)[:, None]
        own = own_cosine(exponents, labels).masked_fill(labels >= 0, -math.inf)
        exponents.scatter_(1, column, own[:, None])
        return torch.logsumexp(exponents, dim=1).double().exp()

    @torch.no_grad()
    def update(self, target: Tensor, others: Tensor) -> None:
        """Take the next scale from a whole batch: see the formula; the same on every rank.

        Args:
            target: (N,) cosine of each row to its own class.
            others: (N,) what `others` gives, added up over the shards.
        """
        if len(target) == 0:
            return
        theta = torch.quantile(angle(target.double()), 0.5).clamp(max=math.pi / 4)
        scale = others.double().mean().log() / torch.cos(theta)
        usable = torch.isfinite(scale) & (scale > 0)
        # A new tensor: the old one may be part of a graph that is still to be differentiated.
        self.scale = torch.where(usable, scale, self.scale)
