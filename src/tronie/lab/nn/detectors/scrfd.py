r"""SCRFD: a one-stage face detector whose computation lies where small faces are seen.

    backbone   residual or depthwise stages; depth and width of each were searched under a budget
    neck       PAFPN on the maps at strides 8, 16 and 32
    head       one light tower for scores and boxes, and for the five points where they are given
    anchors    two squares at each place: 16 and 32, 64 and 128, 256 and 512 pixels
    faces      each face chooses its anchors by ATSS
    loss       quality focal loss / faces' anchors  +  2 DIoU  +  0.1 smooth L1 of the points

The last two are means over the anchors that answer for a face, weighted by their score (without
gradient): an anchor learns its box the harder the surer it is.

Variants:

    0.5g, 1g                   depthwise (MobileNetV1), searched
    1.3g, 2.5g, 10g            residual, searched; 34g of bottlenecks
    NAME-kps                   with five points, batch norm, and a head for each level
    mobilenet-0.5g, resnet-2.5g, resnet-10g, resnet-34g
                               the networks that the search started from
    basic-3.5.3.2-24.48.48.80-n24-h64x2-gn16, and others that are spelled out
                               any layout; see `tronie.lab.nn.scrfd_layout`

Source: Guo et al., "Sample and Computation Redistribution for Efficient Face Detection", ICLR
2022, arXiv:2105.04714; widths and depths from its released configurations.
Differs from the release: sizes that are no multiples of 32 are taken too; what is divided by is
counted in this process, not averaged over ranks; a missing point counts nothing where the others
of its face are given; ignored boxes (see `tronie.lab.nn.assign`); 34g-kps, of which no weights
were published, is 10g-kps's change made to 34g.

Letters: B pictures, A anchors, F faces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from tronie.lab.nn.anchor_grid import (
    AnchorGrid,
    anchor_grid,
    boxes_at,
    distances_at,
    offsets_at,
    points_at,
)
from tronie.lab.nn.assign import NONE, atss, left_out
from tronie.lab.nn.cost import parameters
from tronie.lab.nn.detector import Detector, Outputs, Targets, Variant
from tronie.lab.nn.detector_cost import flops
from tronie.lab.nn.layers.path_pyramid import PathPyramid
from tronie.lab.nn.losses.box_overlap import diou_loss, iou
from tronie.lab.nn.losses.focal import quality_focal_loss
from tronie.lab.nn.losses.point_distance import point_distance
from tronie.lab.nn.scrfd_head import ScrfdHead
from tronie.lab.nn.scrfd_joined import JoinedScrfd
from tronie.lab.nn.scrfd_layout import Layout, read_layout
from tronie.lab.nn.searched_backbone import depthwise_stages, residual_stages

STRIDES = (8, 16, 32)
SIDES = ((16.0, 32.0), (64.0, 128.0), (256.0, 512.0))
PER_CELL = 2
BOX_WEIGHT, POINT_WEIGHT = 2.0, 0.1
_LEAST_WEIGHT = 1e-6


class Scrfd(Detector):
    """Pictures (B, 3, H, W), (pixel - 127.5) / 128, to Outputs in units of the stride."""

    published_format = "scrfd"

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        depthwise = layout.block == "depthwise"
        self.backbone = (
            depthwise_stages(layout.blocks, layout.widths)
            if depthwise
            else residual_stages(
                layout.blocks, layout.widths, bottleneck=layout.block == "bottleneck"
            )
        )
        self.neck = PathPyramid(self.backbone.widths[1:], layout.neck)
        self.head = ScrfdHead(
            layout.neck,
            layout.head,
            strides=STRIDES,
            depth=layout.depth,
            groups=layout.groups,
            depthwise=depthwise,
            per_cell=PER_CELL,
            points=layout.points,
            scaled=layout.scaled,
        )

    def forward(self, images: Tensor) -> Outputs:
        """See `Detector`."""
        outputs: Outputs = self.head(self.neck(self.backbone(images)[1:]))
        return outputs

    def decode(self, outputs: Outputs) -> tuple[Tensor, Tensor, Tensor | None]:
        """See `Detector`."""
        grid = _grid(outputs)
        boxes = boxes_at(grid.centers, grid.strides, outputs.distances)
        points = None
        if outputs.points is not None:
            points = points_at(grid.centers, grid.strides, outputs.points)
        return boxes, outputs.scores.sigmoid(), points

    def encode(
        self, boxes: Tensor, points: Tensor, *, levels: tuple[tuple[int, int, int], ...]
    ) -> tuple[Tensor, Tensor]:
        """Distances (B, A, 4) and offsets (B, A, 10) that `decode` makes these of.

        Args:
            boxes: (B, A, 4) pixels, one for each anchor.
            points: (B, A, 5, 2) pixels.
            levels: Of the outputs.
        """
        grid = anchor_grid(levels, SIDES, device=boxes.device)
        return (
            distances_at(grid.centers, grid.strides, boxes),
            offsets_at(grid.centers, grid.strides, points),
        )

    def loss(self, outputs: Outputs, targets: Targets) -> tuple[Tensor, Mapping[str, Tensor]]:
        """See `Detector`; parts are "classification", "boxes" and, where it has them, "points"."""
        grid = _grid(outputs)
        real = targets.valid & ~targets.ignore
        faces = atss(grid, outputs.levels, targets.boxes, real, per_cell=PER_CELL)
        skipped = left_out(
            grid,
            outputs.levels,
            targets.boxes,
            targets.valid & targets.ignore,
            per_cell=PER_CELL,
        )
        picture, anchor = (faces != NONE).nonzero(as_tuple=True)
        face = faces[picture, anchor]
        centers, strides = grid.centers[anchor], grid.strides[anchor]

        logits = outputs.scores.float()
        wanted = targets.boxes[picture, face].float()
        predicted = boxes_at(centers, strides, outputs.distances[picture, anchor].float())
        quality = torch.zeros_like(logits)
        quality[picture, anchor] = iou(predicted.detach(), wanted)
        each = quality_focal_loss(logits, quality).masked_fill(skipped & (faces == NONE), 0)
        parts = {"classification": each.sum() / max(1, len(anchor))}

        weight = logits[picture, anchor].detach().sigmoid()
        total = weight.sum().clamp_min(_LEAST_WEIGHT)
        parts["boxes"] = BOX_WEIGHT * (weight * diou_loss(predicted, wanted)).sum() / total
        if outputs.points is not None:
            offsets = outputs.points[picture, anchor].float()
            away = offsets_at(centers, strides, targets.points[picture, face].float())
            distance = point_distance(
                offsets.unflatten(-1, (-1, 2)),
                away.unflatten(-1, (-1, 2)),
                targets.has_points[picture, face],
            )
            parts["points"] = POINT_WEIGHT * (weight * distance).sum() / total
        return torch.stack(list(parts.values())).sum(), parts

    def decoded(self) -> nn.Module:
        """See `Detector`: with the decoding inside its convolutions."""
        return JoinedScrfd(self.backbone, self.neck, self.head)

    def published(self, outputs: Outputs) -> Mapping[str, Tensor]:
        """Scores in [0, 1], distances and offsets in strides, of each level (B, A_n, 1, 4, 10)."""
        ends = [0]
        for _, rows, columns in outputs.levels:
            ends.append(ends[-1] + rows * columns * PER_CELL)
        heads = {"score": outputs.scores.sigmoid()[..., None], "bbox": outputs.distances}
        if outputs.points is not None:
            heads["kps"] = outputs.points
        return {
            f"{head}_{stride}": numbers[:, start:end]
            for head, numbers in heads.items()
            for stride, (start, end) in zip(STRIDES, pairwise(ends), strict=True)
        }


def build(variant: str) -> Scrfd:
    """The network of that variant with fresh weights; see `tronie.lab.nn.detector`.

    Raises:
        BadInput: a layout is spelled out that cannot be built.
    """
    return Scrfd(layout_of(variant))


def layout_of(variant: str) -> Layout:
    """The layout of a variant: of the table below, or as its name spells it out.

    Raises:
        BadInput: see `tronie.lab.nn.scrfd_layout.read_layout`.
    """
    return LAYOUTS[variant] if variant in LAYOUTS else read_layout(variant)


def declared(variant: str) -> Variant:
    """What would be declared of a layout that is spelled out, as it is counted.

    Raises:
        BadInput: it cannot be built.
    """
    with torch.device("meta"):
        network = Scrfd(read_layout(variant))
    return Variant(
        parameters=parameters(network),
        flops=flops(network),
        anchors=16_800,
        points=network.layout.points,
        source="no table: its name spells it out",
    )


def _grid(outputs: Outputs) -> AnchorGrid:
    return anchor_grid(outputs.levels, SIDES, device=outputs.scores.device)


def _with_points(layout: Layout, *, scaled: bool = True) -> Layout:
    return replace(layout, groups=None, points=True, scaled=scaled)


_SEARCHED = {
    "0.5g": Layout(
        block="depthwise",
        blocks=(2, 3, 2, 6),
        widths=(16, 16, 40, 72, 152, 288),
        neck=16,
        head=64,
    ),
    "1g": Layout(
        block="depthwise",
        blocks=(3, 2, 1, 5),
        widths=(32, 48, 48, 160, 216, 312),
        neck=24,
        head=96,
        groups=8,
    ),
    "1.3g": Layout(block="basic", blocks=(3, 5, 3, 2), widths=(16, 32, 40, 72), neck=24, head=48),
    "2.5g": Layout(block="basic", blocks=(3, 5, 3, 2), widths=(24, 48, 48, 80), neck=24, head=64),
    "10g": Layout(
        block="basic", blocks=(3, 4, 2, 3), widths=(56, 88, 88, 224), neck=56, head=80, depth=3
    ),
    "34g": Layout(
        block="bottleneck",
        blocks=(17, 16, 2, 8),
        widths=(56, 56, 144, 184),
        neck=128,
        head=256,
        groups=32,
    ),
}
LAYOUTS: Mapping[str, Layout] = {
    **_SEARCHED,
    "0.5g-kps": _with_points(_SEARCHED["0.5g"], scaled=False),
    "2.5g-kps": _with_points(_SEARCHED["2.5g"]),
    "10g-kps": _with_points(_SEARCHED["10g"]),
    "34g-kps": _with_points(_SEARCHED["34g"]),
    "mobilenet-0.5g": Layout(
        block="depthwise",
        blocks=(2, 2, 6, 3),
        widths=(8, 16, 32, 64, 128, 256),
        neck=32,
        head=80,
    ),
    "resnet-2.5g": Layout(
        block="basic", blocks=(3, 4, 6, 3), widths=(16, 32, 64, 128), neck=48, head=96
    ),
    "resnet-10g": Layout(
        block="basic",
        blocks=(3, 4, 6, 3),
        widths=(32, 64, 128, 256),
        neck=128,
        head=160,
        groups=32,
    ),
    "resnet-34g": Layout(
        block="bottleneck",
        blocks=(3, 8, 4, 3),
        widths=(64, 128, 256, 512),
        neck=128,
        head=256,
        groups=32,
    ),
}
SPELLED: Mapping[str, str] = {
    "basic": "residual, each unit 3x3 and 3x3",
    "bottleneck": "residual, each unit 1x1, 3x3 and 1x1 to four times the width",
    "depthwise": "each unit 3x3 on each channel alone, then 1x1",
}
VARIANTS: Mapping[str, Variant] = {
    "0.5g": Variant(
        parameters=572_741,
        flops=508_747_800,
        anchors=16_800,
        points=False,
        source="the authors' table: SCRFD_500M, 0.57 M, 0.508 G",
    ),
    "1g": Variant(
        parameters=635_565,
        flops=982_342_200,
        anchors=16_800,
        points=False,
        source="the authors' table: SCRFD_1G, 0.64 M",
    ),
    "1.3g": Variant(
        parameters=435_253,
        flops=1_288_416_600,
        anchors=16_800,
        points=False,
        source="a released configuration, of which no weights and no numbers were published",
    ),
    "2.5g": Variant(
        parameters=671_761,
        flops=2_530_565_400,
        anchors=16_800,
        points=False,
        source="the authors' table: SCRFD_2.5G, 0.67 M, 2.53 G",
    ),
    "10g": Variant(
        parameters=3_860_225,
        flops=9_982_109_400,
        anchors=16_800,
        points=False,
        source="the authors' table: SCRFD_10G, 3.86 M, 9.98 G",
    ),
    "34g": Variant(
        parameters=9_802_737,
        flops=34_135_855_800,
        anchors=16_800,
        points=False,
        source="the authors' table: SCRFD_34G, 9.80 M, 34.13 G",
    ),
    "0.5g-kps": Variant(
        parameters=631_410,
        flops=584_070_600,
        anchors=16_800,
        points=True,
        source="the authors' table: SCRFD_500M_KPS, 0.57 M, which is 0.5g's; in its file 0.63 M",
    ),
    "2.5g-kps": Variant(
        parameters=819_809,
        flops=2_604_880_200,
        anchors=16_800,
        points=True,
        source="the authors' table: SCRFD_2.5G_KPS, 0.82 M",
    ),
    "10g-kps": Variant(
        parameters=4_229_905,
        flops=10_075_979_400,
        anchors=16_800,
        points=True,
        source="the authors' table: SCRFD_10G_KPS, 4.23 M",
    ),
    "34g-kps": Variant(
        parameters=11_758_657,
        flops=34_432_737_000,
        anchors=16_800,
        points=True,
        source="tronie's own: 34g with the changes that made 10g-kps of 10g",
    ),
    "mobilenet-0.5g": Variant(
        parameters=378_829,
        flops=506_952_600,
        anchors=16_800,
        points=False,
        source="the authors' table: MobileNet-0.5GF, 0.37 M, 0.507 G",
    ),
    "resnet-2.5g": Variant(
        parameters=1_624_709,
        flops=2_574_264_600,
        anchors=16_800,
        points=False,
        source="the authors' table: ResNet-2.5GF, 1.62 M, 2.57 G",
    ),
    "resnet-10g": Variant(
        parameters=6_851_069,
        flops=10_182_783_000,
        anchors=16_800,
        points=False,
        source="the authors' table: ResNet-10GF, 6.85 M, 10.18 G",
    ),
    "resnet-34g": Variant(
        parameters=24_814_189,
        flops=37_066_815_000,
        anchors=16_800,
        points=False,
        source="the authors' table: ResNet-34GF, 24.81 M, 34.16 G; as configured 37.07 G",
    ),
}
