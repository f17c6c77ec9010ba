"""Searches and their rates, on a gallery small enough to be judged by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import BadInput, NotEnoughData
from tronie.evaluation.searches import rank_value, rate_over_people, search, searched

ANGLES_DEG = [0, 40, 90, 5, 48, 70, 85, 20, 130]
"""Gallery: people 0, 1 and 2. Probes: of 0, of 1, two of 2, of 7, and of nobody."""
PEOPLE = np.array([0, 1, 2, 0, 1, 2, 2, 7, -1])
GALLERY, PROBES = np.arange(3), np.arange(3, 9)


def plane():
    angles = np.radians(ANGLES_DEG)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def cosine(degrees):
    return np.cos(np.radians(degrees))


def test_mates_ranks_and_strangers_by_the_angles():
    found = search(plane(), PEOPLE, probes=PROBES, gallery=GALLERY, deepest=2)
    np.testing.assert_allclose(found.mates, cosine([5, 8, 20, 5]), atol=1e-6)
    assert found.ranks.tolist() == [1, 1, 1, 1]
    assert found.people.tolist() == [0, 1, 2, 2]
    np.testing.assert_allclose(found.strangers, cosine([20, 40]), atol=1e-6)


def test_values_points_and_histograms():
    found = search(plane(), PEOPLE, probes=PROBES, gallery=GALLERY)
    told = searched(found, fpirs=[0.5, 0.1], ranks=[1, 5], of="G1")
    # One of two strangers may be taken for somebody: the one at 20 degrees, not that at 40.
    # All four mates score more than cos 40.
    value = told.values["G1_tpir_at_fpir_0.5"]
    assert (value.count, value.total) == (4, 4)
    assert told.values["G1_rank_5"].count == 4
    assert (told.values["G1_mated_probes"].value, told.values["G1_nonmated_probes"].value) == (4, 2)
    point = told.details.points[0]
    assert (point.of, point.far, point.false_matches, point.impostor_pairs) == ("G1", 0.5, 1, 2)
    assert point.threshold == pytest.approx(cosine(40), abs=1e-6)
    assert [h.kind for h in told.details.histograms] == ["genuine", "impostor"]
    assert told.notes == ("left out: FPIR 0.1; there are 2 non-mated probes of G1",)


def test_the_published_rule_leaves_no_fpir_out():
    found = search(plane(), PEOPLE, probes=PROBES, gallery=GALLERY)
    told = searched(found, fpirs=[0.5, 0.1], ranks=[], rule="published")
    # Above the larger stranger, cos 20: the mate at 20 degrees ties with it and may round
    # either way, so the two at 5 and the one at 8 degrees are sure.
    assert told.values["tpir_at_fpir_0.1"].count >= 3
    assert told.notes == ()


def test_a_closed_set_has_ranks_only():
    found = search(plane(), PEOPLE, probes=PROBES[:4], gallery=GALLERY)
    told = searched(found, fpirs=[0.1], ranks=[1])
    assert list(told.values) == ["rank_1", "mated_probes", "nonmated_probes"]
    assert told.details.points == ()


def test_an_interval_draws_people_and_not_probes():
    """One person with 90 hits, nine with ten misses each: 50 %, but it hangs on one person."""
    hits, people = np.repeat([True, False], 90), np.repeat(np.arange(10), [90, *[10] * 9])
    value = rate_over_people(hits, people)
    assert (value.count, value.total) == (90, 180)
    assert value.interval.low == 0  # those resamples that miss the one person
    assert value.interval.high > 0.7
    assert "bootstrap over identities" in value.interval.method


def test_where_nothing_was_missed_the_interval_is_labeled_optimistic():
    value = rank_value(np.array([1, 1, 1]), 1, people=np.array([4, 4, 9]))
    assert "optimistic" in value.interval.method
    assert (value.value, value.interval.high) == (1, 1)


def test_a_row_on_both_sides_is_refused():
    with pytest.raises(BadInput, match=r"^1 rows are both probe and gallery, the first of them 2"):
        search(plane(), PEOPLE, probes=np.array([2, 5]), gallery=GALLERY)


def test_an_empty_side_is_refused():
    none = np.empty(0, np.int64)
    with pytest.raises(NotEnoughData, match=r"^a search needs probes and a gallery; got 0 and 3"):
        search(plane(), PEOPLE, probes=none, gallery=GALLERY)


def test_no_mated_probe_is_refused():
    found = search(plane(), PEOPLE, probes=PROBES[4:], gallery=GALLERY)
    with pytest.raises(NotEnoughData, match=r"at least one mated probe; got none"):
        searched(found, fpirs=[], ranks=[1])
    with pytest.raises(NotEnoughData, match=r"at least one mated probe; got none"):
        searched(found, fpirs=[0.5], ranks=[])
