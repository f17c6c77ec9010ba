"""The pyramid beside its sums written out."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.layers.path_pyramid import PathPyramid  # noqa: E402 - only where torch is

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


def drawn(*sizes):
    draw = torch.Generator().manual_seed(0)
    return [
        torch.rand(2, width, *size, generator=draw)
        for width, size in zip((3, 4, 5), sizes, strict=True)
    ]


def test_it_goes_from_coarse_to_fine_and_back():
    torch.manual_seed(0)
    pyramid = PathPyramid((3, 4, 5), 6)
    a, b, c = drawn((8, 12), (4, 6), (2, 3))

    def double(map_):
        return map_.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)

    with torch.no_grad():
        c1 = pyramid.lateral[2](c)
        b1 = pyramid.lateral[1](b) + double(c1)
        a1 = pyramid.lateral[0](a) + double(b1)
        a2, b2, c2 = (down(x) for down, x in zip(pyramid.down, (a1, b1, c1), strict=True))
        b3 = b2 + pyramid.shrink[0](a2)
        c3 = c2 + pyramid.shrink[1](b3)
        got = pyramid([a, b, c])
        wanted = [a2, pyramid.up[0](b3), pyramid.up[1](c3)]
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("sizes", [((5, 7), (3, 4), (2, 2)), ((1, 1), (1, 1), (1, 1))])
def test_odd_sizes_keep_their_size(sizes):
    maps = PathPyramid((3, 4, 5), 6)(drawn(*sizes))
    assert [tuple(map_.shape) for map_ in maps] == [(2, 6, *size) for size in sizes]


def test_maps_that_are_handed_in_stay_as_they_are():
    maps = drawn((8, 8), (4, 4), (2, 2))
    before = [map_.clone() for map_ in maps]
    PathPyramid((3, 4, 5), 6)(maps)
    assert all(torch.equal(*pair) for pair in zip(maps, before, strict=True))
