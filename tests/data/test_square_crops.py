"""Square crops: sides from the list, a face in each, and photographs that make it hard."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.data.augment.face_photo import boxes_only, photographed
from tronie.data.augment.square_crops import PLAIN_SCALES, SCALES, square_crop, square_window
from tronie.data.augment.windows import centers, strictly_inside
from tronie.errors import BadInput


def photo(boxes, *, width=200, height=120):
    image = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return photographed(image, boxes_only(boxes))


def windows(boxes, count=400, *, width=200, height=120, scales=SCALES):
    labels = boxes_only(boxes)
    return [
        square_window(labels, np.random.default_rng(n), width=width, height=height, scales=scales)
        for n in range(count)
    ]


def test_every_scale_is_drawn_and_every_square_holds_a_face():
    boxes = [[10, 10, 30, 40], [150, 60, 170, 90]]
    found = windows(boxes)
    assert {one.side for one in found} == {int(scale * 120) for scale in SCALES}
    middles = centers(boxes_only(boxes).boxes)
    assert all(strictly_inside(middles, one).any() for one in found)


def test_up_to_1_a_square_lies_in_the_photograph_and_beyond_the_photograph_in_it():
    for one in windows([[90, 50, 110, 70]]):
        for begin, length in ((one.left, 200), (one.top, 120)):
            low, high = sorted((0, length - one.side))
            assert low <= begin <= high
    lefts = {one.left for one in windows([], scales=(0.5,), count=2000)}
    assert lefts == set(range(141))  # 200 - 60, both ends included
    larger = windows([], scales=(1.2,), count=1000)
    assert {one.left for one in larger} == set(range(57))  # 200 - 144
    assert {one.top for one in larger} == set(range(-24, 1))  # 120 - 144


def test_only_a_middle_strictly_inside_counts():
    """The middle lies at x = 60 of 120: squares of half the side that touch it do not hold it."""
    found = windows([[50, 50, 70, 70]], width=120, scales=(0.5,))
    assert all(0 < 60 - one.left < 60 for one in found)
    assert len({one.left for one in found}) > 50


def test_the_picture_is_what_the_window_shows_and_boxes_are_not_clipped():
    found = square_crop(
        photo([[80, 40, 120, 80]]), np.random.default_rng(0), size=64, scales=(0.3,)
    )
    assert found.image.shape == (64, 64, 3)
    assert found.image.dtype == np.uint8
    (box,) = found.boxes
    np.testing.assert_allclose(box[2:] - box[:2], 40 * 64 / 36, rtol=1e-5)
    assert box.min() < 0 or box.max() > 64


def test_small_faces_are_ignored_and_others_are_not():
    boxes = [[20, 20, 30, 24], [60, 60, 90, 90]]
    found = square_crop(
        photo(boxes), np.random.default_rng(0), size=120, scales=(2.0,), least_side=8
    )
    assert found.ignore.tolist() == [True, False]  # 5 and 15 pixels


@pytest.mark.parametrize(
    "boxes",
    [
        [],
        [[10, 10, 10, 30]],
        [[300, 10, 340, 40], [-50, -50, -10, -10]],
        [[-100, 0, 10, 50]],  # its middle is outside
    ],
)
def test_a_photograph_without_a_face_in_reach_gives_any_square(boxes):
    for n in range(4):
        found = square_crop(photo(boxes), np.random.default_rng(n), size=32, scales=PLAIN_SCALES)
        assert found.image.shape == (32, 32, 3)
        assert len(found) == 0


def test_only_ignored_faces_are_a_photograph_without_faces():
    one = photo([[10, 10, 30, 30]])
    one.ignore[:] = True
    found = [square_crop(one, np.random.default_rng(n), size=32, scales=(0.3,)) for n in range(50)]
    assert {len(crop) for crop in found} == {0, 1}


def test_a_scale_that_cannot_hold_a_face_gives_way_to_another():
    """A photograph 3 pixels wide, the middle of its face on a pixel's edge: 1 x 1 never holds."""
    found = windows([[0, 0, 2, 2]], width=3, height=3, scales=(0.4, 1.0), count=30)
    assert {one.side for one in found} == {3}
    assert windows([[0, 0, 2, 2]], width=3, height=3, scales=(0.4,), count=1)[0].side == 1


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 500), (3000, 2)])
def test_photographs_of_few_pixels(width, height):
    one = photo([[0, 0, width, height]], width=width, height=height)
    for n in range(8):
        found = square_crop(one, np.random.default_rng(n), size=48)
        assert found.image.shape == (48, 48, 3)
        assert np.isfinite(found.boxes).all()


def test_two_thousand_faces():
    corners = np.random.default_rng(0).uniform(0, 100, (2000, 2))
    one = photo(np.concatenate([corners, corners + 3], axis=1))
    found = square_crop(one, np.random.default_rng(0), size=640, scales=(2.0,))
    assert len(found) == 2000


def test_the_same_seed_gives_the_same_crop_and_the_photograph_is_kept():
    one = photo([[80, 40, 120, 80]])
    before = one.image.copy(), one.boxes.copy()
    first, second = (square_crop(one, np.random.default_rng(5), size=40) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.boxes, second.boxes)
    np.testing.assert_array_equal(one.image, before[0])
    np.testing.assert_array_equal(one.boxes, before[1])


@pytest.mark.parametrize(("scales", "tries"), [((), 250), ((0.5, 0), 250), ((1.0,), 0)])
def test_scales_out_of_range_are_refused(scales, tries):
    with pytest.raises(BadInput, match="a crop needs one scale or more, each above 0, and one try"):
        square_crop(photo([]), np.random.default_rng(0), size=8, scales=scales, tries=tries)
