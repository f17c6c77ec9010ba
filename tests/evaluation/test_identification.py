"""Ranks and open-set rates, by hand and by their definitions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from tronie.errors import BadArray, BadInput, NotEnoughData
from tronie.evaluation.metrics.identification import (
    RULES,
    mate_ranks,
    open_set_point,
    rank_rate,
)
from tronie.evaluation.metrics.verification import Rate

STRANGERS = np.array([0.9, 0.6, 0.5, 0.4, 0.3, 0.2, 0.2, 0.1, 0.1, 0.0])
MATES = np.array([0.95, 0.7, 0.55, 0.3])
RANKS = np.array([1, 2, 1, 1])


def test_ranks_count_the_others_above_and_ties_against_the_mate():
    others = np.array([[0.8, 0.7], [0.8, 0.7], [0.8, 0.7], [-np.inf, -np.inf]])
    assert mate_ranks(np.array([0.9, 0.8, 0.7, -1.0]), others).tolist() == [1, 2, 3, 1]


def test_the_match_curve_counts_ranks():
    ranks = np.array([1, 1, 3, 6])
    assert [rank_rate(ranks, k) for k in (1, 3, 5)] == [Rate(2, 4), Rate(3, 4), Rate(3, 4)]


def test_a_fifth_of_ten_strangers_is_two():
    """Two may be accepted: 0.9 and 0.6. Of the mates, 0.7 is of rank 2 only."""
    point = open_set_point(MATES, RANKS, STRANGERS, fpir=0.2)
    assert point.threshold == math.nextafter(0.5, 1)
    assert point.false_positives == Rate(2, 10)
    assert point.found == Rate(2, 4)
    assert point.hits.tolist() == [True, False, True, False]
    assert open_set_point(MATES, RANKS, STRANGERS, fpir=0.2, rank=2).found == Rate(3, 4)


def test_tied_strangers_are_refused_together():
    point = open_set_point(MATES, RANKS, STRANGERS, fpir=0.6)  # six may, but 0.2 comes twice
    assert point.false_positives == Rate(5, 10)


def test_the_published_rule_exceeds_the_second_largest_of_two():
    """int(10 * 0.2) - 1 = 1: the score at index 1 is 0.6, and only 0.9 is above it."""
    point = open_set_point(MATES, RANKS, STRANGERS, fpir=0.2, rule="published")
    assert point.threshold == math.nextafter(0.6, 1)
    assert point.false_positives == Rate(1, 10)
    assert point.found == Rate(1, 4)


def test_the_published_rule_takes_the_largest_where_the_rate_is_too_small():
    point = open_set_point(MATES, RANKS, STRANGERS, fpir=0.01, rule="published")
    assert point.false_positives == Rate(0, 10)
    assert point.threshold == math.nextafter(0.9, 1)


def test_the_published_rule_cuts_a_product_of_floats():
    strangers = np.arange(100) / 100
    point = open_set_point(MATES, RANKS, strangers, fpir=0.29, rule="published")
    assert int(100 * 0.29) == 28  # in float; so index 27, whose score is 0.72
    assert point.threshold == math.nextafter(0.72, 1)


@pytest.mark.parametrize("rule", RULES)
def test_the_false_positive_rate_is_never_above_the_one_asked(rule):
    rng = np.random.default_rng(0)
    for _ in range(50):
        strangers = rng.integers(0, 9, rng.integers(10, 60)) / 9
        fpir = Fraction(int(rng.integers(1, 10)), 10)
        point = open_set_point(MATES, RANKS, strangers, fpir=fpir, rule=rule)
        assert Fraction(point.false_positives.count, len(strangers)) <= fpir


def test_too_few_strangers_are_refused_with_the_number_needed():
    expected = r"^FPIR 0\.01 needs at least 100 non-mated probes; got 10\. Add probes of people"
    with pytest.raises(NotEnoughData, match=expected):
        open_set_point(MATES, RANKS, STRANGERS, fpir=0.01)


def test_without_strangers_there_is_no_false_positive_rate():
    with pytest.raises(NotEnoughData, match=r"^an FPIR needs non-mated probes: people who are not"):
        open_set_point(MATES, RANKS, np.empty(0), fpir=0.1)


def test_without_mates_there_is_no_rate():
    with pytest.raises(NotEnoughData, match=r"^a TPIR needs at least one mated probe; got none"):
        open_set_point(np.empty(0), np.empty(0, int), STRANGERS, fpir=0.1)
    with pytest.raises(NotEnoughData, match=r"^a rank rate needs at least one mated probe"):
        rank_rate(np.empty(0, int), 1)


def test_ranks_begin_at_one():
    with pytest.raises(BadInput, match=r"^ranks are counted from 1; got 0"):
        rank_rate(RANKS, 0)
    with pytest.raises(BadInput, match=r"^ranks are counted from 1; got 0"):
        open_set_point(MATES, RANKS, STRANGERS, fpir=0.1, rank=0)


def test_an_unknown_rule_is_refused_with_the_list():
    with pytest.raises(
        BadInput, match=r"^there is no rule 'nearest'; choose from conservative, pub"
    ):
        open_set_point(MATES, RANKS, STRANGERS, fpir=0.1, rule="nearest")


@pytest.mark.parametrize("fpir", [0, 1, -0.1])
def test_an_fpir_outside_is_refused(fpir):
    with pytest.raises(BadInput, match=r"^an FPIR must lie inside \(0, 1\); got"):
        open_set_point(MATES, RANKS, STRANGERS, fpir=fpir)


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(BadArray, match=r"^best scores of non-mated probes must be finite"):
        open_set_point(MATES, RANKS, np.array([np.nan, 1.0]), fpir=0.5)
    with pytest.raises(BadArray, match=r"^ranks need finite mate scores \(P,\)"):
        mate_ranks(np.array([np.nan]), np.zeros((1, 1)))
    with pytest.raises(BadArray, match=r"^each mate score needs a rank"):
        open_set_point(MATES, RANKS[1:], STRANGERS, fpir=0.5)
