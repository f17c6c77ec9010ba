r"""SphereFace, also A-Softmax: a multiplicative angular margin on the target class.

    psi(theta)  = (-1)^k cos(m theta) - 2k,  k = floor(m theta / pi)
    target      s * (psi(theta) + lambda cos(theta)) / (1 + lambda)
    the others  s * cos(theta)
    lambda      = max(lambda_least, lambda_start * (1 + lambda_decay * step)^(-lambda_power))

theta is the angle between an embedding and a class centre, in radians; psi falls all the way
to theta = pi. Starting from lambda_start, the margin is let in slowly; with lambda_start and
lambda_least at 0 it is there from the first step. `step` counts training forwards and is kept
in a buffer. scale=None puts the length of each embedding in the place of s.

The derivative of psi by cos(theta) is m |sin(m theta)| / sin(theta), at most m^2.

Source: Liu et al., "SphereFace", CVPR 2017, arXiv:1704.08063; the fixed scale is of its
successor, Liu et al., "SphereFace Revived", arXiv:2109.05565.
Differs from the paper: its setting is Margin(scale=None, margin=4, lambda_start=1000,
lambda_least=5). The defaults (s = 30, m = 1.7, no lambda) are of the authors' later release,
and so is gradient="straight_through", a derivative of 1, which they call characteristic
gradient detachment.
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
    accepted_norms,
    bounded,
    is_straight_through,
    positive,
)


class Margin(MarginRule):
    """Logits of SphereFace.

    Args:
        scale: s, above 0; None for the length of each embedding (`norms` are then needed).
        margin: m in [1, 8], a factor of the angle.
        gradient: "exact", or "straight_through" for a derivative of 1.
        lambda_start: lambda at the first training step, 0 or more.
        lambda_least: lambda never falls below this, 0 or more.
        lambda_decay: How fast it falls, 0 or more; the releases know 0.12 and 1e-4.
        lambda_power: Above 0; the releases know 1 and 2.

    Raises:
        BadInput: one of them is out of its range.
    """

    steps: Tensor

    def __init__(
        self,
        *,
        scale: float | None = 30.0,
        margin: float = 1.7,
        gradient: Literal["exact", "straight_through"] = "exact",
        lambda_start: float = 0.0,
        lambda_least: float = 0.0,
        lambda_decay: float = 0.12,
        lambda_power: float = 1.0,
    ) -> None:
        super().__init__()
        self.scale = None if scale is None else positive("scale", scale)
        self.needs_norms = scale is None
        self.margin = bounded("margin", margin, 1, 8)
        self.straight_through = is_straight_through(gradient)
        self.lambda_start = bounded("lambda_start", lambda_start, 0, 1e9)
        self.lambda_least = bounded("lambda_least", lambda_least, 0, 1e9)
        self.lambda_decay = bounded("lambda_decay", lambda_decay, 0, 1e9)
        self.lambda_power = positive("lambda_power", lambda_power)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(
        self,
        cosine: Tensor,
        labels: Tensor,
        *,
        target: Tensor | None = None,
        norms: Tensor | None = None,
    ) -> Tensor:
        """Logits (N, C); counts a step in training mode. `target` is not looked at.

        Raises:
            BadInput: the scale is None and there are no `norms`.
        """
        cosine = accepted(cosine, labels)
        own = own_cosine(cosine, labels)
        with torch.no_grad():
            part = 1 / (1 + self._lambda())
            phase = self.margin * angle(own)
            period = torch.floor(phase / math.pi)
            psi = (1 - 2 * (period % 2)) * torch.cos(phase) - 2 * period
            value = own + part * (psi - own)
            slope = torch.ones_like(own)
            if not self.straight_through:
                slope += part * (self._slope(own) - 1)
        scale: float | Tensor
        scale = accepted_norms(norms, cosine)[:, None] if self.scale is None else self.scale
        if self.training:
            self.steps += 1
        return scaled(cosine, labels, curve(value, (own, slope)), scale=scale)

    def _lambda(self) -> Tensor:
        fallen = (1 + self.lambda_decay * self.steps.double()) ** -self.lambda_power
        return (self.lambda_start * fallen).clamp(min=self.lambda_least)

    def _slope(self, own: Tensor) -> Tensor:
        theta = inner_angle(own)
        # |sin| is the sine with the sign of its period taken out.
        return self.margin * torch.sin(self.margin * theta).abs() / torch.sin(theta)
