"""Anchors: the grid in its order, and distances there and back."""

import numpy as np
import pytest

from tronie.errors import BadArray, BadInput
from tronie.geometry.anchors import (
    anchor_centers,
    boxes_to_distances,
    distances_to_boxes,
    distances_to_points,
    points_to_distances,
)

RNG = np.random.default_rng(5)


@pytest.mark.parametrize(("width", "height"), [(64, 32), (50, 33), (1, 1), (8, 200)])
@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("per_cell", [1, 2])
def test_centers_come_row_by_row_and_at_each_place_per_cell_times(width, height, stride, per_cell):
    expected = [
        (x, y)
        for y in range(0, height, stride)
        for x in range(0, width, stride)
        for _ in range(per_cell)
    ]
    centers = anchor_centers(width=width, height=height, stride=stride, per_cell=per_cell)
    assert centers.dtype == np.float32
    assert [tuple(c) for c in centers.tolist()] == expected


def test_a_canvas_of_640_holds_the_16800_anchors_of_scrfd():
    count = sum(
        len(anchor_centers(width=640, height=640, stride=s, per_cell=2)) for s in (8, 16, 32)
    )
    assert count == 12_800 + 3_200 + 800  # arXiv:2105.04714: strides 8, 16, 32, two at a place


def test_a_box_reaches_left_top_right_bottom_of_its_center():
    boxes = distances_to_boxes(np.array([[10.0, 20.0]]), np.array([[1.0, 2.0, 3.0, 4.0]]))
    assert boxes.tolist() == [[9.0, 18.0, 13.0, 24.0]]


def test_points_lie_at_their_offsets_as_x_y_x_y():
    points = distances_to_points(np.array([[10.0, 20.0]]), np.array([[1.0, 2.0, -3.0, -4.0]]))
    assert points.tolist() == [[[11.0, 22.0], [7.0, 16.0]]]


@pytest.mark.parametrize("lead", [(), (3,)])
def test_boxes_and_points_survive_the_way_there_and_back(lead):
    centers = anchor_centers(width=40, height=24, stride=8, per_cell=2)
    boxes = RNG.integers(-50, 90, (*lead, len(centers), 4)).astype(np.float32)
    points = RNG.integers(-50, 90, (*lead, len(centers), 5, 2)).astype(np.float32)
    distances, offsets = boxes_to_distances(centers, boxes), points_to_distances(centers, points)
    assert offsets.shape == (*lead, len(centers), 10)
    np.testing.assert_array_equal(distances_to_boxes(centers, distances), boxes)
    np.testing.assert_array_equal(distances_to_points(centers, offsets), points)
    assert distances_to_boxes(centers, distances).dtype == np.float32


@pytest.mark.parametrize("sizes", [(0, 8, 8, 1), (8, 0, 8, 1), (8, 8, 0, 1), (8, 8, 8, 0)])
def test_a_size_below_one_is_refused(sizes):
    width, height, stride, per_cell = sizes
    with pytest.raises(BadInput, match="anchors need width, height, stride and per_cell"):
        anchor_centers(width=width, height=height, stride=stride, per_cell=per_cell)


@pytest.mark.parametrize(
    ("function", "values", "message"),
    [
        (distances_to_boxes, np.zeros((3, 4)), r"distances \(\.\.\., K, 4\); got shapes \(2, 2\)"),
        (distances_to_boxes, np.zeros((2, 3)), r"distances \(\.\.\., K, 4\)"),
        (boxes_to_distances, np.zeros((4,)), r"boxes \(\.\.\., K, 4\)"),
        (distances_to_points, np.zeros((2, 9)), r"offsets \(\.\.\., K, 2P\)"),
        (points_to_distances, np.zeros((2, 5)), r"points \(\.\.\., K, P, 2\)"),
        (points_to_distances, np.zeros((3, 5, 2)), r"got 2 centers, but points of shape"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(function, values, message):
    with pytest.raises(BadArray, match=message):
        function(np.zeros((2, 2)), values)
