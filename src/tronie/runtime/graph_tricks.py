"""What a graph does with the picture that no honest embedder does, told from the file.

    mirror      it turns an axis of the picture around: a slice of step -1, indices or a matrix
                that count down, single columns put together backwards, a border that reflects a
                whole side. A mirrored copy in the graph is test-time augmentation
    lookup      it makes whole numbers, comparisons or places out of pixels: with these a graph
                can recognize a picture and answer from a table
    twice       most of its layers are applied to two inputs, or are stored two times: the
                network is run twice on each picture

Each answer is words that name the first such operator, or empty. Disguises exist that these do
not see; a challenge also asks the model itself (mirrored pictures, noise of one level).
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from tronie.errors import BadModel
from tronie.runtime.batch_step import small_arrays
from tronie.runtime.shapes import MOST_NUMBERS, Shape

LEAST_RUN = 4
"""Places in falling order that make a mirror; three are the colors of a picture."""
WIDEST_BORDER = 16
"""Pixels that may be reflected at a side."""
DOMINANT = 0.999
"""Share of a row's sum that its largest entry has in a matrix that only moves numbers."""
LARGE = 256
"""Numbers of a layer that counts as one."""
MOST_SHARED = 0.25
"""Of the layers, which may be applied or stored twice."""
MOST_SHIFT = 3.0
"""No picture in [-1, 1] has a mean further from 0."""
MOST_SCALE = 50.0
PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum"})
_PASSES = frozenset({"Identity", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Cast"})
_BEFORE_LAYERS = _PASSES | {"Sub", "Add", "Mul", "Div", "Gather", "Slice", "Split", "Concat"}
_PLACED = frozenset({"Reshape", "Slice", "Pad", "Expand", "Tile", "Gather", "Resize", "Split"})


def picture_names(graph: onnx.GraphProto) -> set[str]:
    """Arrays that depend on the pixels of the picture; its size alone does not count."""
    stored = {t.name for t in graph.initializer}
    found = {v.name for v in graph.input} - stored
    for node in graph.node:
        if node.op_type not in ("Shape", "Size") and not found.isdisjoint(node.input):
            found.update(name for name in node.output if name)
    return found


def takes_raw_pixels(model: onnx.ModelProto) -> bool:
    """Whether the network first brings pixels 0..255 to its own scale.

    It does where what the picture meets first takes away or adds more than MOST_SHIFT, divides by
    more than MOST_SCALE or multiplies by less than its inverse, or is a BatchNormalization of
    such a mean.
    """
    names = {v.name for v in model.graph.input}
    small = small_arrays(model.graph)
    for node in model.graph.node:
        if names.isdisjoint(node.input):
            continue
        others = [small[name] for name in node.input if name in small and small[name].size]
        size = max((float(np.abs(a).max()) for a in others if a.dtype.kind == "f"), default=0.0)
        if node.op_type == "BatchNormalization":
            return len(others) == 4 and bool(np.abs(others[2]).max() > MOST_SHIFT)
        if node.op_type in ("Sub", "Add") and size > MOST_SHIFT:
            return True
        if node.op_type == "Div" and size > MOST_SCALE:
            return True
        if node.op_type == "Mul" and 0 < size < 1 / MOST_SCALE:
            return True
        if node.op_type not in _BEFORE_LAYERS:
            return False
        names.update(node.output)
    return False


def mirror_fault(model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> str:
    """The first operator that turns the picture around, in words; empty where none does.

    Args:
        shapes: By array, as `shapes.shapes_of` tells them.

    Raises:
        BadModel: stored numbers that cannot be read.
    """
    graph = model.graph
    pictures = picture_names(graph)
    small = small_arrays(graph)
    origins: dict[str, tuple[str, int, int]] = {}
    for n, node in enumerate(graph.node):
        if pictures.isdisjoint(node.input):
            continue
        why = (
            _sliced(node, small, shapes)
            or _gathered(node, small, shapes)
            or _bordered(node, small)
            or _joined(node, origins)
        )
        if why:
            return f"{node.op_type} {node.name or n!r} {why}"
        _remember(node, small, shapes, origins)
    return _multiplied(graph, pictures)


def lookup_fault(model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> str:
    """The first operator that makes numbers of a table out of pixels; empty where none does.

    Weights of any size may not be compared or rounded either: two small ones can travel in one.
    """
    pictures = picture_names(model.graph)
    for n, node in enumerate(model.graph.node):
        reads = [name in pictures for name in node.input]
        called = f"{node.op_type} {node.name or n!r}"
        rounds = node.op_type == "Cast" and _attribute(node, "to", 0) != onnx.TensorProto.FLOAT
        compares = node.op_type in ("Equal", "Not")
        if (rounds or compares) and any(
            math.prod(shapes.get(name, ())) > MOST_NUMBERS for name in node.input
        ):
            return f"{called} compares or rounds more than {MOST_NUMBERS} numbers"
        if not any(reads):
            continue
        if compares or (node.op_type == "Where" and reads[0]):
            return f"{called} compares pixels"
        if rounds:
            return f"{called} makes whole numbers of pixels"
        if node.op_type in _PLACED and any(reads[1:]):
            return f"{called} takes its places from pixels"
    return ""


def twice_fault(model: onnx.ModelProto) -> str:
    """How many layers are used or stored twice, in words; empty where few are."""
    graph = model.graph
    sizes = {t.name: int(np.prod(t.dims, dtype=np.int64)) for t in graph.initializer}
    roots = {name: name for name in sizes}
    uses: Counter[str] = Counter()
    for node in graph.node:
        if node.op_type in _PASSES and node.input[0] in roots:
            roots[node.output[0]] = roots[node.input[0]]
        elif node.op_type in PRODUCTS:
            uses.update({roots[name] for name in node.input if name in roots})
    layers = {name: count for name, count in uses.items() if sizes[name] >= LARGE}
    again = sum(count > 1 for count in layers.values())
    copies: Counter[bytes] = Counter()
    for tensor in graph.initializer:
        if tensor.name in layers:
            array = _array(tensor)
            if array.size and array.min() != array.max():
                copies[hashlib.sha256(array.tobytes()).digest()] += 1
    stored_again = sum(count - 1 for count in copies.values())
    if layers and again + stored_again > MOST_SHARED * len(layers):
        return (
            f"{again} of its {len(layers)} layers are applied twice, and {stored_again} are "
            "copies of others"
        )
    return ""


def _sliced(
    node: onnx.NodeProto, small: Mapping[str, NDArray[np.generic]], shapes: Mapping[str, Shape]
) -> str:
    if node.op_type != "Slice" or len(node.input) < 5 or not node.input[4]:
        return ""
    steps = small.get(node.input[4])
    if steps is None:
        return "computes its steps; export it with constants folded"
    axes = small.get(node.input[3]) if node.input[3] else np.arange(steps.size)
    for axis, step in zip([] if axes is None else axes.flat, steps.flat, strict=False):
        if int(step) < 0 and _side(shapes, node.input[0], int(axis)) >= LEAST_RUN:
            return f"reads axis {int(axis)} backwards"
    return ""


def _gathered(
    node: onnx.NodeProto, small: Mapping[str, NDArray[np.generic]], shapes: Mapping[str, Shape]
) -> str:
    if node.op_type != "Gather":
        return ""
    indices = small.get(node.input[1])
    side = _side(shapes, node.input[0], _attribute(node, "axis", 0))
    if indices is not None and _falls(indices.reshape(-1) % max(1, side)):
        return "takes its places in falling order"
    return ""


def _bordered(node: onnx.NodeProto, small: Mapping[str, NDArray[np.generic]]) -> str:
    told = {a.name: a for a in node.attribute}
    cuts = any(a.s == b"tf_crop_and_resize" for a in node.attribute)
    if node.op_type == "Resize" and cuts:
        return "cuts out a part that may be turned around"
    if node.op_type == "Pad" and "mode" in told and told["mode"].s not in (b"constant", b""):
        pads = list(told["pads"].ints) if "pads" in told else small.get(node.input[1])
        if pads is None or max((abs(int(p)) for p in pads), default=0) > WIDEST_BORDER:
            return f"reflects more than {WIDEST_BORDER} pixels of a side"
    return ""


def _joined(node: onnx.NodeProto, origins: Mapping[str, tuple[str, int, int]]) -> str:
    """Parts of one array, put together from its end to its beginning."""
    if node.op_type != "Concat":
        return ""
    by_source: dict[tuple[str, int], list[int]] = {}
    for name in node.input:
        if name in origins:
            source, axis, place = origins[name]
            by_source.setdefault((source, axis), []).append(place)
    if any(_falls(np.asarray(places)) for places in by_source.values()):
        return "puts parts of one array together backwards"
    return ""


def _remember(
    node: onnx.NodeProto,
    small: Mapping[str, NDArray[np.generic]],
    shapes: Mapping[str, Shape],
    origins: dict[str, tuple[str, int, int]],
) -> None:
    """Which part of which array the answers are, along which axis."""
    source = node.input[0]
    axis = _attribute(node, "axis", 0)
    if node.op_type == "Split":
        origins.update((name, (source, axis, n)) for n, name in enumerate(node.output))
    elif node.op_type in _PASSES and source in origins:
        origins[node.output[0]] = origins[source]
    elif node.op_type == "Gather":
        index = small.get(node.input[1])
        if index is not None and index.size == 1:
            side = _side(shapes, source, axis)
            origins[node.output[0]] = (source, axis, int(index.flat[0]) % max(1, side))
    elif node.op_type == "Slice":
        starts, axes = _list(node, "starts", 1, small), _list(node, "axes", 3, small)
        if starts and len(starts) == 1:
            axis = axes[0] if axes else 0
            side = _side(shapes, source, axis)
            origins[node.output[0]] = (source, axis, starts[0] % max(1, side))


def _multiplied(graph: onnx.GraphProto, pictures: set[str]) -> str:
    """The first product with a matrix that only turns numbers around."""
    tensors = {t.name: t for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            tensors.update((node.output[0], a.t) for a in node.attribute if a.name == "value")
        elif node.op_type in _PASSES and node.input[0] in tensors:
            tensors[node.output[0]] = tensors[node.input[0]]
    for n, node in enumerate(graph.node):
        if node.op_type not in PRODUCTS or pictures.isdisjoint(node.input):
            continue
        for name in node.input[:2]:
            if name in tensors and len(tensors[name].dims) >= 2:
                array = _array(tensors[name])
                columns = array.shape[-1] if node.op_type != "Conv" else array[0].size
                if array.size and _turns(array.reshape(-1, columns)):
                    return (
                        f"{node.op_type} {node.name or n!r} multiplies by a matrix that turns "
                        "numbers around"
                    )
    return ""


def _turns(rows: NDArray[np.generic]) -> bool:
    """Whether some rows in a row have one entry each, and each further to the left."""
    if len(rows) < LEAST_RUN or rows.shape[1] < LEAST_RUN or rows.dtype.kind != "f":
        return False
    with np.errstate(invalid="ignore", over="ignore"):  # stored NaN is for the engine to show
        size = np.abs(rows)
        place, total = size.argmax(axis=1), size.sum(axis=1)
        alone = (total > 0) & (size.max(axis=1) >= DOMINANT * total)
    return any(_falls(place[first:last]) for first, last in _stretches(alone))


def _stretches(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _falls(places: NDArray[np.generic]) -> bool:
    """Whether LEAST_RUN places after each other fall."""
    falling = np.diff(places.astype(np.int64)) < 0
    return any(last - first >= LEAST_RUN - 1 for first, last in _stretches(falling))


def _side(shapes: Mapping[str, Shape], name: str, axis: int) -> int:
    """Length of an axis; LEAST_RUN where there is none, so that nothing hides behind it."""
    shape = shapes.get(name, ())
    return shape[axis] if -len(shape) <= axis < len(shape) else LEAST_RUN


def _array(tensor: onnx.TensorProto) -> NDArray[np.generic]:
    try:
        return numpy_helper.to_array(tensor)
    except Exception as fault:  # ONNX's errors share no base class
        raise BadModel(f"the stored array {tensor.name!r} cannot be read: {fault}") from fault


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((int(a.i) for a in node.attribute if a.name == name), default)


def _list(
    node: onnx.NodeProto, name: str, place: int, small: Mapping[str, NDArray[np.generic]]
) -> list[int]:
    told = next((list(map(int, a.ints)) for a in node.attribute if a.name == name), [])
    if told or place >= len(node.input):
        return told
    array = small.get(node.input[place])
    return [] if array is None else [int(v) for v in array.flat]
