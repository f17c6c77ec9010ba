"""Windows around a face: the face gets its size, the window holds it, and odd faces do no harm."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.data.augment.face_photo import boxes_only, photographed
from tronie.data.augment.face_windows import face_crop, face_window

FACE = [40, 30, 60, 55]


def window(boxes, n, *, size=100, target=50.0, width=200, height=120):
    return face_window(
        boxes_only(boxes),
        np.random.default_rng(n),
        width=width,
        height=height,
        size=size,
        target=lambda rng, face: target,
    )


def crop(boxes, n=0, *, width=200, height=120, size=100, target=50.0, least_size=0.0):
    image = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return face_crop(
        photographed(image, boxes_only(boxes)),
        np.random.default_rng(n),
        size=size,
        target=lambda rng, face: target,
        least_size=least_size,
        pad_value=9,
    )


def test_the_chosen_face_gets_its_size():
    for n in range(40):
        (box,) = crop([FACE], n).boxes
        assert abs(np.sqrt(np.prod(box[2:] - box[:2])) - 50) < 0.6


def test_the_window_holds_the_face_wherever_it_can():
    found = [window([FACE], n) for n in range(300)]
    side = 100 / (50 / np.sqrt(20 * 25))
    for one in found:
        assert one.side == pytest.approx(side)
        assert 60 - side <= one.left <= 40
        assert 55 - side <= one.top <= 30
    assert min(one.left for one in found) < 60 - side + 1  # over the border too
    assert max(one.left for one in found) > 39


def test_a_face_larger_than_the_window_holds_the_window():
    """50 of 500 pixels: no window holds it and none is like it; the last one drawn is taken."""
    for n in range(20):
        one = window([[10, 10, 110, 110]], n, size=50, target=500.0)
        assert 10 <= one.left <= 110 - one.side
        assert 10 <= one.top <= 110 - one.side


def test_a_photograph_smaller_than_the_window_lies_anywhere_within():
    found = [window([FACE], n, target=5.0) for n in range(200)]
    for one in found:
        assert one.left <= 0 <= 200 <= one.left + one.side + 1e-9
        assert one.top <= 0 <= 120 <= one.top + one.side + 1e-9
    assert np.std([one.top for one in found]) > 50


def test_each_face_is_chosen_as_often():
    boxes = [[0, 0, 10, 10], [150, 80, 170, 100]]
    sides = [window(boxes, n).side for n in range(1000)]
    small = sum(side == pytest.approx(20) for side in sides)
    assert 430 < small < 570  # four standard deviations


def test_a_face_too_long_for_the_window_is_tried_until_another_is_whole():
    """Of 20 x 200 pixels it becomes 19 x 190, and no window of 100 can show it whole."""
    tall, small = [100, 50, 120, 250], [121, 140, 126, 145]
    found = [window([tall, small], n, target=60.0, width=300, height=300) for n in range(100)]
    sides = [one.side for one in found]
    assert len(set(np.round(sides, 3))) == 2
    for one in found:
        assert one.left <= 121 <= 126 <= one.left + one.side
        assert one.top <= 140 <= 145 <= one.top + one.side


def test_boxes_are_clipped_and_tiny_ones_dropped():
    neighbors = [crop([FACE, [62, 30, 92, 60]], n).boxes for n in range(60)]
    assert max(boxes.max() for boxes in neighbors) == 100
    assert min(boxes.min() for boxes in neighbors) == 0
    boxes = [FACE, [41, 31, 43, 33]]  # 50 and 4.5 pixels
    assert len(crop(boxes, least_size=0.0, n=3)) == 2
    for n in range(30):
        found = crop(boxes, n, target=50.0, least_size=8.0)
        assert found.boxes.min() >= 0
        assert found.boxes.max() <= 100
        assert (np.sqrt(np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1)) >= 8).all()


def test_tiny_faces_stay_where_there_are_no_others():
    assert len(crop([FACE], target=5.0, least_size=8.0)) == 1


def test_a_photograph_is_not_enlarged_beyond_its_limits():
    assert window([[0, 0, 1e-3, 1e-3]], 0, width=1, height=1).side == pytest.approx(1)
    tall = window([[0, 0, 1, 1]], 0, width=100, height=100_000, size=1000, target=420.0)
    assert tall.side == pytest.approx(1000 / (12_000 / np.sqrt(100 * 100_000)))


@pytest.mark.parametrize("boxes", [[], [[5, 5, 5, 50]], [[-20, -20, -5, -5]]])
def test_without_a_face_it_is_a_square_crop(boxes):
    found = crop(boxes)
    assert found.image.shape == (100, 100, 3)
    assert len(found) == 0


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 900), (3000, 2)])
def test_photographs_of_few_pixels(width, height):
    for n in range(10):
        found = crop([[0, 0, width, height]], n, width=width, height=height)
        assert found.image.shape == (100, 100, 3)
        assert np.isfinite(found.boxes).all()


def test_two_thousand_faces():
    corners = np.random.default_rng(0).uniform(0, 100, (2000, 2))
    found = crop(np.concatenate([corners, corners + 3], axis=1), target=1.5)
    assert len(found) > 500
