"""Faces of a photograph: which can be learned from, and the same in a mirror."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.data.augment.face_photo import (
    FARTHEST,
    FaceLabels,
    boxes_only,
    faces_of,
    ignored_below,
    learnable,
    mirrored,
    photographed,
    sizes,
)
from tronie.data.readers.widerface import labels_of
from tronie.errors import BadArray

RNG = np.random.default_rng(3)


def photo():
    """A pixel at each point, and a box around whole pixels: what a mirror must move along."""
    image = np.zeros((20, 30, 3), np.uint8)
    points = np.array([[[4, 5], [9, 5], [7, 8], [5, 11], [8, 11]]], np.float32)
    for n, (x, y) in enumerate(points[0].astype(int)):
        image[y, x] = 50 * (n + 1)
    labels = FaceLabels(
        boxes=np.array([[3, 4, 11, 13]], np.float32),
        ignore=np.array([False]),
        points=points,
        has_points=np.array([[True, False, True, True, True]]),
    )
    return photographed(image, labels)


def test_a_mirror_moves_pixels_boxes_and_points_together_and_left_and_right_change_names():
    found = mirrored(photo())
    assert found.boxes.tolist() == [[19, 4, 27, 13]]
    levels = [int(found.image[int(y), int(x), 0]) for x, y in found.points[0]]
    assert levels == [100, 50, 150, 250, 200]  # the left eye is who was the right one
    assert found.has_points.tolist() == [[False, True, True, True, True]]
    x1, y1, x2, y2 = found.boxes[0].astype(int)
    outside = found.image.copy()
    outside[y1:y2, x1:x2] = 0
    assert not outside.any()


def test_twice_mirrored_is_the_photograph():
    once, twice = photo(), mirrored(mirrored(photo()))
    for name in ("image", "boxes", "ignore", "points", "has_points"):
        np.testing.assert_array_equal(getattr(once, name), getattr(twice, name))
        assert getattr(once, name).dtype == getattr(twice, name).dtype


def test_a_mirror_of_a_photograph_without_faces():
    found = mirrored(photographed(np.zeros((4, 6, 3), np.uint8), boxes_only([])))
    assert found.boxes.shape == (0, 4)
    assert found.points.shape == (0, 5, 2)


def test_faces_outside_without_area_or_ignored_are_not_learned_from():
    boxes = [[2, 2, 4, 4], [2, 2, 2, 9], [-9, 1, 0, 5], [-9, 1, 1, 5], [30, 0, 40, 9], [5, 5, 4, 4]]
    labels = boxes_only(boxes)
    assert (
        learnable(labels, width=30, height=20).tolist() == [True, False, False, True] + [False] * 2
    )
    labels.ignore[0] = True
    assert not learnable(labels, width=30, height=20)[0]


def test_the_size_of_a_face_is_its_longer_side_and_small_ones_are_ignored():
    labels = boxes_only([[0, 0, 7, 3], [0, 0, 8, 1], [0, 0, 2, 9]])
    assert sizes(labels.boxes).tolist() == [7, 8, 9]
    found = ignored_below(photographed(np.zeros((9, 9, 3), np.uint8), labels), 8)
    assert found.ignore.tolist() == [True, False, False]
    assert not labels.ignore.any()
    assert ignored_below(
        photographed(np.zeros((9, 9, 3), np.uint8), boxes_only([])), 8
    ).ignore.shape == (0,)


def test_labels_without_area_are_left_out_and_unknown_points_marked():
    (read,) = labels_of(
        ["# a 9 9", "1 1 1 5", "1 2 3 4 1", "1 1 4 4  1 2 0  -1 -1 -1  3 4 0  5 6 0  7 8 0"],
        path="x",
    )
    found = faces_of(read)
    assert found.boxes.tolist() == [[1, 2, 3, 4], [1, 1, 4, 4]]
    assert found.ignore.tolist() == [True, False]
    assert found.has_points.tolist() == [[False] * 5, [True, False, True, True, True]]
    assert found.points[1].tolist() == [[1, 2], [0, 0], [3, 4], [5, 6], [7, 8]]
    assert found.boxes.dtype == found.points.dtype == np.float32


def test_corners_from_far_away_stay_numbers():
    (read,) = labels_of(["# a", "-1e300 0 1e300 5"], path="x")
    assert faces_of(read).boxes.tolist() == [[-FARTHEST, 0, FARTHEST, 5]]


def test_arrays_that_do_not_belong_together_are_refused():
    with pytest.raises(
        BadArray, match=r"faces have boxes \(F, 4\), .* got shapes \(2, 4\), \(1,\)"
    ):
        FaceLabels(
            boxes=np.zeros((2, 4), np.float32),
            ignore=np.zeros(1, np.bool_),
            points=np.zeros((2, 5, 2), np.float32),
            has_points=np.zeros((2, 5), np.bool_),
        )
