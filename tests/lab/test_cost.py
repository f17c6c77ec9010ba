"""Costs counted by hand, and a network that stays as it was."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402 - only where torch is

from tronie.lab.nn.cost import (  # noqa: E402
    checkpoint_bytes,
    count_flops,
    layer_costs,
    on_meta,
    parameters,
)

pytestmark = pytest.mark.lab
torch.set_num_threads(1)

SIZE = (8, 8)


def counted(*layers):
    return layer_costs(nn.Sequential(*layers), size=SIZE)


@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_by_both_rules(bias):
    (cost,) = counted(nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=bias))
    places = 4 * 4
    assert cost.macs == 3 * 9 * places * 6
    assert cost.flops_lfr == (2 * 3 * 9 - (not bias)) * places * 6
    assert cost.kind == "convolution"


def test_groups_divide_the_whole_product_and_round_down():
    """As the challenge's script does: the 1 of a missing bias is divided too."""
    *_, cost = counted(nn.Conv2d(3, 7, 1), nn.Conv2d(7, 7, 3, groups=7, bias=False))
    assert cost.macs == 9 * 36 * 7
    assert cost.flops_lfr == (2 * 7 * 9 - 1) * 36 * 7 // 7


@pytest.mark.parametrize("bias", [True, False])
def test_a_fully_connected_layer_by_both_rules(bias):
    (cost,) = counted(nn.Flatten(), nn.Linear(192, 5, bias=bias))
    assert cost.macs == 192 * 5
    assert cost.flops_lfr == (2 * 192 - (not bias)) * 5
    assert cost.kind == "fully connected"


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_applied_to_rows_counts_for_each(bias):
    (cost,) = counted(nn.Flatten(2), nn.Linear(64, 10, bias=bias))
    assert cost.macs == 3 * 64 * 10
    assert cost.flops_lfr == 3 * (2 * 64 - (not bias)) * 10


def test_norms_activations_pooling_and_sums_are_free():
    class Sum(nn.Module):
        def forward(self, x):
            return x + x

    free = [nn.BatchNorm2d(3), nn.PReLU(3), nn.MaxPool2d(2), Sum(), nn.AdaptiveAvgPool2d(1)]
    assert counted(*free, nn.Sigmoid()) == ()


def test_a_transposed_convolution_counts_the_places_that_come_in():
    (cost,) = counted(nn.ConvTranspose2d(3, 5, 2, stride=2, bias=False))
    assert cost.macs == 3 * 5 * 4 * 64


class Attend(nn.Module):
    """One attention of 4 heads, 64 places of 8 numbers each."""

    def __init__(self, written_out):
        super().__init__()
        self.written_out = written_out

    def forward(self, x):
        query = x.new_zeros(1, 4, 64, 8)
        if self.written_out:
            return (query @ query.transpose(2, 3)).softmax(-1) @ query
        return nn.functional.scaled_dot_product_attention(query, query, query)


@pytest.mark.parametrize("written_out", [True, False])
def test_attention_costs_its_two_products_and_nothing_by_the_challenge_rule(written_out):
    costs = counted(Attend(written_out))
    assert sum(cost.macs for cost in costs) == 2 * 4 * 64 * 64 * 8
    assert {cost.flops_lfr for cost in costs} == {0}
    assert {cost.kind for cost in costs} == {"matrix product"}


def test_a_cost_is_named_after_its_module_and_a_shared_one_counts_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Conv2d(3, 3, 1))

        def forward(self, x):
            return self.inner(self.inner(x))

    assert [cost.name for cost in layer_costs(Twice(), size=SIZE)] == ["inner.0", "inner.0"]


def test_the_sums_are_those_of_the_layers():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2))
    layers = layer_costs(net, size=SIZE)
    assert count_flops(net, rule="lfr", size=SIZE) == sum(c.flops_lfr for c in layers)
    assert count_flops(net, rule="macs", size=SIZE) == sum(c.macs for c in layers)


def test_counting_leaves_the_network_as_it_is():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    layer_costs(net, size=SIZE)
    assert net.training
    assert not net[0]._forward_hooks
    assert not net[0]._forward_pre_hooks
    for name, value in net.state_dict().items():
        assert value.device.type == "cpu"
        torch.testing.assert_close(value, before[name])


def test_a_copy_without_contents_keeps_what_is_shared_and_what_is_fixed():
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    net[1].weight = net[0].weight
    net[1].bias.requires_grad_(False)
    empty = on_meta(net)
    assert empty[1].weight is empty[0].weight
    assert empty[0].weight.is_meta
    assert not empty[1].bias.requires_grad


def test_parameters_are_counted_once_and_statistics_only_among_the_bytes():
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    assert parameters(net) == 20 + 8
    assert checkpoint_bytes(net) == 4 * (20 + 8 + 8)
    shared = nn.Linear(3, 3)
    assert parameters(nn.Sequential(shared, shared)) == 12
