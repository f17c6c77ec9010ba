"""Landmarks: mirrors and the distance between the eyes."""

import math

import numpy as np
import pytest

from tronie.errors import BadArray
from tronie.geometry.alignment import five_point_template
from tronie.geometry.landmarks import FIVE_POINTS, interocular_distance, mirror

RNG = np.random.default_rng(7)


def test_mirroring_moves_each_point_and_swaps_left_and_right():
    face = np.array([[[1, 10], [5, 11], [3, 14], [2, 18], [4, 19.0]]])
    flipped = mirror(face, width=10)
    names = dict(zip(FIVE_POINTS, flipped[0].tolist(), strict=True))
    assert names["left_eye"] == [4.0, 11.0]  # the right eye was at 5; 10 - 1 - 5 = 4
    assert names["right_eye"] == [8.0, 10.0]
    assert names["nose"] == [6.0, 14.0]
    assert names["left_mouth_corner"] == [5.0, 19.0]
    assert names["right_mouth_corner"] == [7.0, 18.0]


def test_mirrored_points_mark_the_same_pixels_of_the_flipped_image():
    points = np.array([[[1, 0], [6, 1], [3, 2], [2, 3], [5, 4]]])
    image = np.zeros((6, 8), int)
    for n, (x, y) in enumerate(points[0]):
        image[y, x] = 1 + n
    found = [image[:, ::-1][y, x] for x, y in mirror(points, width=8)[0]]
    assert found == [2, 1, 3, 5, 4]


def test_mirroring_twice_changes_nothing():
    points = RNG.integers(0, 100, (6, 5, 2)).astype(np.float32)
    before = points.copy()
    np.testing.assert_array_equal(mirror(mirror(points, width=101), width=101), points)
    np.testing.assert_array_equal(points, before)
    assert mirror(points, width=101).dtype == np.float32


def test_the_template_is_nearly_its_own_mirror_image():
    template = five_point_template()[None]
    # its own axis: x of the middle between the eyes and the mouth corners, about 56
    middle = template[0, [0, 1, 3, 4], 0].mean()
    flipped = mirror(template, width=2 * middle + 1)
    assert np.abs(flipped - template).max() < 0.25  # of 112 pixels


def test_interocular_distance_is_that_of_the_eyes():
    points = RNG.normal(size=(20, 5, 2))
    expected = [math.dist(face[0], face[1]) for face in points]
    np.testing.assert_allclose(interocular_distance(points), expected, rtol=1e-14)
    assert interocular_distance(np.zeros((0, 5, 2))).shape == (0,)


@pytest.mark.parametrize("shape", [(5, 2), (2, 4, 2), (1, 5, 3)])
def test_another_shape_is_refused(shape):
    with pytest.raises(BadArray, match=r"five points a face have shape \(N, 5, 2\); got shape"):
        mirror(np.zeros(shape), width=10)
    with pytest.raises(BadArray, match=r"five points a face have shape \(N, 5, 2\); got shape"):
        interocular_distance(np.zeros(shape))
