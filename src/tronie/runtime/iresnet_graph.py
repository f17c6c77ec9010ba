"""IResNet as an ONNX graph with random weights, made without torch, for timing a machine.

    stem    3x3, 64 channels, batch norm, PReLU
    unit    BN -> 3x3 -> BN -> PReLU -> 3x3 (stride here) -> BN, plus its input; where the shape
            changes, the input passes a 1x1 with that stride and a BN
    stages  64, 128, 256, 512 channels; the first unit of each halves the picture
    head    BN -> flatten -> fully connected to 512 -> BN

The weights are random but always the same. What it embeds means nothing; its time on a machine
is that of the trained network, since time does not depend on weights.

Source: Deng et al., "ArcFace", CVPR 2019, arXiv:1801.07698; units a stage as in the authors'
releases.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tronie.errors import NotFound

UNITS: Mapping[str, tuple[int, int, int, int]] = {
    "iresnet-18": (2, 2, 2, 2),
    "iresnet-34": (3, 4, 6, 3),
    "iresnet-50": (3, 4, 14, 3),
    "iresnet-100": (3, 13, 30, 3),
}
"""Networks that can be made, each with its units a stage."""
CHANNELS = (64, 128, 256, 512)
SIDE = 112
DIMENSION = 512
OPSET = 17
SEED = 20210601


def iresnet_graph(
    network: str,
    *,
    channels: tuple[int, ...] = CHANNELS,
    dimension: int = DIMENSION,
    seed: int = SEED,
) -> onnx.ModelProto:
    """The graph of that network: "data" (N, 3, 112, 112) float32 to "embedding" (N, dimension).

    Args:
        network: A key of UNITS.
        channels: Of each stage; fewer make a toy.
        dimension: Numbers in an embedding.
        seed: Of the weights.

    Raises:
        NotFound: no such network here; the message lists those there are.
    """
    if network not in UNITS:
        raise NotFound(f"no graph of {network!r} can be made here; there is {', '.join(UNITS)}")
    build = _Builder(np.random.default_rng(seed))
    x = build.norm(build.conv("data", 3, channels[0], kernel=3), channels[0])
    x = build.prelu(x, channels[0])
    inner, side = channels[0], SIDE
    for outer, units in zip(channels, UNITS[network], strict=True):
        for n in range(units):
            x = build.unit(x, inner, outer, stride=2 if n == 0 else 1)
            inner = outer
        side //= 2
    x = build.node("Flatten", [build.norm(x, inner)], told={"axis": 1})
    flat = inner * side * side
    weight, bias = build.normal(dimension, flat, fan_in=flat), build.full(dimension, 0)
    x = build.node("Gemm", [x, weight, bias], told={"transB": 1})
    build.norm(x, dimension, output="embedding")
    graph = helper.make_graph(
        build.nodes,
        network,
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", dimension])],
        build.weights,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="tronie")


class _Builder:
    """Nodes and weights, in order."""

    def __init__(self, random: np.random.Generator) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = random

    def unit(self, x: str, inner: int, outer: int, *, stride: int) -> str:
        """A residual unit."""
        y = self.norm(self.conv(self.norm(x, inner), inner, outer, kernel=3), outer)
        y = self.prelu(y, outer)
        y = self.norm(self.conv(y, outer, outer, kernel=3, stride=stride), outer)
        if stride != 1 or inner != outer:
            x = self.norm(self.conv(x, inner, outer, kernel=1, stride=stride), outer)
        return self.node("Add", [y, x])

    def conv(self, x: str, inner: int, outer: int, *, kernel: int, stride: int = 1) -> str:
        """A convolution without bias."""
        weight = self.normal(outer, inner, kernel, kernel, fan_in=inner * kernel * kernel)
        return self.node(
            "Conv",
            [x, weight],
            told={
                "kernel_shape": [kernel, kernel],
                "strides": [stride, stride],
                "pads": [kernel // 2] * 4,
            },
        )

    def norm(self, x: str, channels: int, *, output: str = "") -> str:
        """A batch norm that changes nothing; an engine folds it as it folds any."""
        parts = [self.full(channels, value) for value in (1, 0, 0, 1)]
        return self.node("BatchNormalization", [x, *parts], output=output)

    def prelu(self, x: str, channels: int) -> str:
        """A slope of 0.25 a channel."""
        return self.node("PRelu", [x, self._store(np.full((channels, 1, 1), 0.25, np.float32))])

    def normal(self, *shape: int, fan_in: int) -> str:
        """Random weights that keep the variance of what they are given."""
        drawn = self._random.standard_normal(shape, np.float32)
        return self._store(drawn * np.float32(fan_in**-0.5))

    def full(self, n: int, value: float) -> str:
        """`n` times the same number."""
        return self._store(np.full(n, value, np.float32))

    def node(
        self,
        kind: str,
        inputs: list[str],
        *,
        output: str = "",
        told: Mapping[str, Any] | None = None,
    ) -> str:
        """One operator with what it is told; its answer's name."""
        name = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **(told or {})))
        return name

    def _store(self, array: NDArray[np.float32]) -> str:
        name = f"stored_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name
