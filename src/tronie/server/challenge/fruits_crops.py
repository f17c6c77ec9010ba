"""FRUITS, as far as embeddings of aligned crops can tell: errors, and no time.

META is that of `tronie evaluate fruits`, one line a crop: subject, masked, and attributes by the
names below; the column photo may be there and is not read.

    fnmr_all       FNMR at FMR 1e-5, every crop with every other
    fnmr_masked    the same, masked crops with those without a mask, where there are both

Source: `tronie.evaluation.protocols.fruits`. Differs from it: no face is looked for, so that none
fails to enroll, and no time is a value of the Report, since the protocol's is of a whole system.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.labels import labels_of
from tronie.data.readers.table import read_table
from tronie.evaluation.pairs.enrolled import enroll, group_rates, measure_enrolled, plan_enrolled
from tronie.evaluation.pairs.fnmr import fnmr_value
from tronie.evaluation.pairs.scores import Rows, screen_error
from tronie.evaluation.pairs.sets import HowToRun, PairSet
from tronie.evaluation.protocols import fruits
from tronie.evaluation.report import Report
from tronie.evaluation.report_parts import Details
from tronie.evaluation.run_frvt import read_flags
from tronie.evaluation.run_pairs import Screens, people_of
from tronie.provenance import Provenance

ATTRIBUTES = ("race", "age", "gender", "scene")
"""Columns of META that may be there: groups, each compared with itself."""


def read_meta(meta: Path) -> tuple[Mapping[str, tuple[str, ...]], list[PairSet]]:
    """The table, and the sets that it has the rows for.

    Raises:
        NotFound: there is no such file.
        BadFile: it is damaged.
    """
    table = read_table(meta, required=("subject", "masked"), optional=("photo", *ATTRIBUTES))
    masked = read_flags(table["masked"], name="masked", path=meta)
    sets = [PairSet(name="all", fars=(fruits.FMR,))]
    if masked.any() and not masked.all():
        sets.append(PairSet(name="masked", fars=(fruits.FMR,), group=masked, against=~masked))
    return table, sets


def measure_fruits(
    unit: Rows, meta: Path, *, screens: Screens, how: HowToRun, made_with: Provenance
) -> Report:
    """FNMR of each set, and groups at the threshold of all.

    Args:
        unit: (N, D), a row for each line of META.
    """
    table, sets = read_meta(meta)
    labels = labels_of(table["subject"], path=meta, first_line=2)
    people, dimension = people_of(labels), unit.shape[1]
    made, enrolled = screens(dimension, screen_error(dimension)), enroll(unit)
    planned = [
        plan_enrolled(
            enrolled, people, fars=one.fars, screens=made,
            of=one.name, group=one.group, against=one.against,
        )
        for one in sets
    ]  # fmt: skip
    measured = {one.of: measure_enrolled(one, labels=labels, how=how) for one in planned}
    groups = [
        group_rates(measured["all"], _values(table[name], meta), far=fruits.FMR, of=name)
        for name in ATTRIBUTES
        if name in table
    ]
    points = {name: one.point(fruits.FMR) for name, one in measured.items()}
    parts = [one.details for one in measured.values()]
    return Report(
        name=fruits.PROTOCOL.name,
        version=fruits.PROTOCOL.version,
        values={f"fnmr_{name}": fnmr_value(point) for name, point in points.items()},
        details=Details.joined([*parts, Details(groups=tuple(groups))]),
        notes=(
            "the recognizer's part of FRUITS only: crops that the organizer aligned, and the time "
            "of an embedding among the limits; the protocol times reading, detection, alignment, "
            "embedding and matching together",
            *(f"{name}: not measured" for name in fruits.SETS if name not in points),
            *(f"{name}: {point.note}" for name, point in points.items() if point.note),
            *(note for one in measured.values() for note in one.result.notes),
        ),
        provenance=made_with,
    )


def _values(column: tuple[str, ...], meta: Path) -> NDArray[np.str_]:
    values: NDArray[Any] = labels_of(column, path=meta, first_line=2, or_none=True)
    return values
