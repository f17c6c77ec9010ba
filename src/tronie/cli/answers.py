"""How a Report leaves the command line: a table for people, JSON for programs, a file to keep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tronie.cli.files import whole, writable_file
from tronie.cli.terminal import print_json, print_table, tell
from tronie.evaluation.report import Report, Value
from tronie.evaluation.report_parts import Groups, OperatingPoint

ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Write everything measured here, as JSON; `tronie report` makes a page of it.",
    ),
]


def check_report(report: Path | None) -> None:
    """See that the Report can be written, before hours are spent on it."""
    if report is not None:
        writable_file(report, option="--report")


def answer(
    result: Report,
    *,
    report: Path | None,
    json: bool,
    first: tuple[str, ...] = (),
    ran: dict[str, object] | None = None,
) -> None:
    """Write the full Report if asked, and print it for people or as one JSON object.

    `first` are the values that lead the JSON object, `ran` what follows its end.
    """
    write(result, report)
    if json:
        told = result.to_dict()
        leading = {key: told.pop(key) for key in first if key in told}
        print_json({**leading, **told, **(ran or {})})
        return
    print_table(
        ("measured", "value", "unit", "interval", "counts"),
        [(name, _number(v), v.unit, _interval(v), _counts(v)) for name, v in result.values.items()],
    )
    print_points(result.details.points)
    for groups in result.details.groups:
        _print_groups(groups)
    confidences = {v.interval.confidence for v in result.values.values() if v.interval}
    for confidence in sorted(confidences):
        tell(f"intervals hold at {100 * confidence:g} %; how each was made is in the JSON")
    for note in result.notes:
        tell(note)


def write(result: Report, report: Path | None) -> None:
    """The full Report to its file, if one was named."""
    if report is not None:
        with whole(report) as (file,):
            file.write(result.to_json().encode("utf-8"))


def print_points(points: tuple[OperatingPoint, ...]) -> None:
    """Thresholds with the rates and the counts behind them; nothing where there is none."""
    if not points:
        return
    named = any(point.of for point in points)
    heads = ("FAR asked", "threshold", "TAR", "achieved FAR", "false matches", "genuine pairs")
    short = ("set", "FAR", "threshold", "TAR", "achieved", "false", "genuine")  # 80 columns
    print_table(
        short if named else heads,
        [
            (
                *((point.of,) if named else ()),
                f"{point.far:g}" + ("~" if point.sampled else ""),
                f"{point.threshold:.6f}",
                f"{point.tar:.6f}" + ("*" if point.few_errors else ""),
                f"{point.achieved_far:.3g}",
                point.false_matches,
                point.genuine_pairs,
            )
            for point in points
        ],
    )
    if any(point.few_errors for point in points):
        tell("* rests on fewer than 30 errors of one kind, and is rough")
    if any(point.sampled for point in points):
        tell("~ estimated from a sample of the impostor pairs")


def _print_groups(groups: Groups) -> None:
    print_table(
        (f"group at FAR {groups.far:g}", "FMR", "false matches", "FNMR", "misses"),
        [
            (
                rate.group,
                "" if rate.fmr is None else f"{rate.fmr:.3g}",
                f"{rate.false_matches} of {rate.impostor_pairs}",
                "" if rate.fnmr is None else f"{rate.fnmr:.5f}",
                f"{rate.misses} of {rate.genuine_pairs}",
            )
            for rate in groups.rates
        ],
    )
    for name, ratio in (
        ("FMR", groups.fmr_max_over_geomean),
        ("FNMR", groups.fnmr_max_over_geomean),
    ):
        if ratio is not None:
            tell(f"{name}: the highest group is at {ratio:.2f} times the geometric mean")


def _number(value: Value) -> str:
    return f"{value.value:.5f}" if value.unit == "fraction" else f"{value.value:g}"


def _interval(value: Value) -> str:
    if value.interval is None:
        return ""
    return f"{value.interval.low:.5f} to {value.interval.high:.5f}"


def _counts(value: Value) -> str:
    return "" if value.count is None else f"{value.count} of {value.total}"
