r"""CurricularFace: ArcFace whose hard columns count little at first and more later.

    T           = cos(theta_y + m), continued past pi - m as ArcFace's
    target      s * T
    the others  s * cos(theta_j) (t + cos(theta_j))      where cos(theta_j) > T
                s * cos(theta_j)                         elsewhere
    t           <- momentum * t + (1 - momentum) * mean over rows of cos(theta_y),  from 0

theta is the angle between an embedding and a class centre, in radians. While t + cos(theta_j)
is below 1 a hard column is made easier than it is; as the network learns, t grows and makes it
harder. Which columns are hard, and t, are not differentiated; the quadratic is.

Source: Huang et al., "CurricularFace", CVPR 2020, arXiv:2004.00288.
Differs from the paper: the continuation of T past pi - m, which the authors' release has for
the target but not for the comparison. t moves before it is used, as in the release, and in
training mode only. Rows whose target is not known (label -1 and no `target`) keep
s * cos(theta) and do not move t.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tronie.lab.nn.angles import arc, compared, curve, own_cosine, scaled
from tronie.lab.nn.margin_rule import MarginRule, accepted, bounded, positive


class Margin(MarginRule):
    """Logits of CurricularFace.

    Args:
        scale: s, above 0.
        margin: m in [0, pi / 2] radians.
        momentum: Share of the old t that is kept at each step, in [0, 1].

    Raises:
        BadInput: one of them is out of its range.
    """

    t: Tensor

    def __init__(self, *, scale: float = 64.0, margin: float = 0.5, momentum: float = 0.99) -> None:
        super().__init__()
        self.scale = positive("scale", scale)
        self.margin = bounded("margin", margin, 0, math.pi / 2, unit="radians")
        self.momentum = bounded("momentum", momentum, 0, 1)
        self.register_buffer("t", torch.zeros((), dtype=torch.float64))

    def forward(
        self,
        cosine: Tensor,
        labels: Tensor,
        *,
        target: Tensor | None = None,
        norms: Tensor | None = None,
    ) -> Tensor:
        """Logits (N, C); in training mode t moves first, by `target` over all ranks."""
        cosine = accepted(cosine, labels)
        own_class, known = compared(cosine, labels, target)
        if self.training:
            self._update(own_class, known)
        limit = torch.where(known, arc(own_class, self.margin).value, math.inf)
        bent = cosine * (self.t.to(cosine.dtype) + cosine)
        harder = torch.where(cosine > limit[:, None], bent, cosine)
        own = own_cosine(cosine, labels)
        moved = arc(own, self.margin)
        return scaled(harder, labels, curve(moved.value, (own, moved.slope)), scale=self.scale)

    @torch.no_grad()
    def _update(self, target: Tensor, known: Tensor) -> None:
        count = known.sum()
        mean = torch.where(known, target, 0).double().sum() / count.clamp(min=1)
        moved = self.momentum * self.t + (1 - self.momentum) * mean
        # A new tensor: the old one may be part of a graph that is still to be differentiated.
        self.t = torch.where(count > 0, moved, self.t)
