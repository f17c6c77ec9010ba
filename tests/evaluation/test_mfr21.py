"""MFR21: the published pair counts, the sets, and the score on a small world."""

from __future__ import annotations

import numpy as np
import pytest

import pairs_oracle
from tronie.errors import BadInput
from tronie.evaluation.pairs.scores import NumpyScreen
from tronie.evaluation.pairs.sets import measure_sets, plan_sets
from tronie.evaluation.protocols import mfr21
from tronie.geometry.hypersphere import normalize

PUBLISHED = {  # images, positive pairs, negative pairs: README of the challenge
    "Children": (157_280, 1_773_428, 24_735_067_692),
    "African": (298_010, 870_091, 88_808_791_999),
    "Caucasian": (697_245, 2_024_609, 486_147_868_171),
    "Indian": (237_080, 688_259, 56_206_001_061),
    "Asian": (391_970, 1_106_078, 153_638_982_852),
    "ALL": (1_624_305, 4_689_037, 2_638_360_419_683),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_six_published_counts_of_negative_pairs_follow_from_the_formula(name):
    images, positive, negative = PUBLISHED[name]
    assert mfr21.published_negatives(images, positive) == negative


def test_the_races_of_the_published_table_add_up_to_all():
    races = [PUBLISHED[name] for name in ("African", "Caucasian", "Indian", "Asian")]
    assert tuple(map(sum, zip(*[r[:2] for r in races], strict=True))) == PUBLISHED["ALL"][:2]


@pytest.fixture
def small(monkeypatch):
    """A world with every set, and FARs that it can answer."""
    monkeypatch.setattr(mfr21, "FAR_MASK", 0.01)
    monkeypatch.setattr(mfr21, "FAR_CHILDREN", 0.01)
    monkeypatch.setattr(mfr21, "FAR_RACES", 0.02)
    rng = np.random.default_rng(7)
    column, people = [], []
    for name in mfr21.KNOWN:
        first = 0 if name == mfr21.MASKED else 100 * mfr21.KNOWN.index(name)
        first = 0 if name == mfr21.PLAIN else first
        column += [name] * 30
        people += list(first + np.repeat(np.arange(10), 3))
    people = np.array(people)
    _, at = np.unique(people, return_inverse=True)
    unit = normalize(rng.normal(size=(at.max() + 1, 10))[at] + rng.normal(size=(len(at), 10)))[0]
    return unit, people, column


def score(unit, people, column):
    planned = plan_sets(unit, people, mfr21.pair_sets(column), screens=[NumpyScreen()])
    return mfr21.PROTOCOL.score(measure_sets(unit, planned, labels=people))


def test_every_set_and_the_score_are_those_of_sorting_all_its_pairs(small):
    unit, people, column = small
    told, column = score(*small), np.array(column)
    sides = {"mask": (column == mfr21.MASKED, column == mfr21.PLAIN)}
    sides |= {name: (column == name, None) for name in ("children", *mfr21.RACES)}
    sides["mr-all"] = (np.isin(column, mfr21.RACES), None)
    for name, (group, against) in sides.items():
        genuine, impostor = pairs_oracle.every_pair(unit, people, group=group, against=against)
        threshold, _ = pairs_oracle.judged(impostor, 0.02 if name in mfr21.ORDER[2:] else 0.01)
        accepted = sum(s >= threshold for s, _, _ in genuine)
        assert (told.values[name].count, told.values[name].total) == (accepted, len(genuine))
    expected = 0.25 * told.values["mask"].value + 0.75 * told.values["mr-all"].value
    assert told.values["score"].value == expected
    assert next(iter(told.values)) == "score"
    assert [one.of for one in told.details.groups] == ["mr-all"]
    assert {rate.group for rate in told.details.groups[0].rates} == set(mfr21.RACES)
    assert any("as the challenge counts them 14160 negative pairs" in n for n in told.notes)


def test_without_a_mask_set_there_is_no_score_and_that_is_said(small):
    unit, people, column = small
    stay = np.array([not name.startswith("mask") for name in column])
    told = score(unit[stay], people[stay], [name for name in column if name[:4] != "mask"])
    assert "score" not in told.values
    assert "no score: it needs the mask set and all four races" in told.notes
    assert "mask: not measured, META has no rows of it" in told.notes


def test_strange_tables_are_refused():
    with pytest.raises(BadInput, match="the column set holds 'asian'; it may hold mask-masked, "):
        mfr21.pair_sets(["children", "asian"])
    with pytest.raises(BadInput, match="needs rows of both mask-masked and mask-plain; got one"):
        mfr21.pair_sets(["mask-plain"])
    with pytest.raises(BadInput, match="META has no rows"):
        mfr21.pair_sets([])
