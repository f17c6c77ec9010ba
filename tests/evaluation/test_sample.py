"""A sample of impostor pairs: it is one, it is uniform, and its interval holds."""

from __future__ import annotations

import numpy as np
import pytest

import pairs_oracle
from tronie.errors import NotEnoughData
from tronie.evaluation.metrics.verification import threshold_at_far
from tronie.evaluation.pairs import sample as module
from tronie.evaluation.pairs.pairing import pairing
from tronie.evaluation.pairs.sample import sample_impostors, sampled_threshold
from tronie.geometry.hypersphere import normalize

RNG = np.random.default_rng(3)
UNIT = normalize(RNG.normal(size=(14, 6)))[0]
PEOPLE = np.array([0, 0, 1, 1, 1, 2, 3, 3, -1, -1, -1, 4, 5, 5])


@pytest.mark.parametrize("cross", [False, True])
def test_every_impostor_pair_is_drawn_about_equally_often_and_no_other(cross):
    group = np.arange(14) % 2 == 0
    sides = {"group": group, "against": ~group} if cross else {}
    left_out = [(0, 5), (3, 8)]
    _, impostor = pairs_oracle.every_pair(UNIT, PEOPLE, left_out=left_out, **sides)
    chosen = pairing(PEOPLE, left_out=left_out, **sides)
    drawn = sample_impostors(UNIT, chosen, pairs=40_000)
    values, counts = np.unique(drawn, return_counts=True)
    assert set(values) == {s for s, _, _ in impostor}
    expected = 40_000 / len(impostor)
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_a_sample_is_ascending_seeded_and_may_be_empty():
    chosen = pairing(PEOPLE)
    first, again = (sample_impostors(UNIT, chosen, pairs=500, seed=1) for _ in range(2))
    assert (np.diff(first) >= 0).all()
    assert np.array_equal(first, again)
    assert not np.array_equal(first, sample_impostors(UNIT, chosen, pairs=500, seed=2))
    assert len(sample_impostors(UNIT, chosen, pairs=0)) == 0


def test_the_threshold_is_that_of_the_sample_taken_as_a_set():
    scores = np.sort(np.random.default_rng(0).normal(size=1000))
    for far in (0.5, 0.1, 0.003):
        told = sampled_threshold(scores, far)
        assert told.threshold == threshold_at_far(scores, far)
        assert told.false_matches == (scores >= told.threshold).sum()
        assert told.low <= told.threshold <= told.high


def test_the_ends_hold_the_true_threshold_as_often_as_they_say():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        told = sampled_threshold(np.sort(rng.random(2000)), 0.05)
        inside += told.low <= 0.95 <= told.high
    assert inside >= 0.94 * 400  # 95 %, and the ends are rounded outwards


def test_ends_stay_inside_the_sample_where_few_are_allowed():
    told = sampled_threshold(np.linspace(-1, 0.9, 20), 0.05)
    assert told.high == np.nextafter(1.0, 2)  # no cosine is above 1
    assert sampled_threshold(np.arange(20.0), 0.99).low == -1.0


def test_a_sample_too_small_for_its_far_is_refused():
    with pytest.raises(NotEnoughData, match=r"FAR 0.001 needs at least 1000 impostor pairs; got 9"):
        sampled_threshold(np.arange(9.0), 0.001)


def test_hardly_any_impostor_pair_is_said(monkeypatch):
    monkeypatch.setattr(module, "_AT_ONCE", 4)
    monkeypatch.setattr(module, "_TRIES", 2)
    people = np.zeros(400, int)
    people[7] = 1
    unit = normalize(np.random.default_rng(0).normal(size=(400, 3)))[0]
    with pytest.raises(NotEnoughData, match=r"hardly any is an impostor pair \(399 of all\)"):
        sample_impostors(unit, pairing(people), pairs=4)
