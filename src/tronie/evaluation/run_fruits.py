"""Run FRUITS over photographs, with any callable that finds and embeds a face.

META is a CSV with a header and one line a photograph:

    photo       its file, below the folder of the photographs
    subject     whose it is
    masked      1 where the face wears a mask, 0 or empty elsewhere
    ...         every further column is an attribute (race, age, scene): its values are groups,
                each compared with itself; an empty field is in no group

The callable is all that is known of a system: `analyze(photo) -> (D,)` takes one encoded
photograph, or gives None where it finds no face. It is timed together with the reading of the
file before it and one comparison after it, on one core.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.labels import labels_of
from tronie.data.readers.lists import relative_path
from tronie.data.readers.table import read_table
from tronie.data.readers.text_lines import read_lines
from tronie.errors import BadArray, BadFile, NotEnoughData, NotFound
from tronie.evaluation.metrics.verification import accepts_allowed, too_few_pairs
from tronie.evaluation.one_core import Timed, timed
from tronie.evaluation.pairs.enrolled import (
    Enrolled,
    MeasuredEnrolled,
    enroll,
    group_rates,
    measure_enrolled,
    plan_enrolled,
)
from tronie.evaluation.pairs.pairing import pairing
from tronie.evaluation.pairs.scores import NumpyScreen, screen_error
from tronie.evaluation.pairs.sets import HowToRun
from tronie.evaluation.protocols import fruits
from tronie.evaluation.report import Report
from tronie.evaluation.run_frvt import read_flags
from tronie.evaluation.run_pairs import Screens, people_of
from tronie.provenance import provenance

Analyze = Callable[[bytes], NDArray[np.floating] | None]
"""One encoded photograph to its embedding (D,), or None where no face was found."""

Progress = Callable[[int, int], None]
"""Called with (done, total) photographs."""

_Sides = tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]
"""Photographs that are compared, and with which; None: all of them."""

REQUIRED = ("photo", "subject", "masked")
WARM_UP = 10


def evaluate_fruits(
    meta: str | Path,
    photos: str | Path,
    analyze: Analyze,
    *,
    track: str,
    fmr: float = fruits.FMR,
    over_budget: str = "refuse",
    warm_up: int = WARM_UP,
    screens: Screens | None = None,
    inputs: Mapping[str, str | Path] | None = None,
    progress: Progress | None = None,
    how: HowToRun = HowToRun(),  # noqa: B008 - frozen
) -> Report:
    """Time a system on every photograph, then compare all of them.

    Args:
        meta: See the top of this file.
        photos: The folder of the photographs.
        analyze: The system; its engine should run on one thread.
        track: "fruits-100", "fruits-500" or "fruits-1000".
        fmr: Instead of the protocol's 1e-5, where there are too few pairs for it.
        over_budget: "refuse", or "mark": score a system that is too slow, and say so.
        warm_up: How many photographs are run before, untimed.
        screens: What to search the pairs with; NumPy's product if None.
        inputs: What else the numbers depend on, name to file or SHA-256 (the models), for the
            provenance. META is added.
        how: How the pairs are searched.

    Raises:
        NotFound: META or a photograph is not there.
        BadFile: META is damaged, an attribute breaks its form, or a photograph is not below its
            folder.
        BadInput: the track is unknown, or the system is over its budget; that is said as soon
            as the photographs done have used up the time of all.
        BadArray: `analyze` returned anything but (D,) or None.
        NotEnoughData: too few pairs for the FMR, which is told before anything is timed; or no
            face anywhere.
        TronieError: whatever `analyze` raises for a photograph that it cannot read.
    """
    budget = fruits.budget_s(track)
    told = _read_meta(Path(meta), Path(photos))
    files, sides = told.files, _sides(told.masked)
    _check_pairs(people_of(told.subjects), sides, fmr=fmr)

    spent = 0.0

    def after(seconds: Sequence[float]) -> None:
        nonlocal spent
        spent += seconds[-1]
        if over_budget == "refuse" and spent > budget * len(files):
            fruits.check_budget(seconds, track=track, of=len(files))
        if progress is not None:
            progress(len(seconds), len(files))

    features, time = timed_rows(files, analyze, warm_up=warm_up, after=after)
    if over_budget == "refuse":
        fruits.check_budget(time.seconds, track=track, of=len(files))
    measured = _measured(features, told.subjects, sides, fmr=fmr, screens=screens, how=how)
    groups = [
        group_rates(measured["all"], values, far=fmr, of=name)
        for name, values in told.attributes.items()
    ]
    report = fruits.PROTOCOL.score(
        measured,
        time,
        track=track,
        fmr=fmr,
        groups=groups,
        over_budget=over_budget,
        provenance=provenance({"meta": Path(meta), **(inputs or {})}),
    )
    notes = tuple(note for one in measured.values() for note in one.result.notes)
    return replace(report, notes=(*report.notes, *notes))


def timed_rows(
    files: Sequence[Path],
    analyze: Analyze,
    *,
    warm_up: int,
    after: Callable[[Sequence[float]], None] = lambda seconds: None,
) -> tuple[NDArray[np.float32], Timed]:
    """The embedding of each photograph, (N, D), NaN without a face; and what each took.

    Args:
        files: At least one.
        analyze: Run and timed once for each file; for the first ones once more, before.
        warm_up: How many.
        after: Called after each with the seconds so far; what it raises ends all.

    Raises:
        BadArray: `analyze` returned anything but (D,), finite and not zero, or None.
        NotEnoughData: not one photograph shows a face.
    """
    found: list[NDArray[np.float64] | None] = [None] * len(files)

    def step(n: int) -> Callable[[], None]:
        def run() -> None:
            row = analyze(files[n].read_bytes())
            before = found[n - 1] if n else None
            found[n] = None if row is None else _embedding(row, before, files[n])

        return run

    time = timed([step(n) for n in range(len(files))], warm_up=warm_up, after=after)
    rows = {n: row for n, row in enumerate(found) if row is not None}
    if not rows:
        raise NotEnoughData(f"no face was found in any of the {len(files)} photographs")
    widths = sorted({len(row) for row in rows.values()})
    if len(widths) > 1:
        raise BadArray(f"analyze must return embeddings of one length; got {widths}")
    matrix = np.full((len(files), widths[0]), np.nan, np.float32)
    for n, row in rows.items():
        matrix[n] = row
    return matrix, time


def _embedding(
    row: NDArray[np.floating], before: NDArray[np.float64] | None, file: Path
) -> NDArray[np.float64]:
    """The row, checked, and compared with the one before: a match is part of what is timed."""
    found = np.asarray(row, np.float64)
    squared = float(found @ found) if found.ndim == 1 else 0.0
    if not 0 < squared < np.inf:
        raise BadArray(
            f"analyze must return (D,), finite and not zero, or None; for {file} it gave "
            f"{found.dtype} of shape {found.shape} and length {squared**0.5:g}"
        )
    if before is not None and before.shape == found.shape:
        found @ before / np.sqrt(squared * (before @ before))
    return found


def _sides(masked: NDArray[np.bool_]) -> dict[str, _Sides]:
    """What is compared: all with all, and masked photographs with those without a mask."""
    sides: dict[str, _Sides] = {"all": (None, None)}
    if masked.any() and not masked.all():
        sides["masked"] = (masked, ~masked)
    return sides


def _check_pairs(people: NDArray[np.int64], sides: Mapping[str, _Sides], *, fmr: float) -> None:
    """See that every set has the pairs for its FMR, which META says before anything is timed."""
    for name, (group, against) in sides.items():
        try:
            pairs = pairing(people, group=group, against=against).impostor_pairs
            if not accepts_allowed(fmr, pairs):
                raise too_few_pairs(fmr, pairs)
        except NotEnoughData as fault:
            raise NotEnoughData(f"{name}: {fault}") from fault


def _measured(
    features: NDArray[np.float32],
    subjects: NDArray[np.str_],
    sides: Mapping[str, _Sides],
    *,
    fmr: float,
    screens: Screens | None,
    how: HowToRun,
) -> dict[str, MeasuredEnrolled]:
    enrolled: Enrolled = enroll(features, lengths="any")
    dimension = features.shape[1]
    made = [NumpyScreen()] if screens is None else screens(dimension, screen_error(dimension))
    people = people_of(subjects)
    planned = [
        plan_enrolled(
            enrolled, people, fars=(fmr,), screens=made, of=name, group=group, against=against
        )
        for name, (group, against) in sides.items()
    ]
    return {one.of: measure_enrolled(one, labels=subjects, how=how) for one in planned}


class _Told(NamedTuple):
    """META, read and checked."""

    files: list[Path]
    subjects: NDArray[np.str_]
    masked: NDArray[np.bool_]
    attributes: dict[str, NDArray[np.str_]]


def _read_meta(path: Path, photos: Path) -> _Told:
    """The table with all its columns: those that are not required are attributes."""
    first = next(iter(read_lines(path)), "")
    try:
        names = next(csv.reader([first], strict=True), [])
    except csv.Error as fault:
        raise BadFile(f"{path}:1: is no line of a CSV file: {fault}") from fault
    attributes = tuple(dict.fromkeys(name for name in names if name not in REQUIRED))
    table = read_table(path, required=REQUIRED, optional=attributes)
    return _Told(
        files=_files(table["photo"], photos, path),
        subjects=labels_of(table["subject"], path=path, first_line=2),
        masked=read_flags(table["masked"], name="masked", path=path),
        attributes={
            name: labels_of(table[name], path=path, first_line=2, or_none=True)
            for name in attributes
        },
    )


def _files(names: Sequence[str], photos: Path, meta: Path) -> list[Path]:
    """The photographs that META names, each below its folder and there."""
    files = []
    for line, name in enumerate(names, start=2):
        files.append(photos / relative_path(name, where=f"{meta}:{line}"))
        if not files[-1].is_file():
            raise NotFound(f"{meta} names the photograph {files[-1]}, and there is no such file")
    return files
