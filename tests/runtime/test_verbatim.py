"""What an engine is given is the file itself: loops, odd types and all."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tronie.errors import BadModel
from tronie.runtime import verbatim
from tronie.runtime.verbatim import open_verbatim

pytestmark = pytest.mark.onnx


def file_of(nodes, outputs, *, inputs=(("x", TensorProto.FLOAT, ["n", 3, 2, 2]),), weights=()):
    """The bytes of a graph."""
    values = [
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in each]
        for each in (inputs, outputs)
    ]
    graph = helper.make_graph(nodes, "g", *values, list(weights))
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


PIXELS = np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 2, 2)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_model_gives_what_its_operators_say(threads):
    data = file_of([helper.make_node("Relu", ["x"], ["y"])], [("y", TensorProto.FLOAT, None)])
    session = open_verbatim(data, threads)
    np.testing.assert_array_equal(session.run(PIXELS)[0], np.maximum(PIXELS, 0))
    assert session.inputs == (("x", "float32", (None, 3, 2, 2)),)


def test_element_types_and_lists_are_told_as_they_are():
    data = file_of(
        [
            helper.make_node("Shape", ["x"], ["shape"]),
            helper.make_node("Cast", ["x"], ["half"], to=TensorProto.FLOAT16),
            helper.make_node("SequenceConstruct", ["x"], ["list"]),
        ],
        [
            ("shape", TensorProto.INT64, [4]),
            ("half", TensorProto.FLOAT16, ["n", 3, 2, 2]),
        ],
    )
    model = onnx.ModelProto.FromString(data)
    element = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    kind = helper.make_sequence_type_proto(element)
    model.graph.output.append(helper.make_value_info("list", kind))
    session = open_verbatim(model.SerializeToString(), 1)
    assert [(name, dtype) for name, dtype, _ in session.outputs] == [
        ("shape", "int64"),
        ("half", "float16"),
        ("list", "none"),
    ]
    assert type(session.run(PIXELS)[2]) is list


def test_a_loop_is_run_which_a_session_would_refuse():
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Add", ["a", "a"], ["b"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("a", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("b", TensorProto.FLOAT, None),
        ],
    )
    data = file_of(
        [helper.make_node("Loop", ["times", "", "x"], ["y"], body=body)],
        [("y", TensorProto.FLOAT, None)],
        weights=[helper.make_tensor("times", TensorProto.INT64, [], [3])],
    )
    np.testing.assert_array_equal(open_verbatim(data, 1).run(PIXELS)[0], PIXELS * 8)


@pytest.mark.parametrize("data", [b"", b"no model", bytes(1000)])
def test_bytes_that_are_no_model_are_refused_with_the_engines_words(data):
    with pytest.raises(BadModel, match=r"the engine failed: .*(PROTOBUF|INVALID|FAIL)"):
        open_verbatim(data, 1)


def test_pictures_that_do_not_fit_are_refused_with_the_engines_words():
    data = file_of([helper.make_node("Relu", ["x"], ["y"])], [("y", TensorProto.FLOAT, None)])
    with pytest.raises(BadModel, match=r"the engine failed: .*invalid dimensions"):
        open_verbatim(data, 1).run(np.zeros((1, 1, 2, 2), np.float32))


def test_a_model_without_input_cannot_be_run():
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    node = helper.make_node("Constant", [], ["y"], value=one)
    session = open_verbatim(file_of([node], [("y", TensorProto.FLOAT, [1])], inputs=()), 1)
    with pytest.raises(BadModel, match="no input that pictures could be given to"):
        session.run(PIXELS)


@pytest.mark.parametrize(
    "words", ["std::bad_alloc", "bad allocation", "Failed to allocate memory for requested buffer"]
)
def test_a_lack_of_memory_is_one_error_however_it_is_said(words):
    assert isinstance(verbatim._told(RuntimeError(words)), MemoryError)
    assert isinstance(verbatim._told(RuntimeError("node 7")), BadModel)


def marked(data):
    """The same network, with the mark of the engine's own format where the engine looks for it."""
    model = onnx.ModelProto.FromString(data)
    model.producer_name = "ORTM"
    made = model.SerializeToString()
    assert made[4:8] == b"ORTM"
    return made


def test_an_onnx_file_is_never_read_in_the_engines_own_format():
    """Both may stand in the same bytes; what was checked is what runs."""
    data = file_of([helper.make_node("Relu", ["x"], ["y"])], [("y", TensorProto.FLOAT, None)])
    session = open_verbatim(marked(data), 1)
    np.testing.assert_array_equal(session.run(PIXELS)[0], np.maximum(PIXELS, 0))
