r"""The combined margin: SphereFace's, ArcFace's and CosFace's in one formula.

    target      s * (cos(m1 theta + m2) - m3)             while m1 theta + m2 <= pi
                s * ((-1)^k cos(m1 theta + m2) - 2k - m3) beyond, k = floor((m1 theta + m2) / pi)
    the others  s * cos(theta)

theta is the angle between an embedding and a class centre, in radians. (m1, 0, 0) is the
margin of SphereFace, (1, m2, 0) of ArcFace, (1, 0, m3) of CosFace. The second line joins the
first without a step and falls all the way to theta = pi.

The derivative of the target by cos(theta) is (-1)^k m1 sin(m1 theta + m2) / sin(theta), which
grows without bound as theta nears 0 if m2 > 0; it is taken no nearer than
`tronie.lab.nn.angles` says.

Source: Deng et al., "ArcFace", CVPR 2019, arXiv:1801.07698, equation 4.
Differs from the paper: the second line, which is SphereFace's. The paper does not say what
happens past pi. The authors' PyTorch release computes this only where m3 = 0 and m1 = 1, takes
1 for the derivative (gradient="straight_through" here), and where m3 > 0 leaves m1 and m2 out;
here all three always count.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from tronie.lab.nn.angles import angle, curve, inner_angle, own_cosine, scaled
from tronie.lab.nn.margin_rule import (
    MarginRule,
    accepted,
    bounded,
    is_straight_through,
    positive,
)


class Margin(MarginRule):
    """Logits of the combined margin.

    Args:
        scale: s, above 0.
        m1: Factor of the angle, in [0.5, 8].
        m2: Added to the angle, in [0, pi / 2] radians.
        m3: Taken from the cosine, in [0, 2].
        gradient: "exact", or "straight_through" for a derivative of 1.

    Raises:
        BadInput: one of them is out of its range.
    """

    def __init__(
        self,
        *,
        scale: float = 64.0,
        m1: float = 1.0,
        m2: float = 0.3,
        m3: float = 0.2,
        gradient: Literal["exact", "straight_through"] = "exact",
    ) -> None:
        super().__init__()
        self.scale = positive("scale", scale)
        self.m1 = bounded("m1", m1, 0.5, 8)
        self.m2 = bounded("m2", m2, 0, math.pi / 2, unit="radians")
        self.m3 = bounded("m3", m3, 0, 2)
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
        with torch.no_grad():
            phase = self.m1 * angle(own) + self.m2
            period = torch.floor(phase / math.pi)
            sign = 1 - 2 * (period % 2)
            value = sign * torch.cos(phase) - 2 * period - self.m3
            slope = torch.ones_like(own) if self.straight_through else self._slope(own)
        return scaled(cosine, labels, curve(value, (own, slope)), scale=self.scale)

    def _slope(self, own: Tensor) -> Tensor:
        theta = inner_angle(own)
        # |sin| is the sine with the sign of its period taken out.
        return self.m1 * torch.sin(self.m1 * theta + self.m2).abs() / torch.sin(theta)
