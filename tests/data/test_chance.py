"""Chance: the stated probability, and one number a decision."""

import numpy as np
import pytest
from scipy.stats import chisquare

from tronie.data.augment.chance import between, happens
from tronie.errors import BadInput


@pytest.mark.parametrize("p", [0.1, 0.4, 0.9])
def test_it_happens_with_its_probability(p):
    rng = np.random.default_rng(7)
    happened = sum(happens(rng, p) for _ in range(20_000))
    assert chisquare([happened, 20_000 - happened], [20_000 * p, 20_000 * (1 - p)]).pvalue > 0.001


def test_never_and_always():
    rng = np.random.default_rng(7)
    assert not any(happens(rng, 0) for _ in range(1000))
    assert all(happens(rng, 1) for _ in range(1000))


@pytest.mark.parametrize("p", [0, 0.3, 1])
def test_a_decision_takes_one_number_whatever_the_probability(p):
    rng, other = np.random.default_rng(7), np.random.default_rng(7)
    happens(rng, p)
    other.random()
    assert rng.random() == other.random()


def test_numbers_between_two_ends_are_spread_evenly():
    rng = np.random.default_rng(7)
    drawn = [between(rng, (-2, 3), "it") for _ in range(10_000)]
    assert -2 <= min(drawn) < max(drawn) <= 3
    assert chisquare(np.histogram(drawn, bins=10, range=(-2, 3))[0]).pvalue > 0.001
    assert between(rng, (0.25, 0.25), "it") == 0.25


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_no_probability_is_refused(p):
    with pytest.raises(BadInput, match=r"a probability must be in \[0, 1\]; got"):
        happens(np.random.default_rng(0), p)


@pytest.mark.parametrize("ends", [(2, 1), (0, float("nan")), (float("-inf"), 0)])
def test_ends_that_are_none_are_refused(ends):
    with pytest.raises(BadInput, match="sigma must be two numbers, the lower first; got"):
        between(np.random.default_rng(0), ends, "sigma")
