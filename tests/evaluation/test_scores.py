"""The score of a pair to the bit, and screens that miss nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pairs_oracle
from tronie.errors import BadArray
from tronie.evaluation.pairs import scores
from tronie.evaluation.pairs.scores import (
    NumpyScreen,
    at_most_float32,
    check_rows,
    exact_scores,
    fold,
    hits_of,
    scores_from,
    screen_error,
)
from tronie.geometry.hypersphere import normalize


@pytest.mark.parametrize("dimension", [1, 2, 3, 5, 31, 32, 33, 64, 67, 100, 129, 512, 700])
def test_a_score_is_the_stated_sum_to_the_bit(dimension):
    rng = np.random.default_rng(dimension)
    unit = normalize(rng.normal(size=(12, dimension)))[0]
    first, second = rng.integers(12, size=(2, 40))
    found = exact_scores(unit, first, second)
    for value, i, j in zip(found, first, second, strict=True):
        assert value == pairs_oracle.score(unit[i], unit[j])


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=90))
@settings(max_examples=60, deadline=None)
def test_the_fold_is_the_sum_but_for_rounding(numbers):
    total = float(fold(np.array([numbers, numbers]))[1])
    assert total == pytest.approx(math.fsum(numbers), abs=len(numbers) * 2.0**-50)


def test_the_fold_leaves_its_argument_alone():
    numbers = np.random.default_rng(0).normal(size=(3, 100))
    before = numbers.copy()
    fold(numbers)
    np.testing.assert_array_equal(numbers, before)


def test_pairs_are_scored_in_parts_as_in_one(monkeypatch):
    unit = normalize(np.random.default_rng(0).normal(size=(12, 24)))[0]
    first, second = np.arange(6), np.arange(6, 12)
    whole = exact_scores(unit, first, second)
    monkeypatch.setattr(scores, "_RESCORE_ROWS", 4)
    np.testing.assert_array_equal(exact_scores(unit, first, second), whole)


def test_copies_tie_to_the_last_bit_and_sides_may_be_swapped():
    unit = normalize(np.random.default_rng(0).normal(size=(9, 131)))[0]
    unit[4] = unit[2]
    others = np.array([0, 1, 3, 5])
    np.testing.assert_array_equal(
        exact_scores(unit, np.full(4, 2), others), exact_scores(unit, others, np.full(4, 4))
    )


@pytest.mark.parametrize("name", sorted(pairs_oracle.hard_sets()))
def test_those_at_or_above_a_floor_are_found_with_the_same_bits(name, monkeypatch):
    monkeypatch.setattr(scores, "_RESCORE_ROWS", 64)
    unit, _ = pairs_oracle.hard_sets()[name]
    first, second = np.random.default_rng(0).integers(len(unit), size=(2, 500))
    exact = exact_scores(unit, first, second)
    for floor in [-np.inf, *np.quantile(exact, [0.1, 0.5, 0.9]), exact.max(), 3.0]:
        which, found = scores_from(unit, first, second, float(floor))
        np.testing.assert_array_equal(which, np.flatnonzero(exact >= floor))
        np.testing.assert_array_equal(found, exact[which])
    assert len(scores_from(unit, first[:0], second[:0], 0.0)[0]) == 0


@pytest.mark.parametrize("dimension", [4, 128, 512])
def test_float32_products_stay_within_the_proven_bound(dimension):
    rng = np.random.default_rng(dimension)
    unit = normalize(rng.normal(size=(200, dimension)))[0]
    exact = unit.astype(np.float64) @ unit.astype(np.float64).T
    assert np.abs((unit @ unit.T).astype(np.float64) - exact).max() < screen_error(dimension)
    assert screen_error(dimension) == pytest.approx((dimension + 4) * 2.0**-24, rel=1e-4)


@given(st.floats(-2, 2))
def test_a_limit_is_never_rounded_up(value):
    limit = at_most_float32(value)
    assert float(limit) <= value < float(np.nextafter(limit, np.float32(np.inf)))


def test_hits_are_the_entries_that_reach_the_floor_in_order_of_rows():
    product = np.random.default_rng(0).normal(size=(7, 11)).astype(np.float32)
    i, j = hits_of(product, 0.5)
    expected = np.argwhere(product >= 0.5)
    np.testing.assert_array_equal(np.stack([i, j], axis=1), expected)
    assert len(hits_of(product, 100.0)[0]) == 0


@pytest.mark.parametrize("name", sorted(pairs_oracle.hard_sets()))
def test_the_numpy_screen_misses_no_pair(name):
    unit, _ = pairs_oracle.hard_sets()[name]
    screen = NumpyScreen()
    exact = np.array([[pairs_oracle.score(a, b) for b in unit[:20]] for a in unit[:20]])
    for floor in np.quantile(exact, [0.2, 0.9]):
        i, j = screen.panel(unit[:20]).hits(screen.left(unit[:20]), float(floor))
        assert set(map(tuple, np.argwhere(exact >= floor))) <= set(zip(i, j, strict=True))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda m: m.__setitem__((3, 1), np.nan), "row 3 of 9 features holds NaN or infinity"),
        (lambda m: m.__setitem__((3, 1), np.inf), "row 3 of 9 features holds NaN or infinity"),
        (lambda m: m.__setitem__(5, 0), "row 5 of 9 features is all zeros"),
        (lambda m: m.__imul__(20), "row 0 of 9 features has length 20, .* normalize the matrix"),
        (lambda m: m.__setitem__(8, m[8] * 1.001), "row 8 of 9 features has length 1.001"),
    ],
)
def test_rows_that_are_no_unit_vectors_are_refused_by_number(spoil, message):
    unit = normalize(np.random.default_rng(0).normal(size=(9, 4)))[0]
    check_rows(unit)
    spoil(unit)
    with pytest.raises(BadArray, match=message):
        check_rows(unit)


@pytest.mark.parametrize(
    "matrix", [np.zeros(4, np.float32), np.ones((3, 1)), np.zeros((3, 0), np.float32)]
)
def test_another_shape_or_type_is_refused(matrix):
    with pytest.raises(BadArray, match=r"features must be float32 of shape \(N, D\); got"):
        check_rows(matrix)
