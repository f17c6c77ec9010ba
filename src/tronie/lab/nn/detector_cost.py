"""FLOPs as the published columns of face detectors count them, layer by layer.

    convolution        multiply-adds, and one for each number where there is a bias
    batch norm         2 for each number
    ReLU and its kin   1 for each number
    pooling            1 for each number that comes in
    all else           free: group norm, sums, enlarging, the numbers that scale boxes

For one picture, of VGA size (480 x 640) unless another is asked for. A layer that is shared by
several levels counts for each. The network runs in evaluation on tensors without contents, so
that counting takes a fraction of a second for any size.

Source: the counter of mmcv, which SCRFD's release calls. Its published columns are met to one unit
of their last digit: they are neither all rounded nor all cut off.
Differs from it: its current form counts group norms too, with which the released networks that
have them would not print as published.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tronie.lab.nn.cost import on_meta
from tronie.lab.nn.detector import VGA


@dataclass(frozen=True, kw_only=True)
class LayerFlops:
    """One layer that counts: its path, as in "backbone.stem.0.0", and what it costs."""

    name: str
    kind: str
    """The class of the layer."""
    flops: int
    macs: int
    """Multiply-adds alone: 0 but for convolutions."""


def layer_flops(module: nn.Module, *, size: tuple[int, int] = VGA) -> tuple[LayerFlops, ...]:
    """Every layer that counts on one picture of (height, width) `size`, in order.

    `module` takes (N, 3, H, W) float32. It is copied, and stays as it is.
    """
    traced = on_meta(module).eval()
    found: list[LayerFlops] = []
    for name, part in traced.named_modules():
        count = next((c for kinds, c in _COUNTS if isinstance(part, kinds)), None)
        if count is not None:
            part.register_forward_hook(_noting(found, name, count))
    with torch.no_grad():
        traced(torch.empty(1, 3, *size, device="meta"))
    return tuple(found)


def flops(module: nn.Module, *, size: tuple[int, int] = VGA) -> int:
    """FLOPs of one picture of (height, width) `size` by the published rule."""
    return sum(layer.flops for layer in layer_flops(module, size=size))


def macs_by_part(module: nn.Module, *, size: tuple[int, int] = VGA) -> Mapping[str, int]:
    """Multiply-adds of stem, stages, neck and head: where a network spends its computation.

    A part is a child of the network, or of its `backbone`, and of a list there one entry; of
    SCRFD "backbone.stem", "backbone.stages.0" to "backbone.stages.3", "neck" and "head".
    """
    sums: dict[str, int] = {}
    for layer in layer_flops(module, size=size):
        names = layer.name.split(".")
        depth = 1 if names[0] != "backbone" else 2 + names[2].isdigit() * (names[1] == "stages")
        part = ".".join(names[:depth])
        sums[part] = sums.get(part, 0) + layer.macs
    return sums


Count = Callable[[nn.Module, Tensor, Tensor], tuple[int, int]]
"""Of a layer, what comes in and what goes out: FLOPs and multiply-adds."""


def _noting(found: list[LayerFlops], name: str, count: Count) -> Callable[..., None]:
    def note(module: nn.Module, given: tuple[Any, ...], answer: Tensor) -> None:
        total, macs = count(module, given[0], answer)
        found.append(LayerFlops(name=name, kind=type(module).__name__, flops=total, macs=macs))

    return note


def _convolution(module: nn.Module, given: Tensor, answer: Tensor) -> tuple[int, int]:
    assert isinstance(module, nn.Conv2d)
    window = math.prod(module.kernel_size) * module.in_channels // module.groups
    macs = window * answer.numel()
    return macs + (answer.numel() if module.bias is not None else 0), macs


def _norm(module: nn.Module, given: Tensor, answer: Tensor) -> tuple[int, int]:
    return 2 * answer.numel(), 0


def _activation(module: nn.Module, given: Tensor, answer: Tensor) -> tuple[int, int]:
    return answer.numel(), 0


def _pooling(module: nn.Module, given: Tensor, answer: Tensor) -> tuple[int, int]:
    return given.numel(), 0


_COUNTS: tuple[tuple[tuple[type[nn.Module], ...], Count], ...] = (
    ((nn.Conv2d,), _convolution),
    ((nn.BatchNorm2d,), _norm),
    ((nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU), _activation),
    ((nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d), _pooling),
)
