"""Parts of a Report: through JSON and back to equal objects, and the marks they carry."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tronie.errors import BadFile, BadInput
from tronie.evaluation.metrics.intervals import wilson
from tronie.evaluation.report_parts import (
    FEW_ERRORS,
    Curve,
    CurvePoint,
    Details,
    GroupRate,
    Groups,
    Histogram,
    OperatingPoint,
    PairExample,
)

POINT = OperatingPoint(
    of="mask",
    far=1e-3,
    threshold=0.1 + 0.2,
    achieved_far=40 / 50_000,
    false_matches=40,
    impostor_pairs=50_000,
    tar=0.96,
    accepted=960,
    genuine_pairs=1000,
    far_interval=wilson(40, 50_000),
    tar_interval=wilson(960, 1000),
    sampled=True,
)


def counted(false_matches: int, accepted: int) -> OperatingPoint:
    """The same point with other counts, and the rates that are theirs."""
    return replace(
        POINT,
        false_matches=false_matches,
        achieved_far=false_matches / 50_000,
        accepted=accepted,
        tar=accepted / 1000,
    )


CURVE = Curve(
    of="mask",
    points=(
        CurvePoint(threshold=0.5, fmr=1e-3, fnmr=0.1, false_matches=29, misses=100),
        CurvePoint(threshold=0.4, fmr=0.1, fnmr=0.05, false_matches=900, misses=50, sampled=True),
    ),
)
HISTOGRAM = Histogram(of="mask", kind="impostor", low=-1, high=1, counts=(3, 0, 7), sampled=True)
GROUPS = Groups(
    of="region",
    far=1e-3,
    threshold=0.3,
    rates=(
        GroupRate(group="a", false_matches=4, impostor_pairs=100, misses=1, genuine_pairs=10),
        GroupRate(group="b", false_matches=1, impostor_pairs=100, misses=0, genuine_pairs=0),
    ),
    fmr_max_over_geomean=2.0,
    fnmr_max_over_geomean=None,
)
PAIRS = (
    PairExample(kind="impostor", score=0.9, rows=(3, 8), labels=("Ada", "Bea")),
    PairExample(of="mask", kind="genuine", score=-0.1, rows=(4, 5), labels=(7, 7)),
)
MOST = {"false matches at FAR 1e-06": [{"label": "Ada", "in_pairs": 9}]}


def through_json(record):
    return json.loads(json.dumps(record, allow_nan=False))


@pytest.mark.parametrize(
    "part",
    [
        POINT,
        replace(POINT, of="", far_interval=None, tar_interval=None, sampled=False),
        counted(2, 960),
        CURVE,
        Curve(points=()),
        HISTOGRAM,
        GROUPS,
        *PAIRS,
    ],
)
def test_a_part_is_read_back_equal(part):
    assert type(part).from_dict(through_json(part.to_dict())) == part


def test_all_parts_together_are_read_back_equal():
    whole = Details(
        points=(POINT,),
        curves=(CURVE,),
        histograms=(HISTOGRAM,),
        groups=(GROUPS,),
        pairs=PAIRS,
        most_errors=MOST,
    )
    assert Details.from_dict(through_json(whole.to_dict())) == whole


def test_what_is_empty_is_left_out():
    assert Details().to_dict() == {}
    assert Details.from_dict({}) == Details()
    assert list(Details(pairs=PAIRS).to_dict()) == ["pairs"]


@pytest.mark.parametrize(
    ("false_matches", "accepted", "few"),
    [(30, 970, False), (29, 970, True), (30, 971, True), (0, 1000, True)],
)
def test_fewer_than_thirty_errors_of_one_kind_are_few(false_matches, accepted, few):
    assert FEW_ERRORS == 30
    point = counted(false_matches, accepted)
    assert point.misses == 1000 - accepted
    assert point.few_errors is few
    assert point.to_dict()["few_errors"] is few
    assert ("note" in point.to_dict()) is few
    curve_point = replace(CURVE.points[0], false_matches=false_matches, misses=1000 - accepted)
    assert curve_point.few_errors is few


def test_the_note_says_how_many_errors_there_are():
    note = counted(8, 960).note
    assert note == "rests on 8 false matches and 40 misses; below 30 a rate is rough"
    assert POINT.note == ""


def test_the_rates_of_a_group_are_its_counts_and_none_without_pairs():
    first, second = GROUPS.rates
    assert (first.fmr, first.fnmr) == (4 / 100, 1 / 10)
    assert (second.fmr, second.fnmr) == (1 / 100, None)
    told = GROUPS.to_dict()["rates"]
    assert [(rate["fmr"], rate["fnmr"]) for rate in told] == [(0.04, 0.1), (0.01, None)]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"counts": ()}, "0 bins from -1 to 1"),
        ({"low": 1}, "3 bins from 1 to 1"),
        ({"low": float("nan")}, "3 bins from nan to 1"),
    ],
)
def test_a_histogram_without_bins_or_width_is_refused(changes, found):
    with pytest.raises(BadInput, match=f"needs bins between two scores; got {found}"):
        replace(HISTOGRAM, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"far": -3}, r"far is a rate, from 0 to 1; got -3"),
        ({"tar": 55.0}, r"tar is a rate, from 0 to 1; got 55\.0"),
        ({"achieved_far": -4.0}, r"achieved_far is a rate, from 0 to 1; got -4\.0"),
        ({"tar": 0.95}, r"tar must be 960 of 1000 pairs; got 0\.95"),
        ({"false_matches": 41}, r"achieved_far must be 41 of 50000 pairs; got 0\.0008"),
        ({"accepted": 1001}, "counts behind tar: there cannot be 1001 in 1000 pairs"),
        ({"false_matches": -1}, "counts behind achieved_far: there cannot be -1 in 50000 pairs"),
        ({"accepted": 0, "genuine_pairs": 0}, "tar needs a pair that it is a rate of; got none"),
        ({"impostor_pairs": 10**400}, "achieved_far must be 40 of 10{59} pairs; got 0.0008"),
    ],
)
def test_rates_of_an_operating_point_are_those_of_its_counts(changes, message):
    with pytest.raises(BadInput, match=message):
        replace(POINT, **changes)


@pytest.mark.parametrize("changes", [{"fmr": 5}, {"fnmr": -7.0}, {"fmr": 10**400}])
def test_rates_of_a_curve_are_rates(changes):
    with pytest.raises(BadInput, match=r"^fn?mr is a rate, from 0 to 1; got (5|-7\.0|10{59})$"):
        replace(CURVE.points[0], **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"false_matches": 101}, "^false matches of 'a': there cannot be 101 in 100 pairs$"),
        ({"misses": 11}, "^misses of 'a': there cannot be 11 in 10 pairs$"),
        ({"misses": -1}, "^misses of 'a': there cannot be -1 in 10 pairs$"),
    ],
)
def test_a_group_has_no_more_errors_than_pairs(changes, message):
    with pytest.raises(BadInput, match=message):
        replace(GROUPS.rates[0], **changes)


def test_details_of_several_sets_are_joined_in_their_order():
    one = Details(points=(POINT,), curves=(CURVE,), most_errors={"a": [{"label": "1"}]})
    other = Details(
        points=(replace(POINT, of="children"),),
        histograms=(HISTOGRAM,),
        groups=(GROUPS,),
        most_errors={"b": [], "a": [{"label": "2"}]},
    )
    assert Details.joined(part for part in (one, other, Details())) == Details(
        points=(POINT, replace(POINT, of="children")),
        curves=(CURVE,),
        histograms=(HISTOGRAM,),
        groups=(GROUPS,),
        most_errors={"a": [{"label": "2"}], "b": []},
    )
    assert Details.joined([]) == Details()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"points": [POINT.to_dict()] * 10_001}, "10001 operating points; at most 10000 are read"),
        (
            {"curves": [{"of": "", "points": [{}] * 5001}] * 2},
            "it holds 10002 points of curves; at most 10000 are read",
        ),
        (
            {"histograms": [{**HISTOGRAM.to_dict(), "counts": [1] * 50_001}] * 2},
            "it holds 100002 bins of histograms; at most 100000 are read",
        ),
        ({"groups": [{"rates": [{}] * 10_001}]}, "it holds 10001 groups; at most 10000 are read"),
        ({"pairs": [{}] * 10_001}, "it holds 10001 pairs; at most 10000 are read"),
        (
            {"most_errors": {str(n): [] for n in range(10_001)}},
            "it holds 10001 lists of labels; at most 10000 are read",
        ),
    ],
)
def test_more_parts_than_a_page_can_show_are_refused_by_what_they_are(record, message):
    with pytest.raises(BadFile, match=message):
        Details.from_dict(record)
