"""IResNet: the residual network of ArcFace, 18 to 200 layers deep.

    stem    3x3, 64 channels, batch norm, PReLU; no pooling, so that 112 pixels stay 112
    stages  64, 128, 256, 512 channels; the first unit of each halves the picture: 56, 28, 14, 7
    unit    BN -> 3x3 -> BN -> PReLU -> 3x3 (stride here) -> BN, plus its input; where the shape
            changes, the input passes a 1x1 with that stride and a BN
    head    BN -> flatten -> fully connected to D -> BN whose scales are held at 1

Variants are called by their depth: 18, 34, 50, 100, 124, 124-7x7, 152-se, 200. "-se" weighs the
channels of each unit (squeeze and excite, reduction 16). 124 narrows its 7x7 map to 4x4, by a
3x3 on each channel alone, before the fully connected layer: with that, and not with the 7x7
map that 124-7x7 keeps, both published numbers (29.70 GFLOPs, 297 MB) come out.

Letters: N images, D embedding.

Source: Deng et al., "ArcFace", CVPR 2019, arXiv:1801.07698, section 3.1 for unit and head;
units a stage as in the authors' releases; 124 from Deng et al., "Lightweight Face Recognition
Challenge", ICCV Workshops 2019, table 4; Hu et al., arXiv:1709.01507, for "-se".
Differs from the first release: no dropout before the fully connected layer (0.4 there, none
in the later one), and the picture is normalized outside the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from tronie.lab.nn.backbone import Variant
from tronie.lab.nn.layers.conv import conv_norm
from tronie.lab.nn.layers.squeeze_excite import SqueezeExcite

CHANNELS = (64, 128, 256, 512)
REDUCTION = 16
INITIAL_STD = 0.1


class Layout(NamedTuple):
    """Units in each stage, side of the map before the fully connected layer, channels weighed."""

    units: tuple[int, int, int, int]
    side: int = 7
    squeezes: bool = False


class Unit(nn.Module):
    """(N, inner, H, W) to (N, outer, H / stride, W / stride)."""

    def __init__(self, inner: int, outer: int, *, stride: int, squeezes: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(inner),
            *conv_norm(inner, outer, kernel=3),
            *conv_norm(outer, outer, kernel=3, stride=stride, activation=None),
        )
        if squeezes:
            self.body.append(SqueezeExcite(outer, reduction=REDUCTION))
        same = stride == 1 and inner == outer
        self.shortcut = (
            nn.Identity() if same else conv_norm(inner, outer, stride=stride, activation=None)
        )

    def forward(self, images: Tensor) -> Tensor:
        """The unit's answer."""
        answer: Tensor = self.body(images) + self.shortcut(images)
        return answer


class IResNet(nn.Module):
    """(N, 3, 112, 112) to (N, D), any length."""

    def __init__(self, layout: Layout, *, embedding_size: int) -> None:
        super().__init__()
        last = CHANNELS[-1]
        self.stem = conv_norm(3, CHANNELS[0], kernel=3)
        self.stages = nn.Sequential()
        inner = CHANNELS[0]
        for outer, units in zip(CHANNELS, layout.units, strict=True):
            for n in range(units):
                stride = 2 if n == 0 else 1
                self.stages.append(Unit(inner, outer, stride=stride, squeezes=layout.squeezes))
                inner = outer
        self.head = nn.Sequential(nn.BatchNorm2d(last))
        if layout.side == 4:
            self.head.append(nn.Conv2d(last, last, 3, 2, 1, groups=last, bias=False))
        self.head.append(nn.Flatten())
        self.head.append(nn.Linear(last * layout.side**2, embedding_size))
        self.embedding_norm = nn.BatchNorm1d(embedding_size)
        self.embedding_norm.weight.requires_grad_(False)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.normal_(part.weight, std=INITIAL_STD)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (N, D)."""
        embeddings: Tensor = self.embedding_norm(self.head(self.stages(self.stem(images))))
        return embeddings


def build(variant: str, *, embedding_size: int | None = None) -> nn.Module:
    """The network of that variant with fresh weights; see `tronie.lab.nn.backbone`."""
    return IResNet(
        LAYOUTS[variant], embedding_size=embedding_size or VARIANTS[variant].embedding_size
    )


LAYOUTS = {
    "18": Layout((2, 2, 2, 2)),
    "34": Layout((3, 4, 6, 3)),
    "50": Layout((3, 4, 14, 3)),
    "100": Layout((3, 13, 30, 3)),
    "124": Layout((3, 13, 40, 5), side=4),
    "124-7x7": Layout((3, 13, 40, 5)),
    "152-se": Layout((3, 8, 36, 3), squeezes=True),
    "200": Layout((6, 26, 60, 6)),
}
VARIANTS: Mapping[str, Variant] = {
    "18": Variant(
        parameters=24_025_600,
        flops_lfr=5_216_096_256,
        macs=2_609_954_816,
        size_bytes=96_113_475,
        checkpoint_bytes=96_161_280,
        source="Deng et al., arXiv:1801.07698; units as released",
    ),
    "34": Variant(
        parameters=34_139_328,
        flops_lfr=8_914_217_984,
        macs=4_459_642_880,
        size_bytes=136_576_723,
        checkpoint_bytes=136_660_736,
        source="Deng et al., arXiv:1801.07698; units as released",
    ),
    "50": Variant(
        parameters=43_590_848,
        flops_lfr=12_612_791_296,
        macs=6_309_330_944,
        size_bytes=174_391_249,
        checkpoint_bytes=174_515_968,
        source="Deng et al., arXiv:1801.07698; units as released",
    ),
    "100": Variant(
        parameters=65_156_160,
        flops_lfr=24_169_929_728,
        macs=12_089_606_144,
        size_bytes=260_679_449,
        checkpoint_bytes=260_903_168,
        source="Deng et al., arXiv:1801.07698; units as released; 24 GFLOPs published",
    ),
    "124": Variant(
        parameters=77_768_768,
        flops_lfr=29_700_735_984,
        macs=14_855_561_216,
        size_bytes=311_142_893,
        checkpoint_bytes=311_439_616,
        source="Deng et al., LFR, ICCV Workshops 2019, table 4: 29.70 GFLOPs, 297 MB",
    ),
    "124-7x7": Variant(
        parameters=86_414_912,
        flops_lfr=29_717_890_048,
        macs=14_864_138_240,
        size_bytes=345_727_286,
        checkpoint_bytes=346_024_192,
        source="the same with the head of the other depths; not what table 4 states",
    ),
    "152-se": Variant(
        parameters=71_190_360,
        flops_lfr=24_633_575_424,
        macs=12_321_228_288,
        size_bytes=284_868_710,
        checkpoint_bytes=285_061_472,
        source="Deng et al., arXiv:1801.07698; Hu et al., arXiv:1709.01507",
    ),
    "200": Variant(
        parameters=118_833_920,
        flops_lfr=46_821_634_048,
        macs=23_418_945_536,
        size_bytes=475_442_774,
        checkpoint_bytes=475_879_936,
        source="Deng et al., arXiv:1801.07698; units as in the later release; 23.5 GMACs published",
    ),
}
