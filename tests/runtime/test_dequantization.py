"""Float32 networks from 8-bit ones: against onnxruntime with the rounding bounded, or gone."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tronie.errors import BadModel
from tronie.runtime.dequantization import QUANTIZED, dequantize, is_quantized
from tronie.runtime.session import EngineOptions, open_session

RNG = np.random.default_rng(3)
W = RNG.integers(0, 256, (4, 3, 3, 3), np.uint8)
W_ZERO = np.array([120, 130, 140, 125], np.uint8)
W_SCALE = np.array([0.01, 0.02, 0.005, 0.03], np.float32)
BIAS = RNG.normal(size=(1, 4, 1, 1)).astype(np.float32)


def node(kind, inputs, *outputs, **attributes):
    return helper.make_node(kind, inputs, list(outputs or ["y"]), **attributes)


def model(nodes, initializers, picture=("N", 3, 8, 8)):
    made = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, picture)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        initializer=[numpy_helper.from_array(np.asarray(v), k) for k, v in initializers.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def run(made, pixels):
    data = made.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": pixels})[0]


def kinds(made):
    return [n.op_type for n in made.graph.node]


def pixels(n=2, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n, 3, 8, 8)).astype(np.float32)


def dynamic_conv(weights_zero=W_ZERO, weights_scale=W_SCALE, **conv):
    """As onnxruntime's quantize_dynamic writes a convolution with a bias."""
    nodes = [
        node("DynamicQuantizeLinear", ["x"], "xq", "xs", "xz"),
        node("ConvInteger", ["xq", "w", "xz", "wz"], "sum", **conv),
        node("Cast", ["sum"], "sum_float", to=TensorProto.FLOAT),
        node("Mul", ["xs", "ws"], "scale"),
        node("Mul", ["sum_float", "scale"], "product"),
        node("Add", ["product", "bias"]),
    ]
    per_channel = np.reshape(weights_scale, (1, -1, 1, 1)) if np.ndim(weights_scale) else (
        weights_scale
    )  # fmt: skip
    return model(nodes, {"w": W, "wz": weights_zero, "ws": per_channel, "bias": BIAS})


def conv_by_loops(x, kernel, bias):
    n, _, height, width = x.shape
    y = np.zeros((n, len(kernel), height - 2, width - 2))
    for row in range(height - 2):
        for column in range(width - 2):
            patch = x[:, None, :, row : row + 3, column : column + 3]
            y[:, :, row, column] = (patch * kernel[None]).sum(axis=(2, 3, 4))
    return y + bias


@pytest.mark.parametrize(
    ("zero", "scale"),
    [(np.uint8(128), np.float32(0.01)), (W_ZERO, W_SCALE)],
    ids=["one scale", "one scale a channel"],
)
def test_a_dynamically_quantized_convolution_becomes_the_exact_one(zero, scale):
    folded = dequantize(dynamic_conv(zero, scale))
    assert kinds(folded) == ["Conv", "Add"]
    kernel = (W.astype(float) - np.reshape(zero, (-1, 1, 1, 1))) * np.reshape(scale, (-1, 1, 1, 1))
    expected = conv_by_loops(pixels().astype(float), kernel, BIAS)
    np.testing.assert_allclose(run(folded, pixels()), expected, atol=1e-5)


def test_the_8_bit_original_differs_by_its_rounding_alone():
    """x is rounded to steps of (max - min) / 255, so each product is off by half a step."""
    made = dynamic_conv(np.uint8(128), np.float32(0.01))  # what onnxruntime itself can run
    step = 2 / 255
    kernel = np.abs((W.astype(float) - 128) * 0.01).sum(axis=(1, 2, 3)).reshape(1, -1, 1, 1)
    off = np.abs(run(dequantize(made), pixels()) - run(made, pixels()))
    assert (off <= 0.51 * step * kernel).all()
    assert off.max() > 1e-4  # the rounding was there


def test_strides_and_padding_are_kept():
    folded = dequantize(dynamic_conv(strides=[2, 2], pads=[1, 1, 1, 1]))
    assert run(folded, pixels()).shape == (2, 4, 4, 4)


@pytest.mark.parametrize("columns", [1, 5], ids=["one scale", "one scale a column"])
def test_a_dynamically_quantized_product_becomes_the_exact_one(columns):
    matrix = RNG.integers(0, 256, (8, 5), np.uint8)
    zero = RNG.integers(100, 150, columns, np.uint8)
    scale = RNG.uniform(0.01, 0.02, columns).astype(np.float32)
    nodes = [
        node("DynamicQuantizeLinear", ["x"], "xq", "xs", "xz"),
        node("MatMulInteger", ["xq", "w", "xz", "wz"], "sum"),
        node("Cast", ["sum"], "sum_float", to=TensorProto.FLOAT),
        node("Mul", ["xs", "ws"], "scale"),
        node("Mul", ["sum_float", "scale"]),
    ]
    folded = dequantize(model(nodes, {"w": matrix, "wz": zero, "ws": scale}))
    assert kinds(folded) == ["MatMul"]
    expected = pixels().astype(float) @ ((matrix.astype(float) - zero) * scale)
    np.testing.assert_allclose(run(folded, pixels()), expected, atol=1e-5)


def test_two_convolutions_may_share_one_quantized_input():
    made = dynamic_conv()
    nodes = list(made.graph.node)[:-1]
    nodes += [
        node("ConvInteger", ["xq", "w", "xz", "wz"], "sum2"),
        node("Cast", ["sum2"], "sum2_float", to=TensorProto.FLOAT),
        node("Mul", ["xs", "ws"], "scale2"),
        node("Mul", ["sum2_float", "scale2"], "product2"),
        node("Add", ["product", "product2"]),
    ]
    per_channel = W_SCALE.reshape(1, -1, 1, 1)
    both = dequantize(model(nodes, {"w": W, "wz": W_ZERO, "ws": per_channel}))
    assert not is_quantized(both)
    one = run(dequantize(made), pixels()) - BIAS
    np.testing.assert_allclose(run(both, pixels()), 2 * one, atol=1e-5)


def static_pair(scale=0.5, zero=None, **changed):
    zero = np.uint8(0) if zero is None else zero
    names = {"scale": np.float32(scale), "zero": zero, **changed}
    nodes = [
        node("QuantizeLinear", ["x", "scale", "zero"], "q"),
        node("DequantizeLinear", ["q", names.pop("then", "scale"), "zero"]),
    ]
    return model(nodes, names)


@pytest.mark.parametrize(
    ("zero", "low", "high"),
    [
        (np.uint8(0), 0.0, 127.5),  # what stands for a Relu
        (np.uint8(128), -64.0, 63.5),
        (np.int8(0), -64.0, 63.5),
        (np.int8(-128), 0.0, 127.5),
    ],
)
def test_a_static_pair_saturates_but_no_longer_rounds(zero, low, high):
    made = static_pair(zero=zero)
    values = np.linspace(-200, 200, 192, dtype=np.float32).reshape(1, 3, 8, 8)
    got, original = run(dequantize(made), values), run(made, values)
    np.testing.assert_array_equal(got, np.clip(values, low, high))
    np.testing.assert_allclose(got, original, atol=0.25)  # half a step of 0.5


def test_a_pair_at_the_end_keeps_the_name_of_the_output():
    assert [o.name for o in dequantize(static_pair()).graph.output] == ["y"]


def test_quantized_weights_around_a_plain_network():
    nodes = [
        node("DequantizeLinear", ["w", "ws", "wz"], "kernel", axis=0),
        node("QuantizeLinear", ["x", "s", "z"], "q"),
        node("DequantizeLinear", ["q", "s", "z"], "rounded"),
        node("Conv", ["rounded", "kernel"]),
    ]
    weights = {"w": W, "ws": W_SCALE, "wz": W_ZERO, "s": np.float32(1 / 127), "z": np.int8(0)}
    folded = dequantize(model(nodes, weights))
    assert kinds(folded) == ["Clip", "Conv"]
    channel = (-1, 1, 1, 1)
    kernel = (W.astype(float) - W_ZERO.reshape(channel)) * W_SCALE.reshape(channel)
    expected = conv_by_loops(pixels().astype(float), kernel, 0)
    np.testing.assert_allclose(run(folded, pixels()), expected, atol=1e-5)


def test_the_argument_is_left_alone():
    made = dynamic_conv()
    before = made.SerializeToString()
    dequantize(made)
    assert made.SerializeToString() == before


def test_a_plain_network_is_not_quantized():
    assert not is_quantized(model([node("Relu", ["x"])], {}))
    assert all(is_quantized(model([node(kind, ["x"])], {})) for kind in QUANTIZED)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (
            static_pair(then="other", other=np.float32(0.25)),
            "cannot turn DequantizeLinear, QuantizeLinear into float32 .* precision 'stored'",
        ),
        (
            static_pair(scale=np.array([0.1, 0.2, 0.3], np.float32), zero=np.zeros(3, np.uint8)),
            "cannot turn DequantizeLinear, QuantizeLinear into float32",
        ),
        (
            model(
                [
                    node("QuantizeLinear", ["x", "s", "z"], "q"),
                    node("MaxPool", ["q"], "p", kernel_shape=[2, 2]),
                    node("DequantizeLinear", ["p", "s", "z"]),
                ],
                {"s": np.float32(0.1), "z": np.uint8(0)},
            ),
            "cannot turn DequantizeLinear, QuantizeLinear into float32",
        ),
        (
            model(
                [
                    node("DynamicQuantizeLinear", ["x"], "xq", "xs", "xz"),
                    node("ConvInteger", ["xq", "w", "xz"], "sum"),
                    node("Cast", ["sum"], "y", to=TensorProto.FLOAT),
                ],
                {"w": W},
            ),
            "cannot turn ConvInteger, DynamicQuantizeLinear into float32",
        ),
    ],
    ids=["two scales", "one scale a channel", "pooled in 8 bits", "no product of scales"],
)
def test_a_pattern_that_is_not_known_is_refused_by_its_operators(made, words):
    with pytest.raises(BadModel, match=words):
        dequantize(made)


def test_a_weight_of_the_wrong_zero_point_is_not_folded():
    """The activation's zero point must be the one that DynamicQuantizeLinear gave."""
    made = dynamic_conv()
    made.graph.node[1].input[2] = "wrong"
    made.graph.initializer.append(numpy_helper.from_array(np.uint8(3), "wrong"))
    with pytest.raises(BadModel, match="cannot turn ConvInteger"):
        dequantize(made)


@pytest.mark.parametrize("precision", ["float32", "stored"])
def test_a_session_of_8_bits_is_opened_in_either_precision(precision, tmp_path):
    made = dynamic_conv(np.uint8(128), np.float32(0.01))
    onnx.save(made, tmp_path / "small.onnx")
    session = open_session(tmp_path / "small.onnx", EngineOptions(precision=precision, threads=1))
    expected = run(made if precision == "stored" else dequantize(made), pixels())
    np.testing.assert_allclose(session.run(pixels())[0], expected, atol=1e-5)


@pytest.mark.data
def test_a_published_8_bit_recognizer_keeps_its_directions(test_data):
    file = test_data / "weights" / "w600k_mbf_int8.onnx"
    faces = np.random.default_rng(0).normal(size=(4, 3, 112, 112)).astype(np.float32)
    stored, floats = (
        open_session(file, EngineOptions(precision=p)).run(faces)[0] for p in ("stored", "float32")
    )
    lengths = np.linalg.norm(stored, axis=1) * np.linalg.norm(floats, axis=1)
    assert ((stored * floats).sum(axis=1) / lengths > 0.98).all()
