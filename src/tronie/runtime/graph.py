"""Read an ONNX graph under bounds, and rewrite it where a CPU would only lose time.

Five rewrites, each exact in real arithmetic:

    fold_constants      DequantizeLinear and Reshape of stored weights become plain weights
    free_batch          a batch of one written into the file becomes a free axis
    free_size           a height and width written into the file become free axes
    split_prelu         a PRelu becomes Relu and two 1x1 depthwise convolutions, which
                        onnxruntime keeps in its blocked layout: a MobileFaceNet spends half
                        its time in PRelu and the reorderings around it otherwise
    lower_opset         an older opset is declared, where no operator changed since

Each returns a new graph and leaves its argument alone. What 8-bit activations become is in
`dequantization`.

A model file is not trusted: weights kept in other files are refused wherever they are named
(initializers, constants, branches, functions), since a path in a file must not be followed.

Source: ONNX operator specification (DequantizeLinear-21 for blocks).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from tronie.errors import BadModel, NotFound

MAX_MODEL_BYTES = 2_000_000_000
"""A protobuf cannot be larger; neither can a model file we open."""
NORMALIZED_MEAN_MOST = 3.0
"""No picture that was normalized outside has a channel mean further from 0 than this."""

Weights = dict[str, NDArray[np.generic]]


def load_graph(path: str | Path) -> onnx.ModelProto:
    """Parse one ONNX file, without external data and within `MAX_MODEL_BYTES`.

    Raises:
        NotFound: there is no such file.
        BadModel: the file is too large or unreadable, is no ONNX protobuf, or keeps weights
            elsewhere.
    """
    file = Path(path)
    if not file.is_file():
        raise NotFound(
            f"no model file at {file}; give the path of an .onnx file, or a name from "
            "`tronie models list`"
        )
    size_bytes = file.stat().st_size
    if size_bytes > MAX_MODEL_BYTES:
        raise BadModel(f"{file.name} has {size_bytes} bytes; at most {MAX_MODEL_BYTES} are read")
    try:
        data = file.read_bytes()
    except OSError as fault:
        raise BadModel(f"{file} cannot be read: {fault.strerror}") from fault
    return parse_graph(data, name=file.name)


def parse_graph(data: bytes, *, name: str) -> onnx.ModelProto:
    """Parse the bytes of an ONNX file; `name` is what error messages call it.

    Raises:
        BadModel: no ONNX protobuf, no graph in it, or weights kept in other files.
    """
    model = read_protobuf(data, name=name)
    if not model.graph.node or not model.graph.output:
        raise BadModel(f"{name} is no ONNX model: it holds no graph with nodes and outputs")
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise BadModel(
                f"{name} keeps the weights {tensor.name!r} in another file; "
                "save it as one file first"
            )
    return model


def read_protobuf(data: bytes, *, name: str) -> onnx.ModelProto:
    """What the bytes say as a protobuf of ONNX; whether that is a model is left to the caller.

    Raises:
        BadModel: they are none.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as fault:  # the protobuf library's errors share no public base class
        raise BadModel(f"{name} is no ONNX file ({len(data)} bytes read): {fault}") from fault
    return model


def normalizes_inside(model: onnx.ModelProto) -> bool:
    """Whether the network itself turns bytes 0..255 into what its first layer wants.

    It does where the first operator that computes with the picture is an addition or a
    multiplication, or a BatchNormalization whose stored mean no normalized picture could
    have. Operators that only move or convert pixels are looked through.
    """
    pictures = {model.graph.input[0].name}
    weights = stored_weights(model.graph)
    for node in model.graph.node:
        if not pictures & set(node.input):
            continue
        if node.op_type in _MOVES_PIXELS:
            pictures |= set(node.output)
        elif node.op_type == "BatchNormalization":
            mean = weights.get(node.input[3]) if len(node.input) > 3 else None
            return mean is not None and bool(np.abs(mean).max() > NORMALIZED_MEAN_MOST)
        else:
            return node.op_type in ("Sub", "Add", "Mul", "Div")
    return False


def fold_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights stored in 8 bits or through a Reshape become plain weights; Dropout goes.

    Graph inputs that name stored weights (the old ONNX form), or that nothing reads, go too.
    """
    result = _copy(model)
    weights = stored_weights(result.graph)
    kept = []
    for node in result.graph.node:
        if node.op_type == "Dropout" and not any(node.output[1:]):
            kept.append(onnx.helper.make_node("Identity", node.input[:1], node.output[:1]))
        elif node.op_type in _FOLDS and all(not i or i in weights for i in node.input):
            weights[node.output[0]] = _FOLDS[node.op_type](node, weights)
        else:
            kept.append(node)
    rebuild(result.graph, kept, weights)
    return result


def without_stale_inputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph without declared inputs that nothing reads or that are stored weights."""
    result = _copy(model)
    rebuild(result.graph, list(result.graph.node), stored_weights(result.graph))
    return result


def free_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """A leading axis of 1 becomes free; Reshape constants that begin with 1 copy the axis.

    Only for files whose result was compared with the original: see `preparation`.
    """
    result = _copy(model)
    graph = result.graph
    for value in [*graph.input, *graph.output]:
        dims = value.type.tensor_type.shape.dim
        if dims and dims[0].dim_value == 1:
            dims[0].dim_param = "batch"
    weights = stored_weights(graph)
    for node in graph.node:
        shape = weights.get(node.input[1]) if node.op_type == "Reshape" else None
        if shape is not None and shape.size and int(shape.flat[0]) == 1:
            fresh = shape.copy()
            fresh.flat[0] = 0
            weights[node.input[1]] = fresh
    rebuild(graph, list(graph.node), weights)
    return result


def free_size(model: onnx.ModelProto) -> onnx.ModelProto:
    """The height and width of a fully convolutional network's input become free axes."""
    result = _copy(model)
    graph = result.graph
    for axis, name in ((2, "height"), (3, "width")):
        graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    for value in graph.output:
        for dim in value.type.tensor_type.shape.dim[1:-1]:
            dim.dim_param = f"cells_{value.name}"
    del graph.value_info[:]
    return result


def split_prelu(model: onnx.ModelProto) -> onnx.ModelProto:
    """PRelu as Relu and two 1x1 depthwise convolutions: a x + (1 - a) max(x, 0).

    Exact in real arithmetic; in float32 it differs by rounding (about 1e-6 of the largest
    embedding value). Only PRelu with one slope a channel, behind a convolution, is rewritten.
    """
    result = _copy(model)
    weights = stored_weights(result.graph)
    behind_conv = {n.output[0] for n in result.graph.node if n.op_type in _BEFORE_PRELU}
    nodes: list[onnx.NodeProto] = []
    for node in result.graph.node:
        slope = weights.get(node.input[1]) if node.op_type == "PRelu" else None
        if slope is None or not _one_per_channel(slope) or node.input[0] not in behind_conv:
            nodes.append(node)
            continue
        a = slope.astype(np.float32).reshape(-1, 1, 1, 1)
        x, y, channels = node.input[0], node.output[0], len(a)
        weights[f"{y}_slope"], weights[f"{y}_rest"] = a, 1 - a
        make = onnx.helper.make_node
        conv: dict[str, Any] = {"group": channels, "kernel_shape": [1, 1]}
        nodes += [
            make("Relu", [x], [f"{y}_positive"]),
            make("Conv", [f"{y}_positive", f"{y}_rest"], [f"{y}_right"], **conv),
            make("Conv", [x, f"{y}_slope"], [f"{y}_all"], **conv),
            make("Add", [f"{y}_all", f"{y}_right"], [y]),
        ]
    rebuild(result.graph, nodes, weights)
    return result


def lower_opset(model: onnx.ModelProto, version: int) -> onnx.ModelProto:
    """Declare an older opset, for graphs whose operators did not change since `version`.

    Raises:
        BadModel: an operator outside the set that was checked for this.
    """
    odd = sorted({n.op_type for n in model.graph.node} - _STABLE_SINCE_13)
    if odd or version < 13:
        raise BadModel(f"cannot declare opset {version} for {', '.join(odd) or 'any graph'}")
    result = _copy(model)
    del result.opset_import[:]
    result.opset_import.append(onnx.helper.make_opsetid("", version))
    result.ir_version = 8
    return result


def stored_weights(graph: onnx.GraphProto) -> Weights:
    """Initializers and constants of a graph by name.

    Raises:
        BadModel: one whose bytes do not fit its shape.
    """
    tensors = {t.name: t for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            tensors[node.output[0]] = node.attribute[0].t
    found: Weights = {}
    for name, tensor in tensors.items():
        try:
            found[name] = numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError) as fault:
            raise BadModel(f"the stored weights {name!r} are damaged: {fault}") from fault
    return found


def rebuild(graph: onnx.GraphProto, nodes: list[onnx.NodeProto], weights: Weights) -> None:
    """Write nodes and weights into `graph`, without what nobody reads any more."""
    wanted = {v.name for v in graph.output}
    live: list[onnx.NodeProto] = []
    for node in reversed(nodes):
        constant = node.op_type == "Constant" and node.output[0] in weights
        if not constant and wanted & set(node.output):
            wanted |= _reads(node)
            live.append(node)
    fresh = [onnx.NodeProto.FromString(n.SerializeToString()) for n in reversed(live)]
    inputs = [
        onnx.ValueInfoProto.FromString(v.SerializeToString())
        for v in graph.input
        if v.name in wanted and v.name not in weights
    ]
    del graph.node[:], graph.initializer[:], graph.input[:], graph.value_info[:]
    graph.node.extend(fresh)
    graph.input.extend(inputs)
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(weights[name], order="C"), name)
        for name in sorted(wanted & weights.keys())
    )


_MOVES_PIXELS = frozenset(
    ("Identity", "Cast", "Transpose", "Gather", "Slice", "Split", "Concat", "Squeeze", "Unsqueeze")
)
_BEFORE_PRELU = frozenset(("Conv", "Add", "BatchNormalization", "Clip"))
_STABLE_SINCE_13 = frozenset(
    {
        "Sub",
        "Mul",
        "Add",
        "Div",
        "Conv",
        "BatchNormalization",
        "PRelu",
        "Relu",
        "Identity",
        "Flatten",
        "Gemm",
        "MatMul",
        "MaxPool",
        "GlobalAveragePool",
        "Sigmoid",
        "Concat",
    }
)
"""Float32 results of these are the same in every opset from 13 to the newest known here."""


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    result = onnx.ModelProto()
    result.CopyFrom(model)
    return result


def _tensors(message: Any) -> Iterator[onnx.TensorProto]:
    """Every stored tensor of a model, however deep: branches, functions, sparse tensors."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        for part in [value] if hasattr(value, "ListFields") else value:
            if isinstance(part, onnx.TensorProto):
                yield part
            else:
                yield from _tensors(part)


def _reads(node: onnx.NodeProto) -> set[str]:
    """Names a node reads, those read by its branches and loop bodies included."""
    names = set(node.input)
    for attribute in node.attribute:
        for inner in [attribute.g, *attribute.graphs]:
            names |= {v.name for v in inner.output}
            for child in inner.node:
                names |= _reads(child)
    return names


def _one_per_channel(slope: NDArray[np.generic]) -> bool:
    """Whether a PRelu's slope is (C, 1, 1) or (1, C, 1, 1) with C above 1."""
    return slope.ndim >= 3 and slope.size > 1 and slope.size == slope.shape[-3]


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((int(a.i) for a in node.attribute if a.name == name), default)


def _dequantized(node: onnx.NodeProto, weights: Weights) -> NDArray[np.generic]:
    """(stored - zero point) * scale, per tensor, per channel or per block of an axis."""
    stored = weights[node.input[0]].astype(np.float32)
    scale = weights[node.input[1]].astype(np.float32)
    has_zero = len(node.input) > 2 and bool(node.input[2])
    zero = weights[node.input[2]].astype(np.float32) if has_zero else np.zeros_like(scale)
    axis = _attribute(node, "axis", 1)
    block = _attribute(node, "block_size", 0)
    if block < 0:
        raise ValueError(f"block_size is {block}")
    if block:  # each value counts for `block` places; those behind the axis' end for none
        block_of = np.arange(stored.shape[axis]) // block
        scale, zero = scale.take(block_of, axis=axis), zero.take(block_of, axis=axis)
    elif scale.ndim == 1 and scale.size > 1:
        along = [1] * stored.ndim
        along[axis] = -1
        scale, zero = scale.reshape(along), zero.reshape(along)
    else:
        scale, zero = scale.reshape(()), zero.reshape(())
    if np.broadcast_shapes(stored.shape, scale.shape, zero.shape) != stored.shape:
        raise ValueError(f"scales of shape {scale.shape} for weights of shape {stored.shape}")
    return ((stored - zero) * scale).astype(weights[node.input[1]].dtype)


def _reshaped(node: onnx.NodeProto, weights: Weights) -> NDArray[np.generic]:
    source, shape = weights[node.input[0]], weights[node.input[1]]
    return source.reshape([source.shape[k] if n == 0 else int(n) for k, n in enumerate(shape)])


_FOLDS: dict[str, Callable[[onnx.NodeProto, Weights], NDArray[np.generic]]] = {
    "DequantizeLinear": _dequantized,
    "Reshape": _reshaped,
}
