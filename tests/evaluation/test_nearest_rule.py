"""The published rule on ROCs that can be drawn by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tronie.errors import BadArray, NotEnoughData
from tronie.evaluation.metrics.nearest_rule import nearest_points, published_roc
from tronie.evaluation.metrics.verification import Rate

# From the top: G I G I G I G I G I I. Accepting down to each gives the steps
# (false, true) = (0,1) (1,1) (1,2) (2,2) (2,3) (3,3) (3,4) (4,4) (4,5) (5,5) (6,5).
GENUINE = np.array([0.95, 0.85, 0.75, 0.65, 0.55])
IMPOSTOR = np.array([0.90, 0.80, 0.70, 0.60, 0.50, 0.40])


def steps(roc):
    return list(zip(roc.false_matches.tolist(), roc.accepted.tolist(), strict=True))


def test_the_curve_has_every_corner_and_drops_points_on_a_line():
    """(5, 5) lies between (4, 5) and (6, 5): the steps to and from it are equal."""
    corners = [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (3, 4), (4, 4), (4, 5)]
    roc = published_roc(GENUINE, IMPOSTOR)
    assert steps(roc) == [*corners, (6, 5)]
    assert roc.thresholds.tolist()[:3] == [math.inf, 0.95, 0.90]
    assert roc.thresholds[-1] == 0.40


def test_six_points_and_the_nearest_of_them():
    """G G I I with G I I below: (0,0) (0,1)* (0,2) (1,2)* (2,2) (2,3) (3,3)* (4,3)."""
    roc = published_roc(np.array([0.9, 0.8, 0.5]), np.array([0.7, 0.6, 0.4, 0.3]))
    assert steps(roc) == [(0, 0), (0, 1), (0, 2), (2, 2), (2, 3), (4, 3)]
    # The first of all scores is never dropped; FAR 1/4 and 3/4 are no points any more.
    found = nearest_points(roc, [0.1, 0.26, 0.6, 0.9])
    assert [p.achieved_far.count for p in found] == [0, 2, 2, 4]
    assert [p.tar for p in found] == [Rate(2, 3), Rate(3, 3), Rate(3, 3), Rate(3, 3)]


def test_it_may_accept_twice_as_many_as_were_asked_for():
    point = nearest_points(published_roc(np.array([0.9]), np.array([0.8, 0.7, 0.1])), [0.17])[0]
    assert point.achieved_far == Rate(0, 3)
    point = nearest_points(published_roc(np.array([0.75]), np.array([0.8, 0.7, 0.1])), [0.17])[0]
    assert point.achieved_far == Rate(1, 3)  # 33 % where 17 % was asked for


def test_of_two_equally_near_points_the_one_of_the_larger_rate_is_taken():
    genuine, impostor = np.array([0.95, 0.85, 0.65]), np.array([0.9, 0.8, 0.7, 0.6])
    roc = published_roc(genuine, impostor)
    assert steps(roc) == [(0, 0), (0, 1), (1, 1), (1, 2), (3, 2), (3, 3), (4, 3)]
    point = nearest_points(roc, [0.5])[0]  # 1/4 and 3/4 are both 1/4 away
    assert (point.achieved_far, point.tar) == (Rate(3, 4), Rate(3, 3))


def test_on_a_vertical_step_the_higher_true_rate_is_taken():
    point = nearest_points(published_roc(np.array([0.9, 0.8, 0.6]), np.array([0.7, 0.1])), [0.5])
    assert (point[0].achieved_far, point[0].tar) == (Rate(1, 2), Rate(3, 3))


def test_ties_between_a_genuine_and_an_impostor_pair_are_one_point():
    roc = published_roc(np.array([0.5, 0.5, 0.2]), np.array([0.5, 0.1]))
    assert steps(roc) == [(0, 0), (1, 2), (1, 3), (2, 3)]


def test_random_scores_agree_with_the_rule_spelled_out():
    """Every distinct threshold by counting, corners by cross products of integer steps."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        genuine, impostor = rng.integers(0, 20, 15) / 20, rng.integers(0, 15, 25) / 20
        points = [
            (t, sum(s >= t for s in impostor), sum(s >= t for s in genuine))
            for t in sorted({*genuine, *impostor}, reverse=True)
        ]
        kept = [
            p
            for before, p, after in zip(
                [None, *points[:-1]], points, [*points[1:], None], strict=True
            )
            if before is None
            or after is None
            or (p[1] - before[1], p[2] - before[2]) != (after[1] - p[1], after[2] - p[2])
        ]
        kept = [(math.inf, 0, 0), *kept]
        roc = published_roc(genuine, impostor)
        assert list(zip(roc.thresholds, roc.false_matches, roc.accepted, strict=True)) == kept
        for far in (0.001, 0.1, 0.3, 0.5):
            best = min(kept[::-1], key=lambda p: abs(p[1] / len(impostor) - far))
            found = nearest_points(roc, [far])[0]
            assert (found.threshold, found.achieved_far.count, found.tar.count) == best


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(BadArray, match=r"^impostor scores must be finite.* with 1 that are not"):
        published_roc(GENUINE, np.array([0.1, np.nan]))


def test_no_pairs_are_refused():
    with pytest.raises(NotEnoughData, match=r"^a ROC needs at least one genuine pair; got none"):
        published_roc(np.empty(0), IMPOSTOR)
