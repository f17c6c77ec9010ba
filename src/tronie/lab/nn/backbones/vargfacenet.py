"""VarGFaceNet: convolutions in groups of eight channels, so that the groups grow with the width.

    pair    3x3 in groups of 8 channels -> BN -> PReLU -> 1x1 -> BN (-> PReLU)
    stem    3x3, stride 1 -> a unit with stride 2, not widened: 112 pixels to 56
    stages  at 28, 14 and 7 pixels: a merging unit, then normal units
    merge   two pairs of stride 2 side by side, summed -> PReLU -> a pair; plus a shortcut, a
            pair of stride 2 too
    unit    two pairs, the second linear -> squeeze and excite -> plus its input -> PReLU
    head    1x1 to 1024 -> 7x7 in groups of 8, without padding -> 1x1 to 512 -> fully connected
            to D -> BN

Depthwise filters have too little to do for each number that is fetched; groups of a fixed
width keep that ratio as the network widens. The head widens before it shrinks the picture, so
that a fully connected layer of 0.3 million numbers is enough.

Variants: x1.25 (the LFR 2019 light track's winner) and x1, after the width.

Source: Yan et al., "VarGFaceNet", ICCV Workshops 2019, arXiv:1910.04985, table 1 and figure 1,
and the authors' release for the number of units.
Differs from the paper: PReLU in the middle of squeeze and excite.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from tronie.lab.nn.backbone import Variant
from tronie.lab.nn.layers.conv import conv_norm, variable_group
from tronie.lab.nn.layers.squeeze_excite import SqueezeExcite

GROUP_WIDTH = 8
WIDTHS = (32, 64, 128, 256)
UNITS = (2, 6, 3)
FACTOR = 2
REDUCTION = 4
HEAD_WIDTH = 1024
NARROW_HEAD = 512
SIDE = 7


def pair(
    inner: int,
    outer: int,
    *,
    factor: int = FACTOR,
    stride: int = 1,
    linear: bool = False,
) -> nn.Sequential:
    """3x3 in groups of eight channels, then 1x1; `linear` leaves out the last PReLU."""
    return variable_group(
        inner,
        outer,
        factor=factor,
        group_width=GROUP_WIDTH,
        stride=stride,
        activation=None if linear else nn.PReLU,
    )


class Unit(nn.Module):
    """Two pairs and squeeze-excite, added to the input, or to a pair of it where that shrinks."""

    def __init__(self, inner: int, outer: int, *, factor: int = FACTOR, stride: int = 1) -> None:
        super().__init__()
        same = stride == 1 and inner == outer
        self.body = nn.Sequential(
            pair(inner, outer, factor=factor, stride=stride),
            pair(outer, outer, factor=factor, linear=True),
            SqueezeExcite(outer, reduction=REDUCTION),
        )
        self.shortcut = (
            nn.Identity() if same else pair(inner, outer, factor=factor, stride=stride, linear=True)
        )
        self.activation = nn.PReLU(outer)

    def forward(self, images: Tensor) -> Tensor:
        """The unit's answer."""
        answer: Tensor = self.activation(self.body(images) + self.shortcut(images))
        return answer


class Merge(nn.Module):
    """(N, inner, H, W) to (N, outer, H / 2, W / 2) by two branches and a shortcut."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(pair(inner, outer, stride=2, linear=True) for _ in range(2))
        self.merged = nn.Sequential(nn.PReLU(outer), pair(outer, outer, linear=True))
        self.shortcut = pair(inner, outer, stride=2, linear=True)
        self.activation = nn.PReLU(outer)

    def forward(self, images: Tensor) -> Tensor:
        """The unit's answer."""
        one, two = self.branches
        answer: Tensor = self.merged(one(images) + two(images)) + self.shortcut(images)
        activated: Tensor = self.activation(answer)
        return activated


def build(variant: str, *, embedding_size: int | None = None) -> nn.Module:
    """The network of that variant with fresh weights; see `tronie.lab.nn.backbone`."""
    dimension = embedding_size or VARIANTS[variant].embedding_size
    inner, *widths = (round(width * float(variant.removeprefix("x"))) for width in WIDTHS)
    net = nn.Sequential(
        conv_norm(3, inner, kernel=3),
        Unit(inner, inner, factor=1, stride=2),
    )
    for outer, units in zip(widths, UNITS, strict=True):
        net.append(Merge(inner, outer))
        net.extend(Unit(outer, outer) for _ in range(units))
        inner = outer
    return net.extend(_head(inner, dimension))


def _head(inner: int, embedding_size: int) -> list[nn.Module]:
    everywhere = variable_group(
        HEAD_WIDTH,
        NARROW_HEAD,
        factor=1,
        group_width=GROUP_WIDTH,
        kernel=SIDE,
        padding=0,
    )
    return [
        conv_norm(inner, HEAD_WIDTH),
        everywhere,
        nn.Flatten(),
        nn.Linear(NARROW_HEAD, embedding_size, bias=False),
        nn.BatchNorm1d(embedding_size),
    ]


VARIANTS: Mapping[str, Variant] = {
    "x1.25": Variant(
        parameters=5_198_804,
        flops_lfr=1_022_863_640,
        macs=512_593_440,
        size_bytes=20_755_486,
        checkpoint_bytes=20_962_192,
        source="Yan et al., arXiv:1910.04985: 1022 MFLOPs, 20 MB",
    ),
    "x1": Variant(
        parameters=3_948_944,
        flops_lfr=719_083_864,
        macs=360_499_712,
        size_bytes=15_770_286,
        checkpoint_bytes=15_934_272,
        source="Yan et al., arXiv:1910.04985, without the widening by 1.25",
    ),
}
