"""A curve of errors rises, stays within [0, 1], and comes back from JSON as it was."""

from __future__ import annotations

import json

import pytest

from tronie.errors import BadInput
from tronie.evaluation.error_curve import ErrorCurve
from tronie.evaluation.report import Report, Value
from tronie.evaluation.report_parts import MOST_PARTS, Details

CURVE = ErrorCurve(of="pose", faces=8, limit=0.1, shares=(0.0, 0.5, 0.875))


def test_it_reads_back():
    assert ErrorCurve.from_dict(json.loads(json.dumps(CURVE.to_dict()))) == CURVE


def test_a_report_holds_it():
    report = Report(
        name="landmarks-wflw",
        version="1",
        values={"nme": Value(value=0.05, unit="fraction of the length")},
        details=Details(error_curves=(CURVE,)),
    )
    assert Report.from_json(report.to_json()) == report


def test_curves_of_several_parts_are_kept_together():
    other = ErrorCurve(faces=2, limit=0.1, shares=(0.0, 1.0))
    parts = [Details(error_curves=(CURVE,)), Details(), Details(error_curves=(other,))]
    assert Details.joined(parts).error_curves == (CURVE, other)


@pytest.mark.parametrize(
    ("limit", "shares"), [(0.0, (0.0, 1.0)), (-0.1, (0.0, 1.0)), (0.1, (0.5,)), (0.1, ())]
)
def test_it_needs_a_limit_and_two_shares(limit, shares):
    with pytest.raises(BadInput, match="a curve of errors needs a limit above 0 and two shares"):
        ErrorCurve(faces=1, limit=limit, shares=shares)


@pytest.mark.parametrize("shares", [(0.5, 0.25), (-0.25, 0.5), (0.5, 1.5)])
def test_it_rises_within_zero_and_one(shares):
    with pytest.raises(BadInput, match="the shares of a curve of errors rise from 0 or more to 1"):
        ErrorCurve(faces=1, limit=0.1, shares=shares)


def report_with(**changes):
    record = {
        "report": "landmarks-aflw",
        "version": "1",
        "values": {},
        "details": {"error_curves": [{**CURVE.to_dict(), **changes}]},
        "notes": [],
        "provenance": None,
    }
    return json.dumps(record)


def test_a_text_among_the_shares_is_refused_by_its_place():
    with pytest.raises(BadInput, match=r"report.details.error_curves\[0\].shares\[1\] must be flo"):
        Report.from_json(report_with(shares=[0.0, "1"]))


def test_more_than_is_read_is_refused():
    with pytest.raises(BadInput, match=r"it holds 10001 points of error curves; at most 10000"):
        Report.from_json(report_with(shares=[0.5] * (MOST_PARTS + 1)))
