"""ResNet's stages: sizes, counts of the published networks, and how fresh ones behave."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.cost import parameters  # noqa: E402 - only where torch is
from tronie.lab.nn.retinaface_backbone import resnet_stages  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("blocks", "classified"), [((3, 4, 6, 3), 25_557_032), ((3, 8, 36, 3), 60_192_808)]
)
def test_it_has_the_parameters_of_the_published_network_without_its_classes(blocks, classified):
    with torch.device("meta"):
        backbone = resnet_stages(blocks)
    assert parameters(backbone) == classified - (2048 * 1000 + 1000)
    assert backbone.widths == (256, 512, 1024, 2048)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (33, 47), (1, 1), (2, 65)])
def test_a_map_of_stride_s_has_a_place_for_each_s_pixels_begun(height, width):
    backbone = resnet_stages((1, 2, 1, 1), (4, 4, 6, 8)).eval()
    with torch.no_grad():
        maps = backbone(torch.rand(2, 3, height, width))
    sizes = [(-(-height // s), -(-width // s)) for s in (4, 8, 16, 32)]
    assert [tuple(map_.shape[2:]) for map_ in maps] == sizes
    assert tuple(map_.shape[1] for map_ in maps) == backbone.widths == (16, 16, 24, 32)


def test_a_fresh_unit_is_its_shortcut_a_single_convolution():
    torch.manual_seed(0)
    stage = resnet_stages((2, 1, 1, 1), (4, 4, 4, 4)).eval().stages[1]
    maps = torch.rand(1, 16, 7, 6)
    (unit,) = stage
    assert [type(part).__name__ for part in unit.shortcut] == ["Conv2d", "BatchNorm2d"]
    assert unit.shortcut[0].stride == unit.body[1][0].stride == (2, 2)
    with torch.no_grad():
        torch.testing.assert_close(stage(maps), unit.shortcut(maps).relu())
