"""FRUITS: a budget that is held, and rates of all, masked and groups."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import BadInput
from tronie.evaluation.one_core import Timed
from tronie.evaluation.pairs.enrolled import enroll, measure_enrolled, plan_enrolled
from tronie.evaluation.pairs.scores import NumpyScreen
from tronie.evaluation.pairs.sets import HowToRun
from tronie.evaluation.protocols.fruits import BUDGETS_S, PROTOCOL, check_budget, score
from tronie.geometry.hypersphere import normalize

FMR = 0.05
PEOPLE = np.repeat(np.arange(10), 4)


@pytest.fixture(scope="module")
def measured():
    rng = np.random.default_rng(0)
    rows = normalize(rng.normal(size=(10, 8))[PEOPLE] + rng.normal(size=(40, 8)))[0]
    rows[3] = np.nan
    masked = np.arange(40) % 4 == 0
    enrolled = enroll(rows)
    found = {}
    for name, sides in {"all": {}, "masked": {"group": masked, "against": ~masked}}.items():
        planned = plan_enrolled(
            enrolled, PEOPLE, fars=(FMR,), screens=[NumpyScreen()], of=name, **sides
        )
        found[name] = measure_enrolled(planned, labels=PEOPLE, how=HowToRun(sample_pairs=0))
    return found


def time(*seconds, pinned=True):
    return Timed(seconds=seconds, warm_up=1, pinned=pinned, busy_cores=0.98)


def judged(measured, took=None, **rest):
    took = took or time(0.1, 0.2, 0.3)
    return score(measured, took, **{"track": "fruits-500", "fmr": FMR, **rest})


def test_the_budgets_are_the_published_ones():
    assert BUDGETS_S == {"fruits-100": 0.1, "fruits-500": 0.5, "fruits-1000": 1.0}


def test_rates_are_those_of_both_sets_and_times_those_measured(measured):
    report = judged(measured)
    flat = report.to_dict()
    for name in ("all", "masked"):
        point = measured[name].point(FMR)
        assert flat["counts"][f"fnmr_{name}"] == [point.misses, point.genuine_pairs]
    assert flat["counts"]["failures_to_enroll"] == [1, 40]
    assert flat["time_mean"] == pytest.approx(0.2)
    assert flat["time_median"] == 0.2
    assert flat["time_p95"] == pytest.approx(0.29)
    assert flat["time_p99"] == pytest.approx(0.298)
    assert (flat["budget"], flat["budget_used"]) == (0.5, pytest.approx(0.4))
    assert [point.of for point in report.details.points] == ["all", "masked"]
    assert (report.name, report.version) == (PROTOCOL.name, PROTOCOL.version) == ("fruits", "1")
    assert any("3 photographs, read to match, on one core; the first 1" in n for n in report.notes)
    assert any("FNMR is at FMR 0.05; the protocol asks for 1e-05" in n for n in report.notes)


def test_a_system_over_its_budget_is_refused_or_marked(measured):
    slow = time(0.5, 0.612, 0.724)
    with pytest.raises(BadInput, match=r"took 612 ms a photograph \(mean of 3 of 40\); FRUITS-500"):
        judged(measured, slow)
    report = judged(measured, slow, over_budget="mark")
    assert report.notes[0] == "OVER BUDGET: 1.22 times what FRUITS-500 allows"
    assert report.values["budget_used"].value == pytest.approx(1.224)
    assert judged(measured, slow, track="fruits-1000").values["fnmr_all"].count is not None


def test_the_mean_decides_and_not_the_slowest():
    check_budget((0.1, 0.9), track="fruits-500", of=2)
    with pytest.raises(BadInput, match=r"took 501 ms a photograph; FRUITS-500 allows 500\."):
        check_budget((0.102, 0.9), track="fruits-500", of=2)


def test_without_masks_the_report_says_so(measured):
    report = judged({"all": measured["all"]})
    assert "fnmr_masked" not in report.values
    assert "masked: not measured" in report.notes


def test_a_time_that_was_not_kept_on_one_core_says_so(measured):
    report = judged(measured, time(0.1, pinned=False))
    assert any("NOT kept on one core" in note for note in report.notes)


def test_unknown_names_are_refused(measured):
    with pytest.raises(BadInput, match="one of fruits-100, fruits-500, fruits-1000; got 'fast'"):
        judged(measured, track="fast")
    with pytest.raises(BadInput, match='"refuse" or "mark"; got \'ignore\''):
        judged(measured, over_budget="ignore")
