"""ATSS beside a plain loop over every face and every anchor."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.geometry.boxes import iou  # noqa: E402 - only where torch is
from tronie.lab.nn.anchor_grid import anchor_grid, level_sizes  # noqa: E402
from tronie.lab.nn.assign import NONE, atss, left_out  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)

STRIDES = (8, 16, 32)
SIDES = ((16, 32), (64, 128), (256, 512))


def brute(height, width, boxes, valid, *, sides=SIDES, candidates=9):
    """The face of each anchor of one picture, by the definition."""
    levels = level_sizes(height, width, STRIDES)
    grid = anchor_grid(levels, sides)
    centers, squares = grid.centers.numpy().astype(np.float64), grid.boxes().numpy()
    bounds = np.cumsum([0] + [r * c * len(s) for (_, r, c), s in zip(levels, sides, strict=True)])
    owner, best = np.full(len(centers), NONE), np.zeros(len(centers))
    for f, box in enumerate(boxes):
        if not valid[f] or not (box[2] > box[0] and box[3] > box[1]):
            continue
        middle = (box[:2] + box[2:]) / 2
        distance = ((centers - middle) ** 2).sum(axis=1)
        chosen = []
        for first, end in pairwise(bounds):
            order = np.lexsort((np.arange(first, end), distance[first:end]))
            chosen.extend(first + order[:candidates])
        overlap = iou(squares[chosen], box[None])[:, 0]
        least = overlap.mean() + overlap.std(ddof=1)
        for a, share in zip(chosen, overlap, strict=True):
            sides_of = np.concatenate([centers[a] - box[:2], box[2:] - centers[a]])
            inside = sides_of.min() / np.sqrt((box[2] - box[0]) * (box[3] - box[1])) > 0.001
            if share >= least and inside and share > best[a]:
                owner[a], best[a] = f, share
    return owner


def ours(height, width, boxes, valid, *, sides=SIDES):
    levels = level_sizes(height, width, STRIDES)
    return atss(
        anchor_grid(levels, sides),
        levels,
        torch.tensor(np.asarray(boxes), dtype=torch.float32),
        torch.tensor(np.asarray(valid)),
        per_cell=len(sides[0]),
    ).numpy()


def faces(count, seed, *, height, width, largest=120):
    """Boxes at quarters of a pixel, so that sums are exact and ties are ties."""
    draw = np.random.default_rng(seed)
    upper = draw.uniform(-10, [width, height], (count, 2))
    sides = draw.uniform(3, largest, (count, 2))
    return np.round(np.concatenate([upper, upper + sides], axis=1) * 4) / 4


@pytest.mark.parametrize(("height", "width"), [(96, 128), (160, 64), (33, 47), (8, 300), (1, 1)])
def test_each_anchor_answers_for_the_face_of_the_definition(height, width):
    for seed in range(6):
        boxes = faces(12, seed, height=height, width=width)
        wanted = brute(height, width, boxes, np.ones(12, bool))
        got = ours(height, width, boxes[None], np.ones((1, 12), bool))
        np.testing.assert_array_equal(got[0], wanted)
    assert (height, width) == (1, 1) or (wanted != NONE).sum() > 3


def test_with_one_anchor_a_place_it_is_the_same():
    sides = ((32,), (128,), (512,))
    boxes = faces(12, 7, height=96, width=128)
    wanted = brute(96, 128, boxes, np.ones(12, bool), sides=sides)
    got = ours(96, 128, boxes[None], np.ones((1, 12), bool), sides=sides)
    np.testing.assert_array_equal(got[0], wanted)


def test_pictures_of_a_batch_do_not_know_each_other():
    boxes = np.stack([faces(5, seed, height=96, width=96) for seed in range(3)])
    valid = np.array([[1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [1, 0, 1, 0, 1]], bool)
    together = ours(96, 96, boxes, valid)
    for b in range(3):
        np.testing.assert_array_equal(together[b], brute(96, 96, boxes[b], valid[b]))
    assert (together[1] == NONE).all()
    assert not set(together[2]) & {1, 3}


def test_two_equal_faces_leave_their_anchors_to_the_first():
    box = [[20.0, 20, 52, 52]] * 2
    got = ours(96, 96, [box], [[True, True]])
    assert set(got[0]) == {NONE, 0}


def test_boxes_without_area_or_far_away_or_no_numbers_get_no_anchor():
    nan = float("nan")
    odd = [
        [30.0, 30, 30, 60],
        [50, 50, 40, 40],
        [500, 500, 600, 600],
        [1e30, 0, 2e30, 9],
        [nan] * 4,
    ]
    good = [16.0, 16, 48, 48]
    got = ours(96, 96, [[*odd, good]], [[True] * 6])
    assert set(got[0]) == {NONE, 5}
    assert (ours(96, 96, [odd], [[True] * 5]) == NONE).all()


def test_no_face_at_all_is_no_anchor():
    assert (ours(64, 64, np.zeros((2, 0, 4)), np.zeros((2, 0), bool)) == NONE).all()


def test_two_thousand_faces_are_assigned_at_once():
    boxes = faces(2000, 3, height=640, width=640, largest=40)
    begun = time.process_time()
    got = ours(640, 640, boxes[None], np.ones((1, 2000), bool))
    assert time.process_time() - begun < 5
    some = np.random.default_rng(0).choice(2000, 40, replace=False)
    alone = ours(640, 640, boxes[some][None], np.ones((1, 40), bool))
    wanted = brute(640, 640, boxes[some], np.ones(40, bool))
    np.testing.assert_array_equal(alone[0], wanted)
    assert len(set(got[0])) > 1000


def ignored(height, width, boxes):
    levels = level_sizes(height, width, STRIDES)
    grid = anchor_grid(levels, SIDES)
    given = torch.tensor([boxes], dtype=torch.float32)
    flags = torch.ones(given.shape[:2], dtype=torch.bool)
    return left_out(grid, levels, given, flags, per_cell=2)[0].numpy(), grid.boxes().numpy()


def test_what_an_ignored_face_would_win_is_left_out():
    box = [20.0, 20, 26, 26]  # smaller than half of any anchor
    got, _ = ignored(96, 96, [box])
    wanted = brute(96, 96, np.array([box]), [True]) != NONE
    assert wanted.any()
    np.testing.assert_array_equal(got, wanted)


def test_anchors_half_inside_an_ignored_region_are_left_out():
    region = np.array([10.0, 5, 80, 90])
    got, squares = ignored(96, 96, [region.tolist()])
    upper, lower = np.maximum(squares[:, :2], region[:2]), np.minimum(squares[:, 2:], region[2:])
    shared = np.clip(lower - upper, 0, None).prod(axis=1)
    own = (squares[:, 2] - squares[:, 0]) ** 2
    won = brute(96, 96, region[None], [True]) != NONE
    np.testing.assert_array_equal(got, won | (shared >= own / 2))
    assert 0 < got.sum() < len(got)


def test_nothing_is_left_out_where_nothing_is_ignored():
    levels = level_sizes(64, 64, STRIDES)
    got = left_out(
        anchor_grid(levels, SIDES),
        levels,
        torch.rand(2, 3, 4) * 64,
        torch.zeros(2, 3, dtype=torch.bool),
        per_cell=2,
    )
    assert not got.any()
