"""Box voting: three boxes by hand, a loop written from the definition, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import BadArray, BadInput
from tronie.geometry.box_voting import vote_boxes
from tronie.geometry.boxes import iou


def by_definition(boxes, scores, threshold, most):
    """One box at a time, with lists of plain numbers."""
    left = sorted(range(len(boxes)), key=lambda n: (-scores[n], n))
    answers = []
    while left and len(answers) < most:
        top = left[0]
        group = [n for n in left if n == top or iou(boxes[[top]], boxes[[n]])[0, 0] >= threshold]
        total = sum(scores[n] for n in group)
        weights = [scores[n] / total if total else 1 / len(group) for n in group]
        mean = [
            sum(weight * boxes[n][k] for weight, n in zip(weights, group, strict=True))
            for k in range(4)
        ]
        answers.append((mean, top))
        left = [n for n in left if n not in group]
    return answers


def test_three_boxes_by_hand():
    """A (0 0 10 10, .9) and B (2 0 12 10, .6) share 80 of 120, IoU 2/3: x1 = 2 * .6 / 1.5 = .8.
    C (6 0 16 10, .3) shares 40 of 160 with A, IoU 1/4, and is left: it is its own mean, though
    it overlaps B by 60 of 140, IoU 3/7."""
    boxes = np.array([[6, 0, 16, 10], [0, 0, 10, 10], [2, 0, 12, 10.0]])
    voted, rows = vote_boxes(boxes, np.array([0.3, 0.9, 0.6]))
    np.testing.assert_allclose(voted, [[0.8, 0, 10.8, 10], [6, 0, 16, 10]], atol=1e-12)
    assert rows.tolist() == [1, 0]


def test_a_box_at_exactly_the_threshold_votes():
    """4 x 10 of 160 is a quarter."""
    boxes = np.array([[0, 0, 10, 10], [6, 0, 16, 10.0]])
    voted, _ = vote_boxes(boxes, np.array([0.5, 0.5]), iou_threshold=0.25)
    assert voted.tolist() == [[3, 0, 13, 10]]
    assert len(vote_boxes(boxes, np.array([0.5, 0.5]), iou_threshold=0.26)[0]) == 2


def test_the_overlap_can_count_pixels():
    """Boxes of 9 that share 3: 4 x 10 of 160 with both corner pixels, 3 x 9 of 135 without."""
    boxes = np.array([[0, 0, 9, 9], [6, 0, 15, 9.0]])
    for offset, voted in ((0.0, 2), (1.0, 1)):
        found, _ = vote_boxes(boxes, np.ones(2), iou_threshold=0.22, pixel_offset=offset)
        assert len(found) == voted


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("threshold", [0.1, 0.4, 1.0])
def test_it_is_the_definition_written_as_a_loop(seed, threshold):
    draw = np.random.default_rng(seed)
    corner = draw.integers(0, 30, (60, 2)).astype(float)
    boxes = np.concatenate([corner, corner + draw.integers(0, 20, (60, 2))], axis=1)
    scores = draw.integers(0, 12, 60) / 10  # with ties and zeros
    voted, rows = vote_boxes(boxes, scores, iou_threshold=threshold, most=1000)
    wanted = by_definition(boxes, scores, threshold, 1000)
    assert rows.tolist() == [top for _, top in wanted]
    np.testing.assert_allclose(voted, [mean for mean, _ in wanted], atol=1e-12)


def test_no_more_than_allowed_are_voted():
    boxes = np.arange(10.0)[:, None] * 50 + [0, 0, 9, 9]
    _, rows = vote_boxes(boxes, np.linspace(0, 0.9, 10), most=3)
    assert rows.tolist() == [9, 8, 7]
    many = np.arange(800.0)[:, None] * 50 + [0, 0, 9, 9]
    assert len(vote_boxes(many, np.ones(800))[0]) == 750


def test_boxes_that_nobody_believes_weigh_alike():
    boxes = np.array([[0, 0, 10, 10], [2, 0, 12, 10.0]])
    assert vote_boxes(boxes, np.zeros(2))[0].tolist() == [[1, 0, 11, 10]]


def test_nothing_is_voted_on_nothing():
    voted, rows = vote_boxes(np.zeros((0, 4)), np.zeros(0))
    assert (voted.shape, rows.shape) == ((0, 4), (0,))


def test_a_box_without_area_is_its_own_mean():
    point = np.array([[5.0, 5, 5, 5]])
    assert vote_boxes(point, np.array([0.5]))[0].tolist() == point.tolist()


def test_inputs_are_left_as_they_are():
    boxes, scores = np.array([[0, 0, 10, 10], [2, 0, 12, 10.0]]), np.array([0.2, 0.4])
    held = boxes.copy(), scores.copy()
    vote_boxes(boxes, scores)
    np.testing.assert_array_equal(boxes, held[0])
    np.testing.assert_array_equal(scores, held[1])


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(BadArray, match=r"boxes must have shape \(N, 4\) and scores \(N,\); got"):
        vote_boxes(np.zeros((3, 4)), np.zeros(2))


def test_nan_is_refused():
    with pytest.raises(BadArray, match="must be finite; got NaN or infinity"):
        vote_boxes(np.zeros((1, 4)), np.array([np.nan]))


def test_a_negative_weight_is_refused():
    with pytest.raises(BadInput, match=r"must be 0 or more; got -0.5"):
        vote_boxes(np.zeros((1, 4)), np.array([-0.5]))


@pytest.mark.parametrize("threshold", [0.0, 1.1, float("nan")])
def test_a_threshold_that_is_no_fraction_is_refused(threshold):
    with pytest.raises(BadInput, match=r"iou_threshold must be in \(0, 1\]; got"):
        vote_boxes(np.zeros((1, 4)), np.zeros(1), iou_threshold=threshold)


def test_room_for_no_box_is_refused():
    with pytest.raises(BadInput, match="at least 1 box must be allowed; got 0"):
        vote_boxes(np.zeros((1, 4)), np.zeros(1), most=0)
