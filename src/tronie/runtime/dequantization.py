"""Eight-bit networks in float32: activations are no longer rounded on their way.

    stored weights      DequantizeLinear of a constant becomes the constant
    static              x -> QuantizeLinear -> DequantizeLinear becomes Clip(x, low, high) with
                        low = (q_min - zero) scale, high = (q_max - zero) scale: the rounding
                        goes, the saturation stays, because quantizers rely on it and leave out
                        the Relu in front of a pair that clips at zero
    dynamic             x -> DynamicQuantizeLinear -> (xq, xs, xz); ConvInteger(xq, wq, xz, wz)
                        -> Cast -> Mul by Mul(xs, ws) becomes Conv(x, (wq - wz) ws); the same
                        for MatMulInteger. Nothing saturates: the range is that of x

Why: a CPU without 8-bit kernels for every operator spends more on quantizing activations
than it saves. The result is not the same function bit for bit, because the rounding of
activations is gone; `benchmarks/` hold the change in accuracy.

Source: ONNX operator specification (QuantizeLinear-13, ConvInteger-10).
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from tronie.errors import BadModel
from tronie.runtime.graph import Weights, fold_constants, rebuild, stored_weights

QUANTIZED = frozenset(
    {
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "ConvInteger",
        "MatMulInteger",
        "QLinearConv",
        "QLinearMatMul",
    }
)


def is_quantized(model: onnx.ModelProto) -> bool:
    """True where the graph holds 8-bit operators that `dequantize` would remove."""
    return any(node.op_type in QUANTIZED for node in model.graph.node)


def dequantize(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network in float32, without 8-bit operators; the argument is left alone.

    Raises:
        BadModel: a quantized operator that is used in a way not known here; its name is told.
    """
    result = fold_constants(model)
    graph = result.graph
    weights = stored_weights(graph)
    kept = _fold_pairs(list(graph.node), weights)
    kept = _fold_dynamic(kept, weights)
    left = sorted({n.op_type for n in kept} & QUANTIZED)
    if left:
        raise BadModel(
            f"cannot turn {', '.join(left)} into float32 operators in this graph; "
            "run it with precision 'stored'"
        )
    rebuild(graph, kept, weights)
    return result


def _fold_pairs(nodes: list[onnx.NodeProto], weights: Weights) -> list[onnx.NodeProto]:
    """Static pairs to Clip; a QuantizeLinear that something else reads too is kept."""
    made_by = {out: n for n in nodes for out in n.output}
    kept: list[onnx.NodeProto] = []
    for node in nodes:
        first = made_by.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        limits = _limits(first, node, weights) if first is not None else None
        if first is None or limits is None:
            kept.append(node)
            continue
        y = node.output[0]
        weights[f"{y}_low"], weights[f"{y}_high"] = limits
        clip = [first.input[0], f"{y}_low", f"{y}_high"]
        kept.append(onnx.helper.make_node("Clip", clip, [y]))
    read = {name for n in kept for name in n.input}
    return [n for n in kept if n.op_type != "QuantizeLinear" or n.output[0] in read]


def _limits(
    first: onnx.NodeProto, second: onnx.NodeProto, weights: Weights
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Least and largest number that a pair lets through; None where it is no plain pair."""
    if first.op_type != "QuantizeLinear" or len(first.input) != 3 or len(second.input) != 3:
        return None
    ours = [weights.get(name) for name in first.input[1:]]
    theirs = [weights.get(name) for name in second.input[1:]]
    for one, other in zip(ours, theirs, strict=True):
        if one is None or other is None or one.size != 1 or not np.array_equal(one, other):
            return None
    scale, zero = ours
    assert scale is not None
    assert zero is not None
    if zero.dtype not in (np.uint8, np.int8, np.uint16, np.int16):
        return None
    ends = np.iinfo(zero.dtype.name)
    step, middle = float(scale.reshape(())), int(zero.reshape(()))
    low, high = (ends.min - middle) * step, (ends.max - middle) * step
    return np.array(low, np.float32), np.array(high, np.float32)


def _fold_dynamic(nodes: list[onnx.NodeProto], weights: Weights) -> list[onnx.NodeProto]:
    """Dynamic quantization back to float32, where the whole pattern is found."""
    made_by = {out: n for n in nodes for out in n.output}
    users: dict[str, list[onnx.NodeProto]] = {}
    for n in nodes:
        for name in n.input:
            users.setdefault(name, []).append(n)
    replaced: dict[str, onnx.NodeProto] = {}
    gone: set[str] = set()
    for node in nodes:
        if node.op_type not in ("ConvInteger", "MatMulInteger"):
            continue
        dynamic = made_by.get(node.input[0])
        cast = _only(users, node.output[0], "Cast")
        product = _only(users, cast.output[0], "Mul") if cast is not None else None
        if dynamic is None or cast is None or product is None:
            continue
        scaling = _scale_of(node, dynamic, cast, product, made_by, weights)
        if scaling is None:
            continue
        stored = weights[node.input[1]].astype(np.float32)
        if len(node.input) > 3 and node.input[3]:
            stored = stored - _per_channel(weights[node.input[3]].astype(np.float32), stored, node)
        name = f"{node.output[0]}_float"
        weights[name] = stored * _per_channel(scaling, stored, node)
        kind = "Conv" if node.op_type == "ConvInteger" else "MatMul"
        fresh = onnx.helper.make_node(kind, [dynamic.input[0], name], [product.output[0]])
        fresh.attribute.extend(node.attribute)
        replaced[node.output[0]] = fresh
        gone |= {cast.output[0], product.output[0]}
    kept = [replaced.get(n.output[0], n) for n in nodes if n.output[0] not in gone]
    read = {name for n in kept for name in n.input}
    return [n for n in kept if n.op_type != "DynamicQuantizeLinear" or n.output[0] in read]


def _only(users: dict[str, list[onnx.NodeProto]], name: str, kind: str) -> onnx.NodeProto | None:
    found = users.get(name, [])
    return found[0] if len(found) == 1 and found[0].op_type == kind else None


def _scale_of(
    node: onnx.NodeProto,
    dynamic: onnx.NodeProto,
    cast: onnx.NodeProto,
    product: onnx.NodeProto,
    made_by: dict[str, onnx.NodeProto],
    weights: Weights,
) -> NDArray[np.float32] | None:
    """The weights' scale in Mul(cast, Mul(activation scale, weights' scale)), or None."""
    zeros = list(node.input[2:])
    if dynamic.op_type != "DynamicQuantizeLinear" or zeros[:1] != [dynamic.output[2]]:
        return None
    if node.input[1] not in weights or any(z and z not in weights for z in zeros[1:]):
        return None
    other = [i for i in product.input if i != cast.output[0]]
    inner = made_by.get(other[0]) if len(other) == 1 else None
    if inner is None or inner.op_type != "Mul" or dynamic.output[1] not in inner.input:
        return None
    stored = [i for i in inner.input if i in weights]
    return weights[stored[0]].astype(np.float32) if len(stored) == 1 else None


def _per_channel(
    values: NDArray[np.float32], stored: NDArray[np.float32], node: onnx.NodeProto
) -> NDArray[np.float32]:
    """Broadcast one value, or one value an output channel, over the weights."""
    if values.size == 1:
        return values.reshape(())
    first = node.op_type == "ConvInteger"
    along = values.reshape([-1] + [1] * (stored.ndim - 1)) if first else values.reshape(1, -1)
    if np.broadcast_shapes(along.shape, stored.shape) != stored.shape:
        raise ValueError(f"{values.size} scales for weights of shape {stored.shape}")
    return along
