r"""Li-ArcFace: logits that are linear in the angle, with an additive margin on the target.

    target      s * (pi - 2 (theta + m)) / pi
    the others  s * (pi - 2 theta) / pi

theta is the angle between an embedding and a class centre, in radians. The logit falls by the
same amount for every radian, from s at theta = 0 to -s at pi, so it needs no guard past pi.

The derivative by cos(theta) is 2 / (pi sin(theta)), which grows without bound at both ends; it
is taken no nearer than `tronie.lab.nn.angles` says, and is at most 1304 in float32.

Source: Li et al., "AirFace", ICCV Workshops 2019, arXiv:1907.12256.
Differs from the paper: nothing but the bound of the derivative. m = 0.45 is the larger of the
two margins that the paper reports, 0.40 the other.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tronie.lab.nn.angles import angle, curve, inner_angle, own_cosine, scaled
from tronie.lab.nn.margin_rule import MarginRule, accepted, bounded, positive


class Margin(MarginRule):
    """Logits of Li-ArcFace.

    Args:
        scale: s, above 0.
        margin: m in [0, pi / 2] radians.

    Raises:
        BadInput: one of them is out of its range.
    """

    def __init__(self, *, scale: float = 64.0, margin: float = 0.45) -> None:
        super().__init__()
        self.scale = positive("scale", scale)
        self.margin = bounded("margin", margin, 0, math.pi / 2, unit="radians")

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
        with torch.no_grad():
            value = 1 - angle(cosine) * (2 / math.pi)
            slope = (2 / math.pi) / torch.sin(inner_angle(cosine))
        linear = curve(value, (cosine, slope))
        own = own_cosine(linear, labels) - self.margin * (2 / math.pi)
        return scaled(linear, labels, own, scale=self.scale)
