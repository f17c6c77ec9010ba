"""Parse an ONNX file from a stranger only after its bytes were counted.

A parser makes an object of a hundred bytes out of a message of two, so that a file within every
limit of size can ask for a hundred times its size in memory. So the fields are walked first, by
the rules of the protobuf wire format and by ONNX's own list of fields, and nothing is made of
them:

    fields         at most MOST_FIELDS in the whole file
    packed         at most MOST_PACKED_BYTES of numbers that unfold from one byte to eight
    nesting        at most MOST_NESTED messages in each other
    unknown        none: what one reader skips, another may obey
    text           UTF-8
    one format     not onnxruntime's own as well, whose mark can stand within an ONNX file

Walking costs about a microsecond a field; weights are stepped over and never looked at.

Source: Protocol Buffers, "Encoding"; onnx.proto.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import onnx

from tronie.errors import BadModel
from tronie.runtime.graph import read_protobuf

MOST_FIELDS = 500_000
"""A transformer of 24 blocks has fewer than 100,000."""
MOST_PACKED_BYTES = 1 << 22
MOST_NESTED = 40
"""A branch within a branch within a branch has 12."""

_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
_OTHER_FORMAT_AT, _OTHER_FORMAT = 4, b"ORTM"


class GraphTooLarge(BadModel):
    """A file that would unfold to more than any network needs."""


class _Kind(NamedTuple):
    """What ONNX says of one field."""

    name: str
    wire: int
    repeated: bool
    text: bool
    message: str


def parse_bounded(data: bytes, *, name: str) -> onnx.ModelProto:
    """The graph in `data`; external weights and all else that it says are left to `graph_survey`.

    Args:
        name: What messages call the file.

    Raises:
        GraphTooLarge: it holds more fields, packed numbers or nesting than is read.
        BadModel: it is no ONNX protobuf, or holds no graph with nodes and outputs.
    """
    if data.startswith(_OTHER_FORMAT, _OTHER_FORMAT_AT):
        raise BadModel(
            f"{name} has the mark of onnxruntime's own format ('ORTM' at byte 4), in which another "
            "graph can stand; save it as ONNX"
        )
    _Walk(data, name).message(0, len(data), "onnx.ModelProto", 1)
    model = read_protobuf(data, name=name)
    if not model.graph.node or not model.graph.output:
        raise BadModel(
            f"{name} is no ONNX model: it holds no graph with nodes and outputs; export it again"
        )
    return model


class _Walk:
    """One pass over the bytes."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._name = name
        self._fields = 0
        self._packed = 0

    def message(self, at: int, end: int, kind: str, depth: int) -> None:
        """Step over one message and all in it."""
        if depth > MOST_NESTED:
            raise GraphTooLarge(
                f"{self._name} nests more than {MOST_NESTED} messages in each other; export it "
                "without branches in branches"
            )
        known = _kinds()[kind]
        while at < end:
            key, at = self._varint(at, end)
            field = known.get(key >> 3)
            self._fields += 1
            if self._fields > MOST_FIELDS:
                raise GraphTooLarge(
                    f"{self._name} holds more than {MOST_FIELDS} fields; no network needs as many. "
                    "Export it again, without shape information and notes at each node"
                )
            if field is None:
                raise self._damaged(f"field {key >> 3} of {kind} is none that ONNX has")
            at = self._value(at, end, key & 7, field, depth)

    def _value(self, at: int, end: int, wire: int, field: _Kind, depth: int) -> int:
        packed = wire == _LENGTH and field.repeated and field.wire != _LENGTH
        if wire != field.wire and not packed:
            raise self._damaged(f"{field.name} has the wire type {wire}")
        if wire == _VARINT:
            return self._varint(at, end)[1]
        if wire in (_EIGHT, _FOUR):
            return self._within(at + (8 if wire == _EIGHT else 4), end)
        size, at = self._varint(at, end)
        stop = self._within(at + size, end)
        if field.message:
            self.message(at, stop, field.message, depth + 1)
        elif packed and field.wire == _VARINT:
            self._packed += size
            if self._packed > MOST_PACKED_BYTES:
                raise GraphTooLarge(
                    f"{self._name} holds more than {MOST_PACKED_BYTES} bytes of packed whole "
                    "numbers; store them as raw data"
                )
        elif field.text:
            try:
                self._data[at:stop].decode("utf-8")
            except UnicodeDecodeError as fault:
                raise self._damaged(f"{field.name} is not UTF-8") from fault
        return stop

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while at < end and shift < 70:
            byte = self._data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
            shift += 7
        raise self._damaged("a number is cut off")

    def _within(self, stop: int, end: int) -> int:
        if stop > end:
            raise self._damaged("a field is longer than what holds it")
        return stop

    def _damaged(self, what: str) -> BadModel:
        return BadModel(
            f"{self._name} is no ONNX file that is read here ({len(self._data)} bytes): {what}; "
            "export it again"
        )


@cache
def _kinds() -> dict[str, dict[int, _Kind]]:
    """By message, by number: the fields that ONNX has."""
    found: dict[str, dict[int, _Kind]] = {}
    waiting: list[Any] = [onnx.ModelProto.DESCRIPTOR]
    while waiting:
        message = waiting.pop()
        if message.full_name in found:
            continue
        found[message.full_name] = {field.number: _kind(field) for field in message.fields}
        waiting += [field.message_type for field in message.fields if field.message_type]
    return found


def _kind(field: Any) -> _Kind:
    if field.type in (field.TYPE_DOUBLE, field.TYPE_FIXED64, field.TYPE_SFIXED64):
        wire = _EIGHT
    elif field.type in (field.TYPE_FLOAT, field.TYPE_FIXED32, field.TYPE_SFIXED32):
        wire = _FOUR
    elif field.type in (field.TYPE_STRING, field.TYPE_BYTES, field.TYPE_MESSAGE):
        wire = _LENGTH
    else:
        wire = _VARINT
    return _Kind(
        name=field.full_name,
        wire=wire,
        repeated=_repeats(field),
        text=field.type == field.TYPE_STRING,
        message=field.message_type.full_name if field.message_type else "",
    )


def _repeats(field: Any) -> bool:
    told = getattr(field, "is_repeated", None)  # older protobuf has only the label
    return bool(field.label == field.LABEL_REPEATED if told is None else told)
