"""FLOPs of the published columns, counted by hand."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402 - only where torch is

from tronie.lab.nn.cost import count_flops  # noqa: E402
from tronie.lab.nn.detector_cost import flops, layer_flops, macs_by_part  # noqa: E402
from tronie.lab.nn.scrfd_head import MapNorm  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)

SIZE = (8, 12)
PLACES = 4 * 6


@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_costs_its_products_and_its_bias(bias):
    net = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=bias))
    assert flops(net, size=SIZE) == (3 * 9 + bias) * 6 * PLACES


def test_groups_divide_the_products():
    net = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3, bias=False))
    assert flops(net, size=SIZE) == 9 * 6 * PLACES


@pytest.mark.parametrize(
    ("layer", "each"),
    [
        (nn.BatchNorm2d(3), 2),
        (nn.ReLU(), 1),
        (nn.LeakyReLU(), 1),
        (nn.MaxPool2d(2), 1),
        (nn.AvgPool2d(4), 1),
        (MapNorm(3, 3), 0),
        (nn.Sigmoid(), 0),
        (nn.Upsample(scale_factor=2), 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_other_layers_cost_so_much_for_each_number_that_comes_in(layer, each):
    assert flops(nn.Sequential(layer), size=SIZE) == each * 3 * 8 * 12


def test_a_shared_layer_counts_as_often_as_it_runs():
    conv = nn.Conv2d(3, 3, 1, bias=False)
    layers = layer_flops(nn.Sequential(conv, conv), size=SIZE)
    assert [(layer.kind, layer.flops) for layer in layers] == [("Conv2d", 9 * 96)] * 2


def test_products_are_those_of_the_other_count():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))
    layers = layer_flops(net, size=SIZE)
    assert sum(layer.macs for layer in layers) == count_flops(net, rule="macs", size=SIZE)


def test_vga_is_counted_unless_another_size_is_asked_for():
    net = nn.Sequential(nn.ReLU())
    assert flops(net) == 3 * 480 * 640


def test_parts_are_stem_stages_and_what_follows():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = nn.Module()
            self.backbone.stem = nn.Sequential(nn.Conv2d(3, 1, 1))
            self.backbone.stages = nn.ModuleList([nn.Sequential(nn.Conv2d(1, 2, 1))])
            self.head = nn.Sequential(nn.Conv2d(2, 5, 1), nn.ReLU())

        def forward(self, x):
            return self.head(self.backbone.stages[0](self.backbone.stem(x)))

    parts = macs_by_part(Net(), size=SIZE)
    assert parts == {"backbone.stem": 3 * 96, "backbone.stages.0": 2 * 96, "head": 10 * 96}


def test_counting_leaves_the_network_as_it_is():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    layer_flops(net, size=SIZE)
    assert net.training
    assert not net[0]._forward_hooks
    assert net[0].weight.device.type == "cpu"
