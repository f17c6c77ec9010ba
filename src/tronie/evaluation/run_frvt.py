"""Run FRVT-like verification over a feature matrix: all pairs, or those of a list.

    prepared = prepare_frvt("M.npy", "META.csv", form="mugshot", screens=...)
    prepared.plan.describe()
    prepared.run().to_dict()

META is a CSV with a header and one line for each row of the matrix:

    subject     whose the photograph is; -1 for nobody known
    photo       its name, as a list of pairs calls it; only such a list needs it
    failed      1 where no template could be made, 0 or empty elsewhere; rows that are NaN all
                through count as failed too
    year        when it was taken, such as 2004 or 2004.75; empty where unknown
    seconds     what making the template took; empty where nobody measured

A photograph of nobody known is an impostor to everybody known and is never compared with another
of nobody known: among all pairs none is, and those of a list are left out, with a note.

The screens are handed in, since this floor knows no engine; without any, NumPy's product runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.features import open_features
from tronie.data.readers.labels import labels_of
from tronie.data.readers.lists import read_pair_list
from tronie.data.readers.table import read_table
from tronie.errors import BadArray, BadFile, BadInput, NotFound
from tronie.evaluation.pairs.enrolled import (
    Enrolled,
    PlannedEnrolled,
    enroll,
    judged_genuine,
    measure_enrolled,
    plan_enrolled,
)
from tronie.evaluation.pairs.listed import listed_points
from tronie.evaluation.pairs.pairing import DISTRACTOR
from tronie.evaluation.pairs.plan import Plan
from tronie.evaluation.pairs.scores import NumpyScreen, screen_error
from tronie.evaluation.pairs.sets import HowToRun
from tronie.evaluation.protocols import frvt
from tronie.evaluation.report import Report
from tronie.evaluation.report_parts import Details, OperatingPoint
from tronie.evaluation.run_pairs import Screens, people_of
from tronie.provenance import Provenance, provenance

OPTIONAL = ("photo", "failed", "year", "seconds")


@dataclass(frozen=True, eq=False, kw_only=True)
class FrvtRows:
    """The matrix and what META says of its rows."""

    enrolled: Enrolled
    subjects: NDArray[np.str_]
    photos: tuple[str, ...]
    """Empty where META does not name them."""
    years: NDArray[np.float64] | None
    """(N,), NaN where unknown."""
    times_s: tuple[float, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class PreparedFrvt:
    """Everything read, checked and planned; nothing compared yet."""

    form: str
    rows: FrvtRows
    planned: PlannedEnrolled
    made_with: Provenance

    @property
    def plan(self) -> Plan:
        """What will run, and how long it takes."""
        return self.planned.plan

    def run(self, how: HowToRun = HowToRun()) -> Report:  # noqa: B008 - frozen
        """Compare all pairs and judge them."""
        measured = measure_enrolled(
            self.planned,
            labels=self.rows.subjects,
            features_sha256=self.made_with.inputs["features"],
            how=how,
        )
        aged, notes = None, measured.result.notes
        if self.form == "mugshot":
            first = measured.point(_first(self.form, self.planned.fars))
            aged = _aged(self.planned, self.rows.years, first)
            if aged is None:
                years = frvt.YEARS_APART
                notes = (*notes, f"META has no year that says which pairs are {years} years apart")
        compared = frvt.Compared(
            form=self.form,
            details=measured.details,
            templates=measured.templates,
            failed=measured.failed,
            template_bytes=_template_bytes(self.rows.enrolled),
            template_times_s=self.rows.times_s,
            aged=aged,
            notes=notes,
        )
        return frvt.PROTOCOL.score(compared, provenance=self.made_with)


def prepare_frvt(
    features: str | Path,
    meta: str | Path,
    *,
    form: str,
    fmrs: Sequence[float] | None = None,
    screens: Screens | None = None,
    lengths: str = "unit",
) -> PreparedFrvt:
    """Read, check and plan a comparison of all pairs.

    Args:
        features: The matrix (N, D) float32, a row of NaN where no template was made.
        meta: See the top of this file.
        form: "visa", "mugshot" or "wild".
        fmrs: Instead of those of the form.
        screens: What to search with.
        lengths: "unit": rows have length 1; "any": they are normalized first.

    Raises:
        NotFound: a file is not there.
        BadFile: a file is damaged, or of another kind; or a field of META cannot be read.
        BadArray: META has another number of lines than the matrix rows; a row is no template.
        BadInput: the form is unknown, or an FMR outside (0, 1).
        NotEnoughData: too few pairs for an FMR; the message says which can be asked for.
    """
    frvt.check_form(form)
    rows = _read_rows(features, meta, lengths=lengths)
    dimension = rows.enrolled.unit.shape[1]
    made = [NumpyScreen()] if screens is None else screens(dimension, screen_error(dimension))
    planned = plan_enrolled(
        rows.enrolled,
        people_of(rows.subjects),
        fars=frvt.FORMS[form] if fmrs is None else fmrs,
        screens=made,
    )
    made_with = provenance({"features": Path(features), "meta": Path(meta)})
    return PreparedFrvt(form=form, rows=rows, planned=planned, made_with=made_with)


def score_frvt_pairs(
    features: str | Path,
    meta: str | Path,
    pairs: str | Path,
    *,
    form: str,
    fmrs: Sequence[float] | None = None,
    lengths: str = "unit",
    seed: int = 0,
) -> Report:
    """The same of the pairs that a list names: IMAGE IMAGE 0|1, by the photo of META.

    The rate of aged pairs is left out, with a note.

    Raises:
        As `prepare_frvt`; and BadFile where a pair says another thing than the subjects,
        NotFound where it names a photograph that META does not.
    """
    frvt.check_form(form)
    rows = _read_rows(features, meta, lengths=lengths)
    people = people_of(rows.subjects)
    every = _listed_rows(rows, people, Path(pairs), meta)
    known = (people[every[0]] != DISTRACTOR) | (people[every[1]] != DISTRACTOR)
    first, second = (side[known] for side in every)
    notes = [f"the pairs are those of a list of {len(known)}"]
    if lost := int((~known).sum()):
        notes.append(f"left out: {lost} pairs of two photographs of nobody known (subject -1)")
    if form == "mugshot":
        notes.append(f"left out: {frvt.AGED}, which is measured over all pairs and not over a list")
    points = listed_points(
        rows.enrolled,
        _each_somebody(people),
        first,
        second,
        fars=frvt.FORMS[form] if fmrs is None else fmrs,
        seed=seed,
    )
    used = np.union1d(first, second)
    compared = frvt.Compared(
        form=form,
        details=Details(points=points),
        templates=len(used),
        failed=int(rows.enrolled.failed[used].sum()),
        template_bytes=_template_bytes(rows.enrolled),
        template_times_s=rows.times_s,
        notes=tuple(notes),
    )
    files = {"features": Path(features), "meta": Path(meta), "pairs": Path(pairs)}
    return frvt.PROTOCOL.score(compared, provenance=provenance(files))


def read_flags(column: Sequence[str], *, name: str, path: str | Path) -> NDArray[np.bool_]:
    """A column of 0 and 1, where an empty field is 0, as (N,) true or false.

    Raises:
        BadFile: a field holds something else; the message names the line.
    """
    for line, field in enumerate(column, start=2):
        if field.strip() not in ("", "0", "1"):
            raise BadFile(f"{path}:{line}: the column {name} holds 1 or 0; got {field!r}")
    return np.array([field.strip() == "1" for field in column], np.bool_)


def _read_rows(features: str | Path, meta: str | Path, *, lengths: str) -> FrvtRows:
    matrix = open_features(features)
    table = read_table(meta, required=("subject",), optional=OPTIONAL)
    if len(table["subject"]) != len(matrix):
        raise BadArray(
            f"each row needs a line of META; {features} has {len(matrix)} rows and {meta} has "
            f"{len(table['subject'])} lines below its header"
        )
    failed = None
    if "failed" in table:
        failed = read_flags(table["failed"], name="failed", path=meta)
    times = _numbers(table, "seconds", meta)
    return FrvtRows(
        enrolled=enroll(matrix, lengths=lengths, failed=failed),
        subjects=labels_of(table["subject"], path=meta, first_line=2),
        photos=table.get("photo", ()),
        years=_numbers(table, "year", meta),
        times_s=() if times is None else tuple(times[~np.isnan(times)].tolist()),
    )


def _numbers(
    table: Mapping[str, tuple[str, ...]], name: str, path: str | Path
) -> NDArray[np.float64] | None:
    """A column of numbers, NaN where a field is empty; None where there is no such column."""
    if name not in table:
        return None
    found = np.full(len(table[name]), np.nan)
    for n, field in enumerate(table[name]):
        if not field.strip():
            continue
        try:
            found[n] = float(field)
        except ValueError:
            found[n] = math.nan
        if not (math.isfinite(found[n]) and found[n] >= 0):
            raise BadFile(f"{path}:{n + 2}: the column {name} holds a number; got {field!r}")
    return found


def _each_somebody(people: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same with every distractor a person of its own."""
    nobody = people == DISTRACTOR
    return np.where(nobody, int(people.max()) + 1 + np.arange(len(people)), people)


def _listed_rows(
    rows: FrvtRows, people: NDArray[np.int64], pairs: Path, meta: str | Path
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if not rows.photos:
        raise BadInput(f"a list of pairs names photographs; {meta} lacks the column photo")
    row_of = {photo: n for n, photo in enumerate(rows.photos)}
    if len(row_of) < len(rows.photos):
        twice = next(photo for n, photo in enumerate(rows.photos) if row_of[photo] != n)
        raise BadFile(f"{meta} names the photograph {twice!r} twice")
    listed = read_pair_list(pairs)
    sides: list[list[int]] = [[], []]
    for line, (one, two, same) in enumerate(zip(*listed, strict=True), start=1):
        for side, photo in zip(sides, (one, two), strict=True):
            if photo not in row_of:
                raise NotFound(f"{pairs}:{line}: there is no photograph {photo!r} in {meta}")
            side.append(row_of[photo])
        if bool(same) != (people[row_of[one]] == people[row_of[two]] != DISTRACTOR):
            raise BadFile(
                f"{pairs}:{line}: says {int(same)}, and {meta} says that {one} is of "
                f"{rows.subjects[row_of[one]]} and {two} of {rows.subjects[row_of[two]]}"
            )
    return np.array(sides[0], np.int64), np.array(sides[1], np.int64)


def _aged(
    planned: PlannedEnrolled, years: NDArray[np.float64] | None, point: OperatingPoint
) -> frvt.Aged | None:
    """Genuine pairs that lie far enough apart, by person; None where no year says so."""
    if years is None:
        return None
    people = planned.every.people
    misses, pairs = np.zeros((2, int(people.max()) + 1), np.int64)
    for judged in judged_genuine(planned, point.threshold):
        apart = np.abs(years[judged.first] - years[judged.second]) >= frvt.YEARS_APART
        whose = people[judged.first]
        pairs += np.bincount(whose[apart], minlength=len(pairs))
        misses += np.bincount(whose[apart & ~judged.accepted], minlength=len(pairs))
    have = pairs > 0
    return frvt.Aged(point.far, misses[have], pairs[have]) if have.any() else None


def _first(form: str, fars: Sequence[float]) -> float:
    """The FMR that ranks, or the lowest of those asked for instead."""
    wanted = frvt.FORMS[form][0]
    return wanted if wanted in fars else min(fars)


def _template_bytes(enrolled: Enrolled) -> int:
    return int(enrolled.unit.dtype.itemsize * enrolled.unit.shape[1])
