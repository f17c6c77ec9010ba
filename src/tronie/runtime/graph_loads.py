"""What a graph asks of a machine besides its layers: memory at its fullest, and work unseen.

    peak memory    bytes of the arrays that are alive at once, each from where it is made to
                   where it is last read, in the order of the file; without weights, and without
                   what an engine needs inside an operator
    unseen work    2 x multiply-adds of products that the LFR rule counts as nothing (of two
                   computed arrays, and Einsum); 2 x the size of what grows: an array that a
                   broadcast, Expand, Tile or Resize makes larger than what depends on the picture
                   in its inputs; 1 for each number that comes out of an elementwise product

The LFR rule counts convolutions and fully connected layers. Any layer can also be written as
elementwise products and sums, which that rule does not see; this is the second look.

All for one picture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import onnx

from tronie.runtime.flops import GraphCost
from tronie.runtime.graph_tricks import picture_names
from tronie.runtime.shapes import Shape

BYTES = 4
"""Of a float32."""
_COUNTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum"})
_ELEMENTWISE = frozenset(
    {"Mul", "Div", "Pow", "PRelu", "BatchNormalization", "Exp", "Log", "Softmax", "Sum", "Where"}
)


class UnseenWork(NamedTuple):
    """FLOPs that the LFR rule does not count."""

    products: int
    """Of two computed arrays, Einsum, and what grows."""
    elementwise: int


def unseen_work(model: onnx.ModelProto, shapes: Mapping[str, Shape], cost: GraphCost) -> UnseenWork:
    """See the top of the file; `shapes` and `cost` are of one picture."""
    pictures = picture_names(model.graph)
    products = sum(2 * o.macs for o in cost.operators if o.flops_lfr == 0)
    elementwise = 0
    for node in model.graph.node:
        if node.op_type in _COUNTED or pictures.isdisjoint(node.input) or not node.output:
            continue
        made = math.prod(shapes.get(node.output[0], (0,)))
        given = {name for name in node.input if name in pictures}
        if made > sum(math.prod(shapes.get(name, (0,))) for name in given):
            products += 2 * made
        elif node.op_type in _ELEMENTWISE:
            elementwise += made
    return UnseenWork(products, elementwise)


def peak_memory(model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> int:
    """Bytes of the arrays that are alive at once; arrays of unknown shape count nothing."""
    nodes = model.graph.node
    last: dict[str, int] = {v.name: len(nodes) for v in model.graph.output}
    for n in reversed(range(len(nodes))):
        for name in [*nodes[n].input, *nodes[n].output]:
            last.setdefault(name, n)
    ends: dict[int, list[str]] = {}
    for name, n in last.items():
        ends.setdefault(n, []).append(name)
    stored = {t.name for t in model.graph.initializer}
    alive = {v.name for v in model.graph.input} - stored
    now = peak = sum(_size(name, shapes) for name in alive)
    for n, node in enumerate(nodes):
        fresh = set(node.output) - alive
        alive |= fresh
        now += sum(_size(name, shapes) for name in fresh)
        peak = max(peak, now)
        gone = alive.intersection(ends.get(n, ()))
        alive -= gone
        now -= sum(_size(name, shapes) for name in gone)
    return peak


def unknown_shapes(model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
    """Arrays of the top graph whose shape the file does not tell."""
    return tuple(o for n in model.graph.node for o in n.output if o and o not in shapes)


def _size(name: str, shapes: Mapping[str, Shape]) -> int:
    return BYTES * math.prod(shapes[name]) if name in shapes else 0
