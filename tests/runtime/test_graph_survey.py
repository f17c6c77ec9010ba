"""Whatever a graph holds is found wherever it is hidden: the survey against graphs made by hand."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tiny_models import Net, honest
from tronie.runtime.graph_survey import survey


def inner(*nodes, initializers=()):
    out = helper.make_tensor_value_info("b", TensorProto.FLOAT, None)
    nodes = nodes or (helper.make_node("Identity", ["x"], ["b"]),)
    return helper.make_graph(list(nodes), "inner", [], [out], list(initializers))


def half(name="h"):
    return numpy_helper.from_array(np.ones(3, np.float16), name)


def in_a_branch(model, tensor):
    branch = inner(initializers=[tensor])
    node = helper.make_node("If", ["c"], ["i"], then_branch=branch, else_branch=inner())
    model.graph.node.append(node)


def in_a_function(model, tensor):
    node = helper.make_node("Constant", [], ["c"], value=tensor)
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "f", ["a"], ["c"], [node], opsets))


def in_a_constant(model, tensor):
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def in_a_list_of_tensors(model, tensor):
    attribute = model.graph.node[0].attribute.add(name="many", type=onnx.AttributeProto.TENSORS)
    attribute.tensors.append(tensor)


def in_a_sparse_tensor(model, tensor):
    sparse = model.graph.sparse_initializer.add(dims=[9])
    sparse.values.CopyFrom(tensor)
    sparse.indices.CopyFrom(numpy_helper.from_array(np.arange(3), "i"))


def in_an_initializer(model, tensor):
    model.graph.initializer.append(tensor)


HIDING = [
    in_an_initializer,
    in_a_constant,
    in_a_branch,
    in_a_function,
    in_a_list_of_tensors,
    in_a_sparse_tensor,
]


def test_an_honest_network():
    found = survey(honest())
    assert found.operators == {
        ("", "Conv"): 2,
        ("", "BatchNormalization"): 2,
        ("", "PRelu"): 2,
        ("", "Flatten"): 1,
        ("", "Gemm"): 1,
    }
    assert (found.opset, found.ir_version, found.nodes, found.longest_path) == (17, 8, 8, 8)
    assert [p.axes for p in found.inputs] == [("N", 3, 112, 112)]
    assert [p.spec.shape for p in found.outputs] == [(None, 16)]
    assert {a.element for a in found.stored} == {"FLOAT"}
    nothing = ("unknown", "subgraph_owners", "functions", "external", "sparse", "casts")
    nothing += ("training", "faults", "strange_names")
    assert [getattr(found, name) for name in nothing] == [()] * len(nothing)
    assert (found.has_training, found.notes, found.note_bytes) == (False, 0, 0)


def test_weights_weigh_what_their_numbers_do():
    model = honest()
    numbers = sum(int(np.prod(t.dims)) for t in model.graph.initializer)
    lists = sum(len(a.ints) * 8 + len(a.floats) * 4 for n in model.graph.node for a in n.attribute)
    assert survey(model).weight_bytes == 4 * numbers + lists


@pytest.mark.parametrize("hide", HIDING, ids=lambda f: f.__name__)
def test_a_stored_array_is_found_wherever_it_is(hide):
    model = honest()
    before = survey(model).weight_bytes
    hide(model, half())
    found = survey(model)
    assert [a.name for a in found.stored if a.element == "FLOAT16"] == ["h"]
    assert found.weight_bytes >= before + 6


@pytest.mark.parametrize("hide", HIDING, ids=lambda f: f.__name__)
def test_weights_in_another_file_are_found_wherever_they_are_named(hide):
    model = honest()
    tensor = TensorProto(name="far", data_type=1, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../etc/passwd")
    hide(model, tensor)
    assert survey(model).external == ("far",)


def test_external_data_without_the_flag_counts_too():
    model = honest()
    model.graph.initializer[0].external_data.add(key="location", value="w.bin")
    assert survey(model).external == ("w0",)


def test_lists_in_attributes_are_weights():
    model = honest()
    before = survey(model).weight_bytes
    told = {"value_floats": [0.5] * 100}
    model.graph.node.append(helper.make_node("Constant", [], ["a"], **told))
    model.graph.node.append(helper.make_node("Constant", [], ["b"], value_strings=["ab", "c"]))
    assert survey(model).weight_bytes == before + 400 + 3


def test_strings_weigh_their_bytes():
    model = honest()
    before = survey(model).weight_bytes
    text = helper.make_tensor("t", TensorProto.STRING, [2], [b"x" * 1000, b"y"])
    model.graph.initializer.append(text)
    assert survey(model).weight_bytes == before + 1001


def test_what_owns_a_stored_array_is_told():
    model = honest()
    in_a_constant(model, half("c"))
    in_a_branch(model, half("i"))
    owners = {a.name: a.owner for a in survey(model).stored}
    assert (owners["c"], owners["i"], owners["w0"]) == ("Constant", "If", "initializer")


@pytest.mark.parametrize(
    "tensor",
    [
        TensorProto(name="d", data_type=1, dims=[3], raw_data=b"12345678"),
        TensorProto(name="d", data_type=1, dims=[3]),
        TensorProto(name="d", data_type=1, dims=[-3], raw_data=b""),
        TensorProto(name="d", data_type=1, dims=[2**40, 2**40], raw_data=b"1234"),
        TensorProto(name="d", data_type=7, dims=[2], int64_data=[1]),
    ],
    ids=["too few bytes", "no bytes", "a negative side", "a huge side", "too few numbers"],
)
def test_bytes_that_do_not_fit_the_shape_are_damaged(tensor):
    model = honest()
    model.graph.initializer.append(tensor)
    assert [a.name for a in survey(model).stored if a.damaged] == ["d"]


@pytest.mark.parametrize(
    "array",
    [
        helper.make_tensor("a", TensorProto.FLOAT, [2], [1, 2]),
        helper.make_tensor("a", TensorProto.INT64, [2], [1, 2]),
        helper.make_tensor("a", TensorProto.BOOL, [3], [True, False, True]),
        numpy_helper.from_array(np.array(3, np.int32), "a"),
        numpy_helper.from_array(np.zeros((0, 4), np.float32), "a"),
    ],
    ids=["floats", "whole numbers", "flags", "a scalar", "an empty one"],
)
def test_bytes_that_fit_are_not(array):
    model = honest()
    model.graph.initializer.append(array)
    assert not any(a.damaged for a in survey(model).stored)


def test_functions_branches_domains_and_chance_are_named():
    model = honest()
    in_a_branch(model, half())
    noise = helper.make_node("RandomNormal", [], ["r"], shape=[1])
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "f", [], ["r"], [noise], opsets))
    model.graph.node.append(helper.make_node("FusedConv", ["x"], ["z"], domain="com.microsoft"))
    found = survey(model)
    assert (found.functions, found.subgraph_owners) == (("own.f",), ("If",))
    assert found.operators["", "RandomNormal"] == 1
    assert found.operators["com.microsoft", "FusedConv"] == 1


def test_the_long_name_of_the_domain_is_the_short_one():
    model = honest()
    model.opset_import[0].domain = "ai.onnx"
    for node in model.graph.node:
        node.domain = "ai.onnx"
    found = survey(model)
    assert found.opset == 17
    assert {domain for domain, _ in found.operators} == {""}


def test_operators_that_the_opset_does_not_have_are_named():
    model = honest()
    model.graph.node.append(helper.make_node("Gelu", ["x"], ["g"]))
    model.graph.node.append(helper.make_node("Upsample", ["x", "w0"], ["u"]))
    assert survey(model).unknown == ("Gelu", "Upsample")
    model.opset_import[0].version = 20
    assert survey(model).unknown == ("Upsample",)


def test_casts_name_the_types_that_are_asked_for():
    model = honest()
    model.graph.node.append(helper.make_node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16))
    model.graph.node.append(helper.make_node("EyeLike", ["x"], ["e"], dtype=TensorProto.INT8))
    model.graph.node.append(helper.make_node("Cast", ["x"], ["q"], to=999))
    assert survey(model).casts == ("FLOAT16", "INT8", "type 999")


def off(value):
    return numpy_helper.from_array(np.array(value), "off")


@pytest.mark.parametrize("value", [False, True])
@pytest.mark.parametrize("stored", [True, False])
def test_dropout_behaves_as_in_training_unless_it_is_told_not_to(value, stored):
    model = honest()
    if stored:
        model.graph.initializer.append(off(value))
    else:
        model.graph.node.append(helper.make_node("Constant", [], ["off"], value=off(value)))
    model.graph.node.append(helper.make_node("Dropout", ["x", "", "off"], ["d"]))
    assert survey(model).training == (("Dropout",) if value else ())


def test_batch_norms_in_training_are_told_by_attribute_or_outputs():
    model = honest()
    assert survey(model).training == ()
    model.graph.node[1].attribute.add(name="training_mode", type=2, i=1)
    assert survey(model).training == ("BatchNormalization",)
    model = honest()
    model.graph.node[1].output.append("mean")
    assert survey(model).training == ("BatchNormalization",)


FAULTS = {
    "a name from nowhere": (
        lambda g: g.node.append(helper.make_node("Relu", ["nowhere"], ["r"])),
        "Relu 8 reads 'nowhere', which nothing before it makes",
    ),
    "an answer before its question": (
        lambda g: g.node.insert(0, helper.make_node("Relu", ["gemm_7_0"], ["r"])),
        "Relu 0 reads 'gemm_7_0', which nothing before it makes",
    ),
    "made twice": (
        lambda g: g.node.append(helper.make_node("Relu", ["x"], ["conv_0_0"])),
        "Relu 8 makes 'conv_0_0' a second time",
    ),
    "made over an input": (
        lambda g: g.node.append(helper.make_node("Relu", ["conv_0_0"], ["x"])),
        "Relu 8 makes 'x' a second time",
    ),
    "two weights of a name": (
        lambda g: g.initializer.append(g.initializer[0]),
        "two stored arrays have the same name",
    ),
    "two inputs of a name": (
        lambda g: g.input.append(g.input[0]),
        "two inputs have the same name",
    ),
    "an output from nowhere": (
        lambda g: g.output.add(name="nowhere"),
        "nothing makes the output 'nowhere'",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_nodes_that_are_joined_wrongly_are_told(fault):
    spoil, words = FAULTS[fault]
    model = honest()
    spoil(model.graph)
    assert survey(model).faults == (words,)


@pytest.mark.parametrize(
    "name", ["a\nb", "a\x1b[2J", "a\u202eb", "\x00", "a\u2028b", "\ud7ff\ue000", "x" * 513]
)
def test_names_that_cannot_be_shown_are_told_escaped(name):
    model = honest()
    model.graph.node[0].name = name
    (found,) = survey(model).strange_names
    assert found.isascii()
    assert found.isprintable()
    assert len(found) < 700


@pytest.mark.parametrize("name", ["conv1", "/layer1/conv (fused)", "größe", "卷积", "x" * 512])
def test_names_that_can_be_shown_are_not(name):
    model = honest()
    model.graph.node[0].name = name
    assert survey(model).strange_names == ()


def test_notes_are_counted_wherever_they_hang_and_may_break_lines():
    model = honest()
    model.doc_string = "a\nb"
    model.metadata_props.add(key="k", value="line\nline")
    model.graph.node[0].doc_string = "four"
    found = survey(model)
    assert (found.notes, found.note_bytes) == (3, 3 + 10 + 4)
    assert found.strange_names == ()


def test_training_information_is_told():
    model = honest()
    model.training_info.add()
    assert survey(model).has_training


def test_inputs_that_are_stored_are_no_inputs_and_lists_are_no_arrays():
    model = honest()
    model.graph.input.append(helper.make_tensor_value_info("w0", 1, [4, 3, 7, 7]))
    assert [p.spec.name for p in survey(model).inputs] == ["x"]
    element = helper.make_tensor_type_proto(1, [2])
    model.graph.output[0].type.CopyFrom(helper.make_sequence_type_proto(element))
    assert not survey(model).outputs[0].is_tensor


def test_axes_are_numbers_names_or_nothing():
    net = Net(shape=("N", 3, None, 112))
    (port,) = survey(net.model(net.add("Identity", "x"))).inputs
    assert port.axes == ("N", 3, None, 112)
    assert port.spec.shape == (None, 3, None, 112)
