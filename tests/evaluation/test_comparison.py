"""Reports side by side: compared only where rules, data and counts are the same."""

from __future__ import annotations

from dataclasses import replace

from tronie.evaluation.comparison import differences, made_side_by_side
from tronie.evaluation.report import Report, Value
from tronie.evaluation.report_parts import Details, OperatingPoint
from tronie.provenance import provenance

RATE = Value(value=0.9, unit="fraction", count=9, total=10)


def made(**inputs: str):
    return provenance({name.replace("_", " "): sha * 64 for name, sha in inputs.items()})


def report(**changes) -> Report:
    told = {"name": "pairs", "version": "1", "values": {"rate": RATE}}
    return Report(**{**told, "provenance": made(labels="a", features="b"), **changes})


def point(**changes) -> OperatingPoint:
    counts = {"false_matches": 1, "impostor_pairs": 1000, "accepted": 90, "genuine_pairs": 100}
    told = {**counts, **changes}
    rates = {"achieved_far": 1 / told["impostor_pairs"], "tar": 0.9}
    return OperatingPoint(far=1e-3, threshold=0.5, **rates, **told)


def why(one: Report, two: Report) -> list[str]:
    told = differences([("A", one), ("B", two)])
    return [text.replace("\u202f", " ") for text in told]


def test_what_the_model_made_may_differ():
    other = report(provenance=made(labels="a", features="c"))
    assert why(report(), other) == []
    named = report(provenance=made(labels="a", model_x="b", detector_y="c"))
    assert why(named, report(provenance=made(labels="a", model_z="d"))) == []


def test_one_report_alone_is_compared_with_nothing():
    assert differences([("A", report(provenance=None))]) == ()


def test_another_version_of_the_rules_is_told():
    assert why(report(), report(version="2")) == ["the rules are of version 1 in A and 2 in B"]


def test_other_data_are_told_by_name():
    other = report(provenance=made(labels="f", features="b"))
    assert why(report(), other) == ["labels is not the same in A and B (checksums differ)"]


def test_data_that_only_one_had_are_told():
    other = report(provenance=made(labels="a", features="b", group="e"))
    assert why(report(), other) == ["B was made with group and A without"]
    assert why(other, report()) == ["A was made with group and B without"]


def test_a_report_without_provenance_shows_nothing_about_its_data():
    assert why(report(), report(provenance=None)) == ["B does not say which data it was made from"]


def test_other_totals_are_told():
    other = report(values={"rate": replace(RATE, total=1200)})
    assert why(report(), other) == ["rate is of 10 in A and 1 200 in B"]


def test_other_numbers_of_pairs_are_told_where_both_counted_all():
    one = report(details=Details(points=(point(of="mask"),)))
    fewer = report(details=Details(points=(point(of="mask", impostor_pairs=999),)))
    sampled = report(details=Details(points=(point(of="mask", impostor_pairs=9, sampled=True),)))
    elsewhere = report(details=Details(points=(point(of="young", impostor_pairs=999),)))
    assert why(one, fewer) == [
        "at FAR 0.1 % of mask there are 1 000 impostor pairs in A and 999 in B"
    ]
    assert why(one, sampled) == why(one, elsewhere) == []


def test_every_report_is_held_against_the_first_and_a_reason_is_told_once():
    old = report(version="2")
    told = differences([("A", report(provenance=None)), ("B", old), ("C", report())])
    assert told == (
        "the rules are of version 1 in A and 2 in B",
        "A does not say which data it was made from",
    )


def test_what_reports_were_made_with_stands_side_by_side():
    other = replace(made(labels="a"), commit="c" * 40, dirty=True, cpu="Z80", cores=1)
    rows = {f: (t, d) for f, t, d in made_side_by_side([report(), report(provenance=other)])}
    assert rows["commit"][0][1] == f"{'c' * 40}, with changes"
    assert rows["machine"][0][1] == "Z80, 1 cores"
    assert rows["input labels"] == (("a" * 64, "a" * 64), False)
    assert rows["input features"] == (("b" * 64, ""), True)
    (name, unknown) = made_side_by_side([report(provenance=None)])
    assert (name, unknown) == (
        ("protocol", ("pairs, version 1",), False),
        ("made with", ("not said",), False),
    )
