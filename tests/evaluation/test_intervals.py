"""Intervals: Wilson against its equation, the bootstrap against resampling by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binomtest, norm

from tronie.errors import BadInput, NotEnoughData
from tronie.evaluation.metrics.intervals import (
    bootstrap_across,
    bootstrap_recentered,
    bootstrap_within,
    wilson,
)


@pytest.mark.parametrize(("count", "total"), [(1, 10), (5, 10), (9, 10), (3, 56_000_000)])
def test_wilson_is_what_scipy_gives(count, total):
    found = wilson(count, total)
    expected = binomtest(count, total).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_both_ends_lie_z_standard_errors_from_what_was_counted():
    # The interval's definition: |rate - p| = z sqrt(p (1 - p) / n), solved for p.
    count, total, z = 7, 200, norm.ppf(0.95)
    found = wilson(count, total, confidence=0.9)

    def gap(p):
        return abs(count / total - p) - z * math.sqrt(p * (1 - p) / total)

    assert found.low == pytest.approx(brentq(gap, 1e-9, count / total), abs=1e-9)
    assert found.high == pytest.approx(brentq(gap, count / total, 1 - 1e-9), abs=1e-9)


def test_nothing_and_everything_touch_their_ends_exactly():
    z2 = norm.ppf(0.975) ** 2
    assert wilson(0, 100).low == 0
    assert wilson(0, 100).high == pytest.approx(z2 / (100 + z2))
    assert wilson(100, 100).high == 1
    assert wilson(100, 100).low == pytest.approx(100 / (100 + z2))


def test_no_pairs_are_refused():
    with pytest.raises(NotEnoughData, match="at least one pair"):
        wilson(0, 0)


@pytest.mark.parametrize(("count", "confidence"), [(-1, 0.95), (11, 0.95), (5, 1.0)])
def test_counts_and_confidences_that_are_none_are_refused(count, confidence):
    with pytest.raises(BadInput, match="need 0 <= count <= total"):
        wilson(count, 10, confidence=confidence)


def draws_by_hand(people: int, resamples: int, seed: int) -> list[list[int]]:
    """People drawn with replacement, as many as there are, from the same generator."""
    rng = np.random.default_rng(seed)
    return [rng.integers(people, size=people).tolist() for _ in range(resamples)]


def test_across_people_is_resampling_by_hand():
    photos = np.array([2, 1, 3, 1, 2])
    first, second = np.array([0, 0, 2, 1]), np.array([2, 2, 3, 4])
    rates = []
    for draw in draws_by_hand(5, 60, seed=3):
        errors = pairs = 0
        for i in draw:
            for j in draw:  # every ordered pair of drawn people who are two different people
                if i < j:
                    pairs += photos[i] * photos[j]
                    errors += sum((a, b) == (i, j) for a, b in zip(first, second, strict=True))
        if pairs:
            rates.append(errors / pairs)
    found = bootstrap_across(first, second, photos=photos, seed=3, resamples=60)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(rates, [0.025, 0.975])))


def test_the_sides_of_a_pair_may_be_swapped():
    photos, first, second = np.array([2, 1, 3]), np.array([0, 1]), np.array([2, 2])
    one = bootstrap_across(first, second, photos=photos, seed=0)
    assert one == bootstrap_across(second, first, photos=photos, seed=0)


def test_within_people_is_resampling_by_hand():
    counted, pairs = np.array([1, 0, 3, 6]), np.array([3, 1, 3, 10])
    rates = []
    for draw in draws_by_hand(4, 80, seed=5):
        rates.append(sum(counted[i] for i in draw) / sum(pairs[i] for i in draw))
    found = bootstrap_within(counted, pairs=pairs, seed=5, resamples=80)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(rates, [0.025, 0.975])))


def test_people_without_a_pair_of_their_own_change_nothing():
    counted, pairs = np.array([1, 0, 3]), np.array([3, 1, 3])
    with_loners = bootstrap_within(
        np.append(counted, [0, 0]), pairs=np.append(pairs, [0, 0]), seed=1
    )
    assert with_loners == bootstrap_within(counted, pairs=pairs, seed=1)


def test_one_person_behind_all_errors_widens_the_interval_beyond_wilson():
    # 40 people with 5 photographs each; person 0 causes all 60 of 19500 pairs' errors.
    photos = np.full(40, 5)
    pairs = 19_500
    found = bootstrap_across(
        np.zeros(60, int), np.arange(60) % 39 + 1, photos=photos, seed=0, resamples=400
    )
    assert found.low == 0  # in every third resample person 0 is not there at all
    assert found.high > wilson(60, pairs).high


def test_what_was_never_or_always_counted_has_no_bootstrap():
    none = np.array([], int)
    assert bootstrap_across(none, none, photos=np.array([1, 1]), seed=0) is None
    one = np.array([0])
    assert bootstrap_across(one, one + 1, photos=np.array([1, 1]), seed=0) is None
    assert bootstrap_within(np.array([0, 0]), pairs=np.array([1, 3]), seed=0) is None
    assert bootstrap_within(np.array([1, 3]), pairs=np.array([1, 3]), seed=0) is None


def test_the_same_seed_gives_the_same_interval():
    arguments = {"photos": np.array([2, 1, 3, 4]), "resamples": 100}
    first, second = np.array([0, 1]), np.array([2, 3])
    one = bootstrap_across(first, second, seed=7, **arguments)
    assert one == bootstrap_across(first, second, seed=7, **arguments)


def test_recentered_draws_are_the_first_order_of_drawing_people_by_hand():
    errors = np.array([[3, 0, 1, 2, 0, 4, 0, 0], [0, 0, 1, 1, 0, 0, 0, 0]])
    pairs = np.array([9, 7, 9, 9, 4, 9, 8, 9])
    found = bootstrap_recentered(errors, pairs, counts=[5, 1], total=32, seed=3, resamples=400)
    rng = np.random.default_rng(3)
    rates = []
    for _ in range(400):
        drawn = rng.integers(8, size=8).tolist()
        below = 32 + sum(pairs[i] * (drawn.count(i) - 1) for i in range(8))
        rates.append([(c + sum(e[i] * (drawn.count(i) - 1) for i in range(8))) / below
                      for c, e in zip((5, 1), errors, strict=True)])  # fmt: skip
    for interval, column in zip(found, np.array(rates).T, strict=True):
        low, high = np.clip(np.quantile(column, [0.025, 0.975]), 0, 1)
        assert interval.low == pytest.approx(low, abs=1e-12)
        assert interval.high == pytest.approx(high, abs=1e-12)


def test_recentered_within_people_is_the_ratio_of_what_was_drawn():
    # A pair of one person is in one column, so the first order is all there is.
    counted, pairs = np.array([3, 0, 5, 1]), np.array([6, 3, 6, 1])
    rates = bootstrap_recentered(counted[None], pairs, counts=[9], total=16, seed=1)[0]
    assert rates.low >= 0
    assert rates.high <= 1
    assert rates.low < 9 / 16 < rates.high


def test_recentered_says_nothing_about_what_was_never_or_always_counted():
    none, every = bootstrap_recentered(
        np.array([[0, 0], [2, 2]]), np.array([2, 2]), counts=[0, 2], total=2, seed=0
    )
    assert none is every is None
