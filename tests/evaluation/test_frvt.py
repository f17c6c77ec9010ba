"""NIST's rates as a Report, from points that were counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import BadInput
from tronie.evaluation.metrics.intervals import wilson
from tronie.evaluation.protocols.frvt import FORMS, PROTOCOL, Aged, Compared, score
from tronie.evaluation.report_parts import Details, OperatingPoint


def point(far, misses):
    return OperatingPoint(
        far=far,
        threshold=0.5,
        achieved_far=far,
        false_matches=40,
        impostor_pairs=round(40 / far),
        tar=1 - misses / 200,
        accepted=200 - misses,
        genuine_pairs=200,
    )


def compared(form="visa", points=((1e-6, 60), (1e-4, 40)), **rest):
    details = Details(points=tuple(point(far, misses) for far, misses in points))
    told = {"templates": 300, "failed": 3, "template_bytes": 2048, **rest}
    return Compared(form=form, details=details, **told)


def test_the_forms_are_those_of_the_published_table():
    assert FORMS == {"visa": (1e-6, 1e-4), "mugshot": (1e-5,), "wild": (1e-5,)}


def test_fnmr_is_misses_over_genuine_pairs_the_ranking_fmr_first():
    report = score(compared(points=((1e-4, 40), (1e-6, 60))))
    flat = report.to_dict()
    assert list(report.values)[:2] == ["fnmr_at_fmr_1e-06", "fnmr_at_fmr_0.0001"]
    assert (flat["fnmr_at_fmr_1e-06"], flat["fnmr_at_fmr_0.0001"]) == (0.3, 0.2)
    assert flat["counts"]["fnmr_at_fmr_1e-06"] == [60, 200]
    assert flat["counts"]["failures_to_enroll"] == [3, 300]
    assert flat["template_bytes"] == 2048
    assert "template_time" not in flat
    assert (report.name, report.version) == (PROTOCOL.name, PROTOCOL.version) == ("frvt", "1")
    assert report.notes[0] == "the set is in the form visa: 200 genuine and 40000000 impostor pairs"


def test_the_time_is_a_median_and_aged_pairs_have_their_own_rate():
    aged = Aged(1e-5, np.array([4, 1, 0, 0]), np.array([4, 6, 9, 1]))
    told = compared("mugshot", ((1e-5, 31),), aged=aged, template_times_s=(3.0, 0.1, 0.2))
    report = score(told)
    flat = report.to_dict()
    assert flat["template_time"] == 0.2
    assert flat["fnmr_14_years"] == 0.25
    assert flat["counts"]["fnmr_14_years"] == [5, 20]
    assert "fnmr_14_years is at the threshold of FMR 1e-05" in report.notes


def test_the_interval_of_aged_pairs_draws_people_and_not_pairs():
    """All 80 misses are one person's: who is not drawn, leaves none behind."""
    aged = Aged(1e-5, np.array([80, *[0] * 9]), np.array([80, *[80] * 9]))
    interval = score(compared("mugshot", ((1e-5, 31),), aged=aged)).values["fnmr_14_years"].interval
    assert interval.method == "bootstrap over identities, re-centered, 1000 resamples"
    assert interval.low == 0  # in 0.9 ** 10 = 35 % of the draws
    assert wilson(80, 800).low > 0.08


def test_without_a_miss_of_aged_pairs_the_interval_is_wilsons():
    aged = Aged(1e-5, np.zeros(3, int), np.array([5, 6, 9]))
    value = score(compared("mugshot", ((1e-5, 31),), aged=aged)).values["fnmr_14_years"]
    assert (value.count, value.total, value.interval) == (0, 20, wilson(0, 20))


def test_few_errors_and_fmrs_of_no_form_are_told():
    report = score(compared("wild", ((1e-5, 3), (1e-2, 50))))
    assert "the form wild does not ask for FMR 0.01" in report.notes
    assert any(
        note.startswith("FMR 1e-05: rests on 40 false matches and 3") for note in report.notes
    )


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(BadInput, match="one of visa, mugshot, wild; got 'border'"):
        score(compared("border"))
    with pytest.raises(BadInput, match="the form visa needs an operating point; got none"):
        score(compared(points=()))
