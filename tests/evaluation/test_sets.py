"""Several sets over one matrix: each as if it were alone, and gone on with after a stop."""

from __future__ import annotations

import numpy as np
import pytest

import pairs_oracle
from tronie.errors import NotEnoughData
from tronie.evaluation.pairs import sets as module
from tronie.evaluation.pairs.scores import NumpyScreen
from tronie.evaluation.pairs.sets import HowToRun, PairSet, all_details, measure_sets, plan_sets
from tronie.geometry.hypersphere import normalize

RNG = np.random.default_rng(1)
PEOPLE = np.repeat(np.arange(30), 4)
UNIT = normalize(RNG.normal(size=(30, 12))[PEOPLE] + RNG.normal(size=(120, 12)))[0]
ODD = np.arange(120) % 2 == 1
SETS = [
    PairSet(name="all", fars=(0.01, 0.1, 1e-9), groups=np.where(PEOPLE < 15, "a", "b")),
    PairSet(name="cross", fars=(0.05,), group=ODD, against=~ODD),
    PairSet(name="few", fars=(0.02,), group=PEOPLE < 6),
]
LABELS = PEOPLE.astype(np.str_)


def planned(sets=SETS, **rest):
    return plan_sets(UNIT, PEOPLE, sets, screens=[NumpyScreen()], **rest)


def test_each_set_is_measured_as_if_it_were_alone():
    told = measure_sets(UNIT, planned(), labels=LABELS)
    assert list(told) == ["few", "cross", "all"]  # the largest last
    for asked in SETS:
        genuine, impostor = pairs_oracle.every_pair(
            UNIT, PEOPLE, group=asked.group, against=asked.against
        )
        for point in told[asked.name].details.points:
            threshold, false = pairs_oracle.judged(impostor, point.far)
            assert (point.threshold, point.false_matches) == (threshold, false)
            assert point.accepted == sum(s >= threshold for s, _, _ in genuine)
    assert told["all"].too_tight == (1e-9,)
    assert told["all"].point(0.1).false_matches > told["all"].point(0.01).false_matches
    assert [told[name].images for name in ("few", "cross", "all")] == [24, 120, 120]
    assert [one.of for one in told["all"].details.groups] == ["all", "all"]


def test_details_of_several_sets_stand_in_the_order_asked():
    told = measure_sets(UNIT, planned(), labels=LABELS)
    whole = all_details(told, ("cross", "absent", "all"))
    assert [point.of for point in whole.points] == ["cross", "all", "all"]
    assert [curve.of for curve in whole.curves] == ["cross", "all"]
    assert {key.split(":")[0] for key in whole.most_errors} <= {"cross", "all"}


def test_a_run_that_stopped_goes_on_in_the_set_where_it_was(tmp_path, monkeypatch):
    whole = measure_sets(UNIT, planned(), labels=LABELS)
    how = HowToRun(checkpoint=tmp_path / "state")
    real, calls = module.measure_pairs, []

    def stops_in_the_third(unit, chosen, plan, **rest):
        calls.append(rest["checkpoint"].name)
        if len(calls) == 3:
            raise KeyboardInterrupt("stopped")
        return real(unit, chosen, plan, **rest)

    monkeypatch.setattr(module, "measure_pairs", stops_in_the_third)
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        measure_sets(UNIT, planned(), labels=LABELS, how=how)
    assert calls == ["state.few", "state.cross", "state.all"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["state.cross", "state.few"]
    visited = []
    monkeypatch.setattr(module, "measure_pairs", real)
    how = HowToRun(
        checkpoint=tmp_path / "state", progress=lambda done, total: visited.append((done, total))
    )
    again = measure_sets(UNIT, planned(), labels=LABELS, how=how)
    assert visited[0][0] == visited[0][1]  # the first set was whole already
    for name, one in whole.items():
        assert again[name].details == one.details
    assert not list(tmp_path.iterdir())


def test_whoever_waits_is_told_what_runs():
    lines = []
    measure_sets(UNIT, planned(), labels=LABELS, how=HowToRun(announce=lines.append))
    assert lines[0].startswith("few: 240 impostor and 36 genuine pairs")


def test_a_set_with_too_few_pairs_is_named():
    with pytest.raises(
        NotEnoughData, match=r"the set tight: its FAR of 1e-06 needs 1000000 .* give 6960; `tronie"
    ):
        planned([PairSet(name="tight", fars=(1e-6, 0.1))])
    with pytest.raises(NotEnoughData, match="the set one: a rate needs pairs of one person and"):
        planned([PairSet(name="one", fars=(0.1,), group=PEOPLE == 3)])
