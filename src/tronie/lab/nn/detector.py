"""What a face detector is to the lab, and how it is built by name.

A detector is one file of `tronie.lab.nn.detectors`. It holds a table of variants and makes any
of them; `scrfd-2.5g` is the variant "2.5g" of `scrfd.py`. To add one is to add its file.

    VARIANTS = {"2.5g": Variant(...), ...}      written out, so that it can be listed without torch
    build(variant) -> Detector                  with fresh weights, from torch's generator
    SPELLED, declared(variant) -> Variant       where layouts can be spelled out besides; see
                                                `tronie.lab.nn.detector_names`

    forward   pictures (B, 3, H, W) float32, as the recipe normalizes them  ->  Outputs
    loss      Outputs and Targets  ->  what is minimized, and its parts by name
    decode    Outputs  ->  boxes (B, A, 4) in pixels, scores (B, A) in [0, 1], points or None

Any size is taken from 1 x 1 on: a level of stride s has ceil(H / s) rows and ceil(W / s) columns.

Declared numbers are counted by `tronie.lab.nn.cost` (parameters) and by
`tronie.lab.nn.detector_cost` (FLOPs, on a VGA picture of 480 x 640).

Letters: B pictures, A anchors of one picture, F faces of the picture that has most of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tronie import catalog
from tronie.errors import BadInput
from tronie.lab.nn.detector_names import CATALOGUE, detector_parts, names

__all__ = [
    "CATALOGUE",
    "VGA",
    "Detector",
    "Outputs",
    "Targets",
    "Variant",
    "build_detector",
    "names",
    "variant_of",
]

VGA = (480, 640)
"""Height and width for which the published columns count FLOPs."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Declared numbers of one network, held to the code by tests/contracts."""

    parameters: int
    flops: int
    """By the published rule, at VGA."""
    anchors: int
    """On a picture of 640 x 640."""
    points: bool
    """Whether it gives the five points too."""
    source: str
    """Where this network is described, and the numbers published of it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Targets:
    """The faces of a batch, in pixels of its pictures; pictures with fewer faces end in zeros."""

    boxes: Tensor
    """(B, F, 4) float32, x1 y1 x2 y2. May reach over the border; boxes without area count for
    nothing."""
    valid: Tensor
    """(B, F) bool: the row holds a box at all."""
    ignore: Tensor
    """(B, F) bool: neither face nor background, so that nothing is learned there."""
    points: Tensor
    """(B, F, 5, 2) float32, in the order of `tronie.geometry.landmarks`."""
    has_points: Tensor
    """(B, F, 5) bool: the point was annotated."""

    def to(self, device: torch.device | str) -> Targets:
        """The same on another device."""
        return Targets(
            boxes=self.boxes.to(device, non_blocking=True),
            valid=self.valid.to(device, non_blocking=True),
            ignore=self.ignore.to(device, non_blocking=True),
            points=self.points.to(device, non_blocking=True),
            has_points=self.has_points.to(device, non_blocking=True),
        )


@dataclass(eq=False, kw_only=True)
class Outputs:
    """What a detector says of a batch; anchors lie level by level, row by row, left to right."""

    scores: Tensor
    """(B, A) logits."""
    distances: Tensor
    """(B, A, 4) in the units of the detector, which `decode` turns into pixels."""
    points: Tensor | None
    """(B, A, 10), or None where the detector knows no points."""
    levels: tuple[tuple[int, int, int], ...]
    """Stride, rows and columns of each level, the finest first."""


class Detector(nn.Module, ABC):
    """A network that answers at every anchor: is here a face, and where does it end?"""

    published_format: str | None = None
    """The entry of runtime/detectors that reads what `published` gives; None: there is none."""

    @abstractmethod
    def forward(self, images: Tensor) -> Outputs:
        """Outputs for pictures (B, 3, H, W)."""

    @abstractmethod
    def loss(self, outputs: Outputs, targets: Targets) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What is minimized, a scalar, and its parts by name, scalars that sum up to it."""

    @abstractmethod
    def decode(self, outputs: Outputs) -> tuple[Tensor, Tensor, Tensor | None]:
        """Boxes (B, A, 4) in pixels, scores (B, A) in [0, 1], points (B, A, 5, 2) or None."""

    def decoded(self) -> nn.Module:
        """Pictures (B, 3, H, W) to boxes, scores and points (B, A, 10), as exported.

        The weights are shared, or copied where they are rewritten; for evaluation only.
        """
        return _Decoded(self)

    def published(self, outputs: Outputs) -> Mapping[str, Tensor]:
        """The outputs as files of this network are published, by name and in their order.

        Raises:
            BadInput: none are published.
        """
        raise BadInput(
            f"{type(self).__name__} has no published layout of outputs; export it decoded"
        )


class _Decoded(nn.Module):
    """`forward`, then `decode`."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        boxes, scores, points = self.detector.decode(self.detector(pictures))
        return boxes, scores, None if points is None else points.flatten(2)


def variant_of(name: str) -> Variant:
    """What the detector of that name declares; of one that is spelled out, what was counted.

    Raises:
        NotFound: no such detector; the message holds the nearest name.
        BadInput: it is spelled out and cannot be built.
    """
    key, variant = detector_parts(name)
    listed: Mapping[str, Variant] = catalog.load(CATALOGUE, key, "VARIANTS")
    if variant in listed:
        return listed[variant]
    declared: Callable[[str], Variant] = catalog.load(CATALOGUE, key, "declared")
    return declared(variant)


def build_detector(name: str) -> Detector:
    """The network of that name with fresh weights, drawn from torch's generator.

    Raises:
        NotFound: no such detector; the message holds the nearest name.
        BadInput: it is spelled out and cannot be built.
    """
    key, variant = detector_parts(name)
    build: Callable[[str], Detector] = catalog.load(CATALOGUE, key, "build")
    return build(variant)
