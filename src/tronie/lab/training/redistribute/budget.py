"""What layouts cost, part by part, from their numbers alone; many of them at once.

    stem, C2, C3, C4, C5, neck, head        FLOPs by the published rule, on a picture of VGA size

The same numbers as `tronie.lab.nn.detector_cost` counts while a network runs, but without one: a
search refuses thousands of layouts for each one that it trains.

Letters: L layouts, P places of a map (rows times columns), w channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import gcd

import numpy as np
from numpy.typing import NDArray

from tronie.lab.nn.scrfd_layout import Layout

PARTS = ("stem", "C2", "C3", "C4", "C5", "neck", "head")
BACKBONE = PARTS[:5]
SIZE = (480, 640)
"""Height and width of the picture that FLOPs are counted on."""

Counts = NDArray[np.int64]
_EXPANSION, _PER_CELL, _POINTS = 4, 2, 5
_NORM, _ACTIVATION = 2, 1  # for each number, as a pool costs 1 for each that comes in
_BOTH = _NORM + _ACTIVATION


@dataclass(frozen=True, eq=False, kw_only=True)
class Layouts:
    """L layouts of one kind of block, whose norms and ends are those of `like`."""

    like: Layout
    """Its block, its norm, and whether it gives points, hold for all."""
    blocks: Counts
    """(4, L)"""
    widths: Counts
    """(4, L), or (6, L) for depthwise."""
    neck: Counts
    """(L,)"""
    head: Counts
    """(L,)"""
    depth: Counts
    """(L,)"""

    def layout(self, n: int) -> Layout:
        """One of them. Groups are those of `like`, or as many of them as divide its channels."""
        neck, head, groups = int(self.neck[n]), int(self.head[n]), self.like.groups
        if groups is not None:
            groups = gcd(groups, head, neck if self.like.block == "depthwise" else 0)
        return replace(
            self.like,
            blocks=tuple(map(int, self.blocks[:, n])),
            widths=tuple(map(int, self.widths[:, n])),
            neck=neck,
            head=head,
            depth=int(self.depth[n]),
            groups=groups,
        )


def part_flops(layouts: Layouts) -> Counts:
    """FLOPs of each of PARTS, (7, L)."""
    places = _places()
    residual = layouts.like.block != "depthwise"
    stages, outer = (_residual if residual else _depthwise)(layouts, places)
    neck = _neck(outer[1:], layouts.neck, places[2:])
    return np.stack([*stages, neck, _head(layouts, places[2:])])


def flops_by_part(layout: Layout) -> Mapping[str, int]:
    """FLOPs of each of PARTS."""
    alone = Layouts(
        like=layout,
        blocks=_column(layout.blocks),
        widths=_column(layout.widths),
        neck=np.array([layout.neck]),
        head=np.array([layout.head]),
        depth=np.array([layout.depth]),
    )
    return dict(zip(PARTS, map(int, part_flops(alone)[:, 0]), strict=True))


def shares_by_part(layout: Layout) -> Mapping[str, float]:
    """The part of all FLOPs that each of PARTS takes; they sum up to 1."""
    flops = flops_by_part(layout)
    total = sum(flops.values())
    return {part: one / total for part, one in flops.items()}


def _places() -> tuple[int, ...]:
    """Places of the maps at strides 2, 4, 8, 16 and 32; a side is rounded up at each halving."""
    rows, columns = SIZE
    found = []
    for _ in range(5):
        rows, columns = -(-rows // 2), -(-columns // 2)
        found.append(rows * columns)
    return tuple(found)


def _residual(layouts: Layouts, places: Sequence[int]) -> tuple[list[Counts], list[Counts]]:
    """FLOPs of the stem and the stages, and the widths of the four maps."""
    bottleneck = layouts.like.block == "bottleneck"
    unit = _bottleneck if bottleneck else _basic
    first = layouts.widths[0]
    half = first // 2
    stem = 27 * half + 9 * half * half + 9 * half * first + _BOTH * (2 * half + first)
    flops, outer = [places[0] * (stem + first)], []  # the last: what the max pool takes in
    inner = first
    for n, (count, width) in enumerate(zip(layouts.blocks, layouts.widths, strict=True)):
        before, after, wide = places[n], places[n + 1], width * (_EXPANSION if bottleneck else 1)
        changes = n > 0
        stage = unit(inner, width, before if changes else after, after)
        stage = stage + after * wide * (inner + _NORM) * (changes | (inner != wide))
        stage = stage + before * inner * changes  # the average pool
        flops.append(stage + (count - 1) * unit(wide, width, after, after))
        outer.append(wide)
        inner = wide
    return flops, outer


def _basic(inner: Counts, width: Counts, before: int, after: int) -> Counts:
    """A unit without its shortcut: (P before) to (P after) places."""
    flops: Counts = after * width * (9 * inner + _BOTH + 9 * width + _BOTH)
    return flops


def _bottleneck(inner: Counts, width: Counts, before: int, after: int) -> Counts:
    """The same; its first convolution runs on the places before."""
    wide = _EXPANSION * width
    flops: Counts = before * width * (inner + _BOTH)
    flops = flops + after * (width * (9 * width + _BOTH) + wide * (width + _BOTH))
    return flops


def _depthwise(layouts: Layouts, places: Sequence[int]) -> tuple[list[Counts], list[Counts]]:
    first, *widths = layouts.widths
    flops = [places[0] * first * (27 + _BOTH) + _depthwise_unit(first, widths[0], places[0])]
    for n, (inner, outer) in enumerate(pairwise(widths)):
        rest = (layouts.blocks[n] - 1) * _depthwise_unit(outer, outer, places[n + 1])
        flops.append(_depthwise_unit(inner, outer, places[n + 1]) + rest)
    return flops, widths[1:]


def _depthwise_unit(inner: Counts, outer: Counts, places: int) -> Counts:
    return places * (inner * (9 + _BOTH) + outer * (inner + _BOTH))


def _neck(widths: Sequence[Counts], outer: Counts, places: Sequence[int]) -> Counts:
    """Convolutions with a bias: 1x1 and 3x3 on each map, two more 3x3 on all but the finest."""
    wide: Counts = outer * (9 * outer + 1) * (sum(places) + 2 * sum(places[1:]))
    for inner, here in zip(widths, places, strict=True):
        wide = wide + here * outer * (inner + 1)
    return wide


def _head(layouts: Layouts, places: Sequence[int]) -> Counts:
    """The tower and its ends; group norms are free."""
    norm = _ACTIVATION + (_NORM if layouts.like.groups is None else 0)
    neck, head = layouts.neck, layouts.head
    layer = _depthwise_layer if layouts.like.block == "depthwise" else _layer
    tower = layer(neck, head, norm) + (layouts.depth - 1) * layer(head, head, norm)
    numbers = _PER_CELL * (1 + 4 + (2 * _POINTS if layouts.like.points else 0))
    return sum(places) * (tower + numbers * (9 * head + 1))


def _layer(inner: Counts, outer: Counts, norm: int) -> Counts:
    return outer * (9 * inner + norm)


def _depthwise_layer(inner: Counts, outer: Counts, norm: int) -> Counts:
    return inner * (9 + norm) + outer * (inner + norm)


def _column(numbers: Sequence[int]) -> Counts:
    return np.array(numbers, dtype=np.int64)[:, None]
