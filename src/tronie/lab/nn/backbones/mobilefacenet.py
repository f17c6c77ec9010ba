"""MobileFaceNet: narrow units of depthwise convolutions, and one 7x7 filter a channel at the end.

    stem    3x3 with stride 2, batch norm, PReLU: 112 pixels to 56
    first   one depthwise 3x3, or residual units
    stages  a unit with stride 2, then residual units, at 28, 14 and 7 pixels
    unit    1x1 widen -> 3x3 depthwise -> 1x1 narrow, linear
    head    1x1 to 512 -> 7x7 depthwise without padding: each place of the map has a weight of
            its own, where an average would treat the corner as it treats the nose -> fully
            connected to D -> batch norm

Variants:

    y1                     the paper's network, D 128
    y2                     deeper; 933 MFLOPs, the first baseline of the LFR 2019 light track, D 256
    mbf, mbf-large         twice and four times as wide, D 512
    lfr-light-table3       table 3 of the LFR 2019 paper as it is printed
    lfr-light-table3-n22   the same with 22 units where 17 are printed, and row 2 without widening

The LFR 2019 paper prints 1.0 GFLOPs and 19.80 MB below table 3. The table as printed costs
875 MFLOPs and 18.5 MiB; -n22 is one reading that meets both totals (989 MFLOPs, 19.80 MiB).
Neither is claimed to be the network that its authors ran.

Source: Chen et al., "MobileFaceNets", CCBR 2018, arXiv:1804.07573, table 1, for y1; Deng et
al., "Lightweight Face Recognition Challenge", ICCV Workshops 2019, for y2 and table 3;
mbf and mbf-large as InsightFace's arcface_torch trains them.
Differs from the paper: behind the 7x7 stands a fully connected layer with a bias and a batch norm,
as released, where the paper ends with a linear 1x1; y1 has 1.003 million parameters for 0.99.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import nn

from tronie.lab.nn.backbone import Variant
from tronie.lab.nn.layers.conv import DepthwiseUnit, conv_norm

HEAD_WIDTH = 512
SIDE = 7
FIRST_GROUPS = 64
"""Of the 3x3 behind the stem, whatever its width: depthwise at 64 channels, by pairs at 128."""


class Stage(NamedTuple):
    """One unit of stride 2 that is `reduced` wide, then `units` that are `between` wide."""

    outer: int
    reduced: int
    between: int
    units: int


class Layout(NamedTuple):
    """Channels of the stem, residual units behind it (0: one depthwise 3x3), and the stages."""

    width: int
    first_between: int
    first_units: int
    stages: tuple[Stage, Stage, Stage]
    head_bias: bool = False


class Row(NamedTuple):
    """A row of table 3: how much its units widen (0: not at all), channels, count, stride."""

    widen: int
    outer: int
    units: int
    stride: int


def build(variant: str, *, embedding_size: int | None = None) -> nn.Module:
    """The network of that variant with fresh weights; see `tronie.lab.nn.backbone`."""
    dimension = embedding_size or VARIANTS[variant].embedding_size
    if variant in TABLES:
        return _table_three(TABLES[variant], embedding_size=dimension)
    return _mobilefacenet(LAYOUTS[variant], embedding_size=dimension)


def _mobilefacenet(layout: Layout, *, embedding_size: int) -> nn.Sequential:
    width = layout.width
    net = nn.Sequential(conv_norm(3, width, kernel=3, stride=2))
    if layout.first_units == 0:
        net.append(conv_norm(width, width, kernel=3, groups=FIRST_GROUPS))
    for _ in range(layout.first_units):
        net.append(DepthwiseUnit(width, width, between=layout.first_between, residual=True))
    inner = width
    for outer, reduced, between, units in layout.stages:
        net.append(DepthwiseUnit(inner, outer, between=reduced, stride=2))
        for _ in range(units):
            net.append(DepthwiseUnit(outer, outer, between=between, residual=True))
        inner = outer
    net.append(conv_norm(inner, HEAD_WIDTH))
    everywhere = conv_norm(
        HEAD_WIDTH, HEAD_WIDTH, kernel=SIDE, padding=0, groups=HEAD_WIDTH, activation=None
    )
    net.append(everywhere)
    return net.extend(_to_embedding(HEAD_WIDTH, embedding_size, bias=layout.head_bias))


def _table_three(rows: Sequence[Row], *, embedding_size: int) -> nn.Sequential:
    net = nn.Sequential(conv_norm(3, 32, kernel=3, stride=2))
    inner = 32
    for row in rows:
        for n in range(row.units):
            stride = row.stride if n == 0 else 1
            same = stride == 1 and inner == row.outer
            if row.widen:
                between = row.widen * inner
                unit = DepthwiseUnit(
                    inner, row.outer, between=between, stride=stride, residual=same
                )
                net.append(unit)
            else:
                net.append(conv_norm(inner, inner, kernel=3, stride=stride, groups=inner))
                net.append(conv_norm(inner, row.outer))
            inner = row.outer
    net.append(conv_norm(inner, HEAD_WIDTH, kernel=3, stride=2))
    return net.extend(_to_embedding(HEAD_WIDTH * 4**2, embedding_size, bias=False))


def _to_embedding(numbers: int, embedding_size: int, *, bias: bool) -> list[nn.Module]:
    return [
        nn.Flatten(),
        nn.Linear(numbers, embedding_size, bias=bias),
        nn.BatchNorm1d(embedding_size),
    ]


_NARROW = (64, 128, 128)


def _stages(outer: tuple[int, int, int], units: tuple[int, int, int]) -> tuple[Stage, Stage, Stage]:
    """The widths between, which are the same in every release."""
    return (
        Stage(outer[0], 128, 128, units[0]),
        Stage(outer[1], 256, 256, units[1]),
        Stage(outer[2], 512, 256, units[2]),
    )


LAYOUTS = {
    "y1": Layout(64, 64, 0, _stages(_NARROW, (4, 6, 2)), head_bias=True),
    "y2": Layout(64, 64, 2, _stages(_NARROW, (8, 16, 4)), head_bias=True),
    "mbf": Layout(128, 128, 0, _stages((128, 256, 256), (4, 6, 2))),
    "mbf-large": Layout(256, 128, 2, _stages((256, 512, 512), (8, 12, 4))),
}
TABLES = {
    "lfr-light-table3": (
        Row(1, 64, 3, 2),
        Row(2, 64, 10, 1),
        Row(2, 128, 17, 2),
        Row(4, 128, 5, 2),
        Row(2, 128, 1, 1),
    ),
    "lfr-light-table3-n22": (
        Row(0, 64, 3, 2),
        Row(2, 64, 10, 1),
        Row(2, 128, 22, 2),
        Row(4, 128, 5, 2),
        Row(2, 128, 1, 1),
    ),
}
VARIANTS: Mapping[str, Variant] = {
    "y1": Variant(
        parameters=1_003_264,
        flops_lfr=439_821_056,
        macs=220_965_376,
        size_bytes=3_991_151,
        checkpoint_bytes=4_091_392,
        source="Chen et al., arXiv:1804.07573, table 1: 440 MFLOPs, 4.0 MB",
        embedding_size=128,
    ),
    "y2": Variant(
        parameters=1_996_288,
        flops_lfr=933_336_950,
        macs=468_825_088,
        size_bytes=7_944_603,
        checkpoint_bytes=8_138_752,
        source="Deng et al., LFR, ICCV Workshops 2019, first baseline: 933 MFLOPs",
        embedding_size=256,
    ),
    "mbf": Variant(
        parameters=2_059_520,
        flops_lfr=872_282_432,
        macs=437_520_896,
        size_bytes=8_212_298,
        checkpoint_bytes=8_333_312,
        source="InsightFace's arcface_torch: 0.45 GMACs",
    ),
    "mbf-large": Variant(
        parameters=6_314_880,
        flops_lfr=3_624_318_726,
        macs=1_816_482_816,
        size_bytes=25_189_465,
        checkpoint_bytes=25_470_464,
        source="InsightFace's arcface_torch",
    ),
    "lfr-light-table3": Variant(
        parameters=4_802_080,
        flops_lfr=875_085_062,
        macs=439_322_368,
        size_bytes=19_161_061,
        checkpoint_bytes=19_380_608,
        source="Deng et al., LFR, ICCV Workshops 2019, table 3 as printed",
        embedding_size=256,
    ),
    "lfr-light-table3-n22": Variant(
        parameters=5_140_736,
        flops_lfr=988_607_282,
        macs=496_171_776,
        size_bytes=20_507_429,
        checkpoint_bytes=20_759_552,
        source="table 3 changed until it meets its totals: 1.0 GFLOPs, 19.80 MB",
        embedding_size=256,
    ),
}
