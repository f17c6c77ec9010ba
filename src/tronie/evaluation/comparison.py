"""Whether reports of one protocol may be laid side by side, and why not.

They may where the rules are of one version, the data are the same bytes, and the same pairs or
boxes were counted. What the model under test made (its file, features, predictions) differs by
nature; every other input must have the same checksum. Nothing here says which model is better.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from tronie.evaluation.report import Report
from tronie.evaluation.report_text import asked_text, count_text

MADE_BY_MODEL = frozenset({"model", "detector", "features", "embeddings", "predictions"})
"""First words of the inputs that belong to the model under test."""


def differences(reports: Sequence[tuple[str, Report]]) -> tuple[str, ...]:
    """Why these reports must not be compared: one clause each, none if they may.

    Args:
        reports: Name and report, all of one protocol; each is held against the first.
    """
    found: dict[str, None] = {}
    for other in reports[1:]:
        found |= dict.fromkeys(_between(reports[0], other))
    return tuple(found)


def made_side_by_side(reports: Sequence[Report]) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """What each report was made with: field, its text for each report, whether they differ.

    What only some have is an empty text at the others.
    """
    told = [dict(_made(report)) for report in reports]
    for field in dict.fromkeys(chain.from_iterable(told)):
        texts = tuple(fields.get(field, "") for fields in told)
        yield field, texts, len(set(texts)) > 1


def _made(report: Report) -> Iterator[tuple[str, str]]:
    yield "protocol", f"{report.name}, version {report.version}"
    made = report.provenance
    if made is None:
        yield "made with", "not said"
        return
    yield "date", made.date
    yield "tronie", made.version
    changed = ", with changes" if made.dirty else ""
    yield "commit", f"{made.commit}{changed}" if made.commit else "not known"
    yield "machine", f"{made.cpu}, {made.cores} cores"
    yield "system", f"{made.platform}, Python {made.python}"
    yield from made.libraries.items()
    yield from ((f"input {name}", sha) for name, sha in made.inputs.items())


def _between(first: tuple[str, Report], second: tuple[str, Report]) -> Iterator[str]:
    (a, one), (b, two) = first, second
    if one.version != two.version:
        yield f"the rules are of version {one.version} in {a} and {two.version} in {b}"
    unknown = [name for name, report in (first, second) if report.provenance is None]
    yield from (f"{name} does not say which data it was made from" for name in unknown)
    if one.provenance is not None and two.provenance is not None:
        yield from _inputs(a, _data(one.provenance.inputs), b, _data(two.provenance.inputs))
    for what, of_what, x, y in _totals(one, two):
        yield f"{what} {count_text(x)}{of_what} in {a} and {count_text(y)} in {b}"


def _inputs(a: str, one: dict[str, str], b: str, two: dict[str, str]) -> Iterator[str]:
    for name in sorted(one.keys() & two.keys()):
        if one[name] != two[name]:
            yield f"{name} is not the same in {a} and {b} (checksums differ)"
    for holder, other, names in ((a, b, one.keys() - two.keys()), (b, a, two.keys() - one.keys())):
        for name in sorted(names):
            yield f"{holder} was made with {name} and {other} without"


def _data(inputs: dict[str, str]) -> dict[str, str]:
    return {name: sha for name, sha in inputs.items() if name.split(" ")[0] not in MADE_BY_MODEL}


def _totals(one: Report, two: Report) -> Iterator[tuple[str, str, int, int]]:
    """Totals that differ: the words before the first, the words behind it, both totals."""
    for key in one.values:
        x = one.values[key].total
        y = two.values[key].total if key in two.values else None
        if x is not None and y is not None and x != y:
            yield f"{key} is of", "", x, y
    points = {(point.of, point.far): point for point in two.details.points}
    for point in one.details.points:
        other = points.get((point.of, point.far))
        if other is None or point.sampled or other.sampled:
            continue
        where = f"at FAR {asked_text(point.far)}{f' of {point.of}' if point.of else ''}"
        for kind, x, y in (
            ("impostor", point.impostor_pairs, other.impostor_pairs),
            ("genuine", point.genuine_pairs, other.genuine_pairs),
        ):
            if x != y:
                yield f"{where} there are", f" {kind} pairs", x, y
