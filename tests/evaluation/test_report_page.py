"""What a page shows: every number with its counts, intervals and marks, worst pairs first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tronie.errors import BadInput
from tronie.evaluation.metrics.group_differences import compared_groups
from tronie.evaluation.metrics.intervals import Interval, wilson
from tronie.evaluation.report import Report, Value
from tronie.evaluation.report_page import MOST_LABELS, MOST_PAIRS, page_of, rows_shown
from tronie.evaluation.report_page_parts import Photo
from tronie.evaluation.report_parts import (
    Curve,
    CurvePoint,
    Details,
    GroupRate,
    Histogram,
    OperatingPoint,
    PairExample,
)
from tronie.provenance import provenance

MADE = provenance({"labels": "a" * 64, "features": "b" * 64})


def plain(text: str) -> str:
    return text.replace("\u202f", " ")


def point(far: float = 1e-4, **changes) -> OperatingPoint:
    told = {
        "far": far,
        "threshold": 0.123456,
        "achieved_far": 40 / 10**6,
        "false_matches": 40,
        "impostor_pairs": 10**6,
        "tar": 0.93,
        "accepted": 930,
        "genuine_pairs": 1000,
        "tar_interval": Interval(low=0.9, high=0.95, method="bootstrap over identities"),
        "far_interval": wilson(40, 10**6),
    }
    return OperatingPoint(**{**told, **changes})


def pair(score: float, kind: str = "impostor", rows=(0, 1)) -> PairExample:
    return PairExample(kind=kind, score=score, rows=rows, labels=("Ada", 7))


def report(name: str = "pairs", values=None, **details) -> Report:
    return Report(
        name=name,
        version="1",
        values={} if values is None else values,
        details=Details(**details),
        notes=("one note",),
        provenance=MADE,
    )


def only(page):
    (section,) = page.sections
    return section


def test_reports_of_one_protocol_share_a_section_and_each_has_its_own_look():
    page = page_of([("A", report("lfw")), ("B", report("pairs")), ("C", report("lfw"))])
    told = [(s.protocol, [m.name for m in s.models]) for s in page.sections]
    assert told == [("lfw", ["A", "C"]), ("pairs", ["B"])]
    assert [m.style for m in page.models] == [0, 1, 2]
    assert page.sections[0].models[1] is page.models[2]


def test_a_value_stands_with_its_counts_interval_and_marks():
    rate = Value(value=0.993, unit="fraction", count=2979, total=3000, interval=wilson(2979, 3000))
    section = only(page_of([("A", report(values={"rate": rate}))]))
    ((key, (cell,)),) = section.values
    assert (key, plain(cell.text), plain(cell.counts)) == ("rate", "99.30 %", "2 979 of 3 000")
    assert plain(cell.interval) == "98.93 % to 99.54 %"  # by Wilson's formula at z = 1.96
    assert cell.marks == ("few", "optimistic")


@pytest.mark.parametrize(
    ("value", "text", "marks"),
    [
        (Value(value=0.3575, unit="cosine"), "0.3575 cosine", ()),
        (Value(value=12936, unit="pairs"), "12 936 pairs", ()),
        (Value(value=183, unit="photographs", count=3, total=3226), "183 photographs", ()),
        (Value(value=0.97, unit="fraction", count=970, total=1000), "97.00 %", ()),
        (Value(value=0.971, unit="fraction", count=971, total=1000), "97.10 %", ("few",)),
        (Value(value=0.029, unit="fraction", count=29, total=1000), "2.90 %", ("few",)),
    ],
)
def test_only_rates_are_percentages_and_only_they_have_errors(value, text, marks):
    ((_, (cell,)),) = only(page_of([("A", report(values={"v": value}))])).values
    assert (plain(cell.text), cell.marks) == (text, marks)


def test_a_value_that_a_report_does_not_have_is_an_empty_place():
    one, two = Value(value=1, unit="pairs"), Value(value=2, unit="pairs")
    named = [("A", report(values={"x": one})), ("B", report(values={"y": two, "x": two}))]
    rows = dict(only(page_of(named)).values)
    assert list(rows) == ["x", "y"]
    assert rows["y"][0] is None
    assert [cell.text for cell in rows["x"]] == ["1 pairs", "2 pairs"]


def test_an_operating_point_is_told_as_tar_and_as_fnmr_with_one_interval():
    (figure,) = only(page_of([("A", report(points=(point(),)))])).figures
    (row,) = figure.points
    assert (row.far, row.threshold) == ("10⁻⁴", "0.12346")
    assert (plain(row.tar.text), plain(row.tar.interval)) == ("93.00 %", "90.00 % to 95.00 %")
    assert (plain(row.fnmr.text), plain(row.fnmr.counts)) == ("7.00 %", "70 of 1 000")
    assert plain(row.fnmr.interval) == "5.00 % to 10.00 %"
    assert (plain(row.fmr.text), plain(row.fmr.counts)) == ("4.00 × 10⁻⁵", "40 of 1 000 000")
    assert row.fmr.marks == ("optimistic",)
    assert row.tar.marks == row.fnmr.marks == row.marks == ()


def test_marks_stand_at_the_number_that_they_are_about():
    doubtful = point(false_matches=4, achieved_far=4e-6, accepted=999, tar=0.999, sampled=True)
    (figure,) = only(page_of([("A", report(points=(doubtful,)))])).figures
    (row,) = figure.points
    assert row.fmr.marks == ("few", "sampled", "optimistic")
    assert row.fnmr.marks == ("few",)
    assert row.marks == ("few", "sampled")


def test_points_stand_by_rising_far_and_the_models_together():
    fars = (1e-3, 1e-6, 1e-4)
    named = [(n, report(points=tuple(point(far) for far in fars))) for n in "AB"]
    (figure,) = only(page_of(named)).figures
    assert [(row.far, row.model.name) for row in figure.points] == [
        ("10⁻⁶", "A"), ("10⁻⁶", "B"), ("10⁻⁴", "A"), ("10⁻⁴", "B"),
        ("0.1\u202f%", "A"), ("0.1\u202f%", "B"),
    ]  # fmt: skip


def test_each_set_of_a_protocol_has_its_own_charts():
    curve = Curve(
        of="young",
        points=tuple(
            CurvePoint(threshold=0.5, fmr=fmr, fnmr=0.1, false_matches=50, misses=50)
            for fmr in (1e-4, 1e-3)
        ),
    )
    histogram = Histogram(of="mask", kind="genuine", low=0, high=1, counts=(1, 2))
    points = (point(of="mask"),)
    section = only(
        page_of([("A", report(points=points, curves=(curve,), histograms=(histogram,)))])
    )
    told = [(f.of, f.det is not None, len(f.scores), len(f.points)) for f in section.figures]
    assert told == [("mask", True, 1, 1), ("young", True, 0, 0)]
    assert "DET curves, young" in section.figures[1].det


def test_a_report_without_details_has_no_figures():
    section = only(page_of([("A", report())]))
    assert section.figures == section.groups == section.pairs == section.labels == ()


def test_score_charts_stand_for_models_with_counted_pairs_only():
    full = Histogram(kind="genuine", low=0, high=1, counts=(1, 2))
    named = [
        ("A", report(histograms=(full,), points=(point(),))),
        ("B", report(histograms=(replace(full, counts=(0, 0)),))),
        ("C", report(points=(point(),))),
    ]
    (figure,) = only(page_of(named)).figures
    assert [model.name for model, _ in figure.scores] == ["A"]
    assert "0.1235 for FAR 10⁻⁴" in figure.scores[0][1]


def test_a_score_chart_tells_draws_from_the_pairs_that_there_are():
    drawn = Histogram(kind="impostor", low=0, high=1, counts=(7, 2000), sampled=True)
    few = point(impostor_pairs=45, achieved_far=0, false_matches=0, far_interval=None)
    sampled = replace(few, impostor_pairs=2007, sampled=True)
    (figure,) = only(page_of([("A", report(histograms=(drawn,), points=(few, sampled)))])).figures
    assert "impostor, 2 007 draws from 45 pairs" in plain(figure.scores[0][1])


def test_groups_stand_with_counts_wilson_intervals_and_bars_to_the_largest():
    rates = (
        GroupRate(group="a", false_matches=40, impostor_pairs=1000, misses=10, genuine_pairs=100),
        GroupRate(group="b", false_matches=10, impostor_pairs=1000, misses=0, genuine_pairs=100),
        GroupRate(group="c", false_matches=0, impostor_pairs=0, misses=5, genuine_pairs=100),
    )
    groups = compared_groups(rates, far=1e-2, threshold=0.3, of="region")
    (table,) = only(page_of([("A", report(groups=(groups,)))])).groups
    assert (table.of, plain(table.far), table.threshold) == ("region", "1 %", "0.30000")
    (_, first, _), (_, second, none), (_, empty, _) = table.rows
    assert (plain(first.text), plain(first.counts), first.share) == ("4.00 %", "40 of 1 000", 1)
    low, high = wilson(40, 1000).low, wilson(40, 1000).high
    assert plain(first.interval) == f"{100 * low:.2f} % to {100 * high:.2f} %"
    assert (second.share, second.marks, first.marks) == (
        0.25,
        ("few", "optimistic"),
        ("optimistic",),
    )
    assert (plain(none.text), none.share) == ("0 %", 0)
    assert (empty.text, empty.counts) == ("no pairs", "")
    assert table.fmr_ratio == "2.00"  # 0.04 over the root of 0.04 * 0.01
    assert table.fnmr_ratio == "none: a group has no error"


def test_the_worst_pairs_stand_first():
    pairs = [pair(s) for s in (0.5, 0.9, 0.7)]
    pairs += [pair(s, "genuine") for s in (0.4, -0.1, 0.2)]
    impostor, genuine = only(page_of([("A", report(pairs=tuple(pairs)))])).pairs
    assert (impostor.kind, [p.score for p in impostor.pairs]) == (
        "impostor", ["0.9000", "0.7000", "0.5000"]
    )  # fmt: skip
    assert (genuine.kind, [p.score for p in genuine.pairs]) == (
        "genuine", ["-0.1000", "0.2000", "0.4000"]
    )  # fmt: skip
    assert impostor.pairs[0].labels == ("Ada", "7")


def many(first_row: int):
    return tuple(
        pair(1 - n / 100, kind, (first_row + 2 * n, first_row + 2 * n + 1))
        for kind in ("impostor", "genuine")
        for n in range(60)
    )


@pytest.mark.parametrize("models", [1, 2, 30])
def test_no_more_pairs_are_shown_than_a_page_takes_and_all_get_a_share(models):
    named = [(f"M{n}", report(pairs=many(1000 * n))) for n in range(models)]
    tables = only(page_of(named)).pairs
    shown = sum(len(table.pairs) for table in tables)
    assert shown <= max(MOST_PAIRS, len(tables))
    assert len({len(table.pairs) for table in tables}) == 1
    assert all(len(table.pairs) + table.left_out == 60 for table in tables)
    assert min(len(table.pairs) for table in tables) >= 1


def test_the_rows_that_need_a_photograph_are_those_of_the_pairs_shown():
    named = [("A", report(pairs=many(0))), ("B", report(pairs=many(1000)))]
    shown = {row for t in only(page_of(named)).pairs for p in t.pairs for row in p.rows}
    assert rows_shown(named) == tuple(sorted(shown))
    assert rows_shown([("A", report())]) == ()


def test_photographs_stand_at_their_rows():
    pictures = {0: Photo(name="a.jpg", uri="data:,"), 1: Photo(name="b.jpg", uri=None)}
    page = page_of([("A", report(pairs=(pair(0.9),)))], pictures=pictures)
    assert only(page).pairs[0].pairs[0].photos == (pictures[0], pictures[1])
    assert page.has_photos
    without = page_of([("A", report(pairs=(pair(0.9),)))])
    assert only(without).pairs[0].pairs[0].photos == (None, None)
    assert not without.has_photos


def test_labels_with_most_errors_are_cut_and_the_rest_is_counted():
    rows = [{"label": n, "in_pairs": 10_000 - n} for n in range(MOST_LABELS + 3)]
    most = {"misses at FAR 1e-06": rows, "nothing": []}
    (table,) = only(page_of([("A", report(most_errors=most))])).labels
    assert table.what == "misses at FAR 1e-06"
    assert [plain(count) for _, count in table.rows[:2]] == ["10 000", "9 999"]
    assert (len(table.rows), table.left_out) == (MOST_LABELS, 3)


@pytest.mark.parametrize("row", [{"label": "Ada"}, {"in_pairs": 3}, {"label": 1, "in_pairs": "3"}])
def test_a_line_of_most_errors_without_label_or_count_is_refused(row):
    with pytest.raises(BadInput, match='A: a line of most_errors needs "label" and a whole number'):
        page_of([("A", report(most_errors={"misses": [row]}))])


def test_why_reports_must_not_be_compared_stands_with_the_section():
    named = [("A", report()), ("B", replace(report(), version="2"))]
    assert only(page_of(named)).differences == ("the rules are of version 1 in A and 2 in B",)


def test_every_method_of_an_interval_is_told_once():
    rate = Value(value=0.5, unit="fraction", interval=wilson(5, 10))
    page = page_of([(n, report(values={"r": rate}, points=(point(),))) for n in "AB"])
    assert tuple(map(plain, page.methods)) == (
        "Wilson, pairs taken as independent, 95 %",
        "bootstrap over identities, 95 %",
    )


def test_the_provenance_stands_for_every_report():
    other = replace(report("lfw"), provenance=None)
    made = {field: texts for field, texts, _ in page_of([("A", report()), ("B", other)]).made}
    assert made["protocol"] == ("pairs, version 1", "lfw, version 1")
    assert made["input labels"] == ("a" * 64, "")
