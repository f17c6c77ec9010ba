"""Bytes that would unfold, nest or hide are refused before a parser sees them."""

from __future__ import annotations

import onnx
import pytest

from tiny_models import NETWORKS, honest
from tronie.errors import BadModel
from tronie.runtime import graph_wire
from tronie.runtime.graph_wire import GraphTooLarge, parse_bounded


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, body):
    return varint(number << 3 | 2) + varint(len(body)) + body


GRAPH, NODE, INITIALIZER = 7, 1, 5


@pytest.mark.parametrize("kind", NETWORKS)
def test_an_honest_file_is_parsed_as_the_protobuf_library_does(kind):
    data = NETWORKS[kind]().SerializeToString()
    assert parse_bounded(data, name="m") == onnx.ModelProto.FromString(data)


def test_branches_functions_and_training_are_walked_too():
    model = honest()
    model.training_info.add().algorithm.node.add(op_type="Relu")
    model.functions.add(name="f", domain="own").node.add(op_type="Relu")
    model.graph.node[0].attribute.add(name="g", type=5).g.node.add(op_type="Relu")
    data = model.SerializeToString()
    assert parse_bounded(data, name="m") == model


def test_a_million_empty_nodes_are_refused_unmade():
    """Two bytes each here; in memory each would be an object of a hundred."""
    data = field(GRAPH, b"\x0a\x00" * 1_000_000)
    with pytest.raises(GraphTooLarge, match="m holds more than 500000 fields; no network needs"):
        parse_bounded(data, name="m")


def test_packed_numbers_that_unfold_are_refused():
    dims = field(1, b"\x01" * 5_000_000)
    with pytest.raises(GraphTooLarge, match="more than 4194304 bytes of packed whole numbers"):
        parse_bounded(field(GRAPH, field(INITIALIZER, dims)), name="m")


def test_packed_floats_are_weights_and_are_not():
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[2_000_000])
    tensor.float_data.extend([0.5] * 2_000_000)
    model = honest()
    model.graph.initializer.append(tensor)
    assert parse_bounded(model.SerializeToString(), name="m") == model


def test_a_graph_in_a_graph_in_a_graph_is_refused():
    body = field(1, b"")
    for _ in range(20):
        body = field(1, field(5, field(6, body)))
    with pytest.raises(GraphTooLarge, match="nests more than 40 messages in each other"):
        parse_bounded(field(GRAPH, body), name="m")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "holds no graph with nodes and outputs"),
        (b"\x08\x08", "holds no graph with nodes and outputs"),
        (b"not a model", r"field 13 of onnx.ModelProto is none that ONNX has"),
        (field(1000, b"hidden"), "field 1000 of onnx.ModelProto is none that ONNX has"),
        (field(GRAPH, field(NODE, field(77, b""))), "field 77 of onnx.NodeProto is none"),
        (field(1, b"\x08"), "onnx.ModelProto.ir_version has the wire type 2"),
        (b"\x3b", "onnx.ModelProto.graph has the wire type 3"),
        (b"\x3a\x05\x0a", "a field is longer than what holds it"),
        (field(GRAPH, b"\x0a\x05"), "a field is longer than what holds it"),
        (b"\x08\xff", "a number is cut off"),
        (b"\xff" * 12, "a number is cut off"),
        (field(2, b"\xff\xfe"), "onnx.ModelProto.producer_name is not UTF-8"),
    ],
)
def test_bytes_that_are_no_onnx_file_are_refused(data, why):
    with pytest.raises(BadModel, match=why):
        parse_bounded(data, name="m")


def test_what_cannot_be_parsed_after_all_is_refused(monkeypatch):
    monkeypatch.setattr(graph_wire._Walk, "message", lambda *_: None)
    with pytest.raises(BadModel, match=r"m is no ONNX file \(3 bytes read\)"):
        parse_bounded(b"\x3a\x05\x0a", name="m")


def test_every_truncation_of_a_file_is_one_sentence():
    data = honest().SerializeToString()
    for stop in range(0, len(data), 199):
        with pytest.raises(BadModel, match="m is no ONNX"):
            parse_bounded(data[:stop], name="m")


def test_a_protobuf_library_without_the_newest_names_will_do():
    class Field:
        LABEL_REPEATED = label = 3

    assert graph_wire._repeats(Field())


def test_a_file_that_is_of_two_formats_is_refused():
    model = honest()
    model.producer_name = "ORTM"
    with pytest.raises(BadModel, match="m has the mark of onnxruntime's own format"):
        parse_bounded(model.SerializeToString(), name="m")
