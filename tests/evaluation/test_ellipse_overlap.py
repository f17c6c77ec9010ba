"""Areas that ellipses share with rectangles: known formulas, and counting fine points."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tronie.errors import BadArray
from tronie.evaluation.metrics.ellipse_overlap import polygon_area, region_iou, shared_area

CIRCLE = np.array([1.0, 1.0, 0.0, 0.0, 0.0])


def rectangle(x1, y1, x2, y2):
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], float)


def segment(distance: float) -> float:
    """The part of a unit circle beyond a line at that distance from its center."""
    return math.acos(distance) - distance * math.sqrt(1 - distance * distance)


@pytest.mark.parametrize(
    ("corners", "area"),
    [
        ((-2, -2, 2, 2), math.pi),  # the circle lies inside
        ((-0.5, -0.5, 0.5, 0.5), 1.0),  # the rectangle lies inside
        ((0, -2, 2, 2), math.pi / 2),  # half
        ((0, 0, 2, 2), math.pi / 4),  # a quarter
        ((0.3, -2, 2, 2), segment(0.3)),  # a segment
        ((-0.3, -2, 0.6, 2), math.pi - segment(0.3) - segment(0.6)),  # a band
        ((1, -1, 2, 1), 0.0),  # touching
        ((3, 3, 4, 4), 0.0),  # apart
        ((0.8, 0.8, 2, 2), 0.0),  # the corner is outside, though the boxes overlap
        ((0.5, 0.5, 0.5, 2), 0.0),  # without width
    ],
)
def test_a_circle_and_a_rectangle_share_what_geometry_says(corners, area):
    assert shared_area(CIRCLE, rectangle(*corners)) == pytest.approx(area, abs=1e-12)


def test_a_turned_and_stretched_ellipse_shares_the_same_part():
    """Under a rotation, a stretch and a shift, shares of the area stay."""
    angle, major, minor = 0.7, 5.0, 2.0
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    square = rectangle(0.1, -0.4, 1.3, 0.9)
    mapped = square @ np.diag([major, minor]) @ turn.T + [30, -4]
    ellipse = np.array([major, minor, angle, 30, -4])
    expected = shared_area(CIRCLE, square) * major * minor
    assert shared_area(ellipse, mapped) == pytest.approx(expected, abs=1e-9)


def test_the_angle_turns_from_x_towards_y():
    along = np.array([[10.0, 1.0, math.pi / 4, 0.0, 0.0]])
    lower_right = np.array([[0.0, 0.0, 8.0, 8.0]])  # y points down
    upper_right = np.array([[0.0, -8.0, 8.0, 0.0]])
    assert region_iou(lower_right, along)[0, 0] > 4 * region_iou(upper_right, along)[0, 0]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["rectangle", "ellipse"])
def test_random_regions_agree_with_counted_points(seed, kind):
    rng = np.random.default_rng(seed)
    face = np.array([rng.uniform(4, 9), rng.uniform(2, 4), rng.uniform(-3, 3), 0.0, 0.0])
    if kind == "rectangle":
        low = rng.uniform(-7, 0, 2)
        shape = np.concatenate([low, low + rng.uniform(4, 10, 2)])
    else:
        shape = np.array([rng.uniform(4, 9), rng.uniform(2, 4), rng.uniform(-3, 3), 1.0, -1.0])
    size = (6.0, 5.0) if seed % 2 else None
    axis = np.linspace(-12, 12, 1201)
    x, y = np.meshgrid(axis, axis)
    in_face, in_shape = within(face, x, y), within(shape, x, y)
    if size:
        frame = (x >= 0) & (y >= 0) & (x <= size[0]) & (y <= size[1])
        in_face, in_shape = in_face & frame, in_shape & frame
    counted = (in_face & in_shape).sum() / (in_face | in_shape).sum()
    found = region_iou(shape[None], face[None], size=size)[0, 0]
    assert found == pytest.approx(counted, abs=5e-3)  # points of 0.02 along outlines of ~30


def within(shape, x, y):
    if len(shape) == 4:
        return (x >= shape[0]) & (y >= shape[1]) & (x <= shape[2]) & (y <= shape[3])
    major, minor, angle, cx, cy = shape
    u = (x - cx) * math.cos(angle) + (y - cy) * math.sin(angle)
    v = -(x - cx) * math.sin(angle) + (y - cy) * math.cos(angle)
    return (u / major) ** 2 + (v / minor) ** 2 <= 1


def test_an_ellipse_meets_itself():
    ellipse = np.array([[30.0, 20.0, 1.0, 100.0, 80.0]])
    assert region_iou(ellipse, ellipse)[0, 0] == pytest.approx(1.0, abs=2e-5)


def test_a_found_ellipse_has_the_area_of_an_ellipse():
    """One within the other: the ratio of their areas, though one is taken as a polygon."""
    small, large = np.array([[3.0, 2.0, 1.0, 5.0, 5.0]]), np.array([[30.0, 20.0, 0.5, 0.0, 0.0]])
    assert region_iou(small, large)[0, 0] == pytest.approx(6 / 600, rel=1e-9)


def test_no_regions_and_no_faces():
    faces = CIRCLE[None]
    assert region_iou(np.zeros((0, 4)), faces).shape == (0, 1)
    assert region_iou(np.zeros((2, 4)), np.zeros((0, 5))).shape == (2, 0)
    assert region_iou(np.array([[50.0, 50, 60, 60]]), faces, size=(20, 20)).tolist() == [[0.0]]


def test_the_area_of_a_polygon():
    assert polygon_area(np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 3.0]])) == 6.0


@pytest.mark.parametrize("shape", [np.zeros((1, 3)), np.full((1, 4), np.nan)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(BadArray, match=r"shapes must have shape \(N, 4 or 5\) and be finite"):
        region_iou(shape, CIRCLE[None])


def test_a_radius_of_nothing_is_refused():
    with pytest.raises(BadArray, match="the radii of ellipses must be above 0"):
        region_iou(np.zeros((1, 4)), np.zeros((1, 5)))
