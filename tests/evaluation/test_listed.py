"""Pairs of a list, against sorting them all."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

import pairs_oracle
from tronie.errors import BadArray, NotEnoughData
from tronie.evaluation.metrics.intervals import bootstrap_recentered
from tronie.evaluation.pairs.enrolled import enroll
from tronie.evaluation.pairs.listed import listed_points
from tronie.geometry.hypersphere import normalize

PEOPLE = np.repeat(np.arange(12), 3)


def toy(failed=()):
    rng = np.random.default_rng(0)
    rows = normalize(rng.normal(size=(12, 8))[PEOPLE] + rng.normal(size=(36, 8)))[0]
    first, second = rng.integers(36, size=(2, 400))
    first, second = first[first != second], second[first != second]
    rows[list(failed)] = np.nan
    return rows, first, second


def slowly(rows, first, second, failed, far):
    scores = [
        -2.0 if i in failed or j in failed else pairs_oracle.score(rows[i], rows[j])
        for i, j in zip(first, second, strict=True)
    ]
    same = PEOPLE[first] == PEOPLE[second]
    impostor = sorted((s for s, one in zip(scores, same, strict=True) if not one), reverse=True)
    threshold = math.nextafter(impostor[math.floor(Fraction(str(far)) * len(impostor))], math.inf)
    accepted = np.array(scores) >= threshold
    return threshold, accepted, same


@pytest.mark.parametrize("failed", [(), (0, 5, 17), tuple(range(0, 36, 2))])
def test_points_are_those_of_sorting_the_list(failed):
    rows, first, second = toy(failed)
    points = listed_points(enroll(rows), PEOPLE, first, second, fars=(0.01, 0.2), of="x")
    assert [point.far for point in points] == [0.2, 0.01]
    for point in points:
        threshold, accepted, same = slowly(rows, first, second, failed, point.far)
        assert point.threshold == threshold
        assert (point.of, point.false_matches) == ("x", (accepted & ~same).sum())
        assert (point.impostor_pairs, point.genuine_pairs) == ((~same).sum(), same.sum())
        assert point.accepted == (accepted & same).sum()
        assert point.tar == point.accepted / point.genuine_pairs
        assert point.achieved_far <= point.far


def test_intervals_are_over_people_a_pair_of_two_counting_at_both():
    rows, first, second = toy()
    (point,) = listed_points(enroll(rows), PEOPLE, first, second, fars=(0.2,), seed=3)
    _, accepted, same = slowly(rows, first, second, (), 0.2)

    def counted(which):
        sums = np.zeros(12, np.int64)
        for i, j in zip(first[which], second[which], strict=True):
            for person in {PEOPLE[i], PEOPLE[j]}:
                sums[person] += 1
        return sums

    for kind, interval in ((~same, point.far_interval), (same, point.tar_interval)):
        (expected,) = bootstrap_recentered(
            np.array([counted(accepted & kind)]),
            counted(kind),
            counts=[int((accepted & kind).sum())],
            total=int(kind.sum()),
            seed=3,
        )
        assert interval == expected


def test_failures_never_match_even_where_all_that_is_left_does():
    """So many failed that the last score refused is theirs: none of them is accepted."""
    failed = tuple(range(1, 33))
    rows, first, second = toy(failed)
    (point,) = listed_points(enroll(rows), PEOPLE, first, second, fars=(0.5,))
    live = np.isin(first, (0, 33, 34, 35)) & np.isin(second, (0, 33, 34, 35))
    same = PEOPLE[first] == PEOPLE[second]
    assert -2 < point.threshold < -1
    assert point.false_matches == (live & ~same).sum()
    assert point.accepted == (live & same).sum()


def test_lists_that_cannot_be_judged_are_refused():
    rows, first, second = toy()
    with pytest.raises(BadArray, match=r"both sides of a list have shape \(P,\)"):
        listed_points(enroll(rows), PEOPLE, first[1:], second, fars=(0.2,))
    other = PEOPLE[first] != PEOPLE[second]
    with pytest.raises(NotEnoughData, match="needs pairs of one person; none of its"):
        listed_points(enroll(rows), PEOPLE, first[other], second[other], fars=(0.2,))
    with pytest.raises(NotEnoughData, match="FAR 1e-06 needs at least 1000000 impostor pairs"):
        listed_points(enroll(rows), PEOPLE, first, second, fars=(1e-6,))
