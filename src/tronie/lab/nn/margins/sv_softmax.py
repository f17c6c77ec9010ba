r"""SV-X-Softmax, also MV-Softmax: misclassified (support) columns are made harder.

    psi(theta)  = cos(theta + m)  or  cos(theta) - m     form "arcface" or "cosface"
    target      s * psi(theta_y)
    the others  s * (cos(theta_j) + t)                   where cos(theta_j) > psi(theta_y),
                                                         emphasis "fixed"
                s * ((t + 1) cos(theta_j) + t)           there, emphasis "adaptive"
                s * cos(theta_j)                         elsewhere

theta is the angle between an embedding and a class centre, in radians. A column is a support
vector while it beats the target with its margin; which ones are is decided anew at each step
and not differentiated. t = 0 leaves the margin alone.

Source: Wang et al., "Support Vector Guided Softmax Loss for Face Recognition",
arXiv:1812.11317; Wang et al., "Mis-classified Vector Guided Softmax Loss",
AAAI 2020, arXiv:1912.00833.
Differs from the paper: t counts from 0, as in the second paper; the t of the first is 1 more.
cos(theta + m) is continued past pi - m as in ArcFace, where the authors' release turns the
margin off below cos(theta) = 0. Rows whose target is not known (label -1 and no `target`) keep
s * cos(theta). s = 32, m = 0.35, t = 0.2 are of the release.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from tronie.lab.nn.angles import arc, compared, curve, own_cosine, scaled
from tronie.lab.nn.margin_rule import MarginRule, accepted, bounded, one_of, positive


class Margin(MarginRule):
    """Logits of SV-X-Softmax.

    Args:
        scale: s, above 0.
        margin: m in [0, pi / 2]: radians in the form "arcface", units of cosine in "cosface".
        hardness: t in [0, 2].
        form: Which psi.
        emphasis: How support columns are moved.

    Raises:
        BadInput: one of them is out of its range.
    """

    def __init__(
        self,
        *,
        scale: float = 32.0,
        margin: float = 0.35,
        hardness: float = 0.2,
        form: Literal["arcface", "cosface"] = "cosface",
        emphasis: Literal["fixed", "adaptive"] = "adaptive",
    ) -> None:
        super().__init__()
        self.scale = positive("scale", scale)
        self.margin = bounded("margin", margin, 0, math.pi / 2)
        self.hardness = bounded("hardness", hardness, 0, 2)
        self.angular = one_of("form", form, ("arcface", "cosface")) == "arcface"
        self.adaptive = one_of("emphasis", emphasis, ("fixed", "adaptive")) == "adaptive"

    def forward(
        self,
        cosine: Tensor,
        labels: Tensor,
        *,
        target: Tensor | None = None,
        norms: Tensor | None = None,
    ) -> Tensor:
        """Logits (N, C); `target` says what is hard in other shards' rows."""
        cosine = accepted(cosine, labels)
        own_class, known = compared(cosine, labels, target)
        limit = torch.where(known, self._moved(own_class), math.inf)
        factor = 1 + self.hardness if self.adaptive else 1.0
        harder = torch.where(cosine > limit[:, None], factor * cosine + self.hardness, cosine)
        own = self._moved(own_cosine(cosine, labels))
        return scaled(harder, labels, own, scale=self.scale)

    def _moved(self, own: Tensor) -> Tensor:
        if not self.angular:
            return own - self.margin
        moved = arc(own, self.margin)
        return curve(moved.value, (own, moved.slope))
