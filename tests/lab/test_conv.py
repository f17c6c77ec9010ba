"""Convolution blocks against sums written out, and what a group may see."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402 - only where torch is

from tronie.lab.nn.layers.conv import DepthwiseUnit, conv_norm, variable_group  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)

DRAW = torch.Generator().manual_seed(0)


def drawn(*shape):
    return torch.randn(*shape, generator=DRAW)


def norm_by_hand(values, norm):
    """(x - mean) / sqrt(var + eps) scale + shift, channel by channel."""
    at = (None, slice(None), None, None)
    mean, var = norm.running_mean.numpy()[at], norm.running_var.numpy()[at]
    scale, shift = norm.weight.detach().numpy()[at], norm.bias.detach().numpy()[at]
    return (values - mean) / np.sqrt(var + norm.eps) * scale + shift


def conv_by_hand(picture, weight, *, stride, padding, groups):
    """The definition, place by place."""
    padded = np.pad(picture, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    outer, inner, kernel, _ = weight.shape
    side = (padded.shape[2] - kernel) // stride + 1
    answer = np.zeros((len(picture), outer, side, side))
    for o in range(outer):
        first = o // (outer // groups) * inner
        for y in range(side):
            for x in range(side):
                top, left = y * stride, x * stride
                window = padded[:, first : first + inner, top : top + kernel, left : left + kernel]
                answer[:, o, y, x] = (window * weight[o]).sum(axis=(1, 2, 3))
    return answer


def unsettled(block):
    """Norms with statistics of their own, in evaluation."""
    for part in block.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.copy_(drawn(part.num_features))
            part.running_var.copy_(drawn(part.num_features) ** 2 + 0.1)
    return block.eval()


@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 1), (1, 2), (2, 4)])
def test_conv_norm_is_a_convolution_a_norm_and_a_slope(stride, groups):
    block = unsettled(conv_norm(4, 8, kernel=3, stride=stride, groups=groups))
    conv, norm, prelu = block
    picture = drawn(2, 4, 5, 5)
    weight = conv.weight.detach().numpy()
    wanted = conv_by_hand(picture.numpy(), weight, stride=stride, padding=1, groups=groups)
    wanted = norm_by_hand(wanted, norm)
    slopes = prelu.weight.detach().numpy()[None, :, None, None]
    wanted = np.where(wanted > 0, wanted, slopes * wanted)
    np.testing.assert_allclose(block(picture).detach().numpy(), wanted, atol=1e-5)


def test_without_an_activation_the_norm_is_last_and_a_convolution_never_has_a_bias():
    block = conv_norm(3, 5, activation=None)
    assert isinstance(block[-1], nn.BatchNorm2d)
    assert block[0].bias is None


def test_padding_can_be_left_out():
    assert conv_norm(4, 4, kernel=7, groups=4, padding=0)(drawn(2, 4, 7, 7)).shape == (2, 4, 1, 1)


def test_a_depthwise_unit_adds_its_input_where_asked():
    unit = DepthwiseUnit(6, 6, between=12, residual=True).eval()
    picture = drawn(2, 6, 4, 4)
    torch.testing.assert_close(unit(picture), picture + unit.body(picture))


def test_a_depthwise_unit_halves_and_ends_linear():
    unit = DepthwiseUnit(6, 10, between=12, stride=2).eval()
    assert unit(drawn(2, 6, 7, 7)).shape == (2, 10, 4, 4)
    assert isinstance(unit.body[-1][-1], nn.BatchNorm2d)


def test_in_a_depthwise_unit_only_the_narrow_ends_mix_channels():
    middle = DepthwiseUnit(3, 3, between=4).body[1].eval()
    picture = drawn(1, 4, 3, 3).requires_grad_()
    middle(picture)[0, 2].sum().backward()
    assert [bool(picture.grad[0, c].any()) for c in range(4)] == [False, False, True, False]


@pytest.mark.parametrize("width", [16, 32])
def test_the_number_of_groups_grows_with_the_width(width):
    """Whatever the width, an answer of the first convolution sees eight channels."""
    grouped = variable_group(width, 8, factor=2, group_width=8)[0]
    assert grouped.groups == width // 8
    picture = drawn(1, width, 3, 3).requires_grad_()
    grouped(picture)[0, 0].sum().backward()
    assert int(picture.grad.abs().sum(dim=(0, 2, 3)).count_nonzero()) == 8


def test_a_variable_group_pair_widens_and_narrows():
    pair = variable_group(16, 24, factor=2, group_width=8, stride=2, activation=None)
    assert pair[0].out_channels == 32
    assert pair(drawn(2, 16, 8, 8)).shape == (2, 24, 4, 4)
    assert isinstance(pair[-1], nn.BatchNorm2d)
