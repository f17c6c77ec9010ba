"""Windows: pixels, boxes and points go together, and nothing is resized that is not seen."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.data.augment.face_photo import (
    FaceLabels,
    FacePhoto,
    boxes_only,
    mirrored,
    photographed,
)
from tronie.data.augment.windows import (
    Filled,
    Window,
    centers,
    shown,
    shown_labels,
    strictly_inside,
)
from tronie.errors import BadInput
from tronie.images import resize as resizing

RNG = np.random.default_rng(4)
IMAGE = RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)


def of(boxes, image=IMAGE):
    return photographed(image, boxes_only(boxes))


def test_a_window_of_its_own_size_is_a_piece_of_the_photograph():
    found = shown(of([[12, 6, 18, 14]]), Window(10, 5, 30), Filled(size=30))
    np.testing.assert_array_equal(found.image, IMAGE[5:35, 10:40])
    assert found.boxes.tolist() == [[2, 1, 8, 9]]


def test_over_the_border_lies_grey_and_the_photograph_in_its_place():
    found = shown(of([[0, 0, 6, 4]]), Window(-20, -10, 100), Filled(size=100, pad_value=7))
    np.testing.assert_array_equal(found.image[10:50, 20:80], IMAGE)
    rest = np.ones((100, 100), bool)
    rest[10:50, 20:80] = False
    assert (found.image[rest] == 7).all()
    assert found.boxes.tolist() == [[20, 10, 26, 14]]


@pytest.mark.parametrize(
    "window",
    [
        Window(0, 0, 40),
        Window(-31, -17, 93),
        Window(3.3, 2.6, 4.4),
        Window(11.25, 30.5, 77.7),
        Window(59.5, 39.5, 9),
        Window(-8.2, 20, 9.1),
    ],
)
@pytest.mark.parametrize("size", [16, 97, 320])
def test_boxes_lie_where_their_pixels_lie(window, size):
    """One pixel of the photograph is white: the middle of the white on the picture is its box's."""
    for x, y in ((5, 4), (30, 20), (59, 39), (0, 39)):
        image = np.zeros_like(IMAGE)
        image[y, x] = 255
        found = shown(of([[x, y, x + 1, y + 1]], image), window, Filled(size=size, pad_value=0))
        if not len(found) or window.side > 4 * size:
            continue
        seen = found.image[..., 0].astype(float)
        clear = (found.boxes[0] > 0).all() and (found.boxes[0] < size).all()
        if clear and seen.sum() > 0 and size >= 4 * window.side:  # enlarged, so that it can be told
            rows, columns = np.indices(seen.shape) + 0.5
            middle = [(columns * seen).sum() / seen.sum(), (rows * seen).sum() / seen.sum()]
            scale = size / window.side
            np.testing.assert_allclose(centers(found.boxes)[0], middle, atol=0.51 * scale)


def test_scales_are_those_of_the_window_to_less_than_a_pixel():
    for _ in range(300):
        side, size = RNG.uniform(1, 120), int(RNG.integers(1, 200))
        window = Window(RNG.uniform(-100, 50), RNG.uniform(-100, 50), side)
        boxes = RNG.uniform(0, 40, (5, 2))
        labels = boxes_only(np.concatenate([boxes, boxes + 1], axis=1))
        inside = strictly_inside(centers(labels.boxes), window)
        found = shown_labels(labels, window, width=60, height=40, size=size)
        assert len(found) == inside.sum()
        exact = (centers(labels.boxes)[inside] - window[:2]) * size / side
        slack = 0.501 if size >= side else 1.001  # what is seen shows as a pixel at least
        assert np.abs(centers(found.boxes) - exact).max(initial=0) <= slack


def test_faces_stay_by_their_middle_and_are_not_clipped():
    boxes = [[0, 0, 20, 20], [0, 0, 20.2, 20.2], [25, 25, 100, 30], [39, 39, 41, 41]]
    found = shown_labels(boxes_only(boxes), Window(10, 10, 30), width=60, height=40, size=30)
    np.testing.assert_allclose(found.boxes, [[-10, -10, 10.2, 10.2]], atol=1e-5)


def test_an_ignored_face_stays_where_any_of_it_can_be_seen():
    labels = boxes_only([[0, 0, 11, 11], [0, 0, 10, 10], [30, 0, 50, 60]])
    labels.ignore[:] = True
    found = shown_labels(labels, Window(10, 10, 30), width=60, height=40, size=30)
    assert found.boxes.tolist() == [[-10, -10, 1, 1], [20, -10, 40, 50]]
    assert found.ignore.all()


def test_faces_outside_the_photograph_and_without_area_go():
    boxes = [[-8, 2, -2, 8], [5, 5, 5, 9], [62, 5, 70, 9]]
    found = shown_labels(boxes_only(boxes), Window(-20, -20, 100), width=60, height=40, size=64)
    assert len(found) == 0
    assert found.points.shape == (0, 5, 2)


def test_points_move_with_their_face():
    labels = FaceLabels(
        boxes=np.array([[10, 10, 20, 20], [30, 30, 38, 38]], np.float32),
        ignore=np.zeros(2, np.bool_),
        points=np.array([[[12, 13]] * 5, [[31, 32]] * 5], np.float32),
        has_points=np.array([[True] * 5, [False] * 5]),
    )
    found = shown_labels(labels, Window(28, 20, 20), width=60, height=40, size=40)
    assert found.points.tolist() == [[[6.5, 24.5]] * 5]  # pixel 31 covers 6 and 7 of the picture
    assert found.has_points.tolist() == [[False] * 5]


@pytest.mark.parametrize("window", [Window(10, 4, 20), Window(-30, -20, 120)])
def test_a_point_stays_on_its_pixel_whether_it_is_mirrored_before_or_after(window):
    image = np.zeros((40, 60, 3), np.uint8)
    image[11, 17] = 255
    photo = FacePhoto(
        image=image,
        boxes=np.array([[15, 9, 21, 15]], np.float32),
        ignore=np.zeros(1, np.bool_),
        points=np.full((1, 5, 2), (17, 11), np.float32),
        has_points=np.ones((1, 5), np.bool_),
    )
    across = Window(60 - window.left - window.side, window.top, window.side)
    filled = Filled(size=240, pad_value=0)
    found = shown(photo, window, filled)
    light = found.image[..., 0].astype(np.float64)
    middle = [light.sum(axis=n) @ np.arange(240) / light.sum() for n in (0, 1)]
    assert found.points[0, 0].tolist() == pytest.approx(middle, abs=0.02)
    before, after = shown(mirrored(photo), across, filled), mirrored(found)
    np.testing.assert_allclose(before.points, after.points, atol=1e-4)
    np.testing.assert_allclose(before.boxes, after.boxes, atol=1e-4)


def test_only_what_is_seen_is_resized(monkeypatch):
    asked = []

    def watched(image, **how):
        asked.append((image.shape[:2], how["width"], how["height"]))
        return resizing.resize(image, **how)

    monkeypatch.setattr("tronie.data.augment.windows.resize", watched)
    large = np.zeros((3000, 4000, 3), np.uint8)
    shown(of([], large), Window(100, 200, 64), Filled(size=32))
    shown(of([], large), Window(-500, -500, 5000), Filled(size=50))
    assert asked == [((64, 64), 32, 32), ((3000, 4000), 40, 30)]


def test_what_would_shrink_to_nothing_keeps_a_pixel():
    white = np.full((2, 60, 3), 255, np.uint8)
    found = shown(of([], white), Window(0, -3, 60), Filled(size=6, pad_value=0))
    assert (found.image[0] == 255).all()
    assert (found.image[1:] == 0).all()


def test_a_window_that_sees_nothing_is_grey():
    for window in (Window(100, 100, 5), Window(-9, 0, 9)):
        found = shown(of([[0, 0, 5, 5]]), window, Filled(size=8, pad_value=3))
        assert (found.image == 3).all()
        assert len(found) == 0


@pytest.mark.parametrize("window", [Window(0, 0, 1), Window(-3, -5, 7), Window(0.2, 0.3, 0.5)])
def test_a_photograph_of_one_pixel(window):
    found = shown(of([[0, 0, 1, 1]], IMAGE[:1, :1]), window, Filled(size=20))
    assert found.image.shape == (20, 20, 3)
    assert len(found) == 1


@pytest.mark.parametrize("method", ["bilinear", "area", "nearest", "cubic", "lanczos"])
def test_every_way_to_mix_keeps_a_plain_photograph(method):
    plain = np.full((50, 50, 3), 90, np.uint8)
    for side in (10, 45):
        found = shown(of([], plain), Window(2, 2, side), Filled(size=20, method=method))
        assert (found.image == 90).all()


@pytest.mark.parametrize(("size", "pad_value"), [(0, 0), (5, 256), (5, -1)])
def test_a_picture_out_of_range_is_refused(size, pad_value):
    with pytest.raises(BadInput, match="a picture's size is at least 1 pixel and its padding"):
        Filled(size=size, pad_value=pad_value)
