"""One operator of a graph that is followed for a batch of pictures, and what lies around it.

The graph is followed without its weights, by `batch_axis`; here is what it needs to know of a
node: shapes, small stored arrays (axes, steps, indices), and where the pictures lie in its inputs.

Letters: N pictures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from tronie.errors import BadModel
from tronie.runtime.shapes import MOST_NUMBERS, Shape


class Place(NamedTuple):
    """Where the pictures lie in an array."""

    axis: int
    before: int = 1
    after: int = 1


class Mixed(Exception):
    """Pictures are mixed; in words that follow the operator's name."""


def with_batch(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """The same graph without its weights, for batches of `batch` pictures.

    Arrays of more than `MOST_NUMBERS` keep name, type and shape; declared inputs that are stored
    go. Only for following shapes.
    """
    result = onnx.ModelProto(ir_version=model.ir_version)
    result.opset_import.extend(model.opset_import)
    graph = result.graph
    for tensor in model.graph.initializer:
        graph.initializer.append(_bare(tensor))
    for node in model.graph.node:
        value = next((a.t for a in node.attribute if a.name == "value"), None)
        if node.op_type == "Constant" and value is not None and _is_large(value):
            bare = _bare(value)
            bare.name = node.output[0]
            graph.initializer.append(bare)
        else:
            graph.node.append(node)
    stored = {t.name for t in graph.initializer}
    graph.input.extend(v for v in model.graph.input if v.name not in stored)
    graph.output.extend(model.graph.output)
    for value in graph.input:
        for dim in value.type.tensor_type.shape.dim[:1]:
            dim.dim_value = batch
    return result


def _is_large(tensor: onnx.TensorProto) -> bool:
    return math.prod(map(int, tensor.dims)) > MOST_NUMBERS


def _bare(tensor: onnx.TensorProto) -> onnx.TensorProto:
    if not _is_large(tensor):
        return tensor
    return onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)


def opset_of(model: onnx.ModelProto) -> int:
    return next((int(o.version) for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)


def small_arrays(graph: onnx.GraphProto) -> dict[str, NDArray[np.generic]]:
    """Stored axes, steps, indices and the like, by name.

    Raises:
        BadModel: one whose bytes do not fit its shape.
    """
    found: dict[str, NDArray[np.generic]] = {}
    tensors = {t.name: t for t in graph.initializer}
    for node in graph.node:
        for told in node.attribute if node.op_type == "Constant" else ():
            if told.name == "value":
                tensors[node.output[0]] = told.t
            elif told.name in _CONSTANTS:
                listed = np.asarray(getattr(told, _CONSTANTS[told.name]))
                if listed.size <= MOST_NUMBERS:
                    found[node.output[0]] = listed
    for name, tensor in tensors.items():
        if not _is_large(tensor):
            try:
                found[name] = numpy_helper.to_array(tensor)
            except Exception as fault:  # ONNX's errors share no base class
                raise BadModel(f"the stored array {name!r} cannot be read: {fault}") from fault
    return found


_CONSTANTS = {"value_int": "i", "value_ints": "ints", "value_float": "f", "value_floats": "floats"}


class Step:
    """One node, with the shapes and places around it."""

    def __init__(
        self,
        node: onnx.NodeProto,
        shapes: Mapping[str, Shape],
        stored: Mapping[str, NDArray[np.generic]],
        places: Mapping[str, Place | None],
        opset: int,
    ) -> None:
        self.node = node
        self.opset = opset
        self._shapes = shapes
        self._stored = stored
        self._places = places

    def shape(self, n: int) -> Shape:
        """Of the n-th input."""
        return self._shapes[self.node.input[n]]

    @property
    def answer(self) -> Shape:
        """Shape of the first output."""
        return self._shapes[self.node.output[0]]

    def place(self, n: int) -> Place | None:
        """Where the pictures lie in the n-th input."""
        return self._places.get(self.node.input[n]) if n < len(self.node.input) else None

    @property
    def first(self) -> Place:
        """The place in the first input, where no other may depend on the picture."""
        if any(self.place(n) for n in range(1, len(self.node.input))):
            raise Mixed("makes its weights, places or sizes out of the pictures")
        return self.place(0) or Place(0)

    def whole(self, name: str, default: int) -> int:
        """A whole number that the node states."""
        return next((int(a.i) for a in self.node.attribute if a.name == name), default)

    def axis(self, name: str, default: int) -> int:
        """The same, counted from the front."""
        return self.whole(name, default) % len(self.shape(0))

    def list(self, name: str, n: int) -> list[int] | None:
        """Whole numbers of an attribute or the n-th input; None where neither is given."""
        given = next((list(map(int, a.ints)) for a in self.node.attribute if a.name == name), None)
        if given is not None or n >= len(self.node.input) or not self.node.input[n]:
            return given
        array = self._stored.get(self.node.input[n])
        if array is None:
            raise Mixed(f"computes its {name}; export it with constants folded")
        return [int(v) for v in array.flat]
