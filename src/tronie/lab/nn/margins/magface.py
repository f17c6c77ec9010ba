r"""MagFace: ArcFace whose margin grows with the length of the embedding.

    a           = length of the raw embedding, clipped to [shortest, longest]
    m(a)        = least_margin + (largest_margin - least_margin)
                                 (a - shortest) / (longest - shortest)
    target      s * cos(theta + m(a)), continued past pi - m(a) as ArcFace's
    the others  s * cos(theta)
    penalty     weight * mean over rows of (a / longest^2 + 1 / a)

theta is the angle between an embedding and a class centre, in radians. The penalty pays for
length and the margin charges for it, most where theta is large: easy faces grow long, poor
ones stay short, and the length becomes a measure of quality.

Target and penalty are differentiated by the length as well as by the cosine; where it is
clipped its derivative is 0.

Source: Meng et al., "MagFace", CVPR 2021, arXiv:2103.06627.
Differs from the paper: the continuation past pi - m(a); the authors' release turns the margin
off below cos(theta) = 0 by default. The numbers are of the release: [10, 110], 0.45 to 0.8,
weight 35.
"""

from __future__ import annotations

import math

from torch import Tensor

from tronie.errors import BadInput
from tronie.lab.nn.angles import arc, curve, own_cosine, scaled
from tronie.lab.nn.margin_rule import (
    MarginRule,
    accepted,
    accepted_norms,
    bounded,
    positive,
)


class Margin(MarginRule):
    """Logits and penalty of MagFace.

    Args:
        scale: s, above 0.
        least_margin: m of the shortest embedding, in [0, pi / 2] radians.
        largest_margin: m of the longest, in [least_margin, pi / 2] radians.
        shortest: Lower bound of the length, above 0.
        longest: Upper bound of the length, above `shortest`.
        weight: Of the penalty, 0 or more.

    Raises:
        BadInput: one of them is out of its range.
    """

    needs_norms = True

    def __init__(
        self,
        *,
        scale: float = 64.0,
        least_margin: float = 0.45,
        largest_margin: float = 0.8,
        shortest: float = 10.0,
        longest: float = 110.0,
        weight: float = 35.0,
    ) -> None:
        super().__init__()
        self.scale = positive("scale", scale)
        half = math.pi / 2
        self.least_margin = bounded("least_margin", least_margin, 0, half, unit="radians")
        self.largest_margin = bounded(
            "largest_margin", largest_margin, least_margin, half, unit="radians"
        )
        self.shortest = positive("shortest", shortest)
        self.longest = positive("longest", longest)
        if longest <= shortest:
            raise BadInput(f"longest must be above shortest, {shortest:g}; got {longest:g}")
        self.weight = bounded("weight", weight, 0, 1e9)

    def forward(
        self,
        cosine: Tensor,
        labels: Tensor,
        *,
        target: Tensor | None = None,
        norms: Tensor | None = None,
    ) -> Tensor:
        """Logits (N, C), differentiable by `norms` too; `target` is not looked at.

        Raises:
            BadInput: there are no `norms`.
        """
        cosine = accepted(cosine, labels)
        clipped = accepted_norms(norms, cosine).clamp(self.shortest, self.longest)
        share = (clipped - self.shortest) / (self.longest - self.shortest)
        margin = self.least_margin + (self.largest_margin - self.least_margin) * share
        own = own_cosine(cosine, labels)
        moved = arc(own, margin.detach())
        value = curve(moved.value, (own, moved.slope), (margin, moved.margin_slope))
        return scaled(cosine, labels, value, scale=self.scale)

    def penalty(self, norms: Tensor) -> Tensor:
        """What long embeddings earn, from the lengths (N,): falls up to `longest`."""
        a = norms.clamp(self.shortest, self.longest)
        return self.weight * (a / self.longest**2 + 1 / a).mean()
