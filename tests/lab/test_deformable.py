"""Deformable convolution beside loops over every number, and beside ordinary convolutions."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import conv2d  # noqa: E402 - only where torch is

from tronie.lab.nn.layers.deformable import (  # noqa: E402
    DeformableConv2d,
    as_one_operator,
    deformable_conv,
    deformable_norm,
)
from tronie.lab.training.onnx_file import traced_graph  # noqa: E402
from tronie.runtime.session import EngineOptions, session_of  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


def brute(maps, weight, offsets, masks):
    """The sum of the docstring, one number at a time."""
    count, channels, height, width = maps.shape
    outer, _, side, _ = weight.shape
    result = np.zeros((count, outer, height, width))

    def value(n, c, row, column):
        if 0 <= row < height and 0 <= column < width:
            return maps[n, c, row, column]
        return 0.0

    for n, o, row, column in np.ndindex(result.shape):
        for j in range(side**2):
            y = row + j // side - side // 2 + offsets[n, 2 * j, row, column]
            x = column + j % side - side // 2 + offsets[n, 2 * j + 1, row, column]
            top, left = math.floor(y), math.floor(x)
            v, u = y - top, x - left
            for c in range(channels):
                sample = (
                    (1 - v) * (1 - u) * value(n, c, top, left)
                    + (1 - v) * u * value(n, c, top, left + 1)
                    + v * (1 - u) * value(n, c, top + 1, left)
                    + v * u * value(n, c, top + 1, left + 1)
                )
                tap = weight[o, c, j // side, j % side]
                result[n, o, row, column] += tap * masks[n, j, row, column] * sample
    return result


@pytest.mark.parametrize(("height", "width", "side"), [(3, 4, 3), (1, 1, 3), (2, 5, 1), (1, 3, 5)])
def test_it_is_the_sum_of_the_definition(height, width, side):
    draw = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 2, height, width, generator=draw, dtype=torch.float64)
    weight = torch.randn(3, 2, side, side, generator=draw, dtype=torch.float64)
    shape = (2, side**2, height, width)
    masks = torch.rand(*shape, generator=draw, dtype=torch.float64)
    offsets = torch.randn(2, 2 * shape[1], *shape[2:], generator=draw, dtype=torch.float64) * 2
    got = deformable_conv(maps, weight, offsets, masks)
    wanted = brute(*(array.numpy() for array in (maps, weight, offsets, masks)))
    np.testing.assert_allclose(got.numpy(), wanted, atol=1e-12)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(9, 7), (1, 1), (1, 30), (160, 3)])
def test_a_fresh_layer_is_an_ordinary_convolution(size, training):
    torch.manual_seed(0)
    layer = DeformableConv2d(4, 6).train(training)
    maps = torch.randn(2, 4, *size)
    with torch.no_grad():
        wanted = conv2d(maps, layer.weight, padding=1)
        torch.testing.assert_close(layer(maps), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("down", "right"), [(1, 0), (0, -2), (-1, 3)])
def test_whole_offsets_shift_the_map(down, right):
    draw = torch.Generator().manual_seed(0)
    maps = torch.randn(1, 3, 8, 9, generator=draw)
    weight = torch.randn(2, 3, 3, 3, generator=draw)
    offsets = torch.tensor([down, right]).float().repeat(9)[None, :, None, None]
    offsets = offsets.expand(1, 18, 8, 9)
    got = deformable_conv(maps, weight, offsets, torch.ones(1, 9, 8, 9))
    wide = torch.nn.functional.pad(maps, (5, 5, 5, 5))
    shifted = wide[:, :, 4 + down : 14 + down, 4 + right : 15 + right]  # one more on each side
    torch.testing.assert_close(got, conv2d(shifted, weight), rtol=1e-4, atol=1e-4)


def test_gradients_are_those_of_finite_differences():
    draw = torch.Generator().manual_seed(1)

    def numbers(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64).requires_grad_()

    offsets = (torch.rand(1, 18, 3, 4, generator=draw, dtype=torch.float64) * 0.8 + 0.1) + 1
    given = (
        numbers(1, 2, 3, 4),
        numbers(2, 2, 3, 3),
        offsets.requires_grad_(),
        numbers(1, 9, 3, 4),
    )
    assert torch.autograd.gradcheck(deformable_conv, given)


def test_offsets_and_masks_learn_with_a_tenth():
    torch.manual_seed(0)
    layer = DeformableConv2d(3, 4)
    maps = torch.randn(1, 3, 5, 5)
    layer.train()(maps).square().sum().backward()
    slow = [p.grad.clone() for p in layer.offsets.parameters()]
    main = layer.weight.grad.clone()
    layer.zero_grad()
    layer.eval()(maps).square().sum().backward()
    for one, p in zip(slow, layer.offsets.parameters(), strict=True):
        assert one.abs().max() > 0
        torch.testing.assert_close(one, 0.1 * p.grad)
    torch.testing.assert_close(main, layer.weight.grad)


def test_the_answer_has_the_number_type_of_the_map():
    """Half numbers cannot tell the columns of a wide map apart; places are float32."""
    torch.manual_seed(0)
    layer = DeformableConv2d(2, 2).eval()
    maps = torch.randn(1, 2, 2, 600)
    with torch.no_grad():
        exact = layer(maps)
        half = layer.bfloat16()(maps.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, rtol=0.05, atol=0.05)


def restless(count):
    """A layer whose offsets are not zero, behind its norm."""
    torch.manual_seed(count)
    net = deformable_norm(3, 4, activation=torch.nn.PReLU).eval()
    torch.nn.init.normal_(net[0].offsets.weight, std=0.5)
    torch.nn.init.normal_(net[0].offsets.bias)
    return net


@pytest.mark.parametrize(("opset", "wanted"), [(17, "GridSample"), (19, "DeformConv")])
def test_a_file_says_what_torch_says_by_the_operator_of_its_opset(opset, wanted):
    net = restless(0)
    with as_one_operator(opset):
        model = traced_graph(
            net,
            torch.zeros(1, 3, 5, 6),
            name="maps",
            outputs=["answer"],
            free={"maps": {0: "n", 2: "h", 3: "w"}},
            opset=opset,
        )
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count(wanted) == 1
    assert not {"GridSample", "DeformConv"} - {wanted} & set(kinds)
    session = session_of(model, EngineOptions(threads=1, precision="stored"), name="deformable")
    for shape in [(1, 3, 5, 6), (2, 3, 7, 1), (1, 3, 1, 1)]:
        maps = torch.randn(*shape)
        (given,) = session.run(maps.numpy())
        with torch.no_grad():
            np.testing.assert_allclose(given, net(maps).numpy(), atol=1e-5)
