"""Graphs made to run for ever or to fill the memory, refused by what their file says."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from toys import toy_embedder
from tronie.errors import BadModel
from tronie.runtime import bounds
from tronie.runtime.session import EngineOptions, session_of


def graph_of(*nodes, weights=None):
    picture = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    stored = [numpy_helper.from_array(np.asarray(v), k) for k, v in (weights or {}).items()]
    return helper.make_model(helper.make_graph(list(nodes), "g", [picture], [answer], stored))


def branch():
    out = helper.make_tensor_value_info("b", TensorProto.FLOAT, None)
    return helper.make_graph([helper.make_node("Identity", ["x"], ["b"])], "inner", [], [out])


def opened(model):
    return session_of(model, EngineOptions(threads=1), name="odd")


@pytest.mark.parametrize("kind", sorted(bounds.CONTROL_FLOW))
def test_loops_and_branches_are_refused(kind):
    node = helper.make_node(kind, ["c"], ["y"], body=branch())
    words = f"model odd holds the operator {kind}; graphs with loops or branches are not run"
    with pytest.raises(BadModel, match=words):
        opened(graph_of(node))


def test_a_loop_inside_a_function_is_found_too():
    model = graph_of(helper.make_node("mine", ["x"], ["y"], domain="own"))
    inner = helper.make_node("Loop", ["a"], ["b"], body=branch())
    opset = helper.make_opsetid("", 17)
    model.functions.append(helper.make_function("own", "mine", ["a"], ["b"], [inner], [opset]))
    with pytest.raises(BadModel, match="holds the operator Loop"):
        opened(model)


@pytest.mark.parametrize(
    ("kind", "inputs", "value"),
    [
        ("ConstantOfShape", ["n"], [100_000, 100_000]),
        ("Expand", ["x", "n"], [1 << 20, 1, 1, 1024]),
        ("Tile", ["x", "n"], [1, 1 << 15, 1 << 15, 1]),
    ],
)
def test_an_array_without_measure_is_refused_and_a_small_one_not(kind, inputs, value):
    node = helper.make_node(kind, inputs, ["y"])
    with pytest.raises(BadModel, match=rf"\d+ numbers in the output of {kind} .*at most 268435456"):
        opened(graph_of(node, weights={"n": np.array(value, np.int64)}))
    fine = graph_of(node, weights={"n": np.array([1, 3, 8, 8], np.int64)})
    bounds.refuse_unbounded(fine, name="fine")


def test_weights_over_the_bound_are_refused(monkeypatch, tmp_path):
    model = onnx.load(toy_embedder(tmp_path / "a.onnx"))
    monkeypatch.setattr(bounds, "MAX_ELEMENTS", 147 * 8)
    bounds.refuse_unbounded(model, name="a")
    monkeypatch.setattr(bounds, "MAX_ELEMENTS", 147 * 8 - 1)
    with pytest.raises(BadModel, match="a asks for 1176 numbers in the weights 'weights'; at most"):
        bounds.refuse_unbounded(model, name="a")


@pytest.mark.parametrize(
    ("weights", "scale", "attributes"),
    [
        (np.ones((4, 4), np.int8), np.ones((4, 1), np.float32), {"block_size": -2}),
        (np.ones((4, 1), np.int8), np.ones(70_000, np.float32), {}),
    ],
)
def test_scales_that_would_blow_weights_up_are_refused(weights, scale, attributes):
    fold = helper.make_node("DequantizeLinear", ["w", "s"], ["f"], axis=1, **attributes)
    add = helper.make_node("Add", ["x", "f"], ["y"])
    with pytest.raises(BadModel, match="model odd is damaged: ValueError"):
        opened(graph_of(fold, add, weights={"w": weights, "s": scale}))


def test_an_enormous_block_takes_no_more_memory_than_the_weights():
    """One scale for a whole row, however long its block says it is."""
    fold = helper.make_node("DequantizeLinear", ["w", "s"], ["f"], axis=1, block_size=10**11)
    add = helper.make_node("Add", ["x", "f"], ["y"])
    stored = {"w": np.full((8, 8), 3, np.int8), "s": np.full((8, 1), 0.5, np.float32)}
    (out,) = opened(graph_of(fold, add, weights=stored)).run(np.zeros((1, 3, 8, 8), np.float32))
    np.testing.assert_array_equal(out, np.full((1, 3, 8, 8), 1.5))


def test_a_graph_that_asks_for_more_memory_than_there_is_is_refused(monkeypatch):
    def no_memory(*_args, **_options):
        raise MemoryError("186 TiB")

    monkeypatch.setattr("tronie.runtime.session.graph.without_stale_inputs", no_memory)
    model = graph_of(helper.make_node("Identity", ["x"], ["y"]))
    with pytest.raises(BadModel, match="model odd is damaged: MemoryError 186 TiB"):
        opened(model)
