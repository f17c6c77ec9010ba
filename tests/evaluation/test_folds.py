"""Accuracy over folds, against the field's loop and against trying every threshold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tronie.errors import BadArray, NotEnoughData
from tronie.evaluation.metrics.folds import best_threshold, exact_accuracy, grid_accuracy


def noisy_pairs(seed: int, *, folds: int = 10, size: int = 30):
    rng = np.random.default_rng(seed)
    same = np.tile(np.repeat([True, False], size // 2), folds)
    scores = np.clip(np.where(same, 0.5, 0.1) + rng.normal(0, 0.2, len(same)), -1, 1)
    return scores, same, np.repeat(np.arange(folds), size)


def by_loops(scores, same, folds):
    """Try each of 400 squared distances on the other folds, keep the first best, then judge."""
    accuracies = []
    for test in sorted(set(folds.tolist())):
        best, chosen = -1, 0.0
        for step in range(400):
            right = sum(
                (2 - 2 * s < step * 0.01) == g
                for s, g, f in zip(scores, same, folds, strict=True)
                if f != test
            )
            if right > best:
                best, chosen = right, step * 0.01
        judged = [
            (2 - 2 * s < chosen) == g
            for s, g, f in zip(scores, same, folds, strict=True)
            if f == test
        ]
        accuracies.append(sum(judged) / len(judged))
    return accuracies


def test_the_grid_gives_what_the_loops_of_the_field_give():
    scores, same, folds = noisy_pairs(1, folds=4, size=16)
    found = grid_accuracy(scores, same, folds=folds)
    expected = by_loops(scores, same, folds)
    assert found.accuracies.tolist() == expected
    assert found.mean == pytest.approx(np.mean(expected))
    # Population standard deviation: divided by the number of folds.
    variance = sum((a - np.mean(expected)) ** 2 for a in expected) / len(expected)
    assert found.std == pytest.approx(variance**0.5)
    assert found.correct == round(sum(expected) * 16)


def test_a_distance_equal_to_the_threshold_is_not_the_same_person():
    # Squared distance 1 lies on the grid. Fold 0 holds a genuine pair at 0.995 and an impostor
    # at 1: only the threshold 1 parts them, since 1 < 1 is false. Fold 1 holds a genuine pair
    # at 1 (refused by it, so wrong) and an impostor at 2.
    scores = np.array([0.5025, 0.5, 0.5, 0.0])
    same = np.array([True, False, True, False])
    found = grid_accuracy(scores, same, folds=np.array([0, 0, 1, 1]))
    assert found.thresholds[1] == 0.5
    assert found.accuracies[1] == 0.5


def test_the_first_of_equally_good_grid_thresholds_is_taken():
    # Distances 0.405 and 1.6: every threshold from 0.41 to 1.60 is perfect; 0.41 is the first.
    scores = np.array([0.7975, 0.2, 0.7975, 0.2])
    same = np.array([True, False, True, False])
    found = grid_accuracy(scores, same, folds=np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(found.thresholds, 1 - 0.41 / 2)


def test_the_largest_distance_of_all_is_never_the_same_person():
    # A pair without a face scores -1, distance 4, and the grid ends at 3.99: of three genuine
    # pairs per fold the one without a face stays wrong.
    scores = np.tile([0.9, 0.8, -1.0], 2)
    found = grid_accuracy(scores, np.ones(6, bool), folds=np.repeat([0, 1], 3))
    assert found.correct == 4


@settings(max_examples=200, deadline=None, derandomize=True)
@given(pairs=st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=1, max_size=25))
def test_no_threshold_is_better_than_the_exact_one_and_none_as_good_is_stricter(pairs):
    scores = np.array([score / 4 for score, _ in pairs])
    same = np.array([genuine for _, genuine in pairs])

    def right(threshold):
        return sum(bool(s >= threshold) == bool(g) for s, g in zip(scores, same, strict=True))

    found = best_threshold(scores, same)
    tries = np.concatenate([scores, scores + 0.01, [-9, 9]])
    assert right(found) == max(right(t) for t in tries)
    assert all(
        right(t) < right(found)
        for t in tries
        if set(scores[scores >= t]) < set(scores[scores >= found])
    )


def test_the_exact_threshold_lies_halfway_between_two_scores():
    assert best_threshold(np.array([0.1, 0.25, 0.75]), np.array([False, False, True])) == 0.5


def test_neighboring_floats_are_told_apart():
    low = 0.5
    high = np.nextafter(low, 1)
    threshold = best_threshold(np.array([low, high]), np.array([False, True]))
    assert low < threshold <= high


def test_the_exact_accuracy_is_no_worse_where_the_grid_is_too_coarse():
    # Genuine 0.5004, impostor 0.5002: distances 0.9992 and 0.9996, within one step of the grid.
    scores, same = np.tile([0.5004, 0.5002], 4), np.tile([True, False], 4)
    folds = np.repeat([0, 1], 4)
    assert exact_accuracy(scores, same, folds=folds).mean == 1
    assert grid_accuracy(scores, same, folds=folds).mean == 0.5


@pytest.mark.parametrize("accuracy", [grid_accuracy, exact_accuracy])
def test_a_fold_is_judged_without_having_been_looked_at(accuracy):
    # In fold 1 every label is turned: a threshold from fold 0 is wrong on all of it, a
    # threshold that had seen it would not be.
    scores = np.array([0.9, 0.1, 0.9, 0.1])
    same = np.array([True, False, False, True])
    found = accuracy(scores, same, folds=np.array([0, 0, 1, 1]))
    assert found.accuracies[1] == 0


def test_accuracy_does_not_depend_on_the_order_within_folds():
    scores, same, folds = noisy_pairs(3)
    order = np.random.default_rng(0).permutation(len(scores))
    for accuracy in (grid_accuracy, exact_accuracy):
        ordered = accuracy(scores, same, folds=folds)
        shuffled = accuracy(scores[order], same[order], folds=folds[order])
        np.testing.assert_array_equal(ordered.accuracies, shuffled.accuracies)


def test_one_fold_is_refused():
    with pytest.raises(NotEnoughData, match=r"at least 2 folds, .* got 1\. LFW's pairs\.txt has"):
        grid_accuracy(np.zeros(4), np.ones(4, bool), folds=np.zeros(4, int))


def test_shapes_that_differ_are_refused():
    with pytest.raises(BadArray, match=r"must share the shape \(P,\); got \(4,\), \(3,\)"):
        grid_accuracy(np.zeros(4), np.ones(3, bool), folds=np.zeros(4, int))


def test_nan_is_refused():
    with pytest.raises(BadArray, match="scores must be finite; got 1 that are not"):
        exact_accuracy(np.array([0.1, np.nan]), np.ones(2, bool), folds=np.arange(2))
