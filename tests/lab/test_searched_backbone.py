"""Stages as data: sizes of the maps, shapes of the units, and how fresh ones behave."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.searched_backbone import (  # noqa: E402 - only where torch is
    ResidualUnit,
    depthwise_stages,
    depthwise_unit,
    residual_stages,
)

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


def stages(kind):
    if kind == "depthwise":
        return depthwise_stages((1, 2, 1, 1), (4, 6, 8, 8, 10, 12))
    return residual_stages((1, 2, 1, 1), (8, 8, 10, 12), bottleneck=kind == "bottleneck")


WIDTHS = {"basic": (8, 8, 10, 12), "bottleneck": (32, 32, 40, 48), "depthwise": (8, 8, 10, 12)}


@pytest.mark.parametrize("kind", WIDTHS)
@pytest.mark.parametrize(("height", "width"), [(64, 96), (33, 47), (1, 1), (2, 65)])
def test_a_map_of_stride_s_has_a_place_for_each_s_pixels_begun(kind, height, width):
    backbone = stages(kind).eval()
    with torch.no_grad():
        maps = backbone(torch.rand(2, 3, height, width))
    sizes = [(-(-height // s), -(-width // s)) for s in (4, 8, 16, 32)]
    assert [tuple(map_.shape[2:]) for map_ in maps] == sizes
    assert tuple(map_.shape[1] for map_ in maps) == backbone.widths == WIDTHS[kind]


def test_a_fresh_residual_unit_is_its_shortcut():
    torch.manual_seed(0)
    backbone = residual_stages((2, 1, 1, 1), (8, 8, 8, 8), bottleneck=False).eval()
    maps = torch.rand(1, 8, 6, 6)
    with torch.no_grad():
        torch.testing.assert_close(backbone.stages[0](maps), maps)
        halved = backbone.stages[1](maps)
        pooled = torch.nn.functional.avg_pool2d(maps, 2)
        shortcut = backbone.stages[1][0].shortcut
        torch.testing.assert_close(halved, shortcut[1:](pooled).relu())


def test_the_pool_of_a_shortcut_does_not_count_what_lies_outside():
    unit = ResidualUnit(1, 1, stride=2, bottleneck=False).eval()
    torch.testing.assert_close(unit.shortcut[0](torch.ones(1, 1, 3, 3)), torch.ones(1, 1, 2, 2))


@pytest.mark.parametrize(
    ("inner", "width", "stride", "bottleneck", "layers"),
    [
        (8, 8, 1, False, 0),
        (8, 8, 2, False, 3),
        (8, 12, 1, False, 2),
        (32, 8, 1, True, 0),
        (8, 8, 1, True, 2),
    ],
)
def test_a_shortcut_has_layers_only_where_stride_or_width_change(
    inner, width, stride, bottleneck, layers
):
    unit = ResidualUnit(inner, width, stride=stride, bottleneck=bottleneck)
    assert len(unit.shortcut) == layers


def test_a_depthwise_unit_filters_each_channel_alone_and_then_mixes():
    unit = depthwise_unit(6, 10, stride=2)
    first, second = (part for part in unit if isinstance(part, torch.nn.Conv2d))
    assert (first.groups, first.kernel_size, first.stride) == (6, (3, 3), (2, 2))
    assert (second.groups, second.kernel_size, second.out_channels) == (1, (1, 1), 10)
