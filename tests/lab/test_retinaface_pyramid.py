"""The pyramid beside its formula."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402 - only where torch is

from tronie.lab.nn.layers.conv import conv_norm  # noqa: E402
from tronie.lab.nn.retinaface_pyramid import MergedPyramid  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


def relu(_):
    return nn.ReLU()


def made(*, further):
    torch.manual_seed(0)
    return MergedPyramid(
        (4, 6, 8), 5, activation=relu, convolution=conv_norm, further=further
    ).eval()


def maps_of(*sizes):
    draw = torch.Generator().manual_seed(0)
    return [
        torch.rand(2, width, *size, generator=draw)
        for width, size in zip((4, 6, 8), sizes, strict=True)
    ]


@pytest.mark.parametrize("further", [False, True])
def test_each_map_is_merged_with_the_answer_of_the_coarser_one(further):
    net, maps = made(further=further), maps_of((8, 12), (4, 6), (2, 3))
    with torch.no_grad():
        got = net(maps)
        sides = [lateral(map_) for lateral, map_ in zip(net.lateral, maps, strict=True)]
        coarse = sides[2]
        middle = net.merge[1](sides[1] + coarse.repeat_interleave(2, 2).repeat_interleave(2, 3))
        fine = net.merge[0](sides[0] + middle.repeat_interleave(2, 2).repeat_interleave(2, 3))
        for one, other in zip(got, (fine, middle, coarse), strict=False):
            torch.testing.assert_close(one, other)
        assert len(got) == 3 + further
        if further:
            torch.testing.assert_close(got[3], net.further(maps[2]))
            assert got[3].shape == (2, 5, 1, 2)


@pytest.mark.parametrize("sizes", [((5, 3), (3, 2), (2, 1)), ((1, 1), (1, 1), (1, 1))])
def test_sizes_need_not_be_even(sizes):
    with torch.no_grad():
        got = made(further=True)(maps_of(*sizes))
    assert [tuple(map_.shape[2:]) for map_ in got[:3]] == list(sizes)
