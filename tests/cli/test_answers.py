"""How a Report is printed: marks are explained once, and only where they stand."""

from __future__ import annotations

import json as jsonlib

from tronie.cli.answers import answer, print_points, write
from tronie.evaluation.metrics.group_differences import compared_groups
from tronie.evaluation.metrics.intervals import wilson
from tronie.evaluation.report import Report, Value
from tronie.evaluation.report_parts import Details, GroupRate, OperatingPoint


def point(**rest):
    told = dict(far=1e-4, threshold=0.5, achieved_far=9e-5, false_matches=90)
    told |= dict(impostor_pairs=10**6, tar=0.9, accepted=900, genuine_pairs=1000)
    return OperatingPoint(**(told | rest))


def test_marks_are_explained_only_where_they_stand(capsys):
    print_points((point(),))
    plain = capsys.readouterr().out
    assert "*" not in plain
    assert "~" not in plain
    assert "set" not in plain.split()
    print_points(
        (point(of="mask", false_matches=3, achieved_far=3e-6), point(of="all", sampled=True))
    )
    marked = capsys.readouterr().out
    assert "0.900000*" in marked
    assert "0.0001~" in marked
    assert "* rests on fewer than 30 errors" in marked
    assert "~ estimated from a sample" in marked
    assert marked.split()[0] == "set"
    print_points(())
    assert capsys.readouterr().out == ""


def test_a_table_has_intervals_groups_and_notes(capsys):
    rates = [
        GroupRate(group=g, false_matches=n, impostor_pairs=100, misses=0, genuine_pairs=9)
        for g, n in (("a", 1), ("b", 4))
    ]
    report = Report(
        name="toy",
        version="1",
        values={
            "tar": Value(value=0.9, unit="fraction", count=9, total=10, interval=wilson(9, 10)),
            "photos": Value(value=12, unit="photographs"),
        },
        details=Details(groups=(compared_groups(rates, far=1e-3, threshold=0.4),)),
        notes=("a sentence",),
    )
    answer(report, report=None, json=False)
    out = capsys.readouterr().out
    assert "0.59585 to 0.98212" in out  # Wilson, 9 of 10
    assert "FMR: the highest group is at 2.00 times the geometric mean" in out
    assert "FNMR: the highest" not in out  # no misses, no ratio
    assert "intervals hold at 95 %" in out
    assert out.endswith("a sentence\n")


def test_json_leads_with_what_is_asked_for_and_ends_with_what_ran(capsys, tmp_path):
    values = {name: Value(value=n, unit="pairs") for n, name in enumerate("abc")}
    report = Report(name="toy", version="1", values=values)
    answer(report, report=tmp_path / "R", json=True, first=("c", "absent"), ran={"engine": "x"})
    told = jsonlib.loads(capsys.readouterr().out)
    assert list(told)[:2] == ["c", "report"]
    assert list(told)[-1] == "engine"
    assert Report.from_json((tmp_path / "R").read_text()) == report
    write(report, None)
