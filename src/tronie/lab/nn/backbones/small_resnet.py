"""Small ResNet: a residual network that two CPU cores train in minutes. For runs that show
something of a margin or a head, not for recognizers that are used.

    stem    two 3x3 with stride 2, batch norm, PReLU: 112 pixels to 28
    stages  w, 2w, 4w channels at 28, 14 and 7 pixels: from the second on a 3x3 with stride 2,
            then in each one residual unit
    unit    3x3 -> BN -> PReLU -> 3x3 -> BN, plus its input
    head    flatten -> fully connected to D -> batch norm

Variants are called by w: 32, 48. All convolutions are plain, since depthwise ones take torch's
CPU kernels far longer than their multiply-adds say: mobilefacenet-y1 has 3.6 times those of 32,
and trained 9.7 times slower on one core (LAB-BOOK, 2026-11-23).

Letters: N images, D embedding, w channels of the first stage.

Source: He et al., CVPR 2016, arXiv:1512.03385, for the unit; the rest is tronie's own.
Differs from the paper: PReLU, no pooling, nothing behind the sum of a unit.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from tronie.lab.nn.backbone import Variant
from tronie.lab.nn.layers.conv import conv_norm

SIDE = 7


class Unit(nn.Module):
    """(N, width, H, W) to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_norm(width, width, kernel=3), conv_norm(width, width, kernel=3, activation=None)
        )

    def forward(self, images: Tensor) -> Tensor:
        """The unit's answer."""
        answer: Tensor = images + self.body(images)
        return answer


def build(variant: str, *, embedding_size: int | None = None) -> nn.Module:
    """The network of that variant with fresh weights; see `tronie.lab.nn.backbone`."""
    dimension = embedding_size or VARIANTS[variant].embedding_size
    width = int(variant)
    net = nn.Sequential(
        conv_norm(3, width, kernel=3, stride=2), conv_norm(width, width, kernel=3, stride=2)
    )
    net.append(Unit(width))
    for _ in range(2):
        net.append(conv_norm(width, 2 * width, kernel=3, stride=2))
        width *= 2
        net.append(Unit(width))
    return net.extend(
        [nn.Flatten(), nn.Linear(width * SIDE**2, dimension), nn.BatchNorm1d(dimension)]
    )


VARIANTS: Mapping[str, Variant] = {
    "32": Variant(
        parameters=1_294_400,
        flops_lfr=122_398_080,
        macs=61_315_072,
        size_bytes=5_179_358,
        checkpoint_bytes=5_184_256,
        source="tronie's own; trained by recognition/lfw_small_resnet_*",
        embedding_size=128,
    ),
    "48": Variant(
        parameters=2_307_744,
        flops_lfr=270_301_248,
        macs=135_324_672,
        size_bytes=9_231_326,
        checkpoint_bytes=9_240_448,
        source="tronie's own; the same half as wide again",
        embedding_size=128,
    ),
}
