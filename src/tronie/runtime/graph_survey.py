"""What a stranger's ONNX graph holds, told from its protobuf alone; nothing is run or judged.

Everything is looked for everywhere: in the graph, in branches and loop bodies, in functions, in
the attributes of nodes. Which of it a challenge allows is said elsewhere.

    stored      every array of numbers that the file carries: initializers, constants, arrays in
                any attribute, the two halves of a sparse tensor
    lists       numbers and strings that are written straight into attributes
    weights     both together, in bytes: what a file would weigh if it were nothing else

The file is to be read with `graph_wire.parse_bounded`, which bounds its parts; then every answer
here takes one pass.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from tronie.runtime.session import TensorSpec

DOMAIN = ""
"""ONNX's own operators; "ai.onnx" is another spelling of it."""
LONGEST_NAME = 512
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True, kw_only=True)
class StoredArray:
    """An array that the file carries."""

    name: str
    owner: str
    """What carries it: "initializer", or the type of the node."""
    element: str
    """ONNX's name of its type, as in "FLOAT"."""
    shape: tuple[int, ...]
    size_bytes: int
    """Of its numbers; the larger of what its shape says and what it carries."""
    damaged: bool
    """What it carries is not what its shape says."""

    @property
    def numbers(self) -> int:
        """How many."""
        return math.prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class Port:
    """An input or output; an axis is a number, the name of a free axis, or None."""

    spec: TensorSpec
    axes: tuple[int | str | None, ...]
    is_tensor: bool


@dataclass(frozen=True, kw_only=True)
class GraphSurvey:
    """See the top of the file. Names are the file's own: show them, never trust them."""

    ir_version: int
    opsets: tuple[tuple[str, int], ...]
    operators: Mapping[tuple[str, str], int]
    """How many nodes of each (domain, type), branches and functions included."""
    unknown: tuple[str, ...]
    """Types of ONNX's own domain that it does not have in the opset that the file declares."""
    subgraph_owners: tuple[str, ...]
    """Types of nodes that carry a graph."""
    functions: tuple[str, ...]
    external: tuple[str, ...]
    """Arrays that are kept in another file."""
    sparse: tuple[str, ...]
    stored: tuple[StoredArray, ...]
    list_bytes: int
    casts: tuple[str, ...]
    """Types that are cast to, or that a node is told to answer in."""
    training: tuple[str, ...]
    """Types of nodes that are told to behave as in training."""
    inputs: tuple[Port, ...]
    """Without those that are stored."""
    outputs: tuple[Port, ...]
    nodes: int
    longest_path: int
    """Nodes one after another."""
    faults: tuple[str, ...]
    """What is wrong in how nodes are joined, a sentence's part each."""
    has_training: bool
    notes: int
    note_bytes: int
    """Metadata and descriptions."""
    strange_names: tuple[str, ...]
    """With characters that cannot be shown, or too long; as Python would write them."""

    @property
    def weight_bytes(self) -> int:
        """Of all that the file carries in arrays and lists."""
        return self.list_bytes + sum(array.size_bytes for array in self.stored)

    @property
    def opset(self) -> int | None:
        """Of ONNX's own operators; None where it is not declared."""
        return next((version for domain, version in self.opsets if domain == DOMAIN), None)


def survey(model: onnx.ModelProto) -> GraphSurvey:
    """Look through a graph; see the top of the file."""
    messages = [model, *(message for _, message in _owned(model, "initializer"))]
    nodes = [m for m in messages if isinstance(m, onnx.NodeProto)]
    graph = model.graph
    stored_names = {t.name for t in graph.initializer}
    opsets = tuple((_domain(o.domain), int(o.version)) for o in model.opset_import)
    arrays, lists = _stored(model)
    texts = [m for m in messages if isinstance(m, onnx.StringStringEntryProto)]
    notes = [m.doc_string for m in messages if getattr(m, "doc_string", "")]
    return GraphSurvey(
        ir_version=int(model.ir_version),
        opsets=opsets,
        operators=Counter((_domain(n.domain), n.op_type) for n in nodes),
        unknown=_unknown(nodes, dict(opsets).get(DOMAIN)),
        subgraph_owners=_distinct(
            n.op_type for n in nodes if any(a.HasField("g") or a.graphs for a in n.attribute)
        ),
        functions=_distinct(f"{f.domain}.{f.name}" for f in model.functions),
        external=_distinct(
            m.name
            for m in messages
            if isinstance(m, onnx.TensorProto)
            and (m.data_location == onnx.TensorProto.EXTERNAL or m.external_data)
        ),
        sparse=_distinct(m.values.name for m in messages if isinstance(m, onnx.SparseTensorProto)),
        stored=arrays,
        list_bytes=lists,
        casts=_distinct(_casts(nodes)),
        training=_distinct(_training(model, nodes)),
        inputs=tuple(_port(v) for v in graph.input if v.name not in stored_names),
        outputs=tuple(_port(v) for v in graph.output),
        nodes=len(nodes),
        longest_path=_longest_path(graph),
        faults=_faults(graph),
        has_training=bool(model.training_info),
        notes=len(texts) + len(notes),
        note_bytes=sum(len(t.key) + len(t.value) for t in texts) + sum(map(len, notes)),
        strange_names=_distinct(_strange(messages)),
    )


def _distinct(names: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _domain(name: str) -> str:
    return DOMAIN if name == "ai.onnx" else name


def _unknown(nodes: list[onnx.NodeProto], version: int | None) -> tuple[str, ...]:
    found = []
    for kind in _distinct(n.op_type for n in nodes if _domain(n.domain) == DOMAIN):
        try:
            schema = onnx.defs.get_schema(kind, version or 1, DOMAIN)
            known = not schema.deprecated
        except Exception:  # ONNX's errors share no base class
            known = False
        if not known:
            found.append(kind)
    return tuple(found)


def _stored(model: onnx.ModelProto) -> tuple[tuple[StoredArray, ...], int]:
    """All arrays with what carries them, and the bytes of lists in attributes."""
    arrays = []
    lists = 0
    for owner, message in _owned(model, "initializer"):
        if isinstance(message, onnx.AttributeProto):
            lists += 4 * len(message.floats) + 8 * len(message.ints)
            lists += len(message.s) + sum(map(len, message.strings))
        elif isinstance(message, onnx.TensorProto):
            arrays.append(_array(message, owner))
    return tuple(arrays), lists


def _owned(message: Any, owner: str) -> Iterator[tuple[str, Any]]:
    """Every message, with the type of the innermost node that holds it."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        for part in [value] if hasattr(value, "ListFields") else value:
            yield owner, part
            yield from _owned(part, part.op_type if isinstance(part, onnx.NodeProto) else owner)


def _array(tensor: onnx.TensorProto, owner: str) -> StoredArray:
    shape = tuple(map(int, tensor.dims))
    possible = all(side >= 0 for side in shape)
    numbers = math.prod(shape) if possible else 0
    width = _width(tensor.data_type)
    if tensor.HasField("raw_data"):
        carried, held = len(tensor.raw_data), len(tensor.raw_data)
    else:
        counts = {name: len(getattr(tensor, name)) for name in _LISTS}
        carried = sum(count * _LISTS[name] for name, count in counts.items())
        carried += sum(map(len, tensor.string_data))
        # Narrow types travel in int32_data, one number each.
        held = sum(counts.values()) * width
    return StoredArray(
        name=tensor.name,
        owner=owner,
        element=_element(tensor.data_type),
        shape=shape,
        size_bytes=max(numbers * width, carried),
        damaged=not possible or held != numbers * width,
    )


_LISTS = {"float_data": 4, "int32_data": 4, "int64_data": 8, "double_data": 8, "uint64_data": 8}


def _element(code: int) -> str:
    try:
        return str(onnx.TensorProto.DataType.Name(code))
    except ValueError:
        return f"type {code}"


def _width(code: int) -> int:
    """Bytes of a number; 1 for types that are packed more tightly, or none we know."""
    try:
        return int(np.dtype(onnx.helper.tensor_dtype_to_np_dtype(code)).itemsize)
    except (KeyError, ValueError, TypeError):
        return 1


def _casts(nodes: list[onnx.NodeProto]) -> Iterator[str]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.name in ("to", "dtype", "output_dtype", "stash_type"):
                yield _element(attribute.i)


def _training(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> Iterator[str]:
    """Types of nodes that are told, or may be told, to behave as in training."""
    off = {t.name for t in model.graph.initializer if _is_false(t)}
    off |= {o for n in nodes if n.op_type == "Constant" for o in n.output if _is_off(n)}
    for node in nodes:
        told = any(a.name == "training_mode" and a.i for a in node.attribute)
        old = node.op_type == "BatchNormalization" and len(node.output) > 1
        switch = node.input[2] if node.op_type == "Dropout" and len(node.input) > 2 else ""
        if told or old or (switch and switch not in off):
            yield node.op_type


def _is_off(node: onnx.NodeProto) -> bool:
    return any(a.HasField("t") and _is_false(a.t) for a in node.attribute)


def _is_false(tensor: onnx.TensorProto) -> bool:
    return tensor.data_type == onnx.TensorProto.BOOL and not (
        any(tensor.raw_data[:1]) or any(tensor.int32_data[:1])
    )


def _port(value: onnx.ValueInfoProto) -> Port:
    tensor = value.type.tensor_type
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
    except (KeyError, ValueError, TypeError):
        dtype = "none"
    axes: list[int | str | None] = [
        int(d.dim_value) if d.HasField("dim_value") else (d.dim_param or None)
        for d in tensor.shape.dim
    ]
    shape = tuple(a if isinstance(a, int) else None for a in axes)
    return Port(
        spec=TensorSpec(value.name, dtype, shape),
        axes=tuple(axes),
        is_tensor=value.type.WhichOneof("value") == "tensor_type",
    )


def _longest_path(graph: onnx.GraphProto) -> int:
    depth: dict[str, int] = {}
    longest = 0
    for node in graph.node:
        here = 1 + max((depth.get(name, 0) for name in node.input), default=0)
        longest = max(longest, here)
        for name in node.output:
            depth[name] = here
    return longest


def _faults(graph: onnx.GraphProto) -> tuple[str, ...]:
    """What the top graph's nodes read that nobody made before, or make a second time."""
    faults = []
    made = [t.name for t in graph.initializer] + [t.values.name for t in graph.sparse_initializer]
    there = set(made)
    if len(there) < len(made):
        faults.append("two stored arrays have the same name")
    there |= {v.name for v in graph.input}
    if len({v.name for v in graph.input}) < len(graph.input):
        faults.append("two inputs have the same name")
    for n, node in enumerate(graph.node):
        lacking = next((i for i in node.input if i and i not in there), None)
        if lacking is not None:
            faults.append(f"{node.op_type} {n} reads {lacking!r}, which nothing before it makes")
        again = next((o for o in node.output if o and o in there), None)
        if again is not None:
            faults.append(f"{node.op_type} {n} makes {again!r} a second time")
        there.update(o for o in node.output if o)
    faults += [f"nothing makes the output {v.name!r}" for v in graph.output if v.name not in there]
    return tuple(faults)


def _strange(messages: list[Any]) -> Iterator[str]:
    for message in messages:
        for descriptor, value in message.ListFields():
            if descriptor.type != descriptor.TYPE_STRING or descriptor.name in _NOTES:
                continue
            for text in [value] if isinstance(value, str) else value:
                shown = text.isascii() and text.isprintable()
                odd = not shown and any(unicodedata.category(c) in _UNPRINTABLE for c in text)
                if odd or len(text) > LONGEST_NAME:
                    yield ascii(text[:60])


_NOTES = frozenset({"doc_string", "value"})
"""Fields of text in which lines are broken."""
