r"""What an ONNX graph costs for one picture, operator by operator, told from its shapes alone.

Two rules:

    flops_lfr   convolutions and fully connected layers, nothing else:
                    convolution      (2 Cin kh kw - [no bias]) Ho Wo Cout / groups, rounded down
                    fully connected  (2 Cin - [no bias]) Cout, for each row it is applied to
    macs        multiply-adds of the same, and of products of two activations:
                    convolution      Cin kh kw Ho Wo Cout / groups
                    product          rows x inner x columns

A fully connected layer is a Gemm or MatMul with one stored operand; a MatMul whose answer goes
into nothing but the addition of a stored vector has a bias. Transposed convolutions count for
each place that comes in.

A batch norm that was folded into its convolution gave it a bias, so that a file may cost some
hundredths of a percent more by the first rule than the network that it was exported from.

No weights are read and nothing is run. An operator that multiplies in a way we cannot count
(recurrent networks, attention in one operator, those of other domains) is refused, never free.

Source: `flops_counter.py` of the Lightweight Face Recognition challenge (ICCV 2019). Differs
from it: fully connected layers on several rows, and transposed convolutions, which its
organizers had added by hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from tronie.errors import BadModel
from tronie.runtime.bounds import refuse_unbounded
from tronie.runtime.graph import load_graph
from tronie.runtime.shapes import Shape, shapes_of

_Cost = tuple[int, int]

UNCOUNTED = frozenset({"RNN", "LSTM", "GRU", "Attention", "DeformConv", "DFT", "STFT"})


@dataclass(frozen=True, kw_only=True)
class OperatorCost:
    """One operator that multiplies: its node's name, its type, its cost for one picture."""

    name: str
    op: str
    flops_lfr: int
    macs: int


@dataclass(frozen=True, kw_only=True)
class GraphCost:
    """A whole graph. `parameters` are all stored numbers, statistics of batch norms too."""

    parameters: int
    flops_lfr: int
    macs: int
    size_bytes: int
    """Of the file; of the protobuf where a graph was handed in."""
    operators: tuple[OperatorCost, ...]

    def by_type(self) -> tuple[OperatorCost, ...]:
        """Sums over operators of the same type, the dearest first; `name` tells how many."""
        sums: dict[str, list[int]] = {}
        for operator in self.operators:
            total = sums.setdefault(operator.op, [0, 0, 0])
            total[0] += 1
            total[1] += operator.flops_lfr
            total[2] += operator.macs
        return tuple(
            OperatorCost(name=str(count), op=op, flops_lfr=flops, macs=macs)
            for op, (count, flops, macs) in sorted(sums.items(), key=lambda item: -item[1][2])
        )


def graph_cost(
    model: onnx.ModelProto | str | Path, *, size: tuple[int, int] = (112, 112), name: str = ""
) -> GraphCost:
    """Count `model`, a path or an open graph that takes pictures (N, C, H, W).

    Args:
        model: A path, or a graph that was read with `tronie.runtime.graph`.
        size: Height and width, used where the file leaves them free.
        name: What messages call it; by default the file's name.

    Raises:
        NotFound, BadModel: no file; no model; a loop or an array without measure; an operator
            whose cost cannot be told, which the message names.
    """
    if isinstance(model, onnx.ModelProto):
        called, size_bytes = name or "the graph", model.ByteSize()
    else:
        file = Path(model)
        model, called = load_graph(file), name or file.name
        size_bytes = file.stat().st_size
    refuse_unbounded(model, name=called)
    _refuse_uncounted(model, called)
    graph = model.graph
    batch, shapes = shapes_of(model, size=size, name=called)
    stored = _stored(graph)
    biased = _biased_products(graph, stored)
    operators = []
    for n, node in enumerate(graph.node):
        count = _COUNTS.get(node.op_type)
        if count is None:
            continue
        label = node.name or f"{node.op_type}_{n}"
        try:
            flops, macs = count(
                _Products(node, shapes, stored, bool(biased.intersection(node.output)))
            )
        except (LookupError, ValueError, ZeroDivisionError) as fault:
            unknown = f"the shape of {fault} is not told; export it with fixed shapes"
            reason = unknown if isinstance(fault, KeyError) else str(fault)
            raise BadModel(
                f"{called}: the cost of {node.op_type} {label!r} cannot be told: {reason}"
            ) from fault
        operators.append(
            OperatorCost(name=label, op=node.op_type, flops_lfr=flops // batch, macs=macs // batch)
        )
    return GraphCost(
        parameters=_parameters(graph),
        flops_lfr=sum(o.flops_lfr for o in operators),
        macs=sum(o.macs for o in operators),
        size_bytes=size_bytes,
        operators=tuple(operators),
    )


class _Products:
    """One node with the shapes around it."""

    def __init__(
        self, node: onnx.NodeProto, shapes: Mapping[str, Shape], stored: set[str], biased: bool
    ) -> None:
        self.node = node
        self.stored = stored
        self.biased = biased
        self._shapes = shapes

    def input(self, n: int) -> Shape:
        """Shape of the n-th input."""
        return self._shapes[self.node.input[n]]

    def output(self) -> Shape:
        """Shape of the answer."""
        return self._shapes[self.node.output[0]]

    def has(self, n: int) -> bool:
        """Whether there is an n-th input."""
        return len(self.node.input) > n and bool(self.node.input[n])

    def is_stored(self, n: int) -> bool:
        """Whether the n-th input does not depend on the picture."""
        return self.node.input[n] in self.stored

    def attribute(self, name: str, default: int) -> int:
        """A whole number that the node states."""
        return next((int(a.i) for a in self.node.attribute if a.name == name), default)


def _convolution(at: _Products, *, picture: int = 0, weights: int = 1, bias: int = 2) -> _Cost:
    kernel, answer = at.input(weights), at.output()
    groups = at.attribute("group", 1)
    inner, window = int(at.input(picture)[1]), math.prod(kernel[2:])
    if groups < 1 or inner != groups * kernel[1]:
        raise ValueError(f"filters of {kernel[1]} channels in {groups} groups do not fit {inner}")
    places = math.prod(answer)  # batch, channels, height, width
    flops = (2 * inner * window - (not at.has(bias))) * places // groups
    return flops, inner * window * places // groups


def _quantized_convolution(at: _Products) -> _Cost:
    return _convolution(at, weights=3, bias=8)


def _integer_convolution(at: _Products) -> _Cost:
    return _convolution(at, bias=len(at.node.input))


def _transposed(at: _Products) -> _Cost:
    kernel, places = at.input(1), math.prod(at.input(0)) // at.input(0)[1]
    inner, outer = kernel[0], kernel[1] * at.attribute("group", 1)
    groups, window = at.attribute("group", 1), math.prod(kernel[2:])
    flops = (2 * inner * window - (not at.has(2))) * places * outer // groups
    return flops, inner * window * places * outer // groups


def _gemm(at: _Products) -> _Cost:
    inner = at.input(0)[0 if at.attribute("transA", 0) else 1]
    return _dense(at, inner, second=1, biased=at.has(2))


def _matmul(at: _Products) -> _Cost:
    return _dense(at, at.input(0)[-1], second=1, biased=at.biased)


def _quantized_matmul(at: _Products) -> _Cost:
    return _dense(at, at.input(0)[-1], second=3, biased=at.biased)


def _dense(at: _Products, inner: int, *, second: int, biased: bool) -> _Cost:
    """A product; a layer where one of its two operands is stored."""
    numbers = math.prod(at.output())
    is_layer = at.is_stored(0) or at.is_stored(second)
    return (2 * inner - (not biased)) * numbers if is_layer else 0, inner * numbers


def _einsum(at: _Products) -> _Cost:
    equation = next((a.s.decode() for a in at.node.attribute if a.name == "equation"), None)
    if equation is None:
        raise ValueError("it has no equation")
    terms = equation.replace(" ", "").split("->")[0].split(",")
    if len(terms) != 2 or "." in equation:
        raise ValueError(f"equation {equation!r} must have two operands, named by letters")
    sizes: dict[str, int] = {}
    for n, term in enumerate(terms):
        sizes.update(zip(term, at.input(n), strict=True))
    return 0, math.prod(sizes.values())


_COUNTS: dict[str, Callable[[_Products], _Cost]] = {
    "Conv": _convolution,
    "QLinearConv": _quantized_convolution,
    "ConvInteger": _integer_convolution,
    "ConvTranspose": _transposed,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "QLinearMatMul": _quantized_matmul,
    "Einsum": _einsum,
}
"""Operators that multiply, each with its FLOPs by the LFR rule and its multiply-adds."""


def _refuse_uncounted(model: onnx.ModelProto, called: str) -> None:
    for node in model.graph.node:
        strange = node.domain not in ("", "ai.onnx")
        if node.op_type in UNCOUNTED or strange:
            of = f" of the domain {node.domain}" if strange else ""
            raise BadModel(
                f"{called} holds the operator {node.op_type}{of}, whose cost cannot be counted; "
                "export it as convolutions, Gemm and MatMul"
            )
    if model.functions:
        raise BadModel(
            f"{called} defines functions of its own ({model.functions[0].name}), whose cost is "
            "not counted; export it with its functions written out"
        )


def _stored(graph: onnx.GraphProto) -> set[str]:
    """Names of arrays that do not depend on the picture: weights, and what is made of them."""
    stored = {t.name for t in graph.initializer}
    for node in graph.node:
        if all(not name or name in stored for name in node.input):
            stored.update(node.output)
    return stored


def _biased_products(graph: onnx.GraphProto, stored: set[str]) -> set[str]:
    """Answers that nothing reads but one addition of a stored vector."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return {
        name
        for name, users in readers.items()
        if len(users) == 1
        and users[0].op_type == "Add"
        and any(other in stored for other in users[0].input if other != name)
    }


def _parameters(graph: onnx.GraphProto) -> int:
    """Stored numbers: floating-point ones, and 8-bit weights."""
    tensors = list(graph.initializer)
    for node in graph.node:
        if node.op_type == "Constant":
            tensors += [a.t for a in node.attribute if a.name == "value"]
    return sum(math.prod(t.dims) for t in tensors if t.data_type in _NUMBERS)


_NUMBERS = frozenset(
    {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.FLOAT16,
        onnx.TensorProto.BFLOAT16,
        onnx.TensorProto.DOUBLE,
        onnx.TensorProto.INT8,
        onnx.TensorProto.UINT8,
    }
)
