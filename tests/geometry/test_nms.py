"""Suppression against its definition: two plain loops."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tronie.errors import BadArray, BadInput
from tronie.geometry.nms import greedy_nms


def overlap(a, b, offset):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + offset)
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + offset)
    areas = [max(0.0, c[2] - c[0] + offset) * max(0.0, c[3] - c[1] + offset) for c in (a, b)]
    union = sum(areas) - width * height
    return width * height / union if union > 0 else 0.0


def by_definition(boxes, scores, threshold, offset):
    kept = []
    for row in sorted(range(len(boxes)), key=lambda r: (-scores[r], r)):
        if all(overlap(boxes[row], boxes[k], offset) <= threshold for k in kept):
            kept.append(row)
    return kept


def clusters(count, seed):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 60, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 40, (count, 2))], axis=1)
    return boxes, rng.uniform(0, 1, count).round(1)  # rounded: many ties


def test_the_most_certain_of_two_that_overlap_stays():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60.0]])
    assert greedy_nms(boxes, np.array([0.8, 0.9, 0.7]), iou_threshold=0.4).tolist() == [1, 2]


@pytest.mark.parametrize("offset", [0.0, 1.0])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.45, 1.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_keeps_what_the_two_loops_keep(threshold, offset, seed):
    boxes, scores = clusters(60, seed)
    kept = greedy_nms(boxes, scores, iou_threshold=threshold, pixel_offset=offset)
    assert kept.tolist() == by_definition(boxes, scores, threshold, offset)
    assert kept.dtype == np.int64


def test_of_equal_scores_the_lower_row_stays():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10.0]])
    assert greedy_nms(boxes, np.full(3, 0.5), iou_threshold=0.5).tolist() == [0]


def test_a_box_at_exactly_the_threshold_stays():
    boxes = np.array([[0, 0, 2, 1], [1, 0, 3, 1.0]])  # they share 1 of 3
    assert greedy_nms(boxes, np.array([0.9, 0.8]), iou_threshold=1 / 3).tolist() == [0, 1]
    assert greedy_nms(boxes, np.array([0.9, 0.8]), iou_threshold=0.33).tolist() == [0]


def test_the_pixel_offset_decides_for_small_faces():
    boxes = np.array([[0, 0, 3, 3], [1, 0, 4, 3.0]])  # 6 of 12 shared, or 12 of 20 with the offset
    scores = np.array([0.9, 0.8])
    assert greedy_nms(boxes, scores, iou_threshold=0.55).tolist() == [0, 1]
    assert greedy_nms(boxes, scores, iou_threshold=0.55, pixel_offset=1.0).tolist() == [0]


def test_no_boxes_and_boxes_without_area_are_fine():
    assert greedy_nms(np.zeros((0, 4)), np.zeros(0), iou_threshold=0.4).tolist() == []
    assert greedy_nms(np.zeros((2, 4)), np.zeros(2), iou_threshold=0.4).tolist() == [0, 1]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_doing_it_twice_changes_nothing(seed, threshold):
    boxes, scores = clusters(30, seed)
    once = greedy_nms(boxes, scores, iou_threshold=threshold)
    again = greedy_nms(boxes[once], scores[once], iou_threshold=threshold)
    assert again.tolist() == list(range(len(once)))


def test_five_thousand_boxes_that_all_stay_take_less_than_two_seconds():
    corner = np.stack(np.meshgrid(np.arange(100) * 9.0, np.arange(50) * 9.0), -1).reshape(-1, 2)
    boxes = np.concatenate([corner, corner + 8], axis=1)
    start = time.process_time()
    kept = greedy_nms(boxes, np.linspace(1, 0, 5000), iou_threshold=0.4)
    assert len(kept) == 5000
    assert time.process_time() - start < 2.0  # half a second where this was written


@pytest.mark.parametrize(("boxes", "scores"), [((3, 4), (2,)), ((3, 5), (3,)), ((3, 4), (3, 1))])
def test_shapes_that_do_not_fit_are_refused(boxes, scores):
    with pytest.raises(BadArray, match=r"boxes must have shape \(N, 4\) and scores \(N,\); got"):
        greedy_nms(np.zeros(boxes), np.zeros(scores), iou_threshold=0.4)


def test_nan_is_refused():
    with pytest.raises(BadArray, match="must be finite; got NaN or infinity"):
        greedy_nms(np.full((1, 4), np.nan), np.zeros(1), iou_threshold=0.4)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), 40])
def test_a_threshold_that_is_no_fraction_is_refused(threshold):
    with pytest.raises(BadInput, match=r"iou_threshold must be in \[0, 1\]; got"):
        greedy_nms(np.zeros((1, 4)), np.zeros(1), iou_threshold=threshold)
