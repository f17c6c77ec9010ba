"""Shapes told from a file alone, as onnxruntime finds them when it runs."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from toys import toy_detector, toy_embedder
from tronie.errors import BadModel
from tronie.runtime.graph import load_graph
from tronie.runtime.shapes import shapes_of

OPSET = 17


def graph_of(*nodes, weights=None, shape=("N", 3, "H", "W"), inputs=1):
    pictures = [
        helper.make_tensor_value_info("x" * (n + 1), TensorProto.FLOAT, shape)
        for n in range(inputs)
    ]
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    stored = [numpy_helper.from_array(np.asarray(v), k) for k, v in (weights or {}).items()]
    graph = helper.make_graph(list(nodes), "g", pictures, [answer], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def run_shapes(model, size):
    """The shape of every array, by running the graph with all of them as outputs."""
    shown = type(model)()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    for node in model.graph.node:
        for name in node.output:
            shown.graph.output.append(helper.make_empty_tensor_value_info(name))
    session = onnxruntime.InferenceSession(shown.SerializeToString())
    answers = session.run(None, {"x": np.ones((1, 3, *size), np.float32)})
    names = [name for node in model.graph.node for name in node.output]
    return {name: np.asarray(a).shape for name, a in zip(names, answers, strict=True)}


def reshaping():
    """Rows computed as exports with a free batch compute them."""
    make = helper.make_node
    return graph_of(
        make("Shape", ["x"], ["all"]),
        make("Gather", ["all", "zero"], ["n"], axis=0),
        make("Unsqueeze", ["n", "first"], ["rows"]),
        make("Slice", ["all", "one", "two"], ["channels"]),
        make("Mul", ["channels", "two"], ["twice"]),
        make("Concat", ["rows", "twice", "rest"], ["wanted"], axis=0),
        make("Reshape", ["x", "wanted"], ["folded"]),
        make("Transpose", ["folded"], ["y"], perm=[0, 2, 1]),
        weights={
            "zero": np.int64(0),
            "first": np.int64([0]),
            "one": np.int64([1]),
            "two": np.int64([2]),
            "rest": np.int64([-1]),
        },
    )


def test_computed_shapes_are_followed_as_the_engine_does():
    model = reshaping()
    batch, shapes = shapes_of(model, size=(4, 6), name="toy")
    assert batch == 1
    assert shapes["y"] == (1, 12, 6)
    told = run_shapes(model, (4, 6))
    assert {name: shapes[name] for name in told} == told


@pytest.mark.parametrize("make", [toy_embedder, toy_detector])
def test_toy_models_are_known_to_the_last_array(make, tmp_path):
    model = load_graph(make(tmp_path / "toy.onnx"))
    _, shapes = shapes_of(model, size=(112, 112), name="toy")
    assert {name for node in model.graph.node for name in node.output} <= shapes.keys()


@pytest.mark.parametrize("opset", [11, 13])
def test_operators_are_read_as_their_opset_writes_them(opset):
    """Before 13 the axes of Unsqueeze are an attribute, from 13 on an input."""
    make = helper.make_node
    unsqueeze = (
        make("Unsqueeze", ["n"], ["rows"], axes=[0])
        if opset < 13
        else make("Unsqueeze", ["n", "first"], ["rows"])
    )
    model = graph_of(
        make("Shape", ["x"], ["all"]),
        make("Gather", ["all", "zero"], ["n"]),
        unsqueeze,
        make("Concat", ["rows", "rest"], ["wanted"], axis=0),
        make("Reshape", ["x", "wanted"], ["y"]),
        weights={"zero": np.int64(0), "first": np.int64([0]), "rest": np.int64([-1])},
    )
    model.opset_import[0].version = opset
    assert shapes_of(model, size=(4, 6), name="toy")[1]["y"] == (1, 72)


def test_what_a_file_fixes_goes_before_what_is_asked():
    model = graph_of(helper.make_node("Relu", ["x"], ["y"]), shape=(4, 3, 8, 8))
    assert shapes_of(model, size=(112, 112), name="toy")[0] == 4
    assert shapes_of(model, size=(112, 112), name="toy")[1]["y"] == (4, 3, 8, 8)


def test_the_graph_stays_as_it_is():
    model = reshaping()
    before = model.SerializeToString(deterministic=True)
    shapes_of(model, size=(4, 6), name="toy")
    assert model.SerializeToString(deterministic=True) == before


def test_an_array_whose_size_depends_on_the_picture_has_no_shape():
    nodes = [
        helper.make_node("NonZero", ["x"], ["n"]),
        helper.make_node("Cast", ["n"], ["y"], to=1),
    ]
    _, shapes = shapes_of(graph_of(*nodes), size=(4, 4), name="toy")
    assert "y" not in shapes


def test_a_large_stored_array_is_never_computed_with():
    many = np.zeros(1_000_000, np.int64)
    model = graph_of(
        helper.make_node("Add", ["many", "many"], ["more"]),
        helper.make_node("Relu", ["x"], ["y"]),
        weights={"many": many},
    )
    assert shapes_of(model, size=(4, 4), name="toy")[1]["more"] == (1_000_000,)


def test_two_inputs_are_refused():
    model = graph_of(helper.make_node("Add", ["x", "xx"], ["y"]), inputs=2)
    words = r"toy must take one picture tensor \(N, C, H, W\) to be counted; it takes 2 inputs"
    with pytest.raises(BadModel, match=words):
        shapes_of(model, size=(4, 4), name="toy")


def test_shapes_that_do_not_fit_are_refused_by_the_operator():
    weights = {"w": np.zeros((5, 7), np.float32)}
    model = graph_of(helper.make_node("MatMul", ["x", "w"], ["y"], name="first"), weights=weights)
    with pytest.raises(
        BadModel, match="toy: MatMul 'first' does not fit what it is given, of pictures 8 wide"
    ):
        shapes_of(model, size=(8, 8), name="toy")


def test_an_operator_that_onnx_does_not_know_is_refused():
    model = graph_of(helper.make_node("Telepathy", ["x"], ["y"]))
    with pytest.raises(
        BadModel, match="toy: Telepathy 0 does not fit what it is given, of pictures 8 wide"
    ):
        shapes_of(model, size=(8, 8), name="toy")


def test_weights_whose_bytes_are_missing_are_refused():
    model = graph_of(helper.make_node("Add", ["x", "w"], ["y"]), weights={"w": np.zeros(4)})
    model.graph.initializer[0].raw_data = b"123"
    with pytest.raises(BadModel, match="toy: the weights 'w' cannot be read"):
        shapes_of(model, size=(8, 8), name="toy")
