"""Boxes: areas and overlaps against a double loop over pixels."""

import numpy as np
import pytest

from tronie.errors import BadArray, BadInput
from tronie.geometry.boxes import area, clip, iou, mirror, scale, xywh_to_xyxy

RNG = np.random.default_rng(3)


def whole_boxes(count, *, side=14):
    """Boxes at whole coordinates inside side x side pixels, at least one pixel in size."""
    low = RNG.integers(0, side - 1, (count, 2))
    high = low + 1 + RNG.integers(0, side - 1 - low.max(initial=0) + 1, (count, 2))
    return np.concatenate([low, high], axis=1).astype(np.float64)


def covered(box, *, inclusive, side=40):
    """The set of pixels a box covers: up to its far corner, or with it."""
    x1, y1, x2, y2 = (int(v) for v in box)
    far = 1 if inclusive else 0
    return {(x, y) for x in range(x1, x2 + far) for y in range(y1, y2 + far)}


@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_iou_and_area_count_pixels(offset):
    a, b = whole_boxes(25), whole_boxes(20)
    fast = iou(a, b, pixel_offset=offset)
    sets_a = [covered(box, inclusive=offset == 1.0) for box in a]
    sets_b = [covered(box, inclusive=offset == 1.0) for box in b]
    assert area(a, pixel_offset=offset).tolist() == [len(s) for s in sets_a]
    for n, one in enumerate(sets_a):
        for m, other in enumerate(sets_b):
            assert fast[n, m] == pytest.approx(len(one & other) / len(one | other), abs=1e-12)


def test_iou_of_float32_boxes_is_that_of_the_same_numbers_in_float64():
    a = whole_boxes(9).astype(np.float32) + np.float32(0.3)
    np.testing.assert_array_equal(iou(a, a), iou(a.astype(np.float64), a.astype(np.float64)))


def test_boxes_without_area_overlap_nothing_and_give_no_nan():
    point, wrong_way = [5.0, 5.0, 5.0, 5.0], [9.0, 9.0, 1.0, 1.0]
    boxes = np.array([point, wrong_way, [0.0, 0.0, 10.0, 10.0]])
    assert area(boxes).tolist() == [0.0, 0.0, 100.0]
    assert iou(boxes, boxes).tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_no_boxes_give_empty_answers_of_the_right_shape():
    none, two = np.zeros((0, 4)), np.array([[0, 0, 1, 1], [2, 2, 3, 3.0]])
    assert iou(none, two).shape == (0, 2)
    assert iou(two, none).shape == (2, 0)
    assert area(none).shape == (0,)


def test_clip_keeps_what_lies_inside_the_image():
    boxes = np.array([[-5, -5, 5, 5], [8, 8, 30, 30], [40, 40, 50, 50]], np.float32)
    assert clip(boxes, width=20, height=10).tolist() == [
        [0, 0, 5, 5],
        [8, 8, 20, 10],
        [20, 10, 20, 10],
    ]
    assert clip(boxes, width=20, height=10).dtype == np.float32
    assert boxes[0, 0] == -5  # the argument is left alone


def test_scaling_there_and_back_changes_nothing():
    boxes = whole_boxes(10).astype(np.float32)
    there = scale(boxes, x=0.5, y=4.0)
    assert there[0].tolist() == (boxes[0] * [0.5, 4.0, 0.5, 4.0]).tolist()
    np.testing.assert_array_equal(scale(there, x=2.0, y=0.25), boxes)
    assert there.dtype == np.float32


def test_a_mirror_turns_edges_and_twice_changes_nothing():
    boxes = whole_boxes(10).astype(np.float32)
    turned = mirror(boxes, width=100)
    x1, y1, x2, y2 = boxes[0].tolist()
    assert turned[0].tolist() == [100 - x2, y1, 100 - x1, y2]
    np.testing.assert_array_equal(mirror(turned, width=100), boxes)
    np.testing.assert_array_equal(area(turned), area(boxes))
    assert turned.dtype == np.float32


def test_width_and_height_are_added_to_the_corner():
    assert xywh_to_xyxy(np.array([[1.0, 2.0, 3.0, 4.0]])).tolist() == [[1, 2, 4, 6]]


@pytest.mark.parametrize("shape", [(4,), (3, 5), (2, 2, 4)])
@pytest.mark.parametrize("function", [area, xywh_to_xyxy, lambda boxes: mirror(boxes, width=9)])
def test_another_shape_is_refused(function, shape):
    with pytest.raises(BadArray, match=r"boxes must have shape \(N, 4\); got shape"):
        function(np.zeros(shape))


def test_iou_names_the_input_of_another_shape():
    with pytest.raises(BadArray, match=r"b must have shape \(N, 4\); got shape \(2, 3\)"):
        iou(np.zeros((2, 4)), np.zeros((2, 3)))


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan")])
def test_a_scale_that_would_flatten_boxes_is_refused(factor):
    with pytest.raises(BadInput, match="factors above 0; got x = "):
        scale(np.zeros((1, 4)), x=factor, y=1.0)
