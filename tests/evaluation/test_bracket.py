"""Counting above a slice and reading the threshold off it, against sorting."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tronie.evaluation.pairs import bracket as module
from tronie.evaluation.pairs.bracket import Bracket

RNG = np.random.default_rng(0)
VALUES = np.round(RNG.normal(size=400), 2)
FIRST, SECOND = RNG.integers(20, size=(2, 400))


def bracket(low, high):
    return Bracket(low=low, high=high, rows=np.zeros(20, np.int64))


def filled(low, high, *, parts=1):
    whole = bracket(low, high)
    for part in np.array_split(np.arange(400), parts):
        piece = bracket(low, high)
        piece.add_scored(VALUES[part], FIRST[part], SECOND[part])
        whole.merge(piece)
    return whole


@pytest.mark.parametrize("parts", [1, 9])
def test_the_refused_score_and_the_counts_are_those_of_sorting(parts):
    held = filled(0.5, 1.5, parts=parts)
    falling = np.sort(VALUES)[::-1]
    assert held.above == np.count_nonzero(VALUES >= 1.5)
    assert held.inside == np.count_nonzero((VALUES >= 0.5) & (VALUES < 1.5))
    for allowed in range(held.above, held.above + held.inside):
        assert held.holds(allowed)
        refused = held.refused(allowed)
        assert refused == falling[allowed]
        threshold = math.nextafter(refused, math.inf)
        count, rows = held.accepted(threshold)
        over = threshold <= VALUES
        assert count == over.sum()
        both = np.concatenate([FIRST[over], SECOND[over]])
        np.testing.assert_array_equal(rows, np.bincount(both, minlength=20))
    assert not held.holds(held.above - 1)
    assert not held.holds(held.above + held.inside)


def test_a_single_score_is_counted_and_never_kept(monkeypatch):
    monkeypatch.setattr(module, "MAX_KEPT", 0)
    value = float(np.sort(VALUES)[200])
    held = filled(value, math.nextafter(value, math.inf))
    assert held.single
    assert len(held.scores) == 0
    assert held.inside == np.count_nonzero(value == VALUES)
    assert held.holds(held.above)
    assert held.refused(held.above) == value


def test_too_many_inside_are_said_and_the_median_is_next(monkeypatch):
    monkeypatch.setattr(module, "MAX_KEPT", 50)
    held = filled(-9.0, 9.0)
    assert held.overflowed
    assert not held.holds(100)
    (low, high), wanted = held.following(100, (-9.0, 9.0))
    assert high == math.nextafter(low, math.inf)
    assert low in VALUES
    assert wanted == (-9.0, 9.0)


def test_a_miss_leads_to_the_side_where_the_score_is():
    (low, high), _ = filled(-1.0, 0.0).following(5, (-1.0, 0.0))
    assert low == 0.0 < high
    (low, high), _ = filled(1.0, 1.5).following(300, (1.0, 1.5))
    assert low < 1.0 == high
    # Within what was wanted before, no further than that.
    assert filled(0.0, 0.1).following(5, (-1.0, 3.0))[0] == (0.1, 3.0)
    assert filled(0.0, 0.1).following(390, (-1.0, 3.0))[0] == (-1.0, 0.0)


def test_limits_in_float32_leave_no_doubtful_pair_to_the_product():
    maybe, surely = bracket(0.1, 0.3).limits(1e-5)
    assert float(maybe) <= 0.1 - 1e-5
    assert float(surely) >= 0.3 + 1e-5
    assert float(surely) == pytest.approx(0.3 + 1e-5, abs=1e-7)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.6])
def test_sure_pairs_are_counted_for_both_of_their_rows(share):
    over = np.random.default_rng(1).random((8, 12)) < share
    first, second = np.arange(4, 12), np.arange(8, 20)
    held = bracket(0.0, 1.0)
    held.add_sure(over, first, second)
    expected = np.zeros(20, int)
    for i, j in np.argwhere(over):
        expected[first[i]] += 1
        expected[second[j]] += 1
    assert held.above == over.sum()
    np.testing.assert_array_equal(held.rows, expected)
