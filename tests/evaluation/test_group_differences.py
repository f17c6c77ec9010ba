"""The ratio of the worst group to the middle one, against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tronie.errors import BadInput
from tronie.evaluation.metrics.group_differences import compared_groups, max_over_geometric_mean
from tronie.evaluation.report_parts import GroupRate


def rate(group, false_matches=1, misses=1, impostor_pairs=100, genuine_pairs=10):
    return GroupRate(
        group=group,
        false_matches=false_matches,
        impostor_pairs=impostor_pairs,
        misses=misses,
        genuine_pairs=genuine_pairs,
    )


def test_the_ratio_is_the_largest_over_the_root_of_the_product():
    rng = np.random.default_rng(0)
    for size in (2, 3, 7):
        rates = rng.uniform(1e-6, 1, size).tolist()
        expected = max(rates) / math.prod(rates) ** (1 / size)
        assert max_over_geometric_mean(rates) == pytest.approx(expected, rel=1e-12)
        assert max_over_geometric_mean(rates[::-1]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("value", [1.0, 0.3, 1e-9, 5e-324])
def test_groups_that_fare_alike_give_exactly_one(value):
    assert max_over_geometric_mean([value] * 7) == 1.0


def test_tiny_rates_do_not_underflow():
    assert max_over_geometric_mean([1e-300, 1e-300, 1e-300, 8e-300]) == pytest.approx(8**0.75)


@pytest.mark.parametrize("rates", [[], [0.5], [0.0, 0.5], [0.5, 0.0, 0.1], [0.0, 0.0]])
def test_there_is_no_ratio_of_one_group_or_with_a_rate_of_zero(rates):
    assert max_over_geometric_mean(rates) is None


def test_a_table_of_groups_has_both_ratios():
    rates = [rate("a", 1, 2), rate("b", 4, 2), rate("c", 2, 2)]
    found = compared_groups(rates, far=1e-3, threshold=0.5, of="race")
    # FMR 0.01, 0.04, 0.02: their geometric mean is the cube root of 8e-6, 0.02.
    assert found.fmr_max_over_geomean == pytest.approx(2)
    assert found.fnmr_max_over_geomean == 1
    assert (found.of, found.far, found.threshold, found.rates) == ("race", 1e-3, 0.5, tuple(rates))


def test_a_group_without_pairs_of_a_kind_is_in_the_table_and_not_in_that_ratio():
    rates = [rate("a", 1), rate("b", 4), rate("c", 1, 0, genuine_pairs=0)]
    found = compared_groups(rates, far=1e-3, threshold=0.5)
    assert len(found.rates) == 3
    assert found.rates[2].fnmr is None
    assert found.fnmr_max_over_geomean == 1
    assert found.fmr_max_over_geomean == pytest.approx(4 / 4 ** (1 / 3))


def test_a_group_without_an_error_leaves_no_ratio():
    found = compared_groups([rate("a", 0), rate("b", 4)], far=1e-3, threshold=0.5)
    assert found.fmr_max_over_geomean is None
    assert found.fnmr_max_over_geomean == 1


@pytest.mark.parametrize("stray", [-0.1, 1.5, math.nan])
def test_what_is_no_rate_is_refused(stray):
    with pytest.raises(BadInput, match=r"rate of a group must lie in \[0, 1\]; got"):
        max_over_geometric_mean([0.5, stray])


def test_a_group_that_is_there_twice_is_refused():
    with pytest.raises(BadInput, match="in the table once; 'a' is there twice"):
        compared_groups([rate("a"), rate("b"), rate("a")], far=1e-3, threshold=0.5)
