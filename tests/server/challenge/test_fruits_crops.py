"""FNMR at FMR 1e-5 of crops, against a loop over all pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tronie.errors import BadFile
from tronie.evaluation.pairs.scores import NumpyScreen
from tronie.evaluation.pairs.sets import HowToRun
from tronie.evaluation.protocols import fruits
from tronie.geometry.hypersphere import normalize
from tronie.provenance import provenance
from tronie.server.challenge.fruits_crops import measure_fruits, read_meta


def oracle(unit, people, pairs, fmr):
    """Misses over genuine pairs at the lowest threshold that accepts at most fmr of the others."""
    score = {pair: float(unit[pair[0]] @ unit[pair[1]]) for pair in pairs}
    genuine = [score[i, j] for i, j in pairs if people[i] == people[j]]
    others = sorted((score[i, j] for i, j in pairs if people[i] != people[j]), reverse=True)
    refused = others[int(fmr * len(others))]
    return sum(s <= refused for s in genuine), len(genuine)


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(fruits, "FMR", 0.01)
    rng = np.random.default_rng(3)
    people = np.repeat(np.arange(20), 4)
    rows = rng.normal(size=(20, 8))[people] + 0.7 * rng.normal(size=(80, 8))
    masked = rng.random(80) < 0.4
    lines = [f"{p},{int(m)},{'ab'[p % 2]}" for p, m in zip(people, masked, strict=True)]
    meta = tmp_path / "META.csv"
    meta.write_text("\n".join(["subject,masked,race", *lines]) + "\n")
    return normalize(rows)[0], people, masked, meta


def measured(unit, meta):
    return measure_fruits(
        unit,
        meta,
        screens=lambda dimension, error: [NumpyScreen()],
        how=HowToRun(sample_pairs=100),
        made_with=provenance(),
    )


def test_errors_are_those_of_a_loop_over_all_pairs(world):
    unit, people, masked, meta = world
    exact = unit.astype(np.float64)
    every = list(itertools.combinations(range(80), 2))
    mixed = [(i, j) for i, j in every if masked[i] != masked[j]]
    report = measured(unit, meta)
    for name, pairs in (("fnmr_all", every), ("fnmr_masked", mixed)):
        value = report.values[name]
        assert (value.count, value.total) == oracle(exact, people, pairs, 0.01)
    assert report.details.groups[0].of == "race"
    assert {rate.group for rate in report.details.groups[0].rates} == {"a", "b"}


def test_the_report_says_that_no_system_was_timed_and_holds_no_time(world):
    unit, _, _, meta = world
    report = measured(unit, meta)
    assert report.name == "fruits"
    assert set(report.values) == {"fnmr_all", "fnmr_masked"}
    assert "the recognizer's part of FRUITS only" in report.notes[0]


def test_without_masks_only_all_pairs_are_measured(world):
    unit, people, _, meta = world
    meta.write_text("\n".join(["subject,masked", *(f"{p}," for p in people)]) + "\n")
    report = measured(unit, meta)
    assert set(report.values) == {"fnmr_all"}
    assert "masked: not measured" in report.notes


def test_a_flag_that_is_none_is_refused_by_its_line(world):
    meta = world[3]
    meta.write_text("subject,masked\n1,0\n1,yes\n")
    with pytest.raises(BadFile, match=r"META.csv:3: the column masked holds 1 or 0; got 'yes'"):
        read_meta(meta)
