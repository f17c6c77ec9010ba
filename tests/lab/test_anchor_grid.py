"""The grid of torch beside the grid of numpy that reads published files."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.geometry.anchors import (  # noqa: E402 - only where torch is
    anchor_centers,
    distances_to_boxes,
    distances_to_points,
)
from tronie.lab.nn.anchor_grid import (  # noqa: E402
    anchor_grid,
    boxes_at,
    distances_at,
    level_sizes,
    offsets_at,
    points_at,
)

pytestmark = pytest.mark.lab
torch.set_num_threads(1)

STRIDES = (8, 16, 32)
SIDES = ((16, 32), (64, 128), (256, 512))


@pytest.mark.parametrize(("height", "width"), [(64, 96), (33, 47), (1, 1)])
def test_anchors_lie_where_published_files_have_them(height, width):
    grid = anchor_grid(level_sizes(height, width, STRIDES), SIDES)
    wanted = [anchor_centers(width=width, height=height, stride=s, per_cell=2) for s in STRIDES]
    np.testing.assert_array_equal(grid.centers, np.concatenate(wanted))
    counts = [len(level) for level in wanted]
    np.testing.assert_array_equal(grid.strides, np.repeat(STRIDES, counts))
    sides = [np.tile(pair, n // 2) for pair, n in zip(SIDES, counts, strict=True)]
    np.testing.assert_array_equal(grid.sides, np.concatenate(sides))


@pytest.mark.parametrize(("size", "anchors"), [((640, 640), 16_800), ((480, 640), 12_600)])
def test_there_are_as_many_anchors_as_are_published(size, anchors):
    assert len(anchor_grid(level_sizes(*size, STRIDES), SIDES).centers) == anchors


def test_an_anchor_stands_for_a_square_around_its_centre():
    boxes = anchor_grid(((8, 2, 2),), ((16,),)).boxes()
    wanted = [[-8, -8, 8, 8], [0, -8, 16, 8], [-8, 0, 8, 16], [0, 0, 16, 16]]
    np.testing.assert_array_equal(boxes, wanted)


@pytest.fixture
def grid():
    return anchor_grid(level_sizes(40, 64, STRIDES), SIDES)


def test_boxes_and_points_are_those_of_the_numpy_decoding(grid):
    draw = torch.Generator().manual_seed(0)
    distances = torch.randn(3, len(grid.centers), 4, generator=draw)
    offsets = torch.randn(3, len(grid.centers), 10, generator=draw)
    centers, scale = grid.centers.numpy(), grid.strides.numpy()[:, None]
    boxes = distances_to_boxes(centers, distances.numpy() * scale)
    np.testing.assert_array_equal(boxes_at(grid.centers, grid.strides, distances), boxes)
    points = distances_to_points(centers, offsets.numpy() * scale)
    np.testing.assert_array_equal(points_at(grid.centers, grid.strides, offsets), points)


def test_encoding_then_decoding_changes_nothing(grid):
    draw = torch.Generator().manual_seed(1)
    boxes = torch.rand(2, len(grid.centers), 4, generator=draw) * 640
    points = torch.rand(2, len(grid.centers), 5, 2, generator=draw) * 640
    at = grid.centers, grid.strides
    torch.testing.assert_close(boxes_at(*at, distances_at(*at, boxes)), boxes, rtol=0, atol=1e-4)
    torch.testing.assert_close(points_at(*at, offsets_at(*at, points)), points, rtol=0, atol=1e-4)
