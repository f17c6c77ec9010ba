"""Costs of graphs counted by hand; whatever multiplies unseen is refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from toys import toy_embedder
from tronie.errors import BadModel, NotFound
from tronie.runtime import flops
from tronie.runtime.flops import UNCOUNTED, graph_cost

make = helper.make_node


def graph_of(*nodes, shape=("N", 3, 8, 8), opsets=(("", 17),), **weights):
    picture = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    stored = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(list(nodes), "g", [picture], [answer], stored)
    imports = [helper.make_opsetid(*opset) for opset in opsets]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def only(model):
    """The one operator that was counted."""
    (operator,) = graph_cost(model).operators
    return operator


@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_by_both_rules(bias):
    inputs = ["x", "w", "b"] if bias else ["x", "w"]
    model = graph_of(
        make("Conv", inputs, ["y"], strides=[2, 2], pads=[1, 1, 1, 1]),
        w=zeros(6, 3, 3, 3),
        b=zeros(6),
    )
    cost = only(model)
    assert cost.macs == 3 * 9 * 16 * 6
    assert cost.flops_lfr == (2 * 3 * 9 - (not bias)) * 16 * 6


def test_groups_divide_the_whole_product_and_round_down():
    """As the challenge's script does: the 1 of a missing bias is divided too."""
    model = graph_of(make("Conv", ["x", "w"], ["y"], group=3), w=zeros(3, 1, 3, 3))
    cost = only(model)
    assert cost.macs == 9 * 36 * 3
    assert cost.flops_lfr == (2 * 3 * 9 - 1) * 36 * 3 // 3


def test_a_transposed_convolution_counts_the_places_that_come_in():
    model = graph_of(make("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2]), w=zeros(3, 5, 2, 2))
    cost = only(model)
    assert cost.macs == 3 * 5 * 4 * 64
    assert cost.flops_lfr == (2 * 3 * 4 - 1) * 64 * 5


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("transposed", [0, 1])
def test_a_fully_connected_layer_by_both_rules(bias, transposed):
    inputs = ["flat", "w", "b"] if bias else ["flat", "w"]
    model = graph_of(
        make("Flatten", ["x"], ["flat"]),
        make("Gemm", inputs, ["y"], transB=transposed),
        w=zeros(5, 192) if transposed else zeros(192, 5),
        b=zeros(5),
    )
    cost = only(model)
    assert cost.macs == 192 * 5
    assert cost.flops_lfr == (2 * 192 - (not bias)) * 5


def test_a_product_with_stored_numbers_is_a_layer_and_its_addition_a_bias():
    with_bias = graph_of(
        make("MatMul", ["x", "w"], ["p"]), make("Add", ["p", "b"], ["y"]), w=zeros(8, 4), b=zeros(4)
    )
    assert only(with_bias).flops_lfr == 2 * 8 * (3 * 8 * 4)
    without = graph_of(make("MatMul", ["x", "w"], ["y"]), w=zeros(8, 4))
    assert only(without).flops_lfr == (2 * 8 - 1) * (3 * 8 * 4)
    assert only(without).macs == only(with_bias).macs == 8 * (3 * 8 * 4)


def test_weights_that_are_computed_from_stored_ones_are_stored():
    model = graph_of(
        make("Transpose", ["w"], ["turned"], perm=[1, 0]),
        make("MatMul", ["x", "turned"], ["y"]),
        w=zeros(4, 8),
    )
    assert only(model).flops_lfr == (2 * 8 - 1) * (3 * 8 * 4)


def test_a_product_of_two_activations_is_free_by_the_challenge_rule_only():
    model = graph_of(make("MatMul", ["x", "x"], ["y"]))
    assert (only(model).flops_lfr, only(model).macs) == (0, 3 * 8 * 8 * 8)


def test_an_einsum_multiplies_over_all_its_letters():
    model = graph_of(make("Einsum", ["x", "x"], ["y"], equation="nchw,nchv->ncwv"))
    assert only(model).macs == 3 * 8 * 8 * 8


@pytest.mark.parametrize("op", ["QLinearConv", "ConvInteger"])
def test_eight_bit_convolutions_count_as_the_others(op):
    scales = ["x_scale", "x_zero"]
    quantize = make("QuantizeLinear", ["x", *scales], ["q"])
    if op == "ConvInteger":
        nodes = [make(op, ["q", "w"], ["sums"])]
    else:
        nodes = [make(op, ["q", *scales, "w", *scales, *scales], ["sums"])]
    model = graph_of(
        quantize,
        *nodes,
        make("Cast", ["sums"], ["y"], to=1),
        w=zeros(6, 3, 3, 3, dtype=np.uint8),
        x_scale=np.float32(1),
        x_zero=np.uint8(0),
    )
    assert only(model).macs == 3 * 9 * 36 * 6
    assert only(model).flops_lfr == (2 * 3 * 9 - 1) * 36 * 6


def test_all_else_is_free():
    model = graph_of(
        make("Relu", ["x"], ["a"]),
        make("Mul", ["a", "a"], ["b"]),
        make("MaxPool", ["b"], ["c"], kernel_shape=[2, 2]),
        make("GlobalAveragePool", ["c"], ["y"]),
    )
    assert graph_cost(model).operators == ()


def test_a_free_size_is_the_one_asked_for_and_a_batch_that_is_fixed_is_divided_out():
    free = graph_of(make("Conv", ["x", "w"], ["y"]), shape=("N", 3, "H", "W"), w=zeros(6, 3, 1, 1))
    assert graph_cost(free, size=(4, 5)).macs == 3 * 6 * 20
    fixed = graph_of(make("Conv", ["x", "w"], ["y"]), shape=(4, 3, 8, 8), w=zeros(6, 3, 1, 1))
    assert graph_cost(fixed, size=(4, 5)).macs == 3 * 6 * 64


def test_a_file_has_its_sums_its_numbers_and_its_bytes(tmp_path):
    path = toy_embedder(tmp_path / "toy.onnx")
    cost = graph_cost(path)
    assert cost.parameters == 147 * 8 + 8
    assert cost.macs == sum(o.macs for o in cost.operators) == 147 * 8
    assert cost.flops_lfr == 2 * 147 * 8
    assert cost.size_bytes == path.stat().st_size


def test_shapes_and_flags_are_no_parameters():
    model = graph_of(
        make("Reshape", ["x", "rows"], ["flat"]),
        make("MatMul", ["flat", "w"], ["y"]),
        rows=np.int64([1, -1]),
        w=zeros(192, 2),
    )
    assert graph_cost(model).parameters == 384


def test_operators_are_summed_by_type_the_dearest_first():
    model = graph_of(
        make("Conv", ["x", "w"], ["a"]),
        make("Conv", ["a", "v"], ["b"]),
        make("Flatten", ["b"], ["flat"]),
        make("MatMul", ["flat", "m"], ["y"]),
        w=zeros(4, 3, 1, 1),
        v=zeros(4, 4, 1, 1),
        m=zeros(256, 100),
    )
    cost = graph_cost(model)
    dense, conv = cost.by_type()
    assert (dense.op, dense.name, dense.macs) == ("MatMul", "1", 25600)
    assert (conv.op, conv.name, conv.macs) == ("Conv", "2", 12 * 64 + 16 * 64)


@pytest.mark.parametrize("op", sorted(UNCOUNTED))
def test_an_operator_that_multiplies_unseen_is_refused(op):
    words = f"the graph holds the operator {op}, whose cost cannot be counted; export it as"
    with pytest.raises(BadModel, match=words):
        graph_cost(graph_of(make(op, ["x"], ["y"])))


def test_an_operator_of_another_domain_is_refused():
    node = make("FusedConv", ["x"], ["y"], domain="com.microsoft")
    with pytest.raises(
        BadModel, match=r"FusedConv of the domain com\.microsoft, whose cost cannot"
    ):
        graph_cost(graph_of(node, opsets=(("", 17), ("com.microsoft", 1))))


def test_functions_of_the_file_itself_are_refused():
    model = graph_of(make("Relu", ["x"], ["y"]))
    inner = make("Relu", ["a"], ["b"])
    opset = helper.make_opsetid("", 17)
    model.functions.append(helper.make_function("", "Relu", ["a"], ["b"], [inner], [opset]))
    with pytest.raises(BadModel, match=r"defines functions of its own \(Relu\), whose cost is not"):
        graph_cost(model)


def test_an_einsum_of_three_is_refused():
    model = graph_of(make("Einsum", ["x", "x", "x"], ["y"], equation="nchw,nchw,nchw->n"))
    with pytest.raises(
        BadModel, match=r"cost of Einsum 'Einsum_0' cannot be told: equation .* two operands"
    ):
        graph_cost(model)


def test_a_shape_that_depends_on_the_picture_is_refused():
    model = graph_of(
        make("NonZero", ["x"], ["places"]),
        make("Cast", ["places"], ["numbers"], to=1),
        make("MatMul", ["w", "numbers"], ["y"], name="hidden"),
        w=zeros(2, 4),
    )
    with pytest.raises(
        BadModel, match=r"cost of MatMul 'hidden' cannot be told: the shape of 'y' is.*fixed"
    ):
        graph_cost(model)


def test_filters_that_do_not_fit_the_picture_are_refused():
    model = graph_of(make("Conv", ["x", "w"], ["y"]), w=zeros(6, 7, 3, 3))
    with pytest.raises(BadModel, match="filters of 7 channels in 1 groups do not fit 3"):
        graph_cost(model)


def test_loops_are_refused_before_anything_is_counted():
    out = helper.make_tensor_value_info("b", TensorProto.FLOAT, None)
    body = helper.make_graph([make("Identity", ["x"], ["b"])], "inner", [], [out])
    with pytest.raises(BadModel, match="holds the operator Loop"):
        graph_cost(graph_of(make("Loop", ["", ""], ["y"], body=body)))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(NotFound, match="no model file at"):
        graph_cost(tmp_path / "none.onnx")


def test_counting_leaves_the_graph_as_it_is(tmp_path):
    model = onnx.load(str(toy_embedder(tmp_path / "toy.onnx")))
    before = model.SerializeToString(deterministic=True)
    graph_cost(model)
    assert model.SerializeToString(deterministic=True) == before


def test_an_einsum_without_its_equation_is_refused(monkeypatch):
    """Also where its shapes are told by the file, and nobody infers them."""
    model = graph_of(make("Einsum", ["x", "x"], ["y"]))
    with pytest.raises(BadModel, match="Required attribute 'equation' is missing"):
        graph_cost(model)
    monkeypatch.setattr(flops, "shapes_of", lambda *_, **__: (1, {"x": (1, 3), "y": (1,)}))
    with pytest.raises(
        BadModel, match=r"cost of Einsum 'Einsum_0' cannot be told: it has no equation"
    ):
        graph_cost(model)
