r"""CosFace, also AM-Softmax: an additive margin on the cosine of the target class.

    target      s * (cos(theta) - m)
    the others  s * cos(theta)

theta is the angle between an embedding and a class centre, in radians; m is in units of cosine.
The target falls with theta everywhere, and its derivative by cos(theta) is s.

Source: Wang et al., "CosFace", CVPR 2018, arXiv:1801.09414; Wang et al., "Additive Margin
Softmax for Face Verification", arXiv:1801.05599, which is the same.
Differs from the paper: m = 0.35 is that of both papers; recipes on the largest sets take 0.4.
"""

from __future__ import annotations

from torch import Tensor

from tronie.lab.nn.angles import own_cosine, scaled
from tronie.lab.nn.margin_rule import MarginRule, accepted, bounded, positive


class Margin(MarginRule):
    """Logits of CosFace.

    Args:
        scale: s, above 0.
        margin: m in [0, 2], in units of cosine.

    Raises:
        BadInput: one of them is out of its range.
    """

    def __init__(self, *, scale: float = 64.0, margin: float = 0.35) -> None:
        super().__init__()
        self.scale = positive("scale", scale)
        self.margin = bounded("margin", margin, 0, 2)

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
        own = own_cosine(cosine, labels) - self.margin
        return scaled(cosine, labels, own, scale=self.scale)
