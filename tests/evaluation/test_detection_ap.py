"""Average precision: every rule of WIDER FACE by hand, and all of them as double loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tronie.errors import BadArray, NotEnoughData
from tronie.evaluation.metrics.detection_ap import (
    THRESHOLDS,
    average_precision,
    best_faces,
    normalized,
    sweep,
)

FACE = np.array([[0.0, 0.0, 9.0, 9.0]])  # 10 x 10 pixels
AWAY = np.array([[500.0, 500.0, 509.0, 509.0]])


def ap(boxes, scores, faces, counted) -> float:
    boxes, scores = np.array(boxes, float).reshape(-1, 4), np.array(scores, float)
    counted = np.array(counted)
    counts = sweep(best_faces(boxes, np.array(faces, float)), scores, counted=counted)
    return average_precision(counts, faces=int(counted.sum()))


def test_the_overlap_counts_pixels():
    half = np.array([[0.0, 0.0, 9.0, 4.0]])  # 50 of 100 pixels; 36 of 81 without the +1
    assert best_faces(half, FACE).tolist() == [0]
    assert best_faces(half, FACE, iou_threshold=0.5001).tolist() == [-1]


def test_a_detection_meets_only_the_face_it_overlaps_most():
    """Both faces are overlapped enough; the second detection does not fall back on the other."""
    faces = np.array([[0, 0, 9, 9], [0, 0, 9, 10.0]])
    twice = np.array([[0, 0, 9, 9], [0, 0, 9, 9.0]])
    assert best_faces(twice, faces).tolist() == [0, 0]
    assert ap(twice, [0.9, 0.8], faces, [True, True]) == 0.5


def test_of_faces_that_are_overlapped_equally_the_first_is_met():
    assert best_faces(FACE, np.concatenate([FACE, FACE])).tolist() == [0]


def test_a_detection_that_meets_an_ignored_face_is_neither_right_nor_wrong():
    both = np.concatenate([AWAY, FACE])
    assert ap(both, [0.9, 0.8], both, [False, True]) == 1.0


def test_many_detections_of_an_ignored_face_are_all_discarded():
    boxes = np.concatenate([AWAY, AWAY, AWAY, FACE])
    assert ap(boxes, [0.9, 0.85, 0.8, 0.7], [*AWAY, *FACE], [False, True]) == 1.0


def test_an_ignored_face_that_is_overlapped_more_hides_a_counted_one():
    """The detection overlaps both by more than half; it is discarded, and nothing is found."""
    faces = [[0, 0, 9, 9], [0, 0, 9, 8]]
    assert ap(FACE, [0.9], faces, [False, True]) == 0.0


def test_a_second_detection_of_a_face_is_wrong():
    boxes = [*FACE, *FACE, *AWAY]
    assert ap(boxes, [0.9, 0.8, 0.7], [*FACE, *AWAY], [True, True]) == pytest.approx(
        0.5 * 1 + 0.5 * 2 / 3
    )


def test_a_detection_away_from_every_face_is_wrong():
    assert ap([*AWAY, *FACE], [0.9, 0.8], FACE, [True]) == 0.5


def test_detections_on_a_photograph_without_a_face_do_not_count():
    counts = sweep(np.full(3, -1), np.array([0.9, 0.5, 0.1]), counted=np.zeros(0, bool))
    assert counts.sum() == 0


def test_faces_of_a_photograph_without_detections_stay_in_the_recall():
    counts = sweep(best_faces(FACE, FACE), np.array([0.9]), counted=np.array([True]))
    assert average_precision(counts, faces=4) == 0.25


def test_wrong_detections_where_every_face_is_ignored_do_count():
    counts = sweep(best_faces(AWAY, FACE), np.array([0.9]), counted=np.array([False]))
    assert counts[-1].tolist() == [1, 0]


def test_the_thresholds_end_at_zero_and_begin_below_one():
    assert len(THRESHOLDS) == 1000
    assert THRESHOLDS[0] == 1 - 1 / 1000
    assert THRESHOLDS[-1] == 0.0


def test_a_score_at_a_threshold_reaches_it():
    exact = THRESHOLDS[499]
    counts = sweep(np.array([0]), np.array([exact]), counted=np.array([True]))
    assert counts[:, 1].tolist() == [0] * 499 + [1] * 501


def test_nothing_over_nothing_does_not_spoil_the_area():
    """Precision is 0 / 0 above the highest score, where recall does not rise."""
    assert ap(FACE, [0.3], FACE, [True]) == 1.0
    assert average_precision(np.zeros((1000, 2), np.int64), faces=5) == 0.0


def test_scores_are_stretched_over_the_whole_range():
    assert normalized(np.array([3.0, 1.0, 2.0])).tolist() == [1.0, 0.0, 0.5]
    assert np.isnan(normalized(np.array([0.7, 0.7]))).all()
    assert normalized(np.zeros(0)).shape == (0,)


def by_the_rules(photos, subset: int) -> float:
    """All rules as they are told, one detection after the other."""
    every = [s for _, scores, _, _ in photos for s in scores]
    low, high = min(every), max(every)
    kept_sums, found_sums, faces_total = [0] * 1000, [0] * 1000, 0
    for boxes, scores, faces, counted in photos:
        faces_total += sum(counted[subset])
        if not len(faces) or not len(boxes):
            continue
        state, discarded, found_after = [0] * len(faces), [], []
        for box in boxes:
            overlaps = [pixel_iou(box, face) for face in faces]
            m = overlaps.index(max(overlaps))
            gone = False
            if overlaps[m] >= 0.5:
                if not counted[subset][m]:
                    gone = True
                elif state[m] == 0:
                    state[m] = 1
            discarded.append(gone)
            found_after.append(sum(state))
        for t in range(1000):
            threshold = 1 - (t + 1) / 1000
            reach = [n for n, s in enumerate(scores) if (s - low) / (high - low) >= threshold]
            if reach:
                kept_sums[t] += sum(not gone for gone in discarded[: reach[-1] + 1])
                found_sums[t] += found_after[reach[-1]]
    recall = [0.0, *(f / faces_total for f in found_sums), 1.0]
    sums = zip(found_sums, kept_sums, strict=True)
    precision = [0.0, *(f / k if k else math.nan for f, k in sums), 0.0]
    area = 0.0
    for n in range(1, len(recall)):
        if recall[n] != recall[n - 1]:
            area += (recall[n] - recall[n - 1]) * max(precision[n:])
    return area


def pixel_iou(a, b) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
    return width * height / (sum(areas) - width * height)


@pytest.mark.parametrize("seed", range(6))
def test_random_photographs_agree_with_the_rules_as_loops(seed):
    rng = np.random.default_rng(seed)
    photos = []
    for _ in range(5):
        corners = rng.integers(0, 40, (rng.integers(0, 6), 2))
        faces = np.concatenate([corners, corners + rng.integers(5, 12, corners.shape)], axis=1)
        near = faces[rng.integers(0, len(faces), 8)] if len(faces) else np.zeros((0, 4))
        boxes = near + rng.integers(-3, 4, near.shape)
        scores = np.sort(rng.integers(0, 50, len(boxes)) / 50)[::-1]
        photos.append((boxes, scores, faces, rng.random((2, len(faces))) < 0.6))
    scores = normalized(np.concatenate([s for _, s, _, _ in photos]))
    for subset in range(2):
        counts, faces_total, start = np.zeros((1000, 2), np.int64), 0, 0
        for boxes, own, faces, counted in photos:
            part = scores[start : start + len(own)]
            counts += sweep(best_faces(boxes, faces), part, counted=counted[subset])
            faces_total += int(counted[subset].sum())
            start += len(own)
        expected = by_the_rules(photos, subset)
        assert average_precision(counts, faces=faces_total) == pytest.approx(expected, abs=1e-12)


def test_a_set_without_a_face_has_no_precision():
    with pytest.raises(NotEnoughData, match="needs a face that counts; got none"):
        average_precision(np.zeros((1000, 2), np.int64), faces=0)


def test_scores_that_rise_are_refused():
    with pytest.raises(BadArray, match="scores must fall"):
        sweep(np.array([0, 0]), np.array([0.1, 0.2]), counted=np.array([True]))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(BadArray, match=r"best and scores must have shape \(N,\)"):
        sweep(np.array([0, 0]), np.array([0.1]), counted=np.array([True]))
