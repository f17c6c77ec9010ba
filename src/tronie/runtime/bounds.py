"""What a stranger's graph may not hold: loops, branches, and arrays without measure.

A face model is one straight graph. A loop in it can run for ever, a branch can hide what it
does from those who look, and a few bytes can ask for an array of any size. All three are
refused before an engine sees the graph.

Arrays whose size is only computed while the graph runs cannot be told from the file; they
are not bounded here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx

from tronie.errors import BadModel
from tronie.runtime.graph import Weights, stored_weights

MAX_ELEMENTS = 1 << 28
"""Numbers of one array: 1 GiB in float32, four times the largest weight of the field."""
CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})
FILLS = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1}
"""Operators that make an array as large as a stored input says, and which input that is."""


def refuse_unbounded(model: onnx.ModelProto, *, name: str) -> None:
    """Refuse loops, branches and arrays of more than `MAX_ELEMENTS` that the file states.

    Raises:
        BadModel: names the operator or the array.
    """
    for message in _messages(model):
        if isinstance(message, onnx.NodeProto) and message.op_type in CONTROL_FLOW:
            raise BadModel(
                f"model {name} holds the operator {message.op_type}; graphs with loops or "
                "branches are not run. Export it without them (fixed shapes, no scripting)"
            )
        if isinstance(message, onnx.TensorProto):
            _refuse_large(name, f"the weights {message.name!r}", math.prod(message.dims))
    weights = stored_weights(model.graph)
    for node in model.graph.node:
        elements = _filled(node, weights)
        _refuse_large(name, f"the output of {node.op_type} {node.output[:1]}", elements)


def _refuse_large(name: str, what: str, elements: int) -> None:
    if elements > MAX_ELEMENTS:
        raise BadModel(
            f"model {name} asks for {elements} numbers in {what}; at most {MAX_ELEMENTS} are "
            "allowed in one array"
        )


def _filled(node: onnx.NodeProto, weights: Weights) -> int:
    """The least number of elements a stored shape asks for; 0 where none is stored."""
    place = FILLS.get(node.op_type)
    if place is None or len(node.input) <= place:
        return 0
    shape = weights.get(node.input[place])
    if shape is None or not np.issubdtype(shape.dtype, np.integer):
        return 0
    return math.prod(max(1, int(n)) for n in shape.flat)


def _messages(message: Any) -> Iterator[Any]:
    """Every message of a model, however deep: nodes and tensors of branches and functions."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        for part in [value] if hasattr(value, "ListFields") else value:
            yield part
            yield from _messages(part)
