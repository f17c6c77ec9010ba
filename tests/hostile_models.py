"""Models that break a rule each, as a team might send them: name, what to send, rule, sentence.

HOSTILE["half weights"].make() is a ModelProto or bytes; `rule` is the one rule that refuses it,
and `words` are in its sentence. `legacy` is the rule of `onnx_helper.py` that it stands for, and
`loophole` the gap of that checker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tiny_models import DIMENSION, Net, honest

make_node = helper.make_node


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """One of them."""

    make: Callable[[], onnx.ModelProto | bytes]
    rule: str
    words: str
    legacy: int | None = None
    loophole: str = ""


HOSTILE: dict[str, Hostile] = {}


def hostile(rule: str, words: str, *, legacy: int | None = None, loophole: str = ""):
    """Enter a function that makes a model under its name."""

    def enter(make):
        HOSTILE[make.__name__.replace("_", " ")] = Hostile(
            make=make, rule=rule, words=words, legacy=legacy, loophole=loophole
        )
        return make

    return enter


def changed(change) -> onnx.ModelProto:
    """An honest model after `change(model)`."""
    model = honest()
    change(model)
    return model


def behind(make, **options) -> onnx.ModelProto:
    """An honest network, and `make(net, y)` behind its embedding."""
    net = Net()
    return net.model(make(net, net.head(net.body(), 392)), **options)


def before(make) -> onnx.ModelProto:
    """An honest network that looks at `make(net)`."""
    net = Net()
    return net.model(net.head(net.body(make(net)), 392))


def constant(net: Net, array) -> str:
    return net.add("Constant", told={"value": numpy_helper.from_array(np.asarray(array))})


@hostile("file.protobuf", "is no ONNX file", legacy=3)
def no_onnx_file():
    return b"<html>404</html>" * 10


@hostile("file.protobuf", "a field is longer than what holds it", legacy=3)
def cut_off():
    return honest().SerializeToString()[:-100]


@hostile("file.protobuf", "field 1000 of onnx.ModelProto is none that ONNX has")
def hidden_field():
    return honest().SerializeToString() + b"\xc2\x3e\x03abc"


@hostile("file.bounds", "holds more than 500000 fields")
def a_million_nodes():
    body = b"\x0a\x00" * 1_000_000
    return b"\x3a\x80\x89\x7a" + body


@hostile("limits.model_bytes", "this track takes at most 6000000", legacy=9)
def too_large():
    return behind(lambda net, y: net.drawn(100_000, DIMENSION) and y)


@hostile(
    "weights.external",
    "weights are kept in another file: 'w0'",
    loophole="size is that of the file: weights beside it are free",
)
def external_weights():
    def change(model):
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="weights.bin")

    return changed(change)


@hostile("weights.external", "weights are kept in another file: 'far'")
def external_weights_in_a_branch():
    def change(model):
        tensor = TensorProto(name="far", data_type=1, data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="../../../etc/passwd")
        node = model.graph.node[0].attribute.add(name="body", type=5)
        node.g.initializer.append(tensor)

    return changed(change)


@hostile("graph.training_info", "instructions for training")
def training_information():
    return changed(lambda model: model.training_info.add())


@hostile("graph.notes", "descriptions and metadata are 1 notes of 5,000,001 characters")
def flood_of_metadata():
    return changed(lambda model: model.metadata_props.add(key="k", value="x" * 5_000_000))


@hostile("graph.names", r"'a\\x1b[2Jb'")
def names_that_move_the_cursor():
    return changed(lambda model: setattr(model.graph.node[0], "name", "a\x1b[2Jb"))


@hostile(
    "graph.operators",
    "operators that are not on the list: CumSum",
    loophole="any operator is taken",
)
def operator_that_is_not_on_the_list():
    return behind(lambda net, y: net.add("CumSum", y, net.store(1, np.int64)))


@hostile("graph.operators", "operators that are not on the list: NoSuchThing", legacy=3)
def operator_that_nobody_has():
    return behind(lambda net, y: net.add("NoSuchThing", y))


@hostile("graph.opset_operators", "opset 17 has no such operators: Gelu")
def operator_of_a_later_opset():
    return behind(lambda net, y: net.add("Gelu", y))


@hostile("graph.domains", "other domains than ONNX's own: com.microsoft.Gelu")
def operator_of_another_domain():
    def change(model):
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        model.graph.node.append(make_node("Gelu", ["x"], ["g"], domain="com.microsoft"))

    return changed(change)


@hostile("graph.functions", "functions of its own: own.Relu")
def function_that_hides_operators():
    def change(model):
        opsets = [helper.make_opsetid("", 17)]
        inner = make_node("Relu", ["a"], ["b"])
        model.functions.append(helper.make_function("own", "Relu", ["a"], ["b"], [inner], opsets))

    return changed(change)


def branch(out="b"):
    value = helper.make_tensor_value_info(out, TensorProto.FLOAT, None)
    return helper.make_graph([make_node("Identity", ["x"], [out])], "inner", [], [value])


@hostile("graph.control_flow", "branches or loops: If")
def branch_on_the_picture():
    def change(model):
        told = {"then_branch": branch(), "else_branch": branch("c")}
        model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
        model.graph.node.append(make_node("If", ["yes"], ["i"], **told))

    return changed(change)


@hostile("graph.control_flow", "branches or loops: Loop")
def loop_without_end():
    def change(model):
        model.graph.node.append(make_node("Loop", ["", ""], ["l"], body=branch()))

    return changed(change)


@hostile("graph.control_flow", "branches or loops: Conv")
def graph_in_an_honest_operator():
    def change(model):
        attribute = model.graph.node[0].attribute.add(name="body", type=5)
        attribute.g.CopyFrom(branch())

    return changed(change)


@hostile("graph.random", "operators of chance: RandomNormalLike")
def chance():
    return behind(lambda net, y: net.add("Add", y, net.add("RandomNormalLike", y)))


@hostile("graph.random", "operators of chance: Multinomial")
def chance_by_drawing():
    return behind(lambda net, y: net.add("Add", y, net.add("Multinomial", y)))


@hostile("graph.training_mode", "nodes behave as in training: BatchNormalization")
def batch_statistics():
    def change(model):
        model.graph.node[1].attribute.add(name="training_mode", type=2, i=1)

    return changed(change)


@hostile("graph.sequences", "lists or optional values: SequenceAt, SequenceConstruct")
def lists():
    def make(net, y):
        return net.add("SequenceAt", net.add("SequenceConstruct", y), net.store(0, np.int64))

    return behind(make)


@hostile("graph.uncounted", "multiplications cannot be counted: GRU")
def recurrent_network():
    return behind(lambda net, y: net.add("GRU", y, y, y))


@hostile("graph.resampling", "mirror, align or rearrange a picture: ReverseSequence")
def mirror_by_reverse_sequence():
    return before(lambda net: net.add("ReverseSequence", "x", net.store([112], np.int64)))


@hostile("graph.resampling", "mirror, align or rearrange a picture: GridSample")
def alignment_inside():
    return before(lambda net: net.add("GridSample", "x", net.drawn(1, 112, 112, 2)))


@hostile("graph.resampling", "mirror, align or rearrange a picture: GatherND")
def mirror_by_gather_nd():
    return before(lambda net: net.add("GatherND", "x", net.store([[0]], np.int64)))


@hostile("graph.opset_once", "opsets are declared twice, of the domains: ai.onnx")
def two_opsets():
    """A reader that takes the first and an engine that takes the last see two networks."""
    return changed(lambda model: model.opset_import.append(helper.make_opsetid("ai.onnx", 9)))


@hostile("graph.opset", "opset 7; 9 to 23 are read")
def old_opset():
    return changed(lambda model: setattr(model.opset_import[0], "version", 7))


@hostile("graph.opset", "opset 0; 9 to 23 are read")
def no_opset():
    def change(model):
        del model.opset_import[:]
        model.opset_import.append(helper.make_opsetid("own", 17))

    return changed(change)


@hostile("graph.least_nodes", "has 7 nodes; a network has at least 8", legacy=7)
def too_few_nodes():
    net = Net()
    y = net.conv(net.stem(), 4, 8, stride=2)
    return net.model(net.linear(net.add("Flatten", y), 392, DIMENSION))


@hostile("graph.most_nodes", "has 10,009 nodes; at most 10,000 nodes are allowed")
def too_many_nodes():
    def make(net, y):
        for _ in range(10_001):
            net.add("Relu", y)
        return y

    return behind(make)


@hostile("graph.depth", "longest path through the graph has 4,009 nodes in a row")
def too_long_a_path():
    def make(net, y):
        for _ in range(4_001):
            y = net.add("Relu", y)
        return y

    return behind(make)


@hostile("graph.structure", "which nothing before it makes; export it again", legacy=3)
def circle():
    def change(model):
        model.graph.node[0].input[0] = model.graph.node[-1].output[0]

    return changed(change)


@hostile("weights.float32", "(FLOAT16) is not. Store all weights as float32", legacy=11)
def half_weights():
    return behind(lambda net, y: net.store(np.ones(9), np.float16) and y)


@hostile("weights.float32", "(BFLOAT16) is not. Store all weights as float32")
def bfloat_weights():
    def change(model):
        model.graph.initializer.append(helper.make_tensor("b", TensorProto.BFLOAT16, [2], [1, 2]))

    return changed(change)


@hostile("weights.float32", "(DOUBLE) is not. Store all weights as float32")
def double_weights():
    return behind(lambda net, y: net.store(np.ones(9), np.float64) and y)


@hostile(
    "weights.constants",
    "(FLOAT16 in Constant) is not",
    loophole="16-bit weights in constants are not looked at",
)
def half_weights_in_a_constant():
    return behind(lambda net, y: constant(net, np.ones(9, np.float16)) and y)


@hostile("weights.constants", "(INT8 in Constant) is not")
def bytes_in_a_constant():
    return behind(lambda net, y: constant(net, np.ones(9, np.int8)) and y)


@hostile(
    "weights.casts",
    "other types than float32: to FLOAT16",
    loophole="16-bit weights behind a cast are not looked at",
)
def cast_to_half():
    def make(net, y):
        return net.add("Cast", net.add("Cast", y, told={"to": 10}), told={"to": 1})

    return behind(make)


@hostile("weights.casts", "other types than float32: to INT8")
def cast_to_bytes():
    def make(net, y):
        return net.add("Cast", net.add("Cast", y, told={"to": 3}), told={"to": 1})

    return behind(make)


@hostile("weights.quantized", "operators of 8-bit arithmetic: DequantizeLinear, QuantizeLinear")
def quantized():
    def make(net, y):
        scale = net.store(0.1)
        return net.add("DequantizeLinear", net.add("QuantizeLinear", y, scale), scale)

    return behind(make)


@hostile("weights.sparse", "weights are stored as sparse arrays: 's'")
def sparse_weights():
    def change(model):
        sparse = model.graph.sparse_initializer.add(dims=[9])
        sparse.values.CopyFrom(numpy_helper.from_array(np.ones(3, np.float32), "s"))
        sparse.indices.CopyFrom(numpy_helper.from_array(np.arange(3), ""))

    return changed(change)


@hostile("weights.whole_numbers", "are 70,000 whole numbers; at most 65,536")
def weights_as_whole_numbers():
    def make(net, y):
        net.add("Cast", net.store(np.zeros(70_000), np.int32), told={"to": 1})
        return y

    return behind(make)


@hostile("weights.damaged", "stored bytes must fit the shape that is announced; 'd' (FLOAT)")
def damaged_weights():
    def change(model):
        tensor = TensorProto(name="d", data_type=1, dims=[2**33, 2**33], raw_data=b"1234")
        model.graph.initializer.append(tensor)

    return changed(change)


@hostile("limits.weight_bytes", "initializers, constants and lists in attributes have")
def weights_in_an_attribute():
    """Packed as floats of an attribute, they cost the file the same; unfolded they are counted."""

    def make(net, y):
        shape = [1_600_000]
        tensor = TensorProto(name="", data_type=TensorProto.INT32, dims=shape)
        tensor.int32_data.extend([1] * shape[0])
        net.add("Constant", told={"value": tensor})
        return y

    return behind(make)


@hostile("input.count", "must have one input; it has 2")
def two_inputs():
    def change(model):
        model.graph.input.add(name="z").CopyFrom(model.graph.input[0])
        model.graph.input[1].name = "z"

    return changed(change)


@hostile("input.rank", "it has 3 axes", legacy=4)
def three_axes():
    net = Net(shape=("N", 3, 12544))
    y = net.add("Reshape", "x", net.store([-1, 3, 112, 112], np.int64))
    return net.model(net.head(net.body(y), 392))


@hostile("input.batch", "the batch is fixed at 1; export it with a free first axis", legacy=5)
def fixed_batch():
    net = Net(shape=(1, 3, 112, 112))
    return net.model(net.head(net.body(), 392), shape=(1, DIMENSION))


@hostile("input.shape", "it is '(N, 3, 128, 128)'", legacy=8)
def other_pixels():
    net = Net(shape=("N", 3, 128, 128))
    return net.model(net.head(net.body(), 512))


@hostile("input.shape", "it is '(N, 3, height, width)'")
def free_pixels():
    net = Net(shape=("N", 3, "height", "width"))
    y = net.add("ReduceMean", net.body(), told={"axes": [2, 3], "keepdims": 0})
    return net.model(net.linear(y, 8, DIMENSION))


@hostile("input.type", "the input must be a float32 array; it is uint8")
def input_of_bytes():
    net = Net(element=TensorProto.UINT8)
    y = net.add("Cast", "x", told={"to": 1})
    return net.model(net.head(net.body(y), 392))


@hostile("input.pixels", "brings pixels 0..255 to its own scale", legacy=10)
def raw_pixels():
    def make(net):
        return net.add("Mul", net.add("Sub", "x", net.store(127.5)), net.store(0.0078125))

    return before(make)


@hostile("output.count", "must have one output; it has 2", legacy=6)
def two_outputs():
    return changed(lambda model: model.graph.output.add(name="conv_0_0"))


@hostile("output.rank", "for one crop it is (1, 8, 7, 7). Flatten it", legacy=14)
def output_of_maps():
    net = Net()
    return net.model(net.add("Relu", net.add("Relu", net.body())), shape=None)


@hostile("output.type", "the output must be a float32 array; it is int64")
def output_of_whole_numbers():
    def change(model):
        model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64

    return changed(change)


@hostile("limits.dimension", "an embedding has 65 numbers; at most 64", legacy=14)
def too_many_numbers():
    return honest(dimension=65)


@hostile("limits.flops", "FLOPs by the LFR rule; at most 40,000,000")
def too_many_flops():
    net = Net()
    y = net.conv(net.conv("x", 3, 64), 64, 8, stride=16)
    return net.model(net.add("Relu", net.head(net.prelu(net.norm(net.add("Relu", y), 8), 8), 392)))


@hostile("limits.unseen_flops", "products that the LFR rule does not see")
def layer_by_einsum():
    net = Net()
    y = net.add("Einsum", "x", net.drawn(3, 600), told={"equation": "nchw,cd->ndhw"})
    y = net.add("ReduceMean", net.add("Relu", y), told={"axes": [2, 3], "keepdims": 0})
    for _ in range(3):
        y = net.add("Relu", y)
    return net.model(net.linear(y, 600, DIMENSION))


@hostile("limits.activations", "bytes at once; at most 268,435,456")
def too_much_memory():
    def make(net):
        sides = net.store([1, 1000, 1, 1], np.int64)
        large = net.add("Add", net.add("Tile", "x", sides), net.add("Tile", "x", sides))
        return net.add("Slice", large, *(net.store([n], np.int64) for n in (0, 3, 1)))

    return before(make)


@hostile("graph.cost", "asks for 1000000000000 numbers in the output of ConstantOfShape")
def array_without_measure():
    def make(net, y):
        net.add("ConstantOfShape", net.store([10**6, 10**6], np.int64))
        return y

    return behind(make)


@hostile("graph.shapes", "does not fit what it is given")
def shapes_that_do_not_fit():
    return behind(lambda net, y: net.add("MatMul", y, net.drawn(9, 9)))


@hostile("graph.shapes", "arrays cannot be told from the file")
def shape_that_depends_on_pixels():
    def make(net, y):
        sides = net.add("Cast", y, told={"to": 7})
        return net.add("Reshape", y, net.add("Squeeze", sides, net.store([0], np.int64)))

    return behind(make)


@hostile("output.depends", "the output does not depend on the crop")
def stored_output():
    net = Net()
    net.head(net.body(), 392)
    batch = net.add("Slice", net.add("Shape", "x"), *(net.store([n], np.int64) for n in (0, 1)))
    sides = net.add("Concat", batch, net.store([DIMENSION], np.int64), told={"axis": 0})
    return net.model(net.add("Expand", net.drawn(1, DIMENSION), sides))


@hostile(
    "graph.batch", "works along the axis of the pictures; each crop must be embedded by itself"
)
def mean_of_the_batch():
    def make(net, y):
        return net.add("Sub", y, net.add("ReduceMean", y, told={"axes": [0], "keepdims": 1}))

    return behind(make)


@hostile("graph.batch", "adds pictures to the batch")
def flip_test_along_the_batch():
    def make(net):
        mirror = net.add("Transpose", net.add("Transpose", "x"))
        return net.add("Concat", "x", mirror, told={"axis": 0})

    net = Net()
    y = net.head(net.body(make(net)), 392)
    return net.model(net.add("Add", *net.add("Split", y, outputs=2, told={"axis": 0})))


@hostile("graph.batch", "breaks up the pictures of a batch")
def batch_taken_for_one_picture():
    net = Net()
    y = net.add("Reshape", net.body(), net.store([8, -1], np.int64))
    y = net.add("Reshape", net.add("Relu", y), net.store([-1, 392], np.int64))
    return net.model(net.linear(y, 392, DIMENSION))


@hostile("graph.mirror", "Slice 0 reads axis 3 backwards; a mirrored copy")
def mirror_by_a_slice():
    return before(
        lambda net: net.add("Slice", "x", *(net.store([n], np.int64) for n in (-1, -999, 3, -1)))
    )


@hostile("graph.mirror", "Gather 0 takes its places in falling order; a mirrored copy")
def mirror_by_a_gather():
    return before(
        lambda net: net.add(
            "Gather", "x", net.store(range(111, -1, -1), np.int64), told={"axis": 3}
        )
    )


@hostile("graph.mirror", "MatMul 0 multiplies by a matrix that turns numbers around")
def mirror_by_a_matrix():
    return before(lambda net: net.add("MatMul", "x", net.store(np.eye(112)[::-1])))


@hostile("graph.lookups", "Equal 8 compares pixels; an embedding must be computed")
def table_of_pictures():
    def make(net, y):
        hit = net.add("Cast", net.add("Equal", y, net.store(0.25)), told={"to": 1})
        return net.add("Add", y, hit)

    return behind(make)


@hostile("graph.lookups", "compares or rounds more than 256 numbers")
def two_weights_in_one():
    """Whole and broken parts of stored numbers are two sets of weights for the size of one."""

    def make(net, y):
        packed = net.drawn(DIMENSION, DIMENSION + 1)
        first = net.add("Cast", net.add("Cast", packed, told={"to": 7}), told={"to": 1})
        second = net.add("Sub", packed, first)
        return net.add("MatMul", net.add("MatMul", y, first), net.add("Transpose", second))

    return behind(make)


@hostile("graph.twice", "3 of its 3 layers are applied twice")
def two_passes():
    net = Net()
    first = net.head(net.body(), 392)
    weights, nodes = list(net.weights), list(net.nodes)
    for node in nodes:
        again = onnx.NodeProto.FromString(node.SerializeToString())
        again.input[0] = "m" if again.input[0] == "x" else f"{again.input[0]}_again"
        again.output[0] = f"{again.output[0]}_again"
        net.nodes.append(again)
    net.nodes.insert(0, make_node("Neg", ["x"], ["m"]))
    assert net.weights == weights
    return net.model(net.add("Add", first, f"{first}_again"))
