"""Each way to turn a picture around, to look it up or to run twice is found; honest ways are not.

For mirrors an engine says what they do: the graph's picture is the mirrored one, to the bit.
"""

from __future__ import annotations

import re

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from tiny_models import NETWORKS, Net
from tronie.errors import BadModel
from tronie.runtime.graph_tricks import (
    lookup_fault,
    mirror_fault,
    picture_names,
    takes_raw_pixels,
    twice_fault,
)
from tronie.runtime.shapes import shapes_of

SIDE = 112


def mirrored(model):
    _, shapes = shapes_of(model, size=(SIDE, SIDE), name="tiny")
    return mirror_fault(model, shapes)


def looked_up(model):
    _, shapes = shapes_of(model, size=(SIDE, SIDE), name="tiny")
    return lookup_fault(model, shapes)


@pytest.mark.parametrize("kind", NETWORKS)
def test_an_honest_network_plays_no_tricks(kind):
    model = NETWORKS[kind]()
    assert (mirrored(model), looked_up(model), twice_fault(model)) == ("", "", "")
    assert not takes_raw_pixels(model)


def ints(net, *numbers):
    return net.store(numbers, np.int64)


def by_slice(net):
    ends = (ints(net, n) for n in (-1, -(2**31), 3, -1))
    return net.add("Slice", "x", *ends)


def by_slice_without_axes(net):
    begin, end = ints(net, 0, 0, 0, -1), ints(net, 2**31, 3, SIDE, -(2**31))
    return net.add("Slice", "x", begin, end, "", ints(net, 1, 1, 1, -1))


def by_gather(net):
    return net.add("Gather", "x", ints(net, *range(SIDE - 1, -1, -1)), told={"axis": 3})


def by_gather_from_both_ends(net):
    indices = [n if n % 2 else n - SIDE for n in range(SIDE - 1, -1, -1)]
    return net.add("Gather", "x", ints(net, *indices), told={"axis": 3})


def by_matrix(net):
    return net.add("MatMul", "x", net.store(np.eye(SIDE)[::-1]))


def by_noisy_matrix(net):
    return net.add("MatMul", "x", net.store(np.eye(SIDE)[::-1] + 1e-7))


def by_einsum(net):
    return net.add("Einsum", "x", net.store(np.eye(SIDE)[::-1]), told={"equation": "nchw,wv->nchv"})


def by_convolution(net):
    across = net.add("Transpose", "x", told={"perm": [0, 3, 1, 2]})
    turned = net.add("Conv", across, net.store(np.eye(SIDE)[::-1, :, None, None]))
    return net.add("Transpose", turned, told={"perm": [0, 2, 3, 1]})


def by_columns(net):
    columns = net.add("Split", "x", outputs=SIDE, told={"axis": 3})
    return net.add("Concat", *reversed(columns), told={"axis": 3})


def by_sliced_columns(net):
    axis = ints(net, 3)
    columns = [net.add("Slice", "x", ints(net, n), ints(net, n + 1), axis) for n in range(SIDE)]
    return net.add("Concat", *reversed(columns), told={"axis": 3})


def by_gathered_columns(net):
    three = ints(net, 3)
    columns = [
        net.add(
            "Unsqueeze", net.add("Gather", "x", net.store(n, np.int64), told={"axis": 3}), three
        )
        for n in range(SIDE)
    ]
    return net.add("Concat", *reversed(columns), told={"axis": 3})


def by_border(net):
    pads = ints(net, 0, 0, 0, SIDE - 1, 0, 0, 0, 0)
    wide = net.add("Pad", "x", pads, told={"mode": "reflect"})
    return net.add("Slice", wide, ints(net, 0), ints(net, SIDE), ints(net, 3))


def by_crop(net):
    roi = net.store([0, 0, 0, 1, 1, 1, 1, 0])
    sizes = ints(net, 1, 3, SIDE, SIDE)
    told = {"coordinate_transformation_mode": "tf_crop_and_resize", "mode": "nearest"}
    told |= {"nearest_mode": "floor"}
    return net.add("Resize", "x", roi, "", sizes, told=told)


MIRRORS = {
    "slice": (by_slice, "Slice 0 reads axis 3 backwards"),
    "slice without axes": (by_slice_without_axes, "Slice 0 reads axis 3 backwards"),
    "gather": (by_gather, "Gather 0 takes its places in falling order"),
    "gather from both ends": (by_gather_from_both_ends, "Gather 0 takes its places in falling"),
    "matrix": (by_matrix, "MatMul 0 multiplies by a matrix that turns numbers around"),
    "matrix with noise": (by_noisy_matrix, "MatMul 0 multiplies by a matrix that turns"),
    "einsum": (by_einsum, "Einsum 0 multiplies by a matrix that turns"),
    "convolution": (by_convolution, "Conv 1 multiplies by a matrix that turns"),
    "columns": (by_columns, "Concat 1 puts parts of one array together backwards"),
    "sliced columns": (by_sliced_columns, "Concat 112 puts parts of one array together backwards"),
    "gathered columns": (by_gathered_columns, "Concat 224 puts parts of one array together back"),
    "border": (by_border, "Pad 0 reflects more than 16 pixels of a side"),
    "crop": (by_crop, "Resize 0 cuts out a part that may be turned around"),
}


@pytest.mark.parametrize("trick", MIRRORS)
def test_a_mirror_is_found(trick):
    make, words = MIRRORS[trick]
    net = Net()
    model = net.model(net.head(net.body(make(net)), 392))
    assert mirrored(model).startswith(words), mirrored(model)


@pytest.mark.parametrize("trick", sorted(MIRRORS.keys() - {"border", "crop", "matrix with noise"}))
def test_what_is_found_is_a_mirror(trick):
    """The border's is moved by a column, the crop's by interpolation, the noise is noise."""
    net = Net()
    model = net.model(MIRRORS[trick][0](net), shape=("N", 3, SIDE, SIDE))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    pixels = np.random.default_rng(0).uniform(-1, 1, (1, 3, SIDE, SIDE)).astype(np.float32)
    np.testing.assert_array_equal(session.run(None, {"x": pixels})[0], pixels[..., ::-1])


def test_steps_that_are_computed_are_not_believed():
    net = Net()
    step = net.add("Neg", ints(net, 1))
    y = net.add("Slice", "x", ints(net, -1), ints(net, -(2**31)), ints(net, 3), step)
    assert "computes its steps" in mirrored(net.model(net.head(net.body(y), 392)))


@pytest.mark.parametrize(
    "keep",
    [
        lambda net: net.add("Gather", "x", ints(net, 2, 1, 0), told={"axis": 1}),
        lambda net: net.add("Slice", "x", *(ints(net, n) for n in (-1, -4, 1, -1))),
        lambda net: net.add(
            "Pad", "x", ints(net, 0, 0, 3, 3, 0, 0, 3, 3), told={"mode": "reflect"}
        ),
        lambda net: net.add("MatMul", "x", net.store(np.eye(SIDE))),
        lambda net: net.add(
            "Concat", *net.add("Split", "x", outputs=3, told={"axis": 1})[::-1], told={"axis": 1}
        ),
    ],
    ids=["BGR", "BGR by a slice", "narrow border", "unit matrix", "BGR by a split"],
)
def test_what_only_looks_like_a_mirror_is_left_alone(keep):
    net = Net()
    y = net.add("ReduceMean", net.body(keep(net)), told={"axes": [2, 3], "keepdims": 0})
    assert mirrored(net.model(net.linear(y, 8, 16))) == ""


def test_stored_numbers_that_cannot_be_read_are_refused():
    net = Net()
    y = net.add("MatMul", "x", net.store(np.eye(SIDE)))
    net.weights[0].raw_data = b"1234"
    with pytest.raises(BadModel, match="the stored array 'w0' cannot be read"):
        mirrored(net.model(net.head(net.body(y), 392)))


def as_number(net, y, element=TensorProto.INT64):
    return net.add("Cast", y, told={"to": element})


def table(net, y):
    row = as_number(net, net.add("ReduceSum", y, told={"keepdims": 0}))
    return net.add("Gather", net.drawn(16, 16), row)


LOOKUPS = {
    "equal": (lambda net, y: net.add("Equal", y, net.store(0.5)), "Equal 8 compares pixels"),
    "where": (
        lambda net, y: net.add("Where", net.add("Equal", y, y), y, y),
        "Equal 8 compares pixels",
    ),
    "cast": (table, "Cast 9 makes whole numbers of pixels"),
}


@pytest.mark.parametrize("trick", LOOKUPS)
def test_a_table_of_pictures_is_found(trick):
    make, words = LOOKUPS[trick]
    net = Net()
    assert looked_up(net.model(make(net, net.head(net.body(), 392)))) == words


def test_stored_numbers_are_not_rounded_or_compared_beyond_a_few():
    for size, words in ((256, ""), (257, "Cast 8 compares or rounds more than 256 numbers")):
        net = Net()
        y = net.head(net.body(), 392)
        as_number(net, net.drawn(size))
        assert looked_up(net.model(y)) == words


def test_places_that_come_from_pixels_are_found_without_a_cast():
    """No operator of the list makes any; the next one that is added may."""
    net = Net()
    y = net.add("Gather", net.head(net.body(), 392), "x", told={"axis": 1})
    assert lookup_fault(net.model(y), {}) == "Gather 8 takes its places from pixels"


def test_a_layer_that_is_turned_around_twice_is_applied_twice():
    net = Net()
    y, weight = net.add("Flatten", net.stem(channels=1)), net.drawn(196, 196)
    for _ in range(2):
        y = net.add("MatMul", y, net.add("Transpose", weight))
    assert "1 of its 1 layers" in twice_fault(net.model(net.linear(y, 196, 1)))


def two_branches(net, *, copied):
    weight = net.drawn(4, 3, 7, 7)
    other = net.store(onnx.numpy_helper.to_array(net.weights[0])) if copied else weight
    sides = [
        net.add("Conv", side, w, told={"strides": [8, 8]})
        for side, w in (("x", weight), (net.add("Neg", "x"), other))
    ]
    return net.add("Flatten", net.add("Add", *sides))


@pytest.mark.parametrize("copied", [False, True])
def test_layers_that_are_applied_or_stored_twice_are_counted(copied):
    net = Net()
    y = net.linear(two_branches(net, copied=copied), 784, 16)
    words = twice_fault(net.model(y))
    twice, copies = (0, 1) if copied else (1, 0)
    layers = 3 if copied else 2
    assert re.match(rf"{twice} of its {layers} layers are .*, and {copies} are copies", words), (
        words
    )


def test_equal_arrays_of_one_number_are_no_copies():
    net = Net()
    zeros = [net.store(np.zeros((16, 16))) for _ in range(3)]
    y = net.head(net.body(), 392)
    for zero in zeros:
        y = net.add("MatMul", y, zero)
    assert twice_fault(net.model(y)) == ""


def test_the_size_of_a_picture_is_not_its_pixels():
    net = Net()
    size = net.add("Shape", "x")
    model = net.model(net.head(net.body(), 392))
    names = picture_names(model.graph)
    assert {"x", model.graph.output[0].name} <= names
    assert size not in names


RAW = {
    "minus and times": lambda net: net.add(
        "Mul", net.add("Sub", "x", net.store(127.5)), net.store(1 / 128)
    ),
    "division": lambda net: net.add("Div", "x", net.store(255.0)),
    "times after a move": lambda net: net.add(
        "Mul", net.add("Identity", "x"), net.store(0.0078125)
    ),
    "plus": lambda net: net.add("Add", "x", net.store([[[-123.0]], [[-117.0]], [[-104.0]]])),
    "batch norm": lambda net: net.add(
        "BatchNormalization",
        "x",
        *(net.store(v) for v in ([1] * 3, [0] * 3, [127.5] * 3, [1] * 3)),
    ),
}


@pytest.mark.parametrize("way", RAW)
def test_a_network_that_takes_raw_pixels_is_told(way):
    net = Net()
    assert takes_raw_pixels(net.model(net.head(net.body(RAW[way](net)), 392)))


def test_another_scale_of_normalized_pixels_is_none_of_raw_ones():
    net = Net()
    y = net.add("Add", net.add("Mul", "x", net.store(0.5)), net.store(0.5))
    y = net.add("Div", net.add("Sub", y, net.store(0.485)), net.store(0.229))
    assert not takes_raw_pixels(net.model(net.head(net.body(y), 392)))
