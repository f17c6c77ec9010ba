r"""adj-ArcFace, also ArcNegFace: ArcFace whose other classes count by their nearness.

    a           = cos(theta_y + m), continued past pi - m as ArcFace's, held constant
    t_j         = alpha * exp(-(cos(theta_j) - a)^2 / sigma)
    target      s * cos(theta_y + m)
    the others  s * (t_j cos(theta_j) + t_j - 1)

theta is the angle between an embedding and a class centre, in radians. A class whose cosine is
near the target's logit a gets up to alpha times its weight; one far from it, above or below,
almost none: a sample that lies with another class may carry a wrong label.

The derivative of another column by cos(theta_j) is s t_j (1 - 2 (cos(theta_j) + 1)
(cos(theta_j) - a) / sigma). It is negative for a class far above a: such a class is given up
rather than pushed away.

Source: Liu et al., "Towards Flops-constrained Face Recognition", ICCV Workshops 2019,
arXiv:1909.00632 (ArcNegFace).
Differs from the paper: nothing in the value. With gradient="straight_through" t_j is held
constant, as public ports do, so that the derivative is s t_j and every other class is pushed
away. Rows whose target is not known (label -1 and no `target`) keep s * cos(theta).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from tronie.lab.nn.angles import arc, compared, curve, own_cosine, scaled
from tronie.lab.nn.margin_rule import (
    MarginRule,
    accepted,
    bounded,
    is_straight_through,
    positive,
)


class Margin(MarginRule):
    """Logits of adj-ArcFace.

    Args:
        scale: s, above 0.
        margin: m in [0, pi / 2] radians.
        alpha: The largest weight of another class, above 0.
        sigma: How fast the weight falls, in squared units of cosine, above 0.
        gradient: "exact", or "straight_through", which holds the weights constant.

    Raises:
        BadInput: one of them is out of its range.
    """

    def __init__(
        self,
        *,
        scale: float = 64.0,
        margin: float = 0.5,
        alpha: float = 1.2,
        sigma: float = 2.0,
        gradient: Literal["exact", "straight_through"] = "exact",
    ) -> None:
        super().__init__()
        self.scale = positive("scale", scale)
        self.margin = bounded("margin", margin, 0, math.pi / 2, unit="radians")
        self.alpha = positive("alpha", alpha)
        self.sigma = positive("sigma", sigma)
        self.straight_through = is_straight_through(gradient)

    def forward(
        self,
        cosine: Tensor,
        labels: Tensor,
        *,
        target: Tensor | None = None,
        norms: Tensor | None = None,
    ) -> Tensor:
        """Logits (N, C); `target` gives a for rows of other shards, `norms` are not looked at."""
        cosine = accepted(cosine, labels)
        own = own_cosine(cosine, labels)
        moved = arc(own, self.margin)
        weighed = self._weighed(cosine, *compared(cosine, labels, target))
        return scaled(weighed, labels, curve(moved.value, (own, moved.slope)), scale=self.scale)

    @torch.no_grad()
    def _weights(self, cosine: Tensor, anchor: Tensor) -> Tensor:
        return self.alpha * torch.exp(-((cosine - anchor) ** 2) / self.sigma)

    def _weighed(self, cosine: Tensor, target: Tensor, known: Tensor) -> Tensor:
        anchor = arc(target, self.margin).value[:, None]
        weights = self._weights(cosine, anchor)
        slope = weights
        if not self.straight_through:
            away = (cosine.detach() + 1) * (cosine.detach() - anchor)
            slope = weights * (1 - (2 / self.sigma) * away)
        value = weights * (cosine.detach() + 1) - 1
        return torch.where(known[:, None], curve(value, (cosine, slope)), cosine)
