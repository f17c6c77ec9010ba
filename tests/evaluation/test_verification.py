"""Thresholds at a fixed FAR: exact at ties, at fractions and at the ends."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tronie.errors import BadArray, BadInput, NotEnoughData
from tronie.evaluation.metrics.verification import (
    Rate,
    accepts_allowed,
    exact_rate,
    tar_at_threshold,
    threshold_at_far,
)


def accepted(scores: np.ndarray, threshold: float) -> int:
    """The definition, as a loop over Python numbers (float64)."""
    return sum(float(score) >= threshold for score in scores)


def test_a_quarter_of_four_pairs_is_one():
    scores = np.array([0.1, 0.2, 0.3, 0.4])
    threshold = threshold_at_far(scores, far=0.25)
    assert threshold == math.nextafter(0.3, 1)
    assert accepted(scores, threshold) == 1


def test_ties_at_the_boundary_are_all_refused():
    scores = np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    assert accepted(scores, threshold_at_far(scores, far=0.4)) == 1  # 2 allowed, 0.5 comes thrice


def test_where_all_pairs_tie_none_is_accepted():
    scores = np.full(10, 0.5)
    assert accepted(scores, threshold_at_far(scores, far=0.9)) == 0


def test_a_far_of_one_accepts_everything():
    assert threshold_at_far(np.array([0.1, 0.2]), far=1) == -math.inf


def test_a_float_is_read_as_the_decimal_it_prints_as():
    assert int(0.29 * 100) == 28  # what binary arithmetic would make of it
    assert accepts_allowed(0.29, 100) == 29
    assert accepts_allowed(1e-6, 2_879_000_000) == 2879


def test_a_third_of_three_pairs_is_one():
    assert accepts_allowed(Fraction(1, 3), 3) == 1


def test_scores_in_float32_are_compared_in_float64():
    scores = np.array([0.9, 0.5, 0.5, 0.1], np.float32)
    threshold = threshold_at_far(scores, far=0.5)
    assert np.count_nonzero(scores >= np.float32(threshold)) == 3  # the trap
    assert np.count_nonzero(scores.astype(float) >= threshold) == 1


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    values=st.lists(st.integers(-6, 6), min_size=1, max_size=40),
    numerator=st.integers(1, 60),
    denominator=st.integers(1, 60),
)
def test_it_is_the_smallest_threshold_that_keeps_the_far(values, numerator, denominator):
    far = Fraction(min(numerator, denominator), denominator)
    scores = np.array(values) / 4
    if far * len(scores) < 1:
        return
    threshold = threshold_at_far(scores, far)
    assert Fraction(accepted(scores, threshold), len(scores)) <= far
    if far < 1:
        lower = math.nextafter(threshold, -math.inf)
        assert Fraction(accepted(scores, lower), len(scores)) > far


def test_rates_keep_their_counts():
    scores = np.array([0.1, 0.5, 0.5, 0.9])
    assert tar_at_threshold(scores, 0.5) == Rate(3, 4)
    assert tar_at_threshold(scores, 0.5).value == 0.75
    assert tar_at_threshold(scores, 2.0) == Rate(0, 4)


def test_too_few_pairs_are_refused_with_a_far_that_is_possible():
    with pytest.raises(
        NotEnoughData,
        match=r"FAR 1e-06 needs at least 1000000 impostor pairs; got 3\. "
        r"Add pairs, or ask for FAR >= 3\.4e-01\.",
    ):
        threshold_at_far(np.array([0.1, 0.2, 0.3]), far=1e-6)


@pytest.mark.parametrize("pairs", [1, 3, 7, 10, 99, 1000, 1001])
def test_the_far_that_is_advised_works(pairs):
    scores = np.linspace(0, 1, pairs)
    with pytest.raises(NotEnoughData, match="ask for FAR >= ") as refusal:
        threshold_at_far(scores, far=Fraction(1, pairs + 1))
    advised = float(str(refusal.value).rsplit(" ", 1)[1].rstrip("."))
    assert accepts_allowed(advised, pairs) >= 1
    assert advised <= 1.1 / pairs


def test_no_pairs_at_all_are_refused():
    with pytest.raises(NotEnoughData, match=r"got 0\. Add pairs\.$"):
        threshold_at_far(np.array([]), far=0.1)


def test_nan_is_refused_with_its_count():
    with pytest.raises(BadArray, match=r"got shape \(3,\) with 2 of them"):
        threshold_at_far(np.array([0.1, np.nan, np.inf]), far=0.5)


def test_a_matrix_is_refused():
    with pytest.raises(BadArray, match=r"impostor scores must have shape \(N,\).*\(2, 2\)"):
        threshold_at_far(np.zeros((2, 2)), far=0.5)


@pytest.mark.parametrize("far", [0, -0.1, 1.5, math.nan, math.inf])
def test_a_far_outside_its_range_is_refused(far):
    with pytest.raises(BadInput, match=r"a FAR must lie in \(0, 1\]; got"):
        exact_rate(far)


def test_a_rate_of_nothing_is_refused():
    with pytest.raises(NotEnoughData, match="at least one genuine pair"):
        tar_at_threshold(np.array([]), 0.5)
