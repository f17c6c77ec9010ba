r"""Deformable convolution: each place of a map chooses where its k x k taps look.

    y(p) = sum_j  w_j  m_j(p)  x(p + j + o_j(p))

j runs over the k^2 taps, o_j (two numbers: down, then right) and m_j = 2 sigmoid(.) come from an
ordinary k x k convolution of the same map with 3 k^2 channels: 2 k^2 offsets, then k^2 masks. x is
read between its places by bilinear interpolation, and is 0 outside. That convolution starts with
zeros, so that all offsets are 0 and all masks 1: a fresh layer is an ordinary convolution.

Offsets and masks learn with a tenth of the learning rate: their gradient is scaled (which an
optimizer that divides by the size of gradients, as Adam does, takes back).

In an exported graph the samples are taken by GridSample, which every engine has from opset 16 on;
within `as_one_operator` the layer is one DeformConv, which ONNX has from opset 19 on.

Letters: N images, C channels, H and W pixels, k side of the filter.

Source: Zhu et al., "Deformable ConvNets v2", CVPR 2019, arXiv:1811.11168, equation 1; offsets of
Dai et al., ICCV 2017, arXiv:1703.06211; the factor 2 and the tenth as RetinaFace's release has
them.
Differs from the paper: the factor 2, without which a fresh mask would be 1/2.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, grid_sample

from tronie.lab.nn.layers.conv import Activation

OPERATOR_OPSET = 19
"""The first opset of ONNX that has DeformConv."""
OFFSET_RATE = 0.1

_one_operator = ContextVar("one operator", default=False)


class DeformableConv2d(nn.Conv2d):
    """(N, inner, H, W) to (N, outer, H, W), without a bias; `kernel` is odd."""

    def __init__(self, inner: int, outer: int, *, kernel: int = 3) -> None:
        super().__init__(inner, outer, kernel, padding=kernel // 2, bias=False)
        self.offsets = nn.Conv2d(inner, 3 * kernel**2, kernel, padding=kernel // 2)
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.offsets.bias)  # type: ignore[arg-type]

    def forward(self, maps: Tensor) -> Tensor:
        """The layer's answer, in the number type of `maps`."""
        taps = self.weight.shape[2] ** 2
        told = self._told(maps)
        offsets, masks = told[:, : 2 * taps], 2 * told[:, 2 * taps :].sigmoid()
        if _one_operator.get():
            nothing = self.weight.new_zeros(self.out_channels)
            answer: Tensor = _OneOperator.apply(maps, self.weight, offsets, nothing, masks)  # type: ignore[no-untyped-call]
            return answer
        return deformable_conv(maps, self.weight, offsets, masks)

    def _told(self, maps: Tensor) -> Tensor:
        if not self.training:
            answer: Tensor = self.offsets(maps)
            return answer
        weight, bias = (_slowly(p) for p in self.offsets.parameters())
        return conv2d(maps, weight, bias, padding=self.offsets.padding)


def deformable_conv(maps: Tensor, weight: Tensor, offsets: Tensor, masks: Tensor) -> Tensor:
    """The sum above, with stride 1 and the size kept.

    Args:
        maps: (N, C, H, W).
        weight: (outer, C, k, k), k odd.
        offsets: (N, 2 k^2, H, W) pixels, for each tap down and right; taps row by row.
        masks: (N, k^2, H, W).

    Returns:
        (N, outer, H, W).
    """
    count, channels, height, width = maps.shape
    side = weight.shape[2]
    kind = torch.promote_types(maps.dtype, torch.float32)
    away = offsets.to(kind).unflatten(1, (-1, 2))
    reach = torch.arange(side, device=maps.device, dtype=kind) - side // 2
    down = torch.arange(height, device=maps.device, dtype=kind)[:, None]
    across = torch.arange(width, device=maps.device, dtype=kind)
    y = away[:, :, 0] + reach.repeat_interleave(side)[:, None, None] + down
    x = away[:, :, 1] + reach.repeat(side)[:, None, None] + across
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    samples = grid_sample(
        maps.to(kind), grid.flatten(1, 2), mode="bilinear", align_corners=False
    ).reshape(count, channels, side**2, height, width)
    columns = (samples * masks.to(kind)[:, None]).flatten(1, 2).to(maps.dtype)
    return conv2d(columns, weight.flatten(1)[:, :, None, None])


def deformable_norm(
    inner: int, outer: int, *, kernel: int = 3, activation: Activation | None = nn.PReLU
) -> nn.Sequential:
    """`conv_norm` of `tronie.lab.nn.layers.conv`, with a deformable convolution."""
    layers = [DeformableConv2d(inner, outer, kernel=kernel), nn.BatchNorm2d(outer)]
    return nn.Sequential(*layers, *([] if activation is None else [activation(outer)]))


@contextmanager
def as_one_operator(opset: int) -> Iterator[None]:
    """Trace deformable convolutions as DeformConv inside, if `opset` has it."""
    before = _one_operator.set(opset >= OPERATOR_OPSET)
    try:
        yield
    finally:
        _one_operator.reset(before)


class _OneOperator(torch.autograd.Function):
    """What is one node in an exported graph; gradients do not flow."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor, offsets: Tensor, nothing: Tensor, masks: Tensor
    ) -> Tensor:
        return deformable_conv(maps, weight, offsets, masks)

    @staticmethod
    def symbolic(
        g: Any, maps: Any, weight: Any, offsets: Any, nothing: Any, masks: Any
    ) -> Any:  # pragma: no cover - called by the exporter
        side = weight.type().sizes()[2]
        return g.op(
            "DeformConv",
            maps,
            weight,
            offsets,
            nothing,
            masks,
            kernel_shape_i=[side, side],
            pads_i=[side // 2] * 4,
        )


def _slowly(parameter: Tensor) -> Tensor:
    """The same numbers, to which a tenth of the gradient comes."""
    still = parameter.detach()
    return still + OFFSET_RATE * (parameter - still)
