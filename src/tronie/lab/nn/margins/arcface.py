r"""ArcFace: an additive angular margin on the target class.

    target      s * cos(theta + m)                  where theta < pi - m
                s * (cos(theta) - m * sin(m))       beyond, so that the logit keeps falling
    the others  s * cos(theta)

theta is the angle between an embedding and a class centre, in radians. Geometrically: the
sample must be m radians closer to its own centre than a plain softmax would ask.

The derivative of the target by cos(theta) is sin(theta + m) / sin(theta), which grows without
bound as theta nears 0; it is taken no nearer than `tronie.lab.nn.angles` says.

Source: Deng et al., "ArcFace", CVPR 2019, arXiv:1801.07698, equation 3 and figure 2.
Differs from the paper: the second branch. The paper does not say what happens past pi - m,
where cos(theta + m) would rise again; the linear continuation is that of the authors' first
release, and so is its step down of cos(m) + m sin(m) - 1 (0.117 at m = 0.5) at the joint.
gradient="straight_through" takes 1 for the derivative, as the authors' later PyTorch release
does without saying so; that release has no second branch.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from tronie.lab.nn.angles import arc, curve, own_cosine, scaled
from tronie.lab.nn.margin_rule import (
    MarginRule,
    accepted,
    bounded,
    is_straight_through,
    positive,
)


class Margin(MarginRule):
    """Logits of ArcFace.

    Args:
        scale: s, above 0.
        margin: m in [0, pi / 2] radians.
        gradient: "exact", or "straight_through" for a derivative of 1.

    Raises:
        BadInput: one of them is out of its range.
    """

    def __init__(
        self,
        *,
        scale: float = 64.0,
        margin: float = 0.5,
        gradient: Literal["exact", "straight_through"] = "exact",
    ) -> None:
        super().__init__()
        self.scale = positive("scale", scale)
        self.margin = bounded("margin", margin, 0, math.pi / 2, unit="radians")
        self.straight_through = is_straight_through(gradient)

    def forward(
        self,
        cosine: Tensor,
        labels: Tensor,
        *,
        target: Tensor | None = None,
        norms: Tensor | None = None,
    ) -> Tensor:
        """Logits (N, C); `target` and `norms` are not looked at."""
        cosine = accepted(cosine, labels)
        own = own_cosine(cosine, labels)
        moved = arc(own, self.margin)
        slope = torch.ones_like(own) if self.straight_through else moved.slope
        return scaled(cosine, labels, curve(moved.value, (own, slope)), scale=self.scale)
