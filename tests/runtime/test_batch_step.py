"""What a graph is followed with: its small arrays, and itself without weights."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tiny_models import Net, honest
from tronie.errors import BadModel
from tronie.runtime.batch_step import Mixed, Place, Step, small_arrays, with_batch
from tronie.runtime.shapes import MOST_NUMBERS, shapes_of

SIZE = (112, 112)


def test_a_bare_graph_has_the_shapes_of_the_whole_one():
    model = honest()
    bare = with_batch(model, 5)
    batch, shapes = shapes_of(bare, size=SIZE, name="bare")
    _, whole = shapes_of(model, size=SIZE, name="whole")
    assert batch == 5
    assert shapes[model.graph.output[0].name] == (5, 16)
    assert {k: v[1:] for k, v in shapes.items()} == {k: v[1:] for k, v in whole.items()}


def test_a_bare_graph_has_no_large_weights():
    sizes = [t.ByteSize() for t in with_batch(honest(), 5).graph.initializer]
    assert max(sizes) < 4 * MOST_NUMBERS + 100
    assert honest().ByteSize() > 10 * sum(sizes)


def test_large_constants_become_bare_too_and_the_model_stays_as_it_was():
    net = Net()
    large = onnx.numpy_helper.from_array(np.zeros((40, 40), np.float32), "c")
    net.add("Constant", told={"value": large})
    model = net.model(net.head(net.body(), 392))
    before = model.SerializeToString()
    bare = with_batch(model, 2)
    assert "Constant" not in {n.op_type for n in bare.graph.node}
    assert any(list(t.dims) == [40, 40] and not t.raw_data for t in bare.graph.initializer)
    assert model.SerializeToString() == before


def test_declared_inputs_that_are_stored_go():
    model = honest()
    weight = model.graph.initializer[0]
    model.graph.input.append(helper.make_tensor_value_info(weight.name, 1, weight.dims))
    assert [v.name for v in with_batch(model, 2).graph.input] == ["x"]


def test_small_arrays_are_read_in_every_form_of_a_constant():
    net = Net()
    names = [
        net.store([1, 2], np.int64),
        net.add("Constant", told={"value": onnx.numpy_helper.from_array(np.array([3.0]))}),
        net.add("Constant", told={"value_ints": [4, 5]}),
        net.add("Constant", told={"value_int": 6}),
        net.add("Constant", told={"value_floats": [7.0, 8.0]}),
        net.add("Constant", told={"value_float": 9.0}),
    ]
    found = small_arrays(net.model(net.head(net.body(), 392)).graph)
    assert [np.ravel(found[name]).tolist() for name in names] == [
        [1, 2],
        [3.0],
        [4, 5],
        [6],
        [7.0, 8.0],
        [9.0],
    ]


def test_an_array_whose_bytes_do_not_fit_is_refused():
    model = honest()
    model.graph.initializer.append(
        TensorProto(name="odd", data_type=TensorProto.INT64, dims=[3], raw_data=b"1234")
    )
    with pytest.raises(BadModel, match="the stored array 'odd' cannot be read"):
        small_arrays(model.graph)


def step(node, *, shapes, stored=None, places=None):
    return Step(node, shapes, stored or {}, places or {}, 17)


def test_a_step_knows_shapes_places_and_what_the_node_states():
    node = helper.make_node("Split", ["a"], ["b", "c"], axis=-1)
    at = step(node, shapes={"a": (7, 4), "b": (7, 2)}, places={"a": Place(0)})
    assert (at.shape(0), at.answer, at.first) == ((7, 4), (7, 2), Place(0, 1, 1))
    assert at.axis("axis", 0) == 1
    assert at.whole("nothing", 9) == 9


def test_lists_come_from_an_attribute_or_an_input_and_never_from_a_computation():
    attribute = helper.make_node("ReduceSum", ["a"], ["b"], axes=[1, 2])
    assert step(attribute, shapes={}).list("axes", 1) == [1, 2]
    given = helper.make_node("ReduceSum", ["a", "i"], ["b"])
    assert step(given, shapes={}, stored={"i": np.array([3])}).list("axes", 1) == [3]
    assert step(helper.make_node("ReduceSum", ["a"], ["b"]), shapes={}).list("axes", 1) is None
    with pytest.raises(Mixed, match="computes its axes; export it with constants folded"):
        step(given, shapes={}).list("axes", 1)


def test_only_the_first_input_of_most_operators_may_depend_on_the_pictures():
    node = helper.make_node("Conv", ["a", "w"], ["b"])
    with pytest.raises(Mixed, match="makes its weights, places or sizes out of the pictures"):
        _ = step(node, shapes={}, places={"a": Place(0), "w": Place(0)}).first
