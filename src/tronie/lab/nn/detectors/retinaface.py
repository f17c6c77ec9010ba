r"""RetinaFace: boxes, five points and, while it learns, the colored mesh of each face.

    backbone   MobileNetV1 of a quarter of its width, or ResNet
    neck       a pyramid, then a context module on each of its maps
    head       1x1 to background and face, box, points; to a mesh's code where it is dense
    anchors    squares at the middle of each place
    faces      an anchor answers for the face it overlaps, see `tronie.lab.nn.retinaface_matching`
    loss       softmax of positives and of the hardest negatives  +  w1 box  +  w2 points  +
               w3 pixels; box and points by smooth L1

For an anchor with center p and side q, a box of center c and sides s, and its point k:

    (c - p) / (v q)      ln(s / q) / u      (k - p) / (v q)

Two forms. The first is small, and widely used (v 0.1, u 0.2; w 2, 1):

    mobilenet-0.25, resnet-50
               strides 8, 16, 32; two anchors at each place, of 16 and 32, 64 and 128, 256 and 512
               pixels; a head for each level; positive from IoU 0.35 on, and each face's best
               anchor from 0.2 on; 7 negatives for each positive

The second is the paper's (v 1, u 1; w 0.25, 0.1, 0.01):

    resnet-50-p2, resnet-152
               strides 4 to 64 (P2 to P6), three anchors at each place, of 4, 5.04 and 6.35 strides;
               one head for all levels; positive from IoU 0.5 on, negative below 0.3; 3 negatives
               for each positive
    NAME-dcn   each 3x3 of pyramid and context module is a deformable convolution
    NAME-dense also learns from pixels, see `tronie.lab.nn.retinaface_dense`; nothing of it is left
               once it has learned. Its pictures are to be (pixel - 127.5) / 127.5 or nearly so

Classification, boxes and pixels are divided by the anchors that answer for a face, points by those
of which points are known.

Source: Deng et al., "RetinaFace: Single-stage Dense Face Localisation in the Wild", CVPR 2020,
arXiv:1905.00641; the first form as its PyTorch implementation (MIT) has it.
Differs from the paper: weights are fresh, where its backbones knew ImageNet; anchors stand at the
middle of a place, of which it says nothing; a missing point counts nothing. Differs from both: a
picture without faces still teaches as many negatives as one anchor would; ignored boxes.

Letters: B pictures, A anchors, F faces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss, softplus

from tronie.lab.nn.anchor_grid import AnchorGrid, anchor_grid
from tronie.lab.nn.assign import NONE
from tronie.lab.nn.detector import Detector, Outputs, Targets, Variant
from tronie.lab.nn.layers.context import ContextModule, Convolution
from tronie.lab.nn.layers.conv import conv_norm
from tronie.lab.nn.layers.deformable import deformable_norm
from tronie.lab.nn.losses.hard_negatives import hardest
from tronie.lab.nn.losses.point_distance import point_distance
from tronie.lab.nn.retinaface_backbone import resnet_stages
from tronie.lab.nn.retinaface_dense import DenseBranch, DenseOutputs
from tronie.lab.nn.retinaface_head import RetinaFaceHead
from tronie.lab.nn.retinaface_layout import LAYOUTS, Layout
from tronie.lab.nn.retinaface_matching import match
from tronie.lab.nn.retinaface_pyramid import MergedPyramid
from tronie.lab.nn.searched_backbone import depthwise_stages

FINEST, COARSEST = 4, 32
"""Strides of the first and the last map of a backbone."""


class RetinaFace(Detector):
    """Pictures (B, 3, H, W) to Outputs in sides of the anchors, see above."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.published_format = "retinaface" if layout.published else None
        self.strides = tuple(layout.sides)
        self.per_cell = len(layout.sides[self.strides[0]])

        def activation(_: int) -> nn.Module:
            slope = layout.slope
            return nn.LeakyReLU(slope, inplace=True) if slope else nn.ReLU(inplace=True)

        convolution: Convolution = deformable_norm if layout.deformable else conv_norm
        self.backbone = (
            depthwise_stages(layout.blocks, layout.widths, activation=activation)
            if layout.backbone == "depthwise"
            else resnet_stages(layout.blocks, layout.widths)
        )
        self.first = (self.strides[0] // FINEST).bit_length() - 1
        self.neck = MergedPyramid(
            self.backbone.widths[self.first :],
            layout.width,
            activation=activation,
            convolution=convolution,
            further=self.strides[-1] > COARSEST,
        )
        self.context = nn.ModuleList(
            ContextModule(layout.width, activation=activation, convolution=convolution)
            for _ in self.strides
        )
        self.head = RetinaFaceHead(
            layout.width, strides=self.strides, per_cell=self.per_cell, shared=layout.shared
        )
        self.dense = DenseBranch(layout.width, per_cell=self.per_cell) if layout.dense else None

    def forward(self, images: Tensor) -> Outputs:
        """See `Detector`."""
        maps = self.neck(self.backbone(images)[self.first :])
        maps = [context(map_) for context, map_ in zip(self.context, maps, strict=True)]
        outputs: Outputs = self.head(maps)
        if self.dense is None or not self.training:
            return outputs
        return DenseOutputs(
            scores=outputs.scores,
            distances=outputs.distances,
            points=outputs.points,
            levels=outputs.levels,
            images=images,
            maps=tuple(maps),
        )

    def decode(self, outputs: Outputs) -> tuple[Tensor, Tensor, Tensor | None]:
        """See `Detector`."""
        assert outputs.points is not None, "a RetinaFace knows points"
        grid, rules = self._grid(outputs.levels, outputs.scores.device), self.layout.rules
        side = grid.sides[:, None]
        reach = rules.place_scale * side
        middle = grid.centers + reach * outputs.distances[..., :2]
        half = side * torch.exp(rules.size_scale * outputs.distances[..., 2:]) / 2
        away = outputs.points.unflatten(-1, (-1, 2)) * reach[..., None]
        boxes = torch.cat([middle - half, middle + half], dim=-1)
        return boxes, outputs.scores.sigmoid(), grid.centers[:, None] + away

    def encode(
        self, boxes: Tensor, points: Tensor, *, levels: tuple[tuple[int, int, int], ...]
    ) -> tuple[Tensor, Tensor]:
        """Numbers (B, A, 4) and (B, A, 10) that `decode` makes these of.

        Args:
            boxes: (B, A, 4) pixels, one for each anchor, with an area.
            points: (B, A, 5, 2) pixels.
            levels: Of the outputs.
        """
        grid = self._grid(levels, boxes.device)
        return self._encoded(grid.centers, grid.sides, boxes, points)

    def loss(self, outputs: Outputs, targets: Targets) -> tuple[Tensor, Mapping[str, Tensor]]:
        """See `Detector`; parts are "classification", "boxes", "points", and "pixels" if dense."""
        assert outputs.points is not None, "a RetinaFace knows points"
        rules = self.layout.rules
        grid = self._grid(outputs.levels, outputs.scores.device)
        faces, unused = match(
            grid, targets.boxes, targets.valid, targets.ignore, overlaps=rules.overlaps
        )
        positive = faces != NONE
        logits = outputs.scores.float()
        as_face, as_background = softplus(-logits), softplus(logits)
        owned = positive.sum(dim=1).clamp_min(1)
        negative = hardest(as_background.detach(), ~positive & ~unused, rules.negatives * owned)
        total = owned.sum()
        parts = {
            "classification": (as_face[positive].sum() + as_background[negative].sum()) / total
        }

        picture, anchor = positive.nonzero(as_tuple=True)
        face = faces[picture, anchor]
        centers, sides = grid.centers[anchor], grid.sides[anchor]
        numbers, places = self._encoded(
            centers,
            sides,
            targets.boxes[picture, face].float(),
            targets.points[picture, face].float(),
        )
        wrong = smooth_l1_loss(outputs.distances[picture, anchor].float(), numbers, reduction="sum")
        parts["boxes"] = rules.boxes * wrong / total
        known = targets.has_points[picture, face]
        distance = point_distance(
            outputs.points[picture, anchor].float().unflatten(-1, (-1, 2)),
            places.unflatten(-1, (-1, 2)),
            known,
            beta=1.0,
        )
        with_points = known.any(dim=1).sum().clamp_min(1)
        parts["points"] = rules.points * distance.sum() / with_points
        if self.dense is not None and isinstance(outputs, DenseOutputs):
            apart = self.dense.loss(outputs, picture, anchor, centers=centers, sides=sides)
            parts["pixels"] = rules.pixels * apart
        return torch.stack(list(parts.values())).sum(), parts

    def published(self, outputs: Outputs) -> Mapping[str, Tensor]:
        """Boxes (B, A, 4), softmax of background and face (B, A, 2), points (B, A, 10).

        Raises:
            BadInput: no files of this form are published.
        """
        if not self.layout.published or outputs.points is None:
            return super().published(outputs)
        face = outputs.scores.sigmoid()
        return {
            "bbox": outputs.distances,
            "confidence": torch.stack([(-outputs.scores).sigmoid(), face], dim=-1),
            "landmark": outputs.points,
        }

    def _grid(self, levels: tuple[tuple[int, int, int], ...], device: torch.device) -> AnchorGrid:
        """Anchors at the middle of each place."""
        corners = anchor_grid(levels, tuple(self.layout.sides.values()), device=device)
        return replace(corners, centers=corners.centers + corners.strides[:, None] / 2)

    def _encoded(
        self, centers: Tensor, sides: Tensor, boxes: Tensor, points: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(..., 4) and (..., 10) of anchors (N, 2), (N,), boxes (..., N, 4), points."""
        rules, side = self.layout.rules, sides[:, None]
        reach = rules.place_scale * side
        upper, lower = boxes[..., :2], boxes[..., 2:]
        place = ((upper + lower) / 2 - centers) / reach
        size = torch.log((lower - upper) / side) / rules.size_scale
        away = (points - centers[:, None]) / reach[..., None]
        return torch.cat([place, size], dim=-1), away.flatten(-2)


def build(variant: str) -> RetinaFace:
    """The network of that variant with fresh weights; see `tronie.lab.nn.detector`."""
    return RetinaFace(LAYOUTS[variant])


VARIANTS: Mapping[str, Variant] = {
    "mobilenet-0.25": Variant(
        parameters=426_608,
        flops=763_392_000,
        anchors=16_800,
        points=True,
        source="the PyTorch form, and LFD's table: 426,608 parameters",
    ),
    "resnet-50": Variant(
        parameters=27_293_600,
        flops=33_415_228_800,
        anchors=16_800,
        points=True,
        source="the PyTorch form; its network counts 27,293,600",
    ),
    "resnet-50-p2": Variant(
        parameters=33_764_208,
        flops=57_352_203_840,
        anchors=102_300,
        points=True,
        source="tronie's own: resnet-152 with the stages of ResNet-50",
    ),
    "resnet-50-p2-dcn": Variant(
        parameters=34_806_948,
        flops=63_300_000_900,
        anchors=102_300,
        points=True,
        source="tronie's own: resnet-50-p2 with the paper's deformable layers",
    ),
    "resnet-50-p2-dense": Variant(
        parameters=34_097_382,
        flops=57_352_203_840,
        anchors=102_300,
        points=True,
        source="tronie's own: resnet-50-p2 with the paper's pixel loss",
    ),
    "resnet-152": Variant(
        parameters=68_399_984,
        flops=103_018_098_240,
        anchors=102_300,
        points=True,
        source="section 4.2 of the paper, without deformable layers",
    ),
    "resnet-152-dcn": Variant(
        parameters=69_442_724,
        flops=108_965_895_300,
        anchors=102_300,
        points=True,
        source="section 4.2 of the paper: 102,300 anchors, a file of 262 MB",
    ),
    "resnet-152-dcn-dense": Variant(
        parameters=69_775_898,
        flops=108_965_895_300,
        anchors=102_300,
        points=True,
        source="the paper's whole network while it learns; the mesh is tronie's own",
    ),
}
