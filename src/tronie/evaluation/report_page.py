"""What a page about Reports shows, prepared: every text, mark, table and chart, no markup.

    page_of([("A", report), ("B", other)])      one section a protocol, the reports side by side

Reports of one protocol stand in one table; where they must not be compared, the section says
why before it shows a number. A number stands with its counts and interval and carries marks:

    few             fewer than 30 errors behind it (the rule of thirty)
    sampled         counted on a sample of the impostor pairs
    optimistic      the interval is Wilson's, which takes pairs as independent

Whoever renders it escapes every text but `det` and `scores`, which are finished SVG.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from tronie.errors import BadInput
from tronie.evaluation.charts.det_curves import DetLine, det_chart
from tronie.evaluation.charts.error_curves import ErrorLine, error_chart
from tronie.evaluation.charts.score_histograms import score_chart, score_span
from tronie.evaluation.comparison import differences, made_side_by_side
from tronie.evaluation.metrics.intervals import Interval, wilson
from tronie.evaluation.report import Report, Value
from tronie.evaluation.report_page_parts import (
    Cell,
    Figure,
    GroupTable,
    LabelTable,
    Model,
    Page,
    PairRow,
    PairTable,
    Photo,
    PointRow,
    Section,
)
from tronie.evaluation.report_parts import (
    FEW_ERRORS,
    GroupRate,
    Groups,
    OperatingPoint,
    PairExample,
)
from tronie.evaluation.report_text import (
    asked_text,
    count_text,
    interval_text,
    number_text,
    rate_text,
)

MOST_PAIRS = 50
"""Pairs shown on one page, shared out among its reports and both kinds."""
MOST_LABELS = 10
"""Labels shown of each list of people with most errors."""

Named = Sequence[tuple[str, Report]]


def page_of(reports: Named, *, pictures: Mapping[int, Photo] | None = None) -> Page:
    """Prepare a page about one report or several.

    Args:
        reports: Name and report; one color for each, in this order.
        pictures: Row of the feature matrix to its photograph, for the rows that `rows_shown`
            names; None to show no photographs.

    Raises:
        BadInput: a line of people with most errors lacks its label or its count.
    """
    models = tuple(
        Model(
            name=name,
            style=n,
            protocol=report.name,
            version=report.version,
            made=report.provenance,
        )
        for n, (name, report) in enumerate(reports)
    )
    share = _share(reports)
    sections = []
    for protocol in dict.fromkeys(report.name for _, report in reports):
        here = [
            (model, report)
            for model, (_, report) in zip(models, reports, strict=True)
            if report.name == protocol
        ]
        sections.append(_section(protocol, here, pictures, share))
    return Page(
        models=models,
        sections=tuple(sections),
        methods=tuple(_methods(report for _, report in reports)),
        made=tuple(made_side_by_side([report for _, report in reports])),
        has_photos=any(photo.uri for photo in (pictures or {}).values()),
    )


def rows_shown(reports: Named) -> tuple[int, ...]:
    """The rows of the feature matrix whose pairs the page shows, ascending."""
    share = _share(reports)
    shown = (
        pair
        for _, report in reports
        for pairs in _pairs_by_kind(report).values()
        for pair in pairs[:share]
    )
    return tuple(sorted({row for pair in shown for row in pair.rows}))


def _section(
    protocol: str,
    here: Sequence[tuple[Model, Report]],
    pictures: Mapping[int, Photo] | None,
    share: int,
) -> Section:
    return Section(
        protocol=protocol,
        models=tuple(model for model, _ in here),
        differences=differences([(model.name, report) for model, report in here]),
        values=tuple(_values([report for _, report in here])),
        figures=tuple(_figures(here)),
        groups=tuple(_group_table(m, groups) for m, r in here for groups in r.details.groups),
        pairs=tuple(
            _pair_table(model, kind, pairs, pictures, share)
            for model, report in here
            for kind, pairs in _pairs_by_kind(report).items()
        ),
        labels=tuple(_label_tables(here)),
        notes=tuple((model, report.notes) for model, report in here if report.notes),
    )


def _values(reports: Sequence[Report]) -> Iterator[tuple[str, tuple[Cell | None, ...]]]:
    for key in dict.fromkeys(chain.from_iterable(report.values for report in reports)):
        cells = (report.values.get(key) for report in reports)
        yield key, tuple(None if value is None else _value_cell(value) for value in cells)


def _value_cell(value: Value) -> Cell:
    is_rate = value.unit == "fraction"
    text = rate_text(value.value) if is_rate else f"{number_text(value.value)} {value.unit}"
    few = False
    counts = ""
    if value.count is not None and value.total is not None:
        counts = _of(value.count, value.total)
        few = is_rate and min(value.count, value.total - value.count) < FEW_ERRORS
    return Cell(
        text=text,
        counts=counts,
        interval=_interval(value.interval) if is_rate else _plain_interval(value.interval),
        marks=_marks(few=few, interval=value.interval),
    )


def _figures(here: Sequence[tuple[Model, Report]]) -> Iterator[Figure]:
    sets: dict[str, None] = {}
    for _, report in here:
        told = report.details
        sets |= dict.fromkeys(point.of for point in told.points)
        sets |= dict.fromkeys(curve.of for curve in told.curves)
        sets |= dict.fromkeys(histogram.of for histogram in told.histograms)
        sets |= dict.fromkeys(curve.of for curve in told.error_curves)
    for of in sets:
        points = [(m, [p for p in r.details.points if p.of == of]) for m, r in here]
        lines = [
            DetLine(
                name=model.name,
                style=model.style,
                points=tuple(p for c in report.details.curves if c.of == of for p in c.points),
                marks=tuple(marks),
            )
            for (model, report), (_, marks) in zip(here, points, strict=True)
        ]
        rows = [_point_row(model, point) for model, own in points for point in own]
        fars = sorted({point.far for _, own in points for point in own})
        order = {asked_text(far): n for n, far in enumerate(fars)}
        yield Figure(
            of=of,
            points=tuple(sorted(rows, key=lambda row: order[row.far])),
            det=det_chart(lines, title=f"DET curves{f', {of}' if of else ''}"),
            scores=tuple(_score_charts(here, of)),
            errors=_error_chart(here, of),
        )


def _point_row(model: Model, point: OperatingPoint) -> PointRow:
    tar = point.tar_interval
    mirrored = None
    if tar is not None:
        mirrored = Interval(
            low=1 - tar.high, high=1 - tar.low, method=tar.method, confidence=tar.confidence
        )
    return PointRow(
        far=asked_text(point.far),
        model=model,
        tar=Cell(
            text=rate_text(point.tar),
            interval=_interval(tar),
            marks=_marks(interval=tar),
        ),
        fnmr=Cell(
            text=rate_text(1 - point.tar),
            counts=_of(point.misses, point.genuine_pairs),
            interval=_interval(mirrored),
            marks=_marks(few=point.misses < FEW_ERRORS),
        ),
        threshold=f"{point.threshold:.5f}",
        fmr=Cell(
            text=rate_text(point.achieved_far),
            counts=_of(point.false_matches, point.impostor_pairs),
            interval=_interval(point.far_interval),
            marks=_marks(
                few=point.false_matches < FEW_ERRORS,
                sampled=point.sampled,
                interval=point.far_interval,
            ),
        ),
        marks=_marks(few=point.few_errors, sampled=point.sampled),
    )


def _score_charts(here: Sequence[tuple[Model, Report]], of: str) -> Iterator[tuple[Model, str]]:
    histograms = {m.style: [h for h in r.details.histograms if h.of == of] for m, r in here}
    limits = {
        m.style: [(p.threshold, asked_text(p.far)) for p in r.details.points if p.of == of]
        for m, r in here
    }
    pairs = {
        m.style: [p.impostor_pairs for p in r.details.points if p.of == of and not p.sampled]
        for m, r in here
    }
    every = list(chain.from_iterable(histograms.values()))
    span = score_span(every, [t for n, own in limits.items() if histograms[n] for t, _ in own])
    if span is None:
        return
    for model, _ in here:
        if any(any(h.counts) for h in histograms[model.style]):
            title = f"Scores of {model.name}{f', {of}' if of else ''}"
            chart = score_chart(
                histograms[model.style],
                span=span,
                thresholds=limits[model.style],
                impostor_pairs=max(pairs[model.style], default=None),
                title=title,
            )
            yield model, chart


def _error_chart(here: Sequence[tuple[Model, Report]], of: str) -> str | None:
    told = [(m, curve) for m, r in here for curve in r.details.error_curves if curve.of == of]
    lines = [ErrorLine(name=m.name, style=m.style, curve=curve) for m, curve in told]
    return error_chart(lines, title=f"Cumulative errors{f', {of}' if of else ''}")


def _group_table(model: Model, groups: Groups) -> GroupTable:
    most_fmr = max((rate.fmr or 0 for rate in groups.rates), default=0)
    most_fnmr = max((rate.fnmr or 0 for rate in groups.rates), default=0)
    return GroupTable(
        model=model,
        of=groups.of,
        far=asked_text(groups.far),
        threshold=f"{groups.threshold:.5f}",
        rows=tuple(
            (
                rate.group,
                _group_cell(rate.false_matches, rate.impostor_pairs, most_fmr),
                _group_cell(rate.misses, rate.genuine_pairs, most_fnmr),
            )
            for rate in groups.rates
        ),
        fmr_ratio=_ratio(groups.fmr_max_over_geomean, groups.rates, "fmr"),
        fnmr_ratio=_ratio(groups.fnmr_max_over_geomean, groups.rates, "fnmr"),
    )


def _group_cell(errors: int, pairs: int, most: float) -> Cell:
    if not pairs:
        return Cell(text="no pairs")
    interval = wilson(errors, pairs)
    return Cell(
        text=rate_text(errors / pairs, largest=most),
        counts=_of(errors, pairs),
        interval=interval_text(interval, largest=most),
        marks=_marks(few=errors < FEW_ERRORS, interval=interval),
        share=errors / pairs / most if most else 0.0,
    )


def _ratio(ratio: float | None, rates: Sequence[GroupRate], kind: str) -> str:
    if ratio is not None:
        return f"{ratio:.2f}"
    measured = [rate.fmr if kind == "fmr" else rate.fnmr for rate in rates]
    return "none: a group has no error" if 0 in measured else "none"


def _pairs_by_kind(report: Report) -> dict[str, list[PairExample]]:
    """Impostor pairs from the highest score down, genuine ones from the lowest up."""
    kinds = dict.fromkeys(pair.kind for pair in report.details.pairs)
    sign = {"impostor": -1.0}
    return {
        kind: sorted(
            (pair for pair in report.details.pairs if pair.kind == kind),
            key=lambda pair: sign.get(pair.kind, 1.0) * pair.score,
        )
        for kind in sorted(kinds, key=lambda kind: kind != "impostor")
    }


def _share(reports: Named) -> int:
    return MOST_PAIRS // max(sum(len(_pairs_by_kind(report)) for _, report in reports), 1) or 1


def _pair_table(
    model: Model,
    kind: str,
    pairs: Sequence[PairExample],
    pictures: Mapping[int, Photo] | None,
    share: int,
) -> PairTable:
    photos = pictures or {}
    return PairTable(
        model=model,
        kind=kind,
        pairs=tuple(
            PairRow(
                of=pair.of,
                score=f"{pair.score:.4f}",
                labels=(str(pair.labels[0]), str(pair.labels[1])),
                rows=pair.rows,
                photos=(photos.get(pair.rows[0]), photos.get(pair.rows[1])),
            )
            for pair in pairs[:share]
        ),
        left_out=max(len(pairs) - share, 0),
    )


def _label_tables(here: Sequence[tuple[Model, Report]]) -> Iterator[LabelTable]:
    for model, report in here:
        for what, rows in report.details.most_errors.items():
            if rows:
                yield LabelTable(
                    model=model,
                    what=what,
                    rows=tuple(_label_row(model, row) for row in rows[:MOST_LABELS]),
                    left_out=max(len(rows) - MOST_LABELS, 0),
                )


def _label_row(model: Model, row: Mapping[str, Any]) -> tuple[str, str]:
    label, count = row.get("label"), row.get("in_pairs")
    if label is None or not isinstance(count, int):
        raise BadInput(
            f'{model.name}: a line of most_errors needs "label" and a whole number "in_pairs"; '
            f"got {dict(row)}"
        )
    return str(label), count_text(count)


def _methods(reports: Iterable[Report]) -> Iterator[str]:
    found: dict[str, None] = {}
    for report in reports:
        intervals = [value.interval for value in report.values.values()]
        for point in report.details.points:
            intervals += [point.far_interval, point.tar_interval]
        told = (f"{i.method}, {asked_text(i.confidence)}" for i in intervals if i is not None)
        found |= dict.fromkeys(told)
        if report.details.groups:
            found[f"of groups: Wilson, pairs taken as independent, {asked_text(0.95)}"] = None
    yield from found


def _of(count: int, total: int) -> str:
    return f"{count_text(count)} of {count_text(total)}"


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else interval_text(interval)


def _plain_interval(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"{number_text(interval.low)} to {number_text(interval.high)}"


def _marks(
    *, few: bool = False, sampled: bool = False, interval: Interval | None = None
) -> tuple[str, ...]:
    optimistic = interval is not None and interval.method.startswith("Wilson")
    told = {"few": few, "sampled": sampled, "optimistic": optimistic}
    return tuple(mark for mark, holds in told.items() if holds)
