"""Rewrites give what the original gives, run by onnxruntime; weights elsewhere are refused."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from toys import toy_embedder
from tronie.errors import BadModel, NotFound
from tronie.runtime import graph

RNG = np.random.default_rng(0)


def tensor(name, value):
    return numpy_helper.from_array(np.asarray(value), name)


def node(kind, inputs, output="y", **attributes):
    return helper.make_node(kind, inputs, [output], **attributes)


def model(nodes, initializers, *, picture=(1, 3, 8, 8), answer=None, opset=13):
    made = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, picture)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, answer)],
        initializer=[tensor(name, value) for name, value in initializers.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def run(made, pixels):
    session = onnxruntime.InferenceSession(
        made.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: pixels})[0]


def picture(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


# --- weights ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scale", "zero", "attributes"),
    [
        (np.float32(0.1), np.uint8(7), {}),  # per tensor
        (np.array([0.1, 0.2, 0.3, 0.4], np.float32), np.array([1, 2, 3, 4], np.uint8), {"axis": 0}),
        (np.array([0.1, 0.2], np.float32), np.array([0, 9], np.uint8), {"axis": -1}),
        (normal(4, 3) ** 2, RNG.integers(0, 9, (4, 3), np.uint8), {"axis": 1, "block_size": 2}),
    ],
    ids=["tensor", "axis 0", "axis -1", "blocks with a shorter last one"],
)
def test_stored_weights_are_dequantized_as_onnxruntime_does(scale, zero, attributes):
    stored = RNG.integers(0, 256, (4, 5) if "block_size" in attributes else (4, 2), np.uint8)
    nodes = [
        node("DequantizeLinear", ["w", "scale", "zero"], "floats", **attributes),
        node("Flatten", ["x"], "flat"),
        node("Shape", ["flat"], "n"),
        node("Cast", ["n"], "numbers", to=TensorProto.FLOAT),
        node("ReduceSum", ["numbers"], "one", keepdims=0),
        node("Mul", ["one", "nought"], "nothing"),
        node("Add", ["floats", "nothing"]),
    ]
    weights = {"w": stored, "scale": scale, "zero": zero, "nought": np.float32(0)}
    made = model(nodes, weights, opset=21)
    folded = graph.fold_constants(made)
    assert "DequantizeLinear" not in {n.op_type for n in folded.graph.node}
    np.testing.assert_array_equal(run(folded, picture(1, 3, 8, 8)), run(made, picture(1, 3, 8, 8)))


def test_reshaped_weights_and_dropout_go():
    nodes = [
        node("Reshape", ["w", "shape"], "kernel"),
        node("Conv", ["x", "kernel"], "features"),
        node("Dropout", ["features"]),
    ]
    made = model(nodes, {"w": normal(4, 27), "shape": np.array([0, 3, 3, -1])})
    folded = graph.fold_constants(made)
    assert [n.op_type for n in folded.graph.node] == ["Conv", "Identity"]
    assert [o.name for o in folded.graph.output] == ["y"]
    pixels = picture(1, 3, 8, 8)
    np.testing.assert_array_equal(run(folded, pixels), run(made, pixels))


def test_inputs_that_name_stored_weights_go_and_the_argument_is_left_alone():
    made = model([node("Conv", ["x", "w"])], {"w": normal(4, 3, 3, 3)})
    made.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, (4, 3, 3, 3)))
    made.graph.input.append(helper.make_tensor_value_info("spare", TensorProto.FLOAT, (1,)))
    before = made.SerializeToString()
    assert [i.name for i in graph.without_stale_inputs(made).graph.input] == ["x"]
    assert made.SerializeToString() == before


def test_what_only_a_branch_reads_is_kept():
    """An If whose branches use values of the graph around them."""
    branches = {
        f"{name}_branch": helper.make_graph(
            [node(kind, ["twice", "w"], name)],
            name,
            [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)],
        )
        for name, kind in (("then", "Add"), ("else", "Sub"))
    }
    nodes = [
        node("Add", ["x", "x"], "twice"),
        node("ReduceMax", ["x"], "most", keepdims=0),
        node("Greater", ["most", "nought"], "bright"),
        node("If", ["bright"], "y", **branches),
    ]
    made = model(nodes, {"w": np.float32(1), "nought": np.float32(0)})
    pixels = picture(1, 3, 8, 8)
    np.testing.assert_array_equal(run(graph.without_stale_inputs(made), pixels), 2 * pixels + 1)


# --- PRelu --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 4, 1, 1)])
def test_a_split_prelu_is_the_prelu(shape):
    slopes = normal(*shape)
    nodes = [node("Conv", ["x", "w"], "c"), node("PRelu", ["c", "a"])]
    made = model(nodes, {"w": normal(4, 3, 3, 3), "a": slopes})
    split = graph.split_prelu(made)
    assert [n.op_type for n in split.graph.node] == ["Conv", "Relu", "Conv", "Conv", "Add"]
    pixels = picture(1, 3, 8, 8)
    expected = run(made, pixels)
    # float32 rounding: a x + (1 - a) x instead of x
    np.testing.assert_allclose(run(split, pixels), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("slope", "before"),
    [(np.full((1, 1, 1), 0.2), "Conv"), (normal(4, 6, 6), "Conv"), (normal(4, 1, 1), "Tanh")],
    ids=["one slope for all", "one slope a pixel", "not behind a convolution"],
)
def test_another_prelu_is_left_alone(slope, before):
    head = [node("Conv", ["x", "w"], "c")]
    head += [node("Tanh", ["c"], "t")] if before == "Tanh" else []
    last = node("PRelu", [head[-1].output[0], "a"])
    weights = {"w": normal(4, 3, 3, 3), "a": slope.astype(np.float32)}
    split = graph.split_prelu(model([*head, last], weights))
    assert split.graph.node[-1].op_type == "PRelu"


# --- free axes ----------------------------------------------------------------------------


def test_a_freed_batch_of_three_is_three_singles():
    nodes = [
        node("Conv", ["x", "w"], "c"),
        node("Reshape", ["c", "shape"], "flat"),
        node("Gemm", ["flat", "matrix"]),
    ]
    weights = {
        "w": normal(4, 3, 3, 3),
        "shape": np.array([1, 144]),
        "matrix": normal(144, 5),
    }
    made = model(nodes, weights, answer=(1, 5))
    free = graph.free_batch(made)
    assert free.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    pixels = picture(3, 3, 8, 8)
    singles = np.concatenate([run(made, pixels[n : n + 1]) for n in range(3)])
    np.testing.assert_allclose(run(free, pixels), singles, atol=1e-5)


def test_a_freed_batch_renames_only_axes_of_one():
    made = model([node("Conv", ["x", "w"])], {"w": normal(4, 3, 3, 3)}, answer=(2, 4, 6, 6))
    shape = graph.free_batch(made).graph.output[0].type.tensor_type.shape
    assert shape.dim[0].dim_value == 2


def test_a_freed_size_takes_another_picture():
    made = model([node("Conv", ["x", "w"])], {"w": normal(4, 3, 3, 3)}, answer=(1, 4, 6, 6))
    free = graph.free_size(made)
    pixels = picture(1, 3, 8, 8)
    np.testing.assert_array_equal(run(free, pixels), run(made, pixels))
    assert run(free, picture(1, 3, 12, 20)).shape == (1, 4, 10, 18)


# --- opset --------------------------------------------------------------------------------


def test_an_older_opset_gives_the_same_result():
    made = model([node("Conv", ["x", "w"])], {"w": normal(4, 3, 3, 3)}, opset=21)
    old = graph.lower_opset(made, 13)
    assert [o.version for o in old.opset_import] == [13]
    pixels = picture(1, 3, 8, 8)
    np.testing.assert_array_equal(run(old, pixels), run(made, pixels))


def test_an_operator_that_may_have_changed_is_refused():
    made = model([node("Gelu", ["x"])], {}, opset=20)
    with pytest.raises(BadModel, match="cannot declare opset 13 for Gelu"):
        graph.lower_opset(made, 13)


def test_an_opset_older_than_was_checked_is_refused():
    with pytest.raises(BadModel, match="cannot declare opset 11 for any graph"):
        graph.lower_opset(model([node("Relu", ["x"])], {}), 11)


# --- does it normalize inside? ------------------------------------------------------------

CONV = node("Conv", ["inner", "w"])
BATCH_NORM = ["x", "one", "nought", "mean", "one"]


@pytest.mark.parametrize(
    ("nodes", "mean", "inside"),
    [
        ([node("Sub", ["x", "half"], "s"), node("Mul", ["s", "part"], "inner")], 0, True),
        ([node("Mul", ["x", "part"], "m"), node("Add", ["m", "half"], "inner")], 0, True),
        ([node("Div", ["x", "half"], "inner")], 0, True),
        ([node("Transpose", ["x"], "t", perm=[0, 1, 3, 2]), node("Sub", ["t", "half"], "inner")],
         0, True),
        ([node("Identity", ["x"], "inner")], 0, False),  # a convolution first
        ([node("Relu", ["x"], "r"), node("Sub", ["r", "half"], "inner")], 0, False),
        ([node("BatchNormalization", BATCH_NORM, "inner")], 127.0, True),
        ([node("BatchNormalization", BATCH_NORM, "inner")], 0.02, False),
    ],
    ids=["sub mul", "mul add", "div", "moved, then sub", "conv", "relu", "bn of bytes",
         "bn of normalized pixels"],
)  # fmt: skip
def test_a_network_that_begins_with_arithmetic_normalizes_inside(nodes, mean, inside):
    weights = {
        "w": normal(4, 3, 1, 1),
        "half": np.float32(127.5),
        "part": np.float32(1 / 128),
        "one": np.ones(3, np.float32),
        "nought": np.zeros(3, np.float32),
        "mean": np.full(3, mean, np.float32),
    }
    assert graph.normalizes_inside(model([*nodes, CONV], weights)) is inside


def test_arithmetic_on_something_else_than_the_picture_does_not_count():
    nodes = [node("Mul", ["w", "part"], "kernel"), node("Conv", ["x", "kernel"])]
    weights = {"w": normal(4, 3, 1, 1), "part": np.float32(2)}
    assert not graph.normalizes_inside(model(nodes, weights))


# --- files --------------------------------------------------------------------------------


def test_a_file_is_read_as_it_was_written(tmp_path):
    file = toy_embedder(tmp_path / "toy.onnx")
    assert graph.load_graph(file) == onnx.load(file)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"no model file at .*; give the path of an .onnx file"):
        graph.load_graph(tmp_path / "absent.onnx")


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path, monkeypatch):
    file = toy_embedder(tmp_path / "toy.onnx")
    monkeypatch.setattr(graph, "MAX_MODEL_BYTES", 100)
    with pytest.raises(BadModel, match=r"toy.onnx has \d+ bytes; at most 100 are read"):
        graph.load_graph(file)


def elsewhere(name="w"):
    """A tensor whose bytes are said to lie in a file of the system."""
    stored = tensor(name, normal(4, 3, 1, 1))
    stored.ClearField("raw_data")
    stored.data_location = TensorProto.EXTERNAL
    stored.external_data.add(key="location", value="../../../etc/hostname")
    return stored


def hidden_in_an_initializer():
    made = model([node("Conv", ["x", "w"])], {})
    made.graph.initializer.append(elsewhere())
    return made


def hidden_in_a_constant():
    constant = helper.make_node("Constant", [], ["w"], value=elsewhere())
    return model([constant, node("Conv", ["x", "w"])], {})


def hidden_in_a_branch():
    constant = helper.make_node("Constant", [], ["z"], value=elsewhere())
    answer = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    branch = helper.make_graph([constant], "branch", [], [answer])
    return model([node("If", ["c"], then_branch=branch, else_branch=branch)], {"c": np.bool_(True)})


def hidden_in_a_function():
    constant = helper.make_node("Constant", [], ["z"], value=elsewhere())
    opset = [helper.make_opsetid("", 13)]
    made = model([helper.make_node("F", ["x"], ["y"], domain="own")], {})
    made.functions.append(helper.make_function("own", "F", ["a"], ["z"], [constant], opset))
    return made


@pytest.mark.parametrize(
    "hidden",
    [hidden_in_an_initializer, hidden_in_a_constant, hidden_in_a_branch, hidden_in_a_function],
)
def test_weights_in_another_file_are_refused_wherever_they_are_named(hidden):
    with pytest.raises(BadModel, match="toy keeps the weights 'w' in another file; save it as one"):
        graph.parse_graph(hidden().SerializeToString(), name="toy")


def test_weights_whose_bytes_do_not_fit_their_shape_are_refused():
    made = model([node("Conv", ["x", "w"])], {"w": normal(4, 3, 1, 1)})
    made.graph.initializer[0].raw_data = b"1234"
    with pytest.raises(BadModel, match="the stored weights 'w' are damaged"):
        graph.stored_weights(made.graph)


def test_a_graph_without_nodes_is_refused():
    with pytest.raises(BadModel, match="toy is no ONNX model: it holds no graph"):
        graph.parse_graph(onnx.ModelProto(ir_version=8).SerializeToString(), name="toy")
