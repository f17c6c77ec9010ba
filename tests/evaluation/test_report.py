"""Reports: what goes out comes back, and a rate never loses its counts."""

from __future__ import annotations

import json
import math

import pytest

from tronie.errors import BadFile, BadInput
from tronie.evaluation.metrics.intervals import wilson
from tronie.evaluation.report import Report, Value
from tronie.provenance import provenance


def report() -> Report:
    return Report(
        name="lfw",
        version="1",
        values={
            "accuracy": Value(
                value=0.9, unit="fraction", count=9, total=10, interval=wilson(9, 10)
            ),
            "pairs": Value(value=10, unit="pairs"),
        },
        notes=("one photograph without a face — counted as wrong",),
        provenance=provenance({"pairs.txt": "0" * 64}),
    )


def test_what_was_written_is_read_back_equal():
    written = report()  # once: its provenance holds the second it was made in
    assert Report.from_json(written.to_json()) == written


def test_a_report_without_provenance_is_read_back_equal():
    plain = Report(name="x", version="1", values={"a": Value(value=1, unit="pairs")})
    assert Report.from_json(plain.to_json()) == plain


def test_the_flat_form_has_each_value_at_the_top_with_counts_and_intervals_beside():
    flat = json.loads(json.dumps(report().to_dict()))
    assert (flat["report"], flat["accuracy"], flat["pairs"]) == ("lfw", 0.9, 10)
    assert flat["counts"] == {"accuracy": [9, 10]}
    assert flat["intervals"]["accuracy"]["low"] == wilson(9, 10).low
    assert flat["provenance"]["inputs"] == {"pairs.txt": "0" * 64}


@pytest.mark.parametrize(("count", "total"), [(11, 10), (-1, 10), (1, 0)])
def test_more_than_there_is_cannot_be_counted(count, total):
    with pytest.raises(BadInput, match=f"from 0 to its total; got {count} of {total}"):
        Value(value=0.3, unit="fraction", count=count, total=total)


def test_more_values_than_a_page_can_show_are_refused():
    values = {str(n): Value(value=n, unit="pairs") for n in range(10_001)}
    text = Report(name="x", version="1", values=values).to_json()
    with pytest.raises(BadFile, match="it holds 10001 values; at most 10000 are read"):
        Report.from_json(text)


def test_a_whole_number_that_no_float_can_hold_is_refused():
    text = Report(name="x", version="1", values={"a": Value(value=7, unit="pairs")}).to_json()
    with pytest.raises(BadFile, match=r"values\['a'\]\.value must be float; got 7000"):
        Report.from_json(text.replace("7", "7" + "0" * 400))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_no_number_is_refused(value):
    with pytest.raises(BadInput, match="must be finite"):
        Value(value=value, unit="fraction")


def test_half_a_count_is_refused():
    with pytest.raises(BadInput, match="a rate has both counts; got 3 of None"):
        Value(value=0.3, unit="fraction", count=3)


def test_a_value_called_like_a_field_is_refused():
    with pytest.raises(BadInput, match="must not be called notes"):
        Report(name="x", version="1", values={"notes": Value(value=1, unit="pairs")})


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        '{"report": "x", "version": "1", "values": [], "notes": [], "provenance": null}',
        '{"report": "x", "version": "1", "values": {"a": {"value": 1}}, "notes": [], '
        '"provenance": null}',
        '{"report": "x", "version": "1", "values": {"a": {"value": NaN, "unit": ""}}, '
        '"notes": [], "provenance": null}',
        '{"report": "x", "version": "1", "values": {}, "notes": [], "provenance": {"a": 1}}',
    ],
)
def test_a_text_that_is_no_report_is_refused(text):
    with pytest.raises(BadFile, match="this is no report of tronie"):
        Report.from_json(text)


def test_a_missing_field_is_named():
    with pytest.raises(BadFile, match="lacks the field 'values'"):
        Report.from_json('{"report": "x", "version": "1", "notes": [], "provenance": null}')
