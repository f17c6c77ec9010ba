"""What makes one RetinaFace differ from another, and those that have names.

What the numbers mean is said in `tronie.lab.nn.detectors.retinaface`.

Source: Deng et al., RetinaFace, CVPR 2020, arXiv:1905.00641, and its widely used PyTorch form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from tronie.lab.nn.retinaface_backbone import WIDTHS
from tronie.lab.nn.retinaface_matching import Overlaps


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The numbers of matching and loss."""

    overlaps: Overlaps
    negatives: int
    """For each anchor that answers for a face."""
    boxes: float
    """Weight of the boxes' loss, as the next two are of theirs."""
    points: float
    pixels: float = 0.0
    place_scale: float = 1.0
    """v above: what places are multiplied with to be sides of the anchor."""
    size_scale: float = 1.0
    """u above."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What makes one RetinaFace differ from another."""

    backbone: Literal["depthwise", "bottleneck"]
    blocks: tuple[int, ...]
    """Units of each of the four stages."""
    widths: tuple[int, ...]
    """Channels of each stage, inside a bottleneck; before them, for depthwise, the stem's two."""
    width: int
    """Channels of the pyramid, and of all behind it."""
    sides: Mapping[int, tuple[float, ...]]
    """Of each stride the sides of its anchors in pixels, as many on all."""
    shared: bool
    """Whether all levels have one head."""
    rules: Rules
    slope: float = 0.0
    """Of the activations, below 0."""
    deformable: bool = False
    dense: bool = False
    published: bool = False
    """Whether files of this form are published."""


SMALL_RULES = Rules(
    overlaps=Overlaps(positive=0.35, negative=0.35, least=0.2),
    negatives=7,
    boxes=2.0,
    points=1.0,
    place_scale=0.1,
    size_scale=0.2,
)
PAPER_RULES = Rules(
    overlaps=Overlaps(positive=0.5, negative=0.3, least=None),
    negatives=3,
    boxes=0.25,
    points=0.1,
    pixels=0.01,
)
SMALL_SIDES = {8: (16.0, 32.0), 16: (64.0, 128.0), 32: (256.0, 512.0)}
PAPER_SIDES = {
    stride: tuple(4 * stride * 2 ** (n / 3) for n in range(3)) for stride in (4, 8, 16, 32, 64)
}
_PAPER = Layout(
    backbone="bottleneck",
    blocks=(3, 8, 36, 3),
    widths=WIDTHS,
    width=256,
    sides=PAPER_SIDES,
    shared=True,
    rules=PAPER_RULES,
)
_RESNET_50 = (3, 4, 6, 3)


LAYOUTS: Mapping[str, Layout] = {
    "mobilenet-0.25": Layout(
        backbone="depthwise",
        blocks=(2, 2, 6, 2),
        widths=(8, 16, 32, 64, 128, 256),
        width=64,
        sides=SMALL_SIDES,
        shared=False,
        rules=SMALL_RULES,
        slope=0.1,
        published=True,
    ),
    "resnet-50": Layout(
        backbone="bottleneck",
        blocks=_RESNET_50,
        widths=WIDTHS,
        width=256,
        sides=SMALL_SIDES,
        shared=False,
        rules=SMALL_RULES,
        published=True,
    ),
    "resnet-50-p2": replace(_PAPER, blocks=_RESNET_50),
    "resnet-50-p2-dcn": replace(_PAPER, blocks=_RESNET_50, deformable=True),
    "resnet-50-p2-dense": replace(_PAPER, blocks=_RESNET_50, dense=True),
    "resnet-152": _PAPER,
    "resnet-152-dcn": replace(_PAPER, deformable=True),
    "resnet-152-dcn-dense": replace(_PAPER, deformable=True, dense=True),
}
