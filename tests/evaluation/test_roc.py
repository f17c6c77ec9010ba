"""Curves: numbers read from them, and FDDB's two as loops over every threshold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from tronie.errors import BadArray, NotEnoughData
from tronie.evaluation.metrics.roc import best_accuracy, detection_roc, matched_steps, rate_at


def test_the_best_threshold_is_the_point_of_the_highest_accuracy():
    curve = np.array([[1.0, 1.0], [0.95, 0.2], [0.9, 0.02], [0.5, 0.0]])
    assert best_accuracy(curve) == pytest.approx((0.9 + 0.98) / 2)


def test_a_rate_is_read_at_most_so_many_false_ones_and_not_between():
    rates, false = np.array([0.2, 0.5, 0.45, 0.9]), np.array([0, 900, 1000, 1001])
    assert rate_at(rates, false, most=1000) == 0.5
    assert rate_at(rates, false, most=899) == 0.2
    assert rate_at(rates[1:], false[1:], most=10) == 0.0


def by_loops(photographs, faces: int):
    """At each threshold: match what reaches it, count, divide."""
    rows = []
    for threshold in sorted({s for _, scores in photographs for s in scores}, reverse=True):
        matches, overlap, detections = 0, 0.0, 0
        for overlaps, scores in photographs:
            reach = overlaps[scores >= threshold]
            pairs = linear_sum_assignment(reach, maximize=True)
            matches += int((reach[pairs] > 0.5).sum())
            overlap += float(reach[pairs].sum())
            detections += len(reach)
        rows.append((threshold, matches / faces, overlap / faces, detections - matches))
    return np.array(rows)


@pytest.mark.parametrize("seed", range(5))
def test_both_curves_agree_with_loops_over_every_threshold(seed):
    rng = np.random.default_rng(seed)
    photographs = []
    for _ in range(6):
        overlaps = rng.random((rng.integers(0, 7), rng.integers(0, 4)))
        overlaps[rng.random(overlaps.shape) < 0.4] = 0
        photographs.append((overlaps, rng.integers(0, 6, len(overlaps)) / 6))  # ties
    roc = detection_roc([matched_steps(*photo) for photo in photographs], faces=20)
    expected = by_loops(photographs, 20)
    np.testing.assert_array_equal(roc.thresholds, expected[:, 0])
    np.testing.assert_allclose(roc.discrete, expected[:, 1], atol=1e-12)
    np.testing.assert_allclose(roc.continuous, expected[:, 2], atol=1e-12)
    np.testing.assert_array_equal(roc.false_positives, expected[:, 3])


def test_half_an_overlap_is_no_discrete_match():
    roc = detection_roc([matched_steps(np.array([[0.5]]), np.array([0.9]))], faces=1)
    assert (roc.discrete.tolist(), roc.continuous.tolist()) == ([0.0], [0.5])
    assert roc.false_positives.tolist() == [1]


def test_nothing_found_is_an_empty_curve():
    assert len(detection_roc([], faces=3).thresholds) == 0


def test_a_set_without_faces_has_no_curve():
    with pytest.raises(NotEnoughData, match="needs a face; got none"):
        detection_roc([], faces=0)


@pytest.mark.parametrize(
    ("curve", "message"),
    [(np.zeros((0, 2)), r"shape \(K, 2\)"), (np.array([[1.2, 0.0]]), r"lie in \[0, 1\]")],
)
def test_what_is_no_curve_is_refused(curve, message):
    with pytest.raises(BadArray, match=message):
        best_accuracy(curve)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(BadArray, match=r"must have shape \(K,\)"):
        rate_at(np.zeros(3), np.zeros(2), most=1)
    with pytest.raises(BadArray, match=r"scores \(N,\), finite"):
        matched_steps(np.zeros((2, 1)), np.array([0.1, np.nan]))
