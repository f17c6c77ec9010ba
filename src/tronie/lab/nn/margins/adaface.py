r"""AdaFace: a margin whose kind depends on the length of the embedding, as a sign of quality.

    z           = clip(h (length - mu) / (sigma + 1e-3), -1, 1)
    target      s * (cos(clip(theta - m z, 0, pi)) - m - m z)
    the others  s * cos(theta)
    mu, sigma   <- (1 - momentum) * those of the batch + momentum * the old, from 20 and 100

theta is the angle between an embedding and a class centre, in radians; lengths are clipped to
[1e-3, 100] and not differentiated. A short embedding (z = -1) gets the angular margin of
ArcFace, an average one (z = 0) that of CosFace, a long one (z = 1) a negative angle and twice
the margin on the cosine: hard samples weigh more where the picture is good.

Where theta - m z is clipped the derivative by the cosine is 0.

Source: Kim et al., "AdaFace", CVPR 2022, arXiv:2204.00964.
Differs from the paper: nothing in the formula. The authors' release clips the angle to
[1e-3, pi - 1e-3] and the cosine to 1 - 1e-3, which is not needed here. mu and sigma move before
they are used, as in the release, in training mode only, by `norms` over all ranks; a batch of
one has no sigma and moves mu alone. momentum 0.99 is the paper's and the release's setting for
training; the default of its code, 0, forgets every batch but the last.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tronie.lab.nn.angles import angle, curve, inner_angle, own_cosine, scaled
from tronie.lab.nn.margin_rule import (
    MarginRule,
    accepted,
    accepted_norms,
    bounded,
    positive,
)


class Margin(MarginRule):
    """Logits of AdaFace.

    Args:
        scale: s, above 0.
        margin: m in [0, pi / 2]: radians for the angle, units of cosine for the rest.
        concentration: h, 0 or more: how many lengths lie between -1 and 1; 0 is CosFace.
        momentum: Share of the old mu and sigma that is kept at each step, in [0, 1].

    Raises:
        BadInput: one of them is out of its range.
    """

    needs_norms = True
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        *,
        scale: float = 64.0,
        margin: float = 0.4,
        concentration: float = 0.333,
        momentum: float = 0.99,
    ) -> None:
        super().__init__()
        self.scale = positive("scale", scale)
        self.margin = bounded("margin", margin, 0, math.pi / 2)
        self.concentration = bounded("concentration", concentration, 0, 1e6)
        self.momentum = bounded("momentum", momentum, 0, 1)
        self.register_buffer("mean", torch.tensor(20.0, dtype=torch.float64))
        self.register_buffer("deviation", torch.tensor(100.0, dtype=torch.float64))

    def forward(
        self,
        cosine: Tensor,
        labels: Tensor,
        *,
        target: Tensor | None = None,
        norms: Tensor | None = None,
    ) -> Tensor:
        """Logits (N, C); in training mode mu and sigma move first. `target` is not looked at.

        Raises:
            BadInput: there are no `norms`.
        """
        cosine = accepted(cosine, labels)
        lengths = accepted_norms(norms, cosine).detach().clamp(1e-3, 100)
        if self.training:
            self._update(lengths.double())
        own = own_cosine(cosine, labels)
        with torch.no_grad():
            quality = self._quality(lengths)
            turned = angle(own) - self.margin * quality
            value = torch.cos(turned.clamp(0, math.pi)) - self.margin * (1 + quality)
            inner = inner_angle(own)
            steep = torch.sin(inner - self.margin * quality) / torch.sin(inner)
            slope = torch.where((turned >= 0) & (turned <= math.pi), steep, 0)
        return scaled(cosine, labels, curve(value, (own, slope)), scale=self.scale)

    def _quality(self, lengths: Tensor) -> Tensor:
        mean, deviation = self.mean.to(lengths.dtype), self.deviation.to(lengths.dtype)
        return (self.concentration * (lengths - mean) / (deviation + 1e-3)).clamp(-1, 1)

    def _update(self, lengths: Tensor) -> None:
        kept, taken = self.momentum, 1 - self.momentum
        if len(lengths):
            self.mean = kept * self.mean + taken * lengths.mean()
        if len(lengths) > 1:
            self.deviation = kept * self.deviation + taken * lengths.std()
