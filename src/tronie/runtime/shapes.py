"""The shape of every array of a graph that looks at one picture, without running it.

Operators are gone through in order, each asked by ONNX's own rules what it makes of the shapes
that it is given. Exports with a free batch axis compute shapes while they run (Shape, Gather,
Concat, and then Reshape); those few whole numbers are computed here as well, so that a
transformer can be followed through its reshaping. Weights are never read.

Source: ONNX operator specification, by `onnx.shape_inference` and `onnx.reference`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from tronie.errors import BadModel

Shape = tuple[int, ...]

MOST_NUMBERS = 256
"""Arrays up to this many numbers may be a shape or a part of one, and are computed."""

IR_VERSION = 8
"""Of the one-operator graphs that compute a shape; the result does not depend on it."""

_ARITHMETIC = frozenset(
    {
        "Add",
        "Cast",
        "Concat",
        "Constant",
        "Div",
        "Equal",
        "Gather",
        "Identity",
        "Mod",
        "Mul",
        "Neg",
        "ReduceProd",
        "Reshape",
        "Slice",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Unsqueeze",
        "Where",
    }
)
"""Operators that shapes are computed with; none makes much out of little."""

_Numbers = NDArray[np.generic]


def shapes_of(
    model: onnx.ModelProto, *, size: tuple[int, int], name: str
) -> tuple[int, dict[str, Shape]]:
    """The batch that the file works on, and the shapes that could be told, by array name.

    Args:
        size: Height and width, used where the file leaves them free; a free batch is 1.
        name: What messages call the file.

    Raises:
        BadModel: not one picture tensor (N, C, H, W), an operator that ONNX does not know, or
            shapes that do not fit together.
    """
    graph = model.graph
    stored = {t.name: t for t in graph.initializer}
    picture = _picture([v for v in graph.input if v.name not in stored], size, name)
    types = {t.name: _tensor_type(t.data_type, t.dims) for t in stored.values()}
    types[picture.name] = picture.type
    known = _small_weights(stored.values(), name)
    for n, node in enumerate(graph.node):
        try:
            types.update(_answers(node, types, known, model))
            known.update(_computed(node, types, known, list(model.opset_import)))
        except Exception as fault:  # ONNX's errors share no base class
            reason = (str(fault).strip() or type(fault).__name__).splitlines()[-1][:300]
            raise BadModel(
                f"{name}: {node.op_type} {node.name or n!r} does not fit what it "
                f"is given, of pictures {size[1]} wide and {size[0]} high: {reason}"
            ) from fault
    shapes = {array: _shape(told) for array, told in types.items()}
    batch = picture.type.tensor_type.shape.dim[0].dim_value
    return int(batch), {array: shape for array, shape in shapes.items() if shape is not None}


def _picture(
    inputs: Sequence[onnx.ValueInfoProto], size: tuple[int, int], name: str
) -> onnx.ValueInfoProto:
    """The one input of a graph, with its free axes written."""
    axes = len(inputs[0].type.tensor_type.shape.dim) if inputs else 0
    if len(inputs) != 1 or axes != 4:
        raise BadModel(
            f"{name} must take one picture tensor (N, C, H, W) to be counted; it takes "
            f"{len(inputs)} inputs, the first with {axes} axes"
        )
    picture = onnx.ValueInfoProto()
    picture.CopyFrom(inputs[0])
    for dim, free in zip(picture.type.tensor_type.shape.dim, (1, 3, *size), strict=True):
        if dim.dim_value <= 0:
            dim.dim_value = free
    return picture


def _small_weights(tensors: Iterable[onnx.TensorProto], name: str) -> dict[str, _Numbers]:
    known = {}
    for tensor in tensors:
        if _is_small(tensor.dims):
            try:
                known[tensor.name] = numpy_helper.to_array(tensor)
            except Exception as fault:  # ONNX's errors share no base class
                raise BadModel(f"{name}: the weights {tensor.name!r} cannot be read") from fault
    return known


def _answers(
    node: onnx.NodeProto,
    types: Mapping[str, onnx.TypeProto],
    known: Mapping[str, _Numbers],
    model: onnx.ModelProto,
) -> Mapping[str, onnx.TypeProto]:
    """Types of what a node gives; none where an input's is not known."""
    if any(name and name not in types for name in node.input):
        return {}
    version = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    schema = onnx.defs.get_schema(node.op_type, version, "")
    data = {
        name: numpy_helper.from_array(known[name], name) for name in node.input if name in known
    }
    found: Mapping[str, onnx.TypeProto] = onnx.shape_inference.infer_node_outputs(
        schema,
        node,
        {name: types[name] for name in node.input if name},
        data,
        opset_imports=list(model.opset_import),
        ir_version=model.ir_version,
    )
    return found


def _computed(
    node: onnx.NodeProto,
    types: Mapping[str, onnx.TypeProto],
    known: Mapping[str, _Numbers],
    opsets: Sequence[onnx.OperatorSetIdProto],
) -> Mapping[str, _Numbers]:
    """The numbers of an answer that shapes may be made of; nothing for all others."""
    if node.op_type == "Shape":
        shape = _shape(types[node.input[0]]) if node.input[0] in types else None
        if shape is None:
            return {}
        part = slice(_attribute(node, "start"), _attribute(node, "end"))
        return {node.output[0]: np.asarray(shape[part], np.int64)}
    inputs = [name for name in node.input if name]
    if node.op_type not in _ARITHMETIC or any(name not in known for name in inputs):
        return {}
    if any(
        len(a.ints) + len(a.floats) + math.prod(a.t.dims) > MOST_NUMBERS for a in node.attribute
    ):
        return {}
    alone = onnx.helper.make_graph(
        [node],
        "shape",
        [onnx.helper.make_value_info(name, types[name]) for name in dict.fromkeys(inputs)],
        [onnx.helper.make_empty_tensor_value_info(name) for name in node.output],
    )
    model = onnx.helper.make_model(alone, opset_imports=opsets, ir_version=IR_VERSION)
    answers = ReferenceEvaluator(model).run(None, {name: known[name] for name in inputs})
    return {
        name: np.asarray(answer)
        for name, answer in zip(node.output, answers, strict=False)
        if np.size(answer) <= MOST_NUMBERS
    }


def _attribute(node: onnx.NodeProto, name: str) -> int | None:
    return next((int(a.i) for a in node.attribute if a.name == name), None)


def _shape(told: onnx.TypeProto) -> Shape | None:
    """The shape of a type, where each axis of it is a number."""
    tensor = told.tensor_type
    if not tensor.HasField("shape") or not all(d.HasField("dim_value") for d in tensor.shape.dim):
        return None
    return tuple(int(d.dim_value) for d in tensor.shape.dim)


def _tensor_type(element: int, dims: Sequence[int]) -> onnx.TypeProto:
    return onnx.helper.make_tensor_type_proto(element, list(dims))


def _is_small(dims: Sequence[int]) -> bool:
    return math.prod(dims) <= MOST_NUMBERS


def _numbers_of(attribute: onnx.AttributeProto) -> int:
    lists = len(attribute.ints) + len(attribute.floats)
    return lists + math.prod(map(int, attribute.t.dims))
