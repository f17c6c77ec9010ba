r"""NormFace: a softmax over cosines, without a margin.

    every column    s * cos(theta)

theta is the angle between an embedding and a class centre, in radians. Both lie on the unit
sphere, so a larger inner product can no longer be bought with a longer embedding; the scale s
gives the softmax back the range that the sphere takes from it.

Source: Wang et al., "NormFace", ACM Multimedia 2017, arXiv:1704.06369.
Differs from the paper: s is a number, not learned; 64 is what later papers compare with.
"""

from __future__ import annotations

from torch import Tensor

from tronie.lab.nn.margin_rule import MarginRule, accepted, positive


class Margin(MarginRule):
    """Logits of NormFace; `scale` is s, above 0."""

    def __init__(self, *, scale: float = 64.0) -> None:
        super().__init__()
        self.scale = positive("scale", scale)

    def forward(
        self,
        cosine: Tensor,
        labels: Tensor,
        *,
        target: Tensor | None = None,
        norms: Tensor | None = None,
    ) -> Tensor:
        """Logits (N, C); `target` and `norms` are not looked at."""
        return accepted(cosine, labels) * self.scale
