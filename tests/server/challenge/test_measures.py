"""What META must hold for each protocol, and the pairs that are drawn from it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tronie.errors import BadFile, BadInput, NotEnoughData
from tronie.evaluation.protocols import fruits, lfr19_image, mfr21
from tronie.server.challenge.measures import MEASURES, drawn_pairs


def write(path, header, lines):
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


@pytest.fixture
def meta(tmp_path, monkeypatch):
    for name in ("FAR_MASK", "FAR_CHILDREN", "FAR_RACES"):
        monkeypatch.setattr(mfr21, name, 0.1)
    monkeypatch.setattr(lfr19_image, "HEADLINE", 0.1)
    monkeypatch.setattr(fruits, "FMR", 0.1)
    return tmp_path / "META.csv"


def test_the_rows_of_each_table_are_counted(meta):
    people = [n // 2 for n in range(16)]
    sets = ["mask-masked", "mask-plain", *mfr21.RACES]
    lines = [f"{name},{n}" for name in sets for n in people]
    assert MEASURES["mfr21"].rows_of(write(meta, "set,subject", lines)) == 96
    subjects = [f"{n}" for n in people]
    assert MEASURES["lfr19-image"].rows_of(write(meta, "subject", subjects)) == 16
    masked = [f"{who},{n % 2},a{n % 3}" for n, who in enumerate(people)]
    assert MEASURES["fruits"].rows_of(write(meta, "subject,masked,race", masked)) == 16
    many = [f"{n},{n // 4}" for n in range(60)]
    assert MEASURES["lfw-all"].rows_of(write(meta, "name,subject", many)) == 60


def test_mfr21_without_a_race_has_no_score_and_is_refused(meta):
    sets = ["mask-masked", "mask-plain", *mfr21.RACES[1:]]
    lines = [f"{name},{n // 2}" for name in sets for n in range(16)]
    with pytest.raises(BadInput, match=r"of all four races, which the score .*; got caucasian, "):
        MEASURES["mfr21"].rows_of(write(meta, "set,subject", lines))


def test_too_few_pairs_for_the_rate_that_ranks_are_refused(meta):
    lines = [f"{n // 2}" for n in range(16)]
    expected = r"META.csv: the set pairs: FAR 0.0001 needs at least 10000 impostor pairs; got 112"
    with pytest.raises(NotEnoughData, match=expected):
        MEASURES["lfr19-video"].rows_of(write(meta, "subject", lines))


def test_a_column_of_another_protocol_is_refused(meta):
    with pytest.raises(BadFile, match=r"unknown column 'set'"):
        MEASURES["lfr19-image"].rows_of(write(meta, "set,subject", ["mask,1"]))


def test_all_pairs_need_pairs_of_one_person_for_their_folds(meta):
    lines = [f"{n}" for n in [0, 0, *range(60)]]
    with pytest.raises(NotEnoughData, match=r"ten folds need 10 pairs, half .*; these rows give 6"):
        MEASURES["lfw-all"].rows_of(write(meta, "subject", lines))


def test_drawn_pairs_go_by_turns_and_are_drawn_again_the_same():
    people = np.array([0, 0, 0, 1, 1, 2, -1, -1, 3, 4])
    first, second, same = drawn_pairs(people)
    assert same.tolist() == [True, False] * 4
    told = set(zip(first.tolist(), second.tolist(), strict=True))
    assert {(0, 1), (1, 2), (3, 4), (0, 2)} <= told
    for mine, other in zip(drawn_pairs(people), (first, second, same), strict=True):
        np.testing.assert_array_equal(mine, other)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-1, 4), max_size=25), st.integers(1, 30))
def test_drawn_pairs_are_pairs_of_their_kind_and_never_twice(people, most):
    whose = np.array(people, np.int64)
    first, second, same = drawn_pairs(whose, most=most)
    both = list(itertools.combinations(range(len(people)), 2))
    known = [(i, j) for i, j in both if people[i] >= 0 and people[j] >= 0]
    genuine = sum(people[i] == people[j] for i, j in known)
    assert len(same) == 2 * min(most, genuine, (len(known) - genuine) // 2)
    told = list(zip(first.tolist(), second.tolist(), strict=True))
    assert len(set(told)) == len(told)
    for (i, j), one in zip(told, same.tolist(), strict=True):
        assert i < j
        assert whose[i] >= 0
        assert whose[j] >= 0
        assert bool(whose[i] == whose[j]) is one
