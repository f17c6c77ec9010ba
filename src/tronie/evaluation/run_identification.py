"""Open-set identification, MegaFace and iQIYI-VID from a feature matrix and a table.

The table is a CSV with a row of column names, then one line for each row of the matrix, in its
order (`tronie.data.readers.table`):

    open-set     subject,role             role: gallery or probe
    megaface     subject[,listed]         subject -1: a distractor; listed 1: in a noise list
    iqiyi-vid    subject,role             role: query or video

A subject is any text; -1 is nobody known. In open-set a probe is non-mated when its subject is
not in the gallery, and -1 always is. In iqiyi-vid several queries of one subject are pooled to
one (mean of their unit rows). Rows are compared at length 1: see `evaluation.unit_rows`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.features import open_features
from tronie.data.readers.labels import labels_of
from tronie.data.readers.table import read_table
from tronie.errors import BadArray, BadFile
from tronie.evaluation.metrics.top_matches import Progress
from tronie.evaluation.pairs.scores import Rows
from tronie.evaluation.protocols import iqiyi_vid, megaface, open_set
from tronie.evaluation.report import Report
from tronie.evaluation.run_pairs import people_of
from tronie.evaluation.unit_rows import UnitRows, unit_rows
from tronie.geometry.templates import pool
from tronie.provenance import Provenance, provenance

_FIRST_LINE = 2  # of the table, below its column names


def evaluate_open_set(
    features: str | Path,
    meta: str | Path,
    *,
    fpirs: Sequence[float] = open_set.FPIRS,
    ranks: Sequence[int] = open_set.RANKS,
    within: int = 1,
    rule: str = "conservative",
    inputs: Mapping[str, str | Path] | None = None,
    progress: Progress | None = None,
) -> Report:
    """TPIR at fixed FPIRs of the probes in the gallery.

    Args:
        features: A matrix that `open_features` reads, one row a face.
        meta: The table: subject, role.
        fpirs, ranks, within, rule: As `tronie.evaluation.protocols.open_set.score`.
        inputs: What else the numbers depend on, name to file or SHA-256, for the provenance.
        progress: Called with (done, total) comparisons of a probe with a row of the gallery.

    Raises:
        NotFound: a file is not there.
        BadFile: a file is damaged, or a line of the table cannot be used.
        BadArray: the table has not one line a row, or a row has no direction.
        BadInput, NotEnoughData: as `score`.
    """
    unit, people, table = _read(features, meta, required=("subject", "role"))
    roles = _roles(table["role"], ("gallery", "probe"), meta)
    report = open_set.PROTOCOL.score(
        unit.rows,
        people,
        gallery=np.flatnonzero(roles == "gallery"),
        probes=np.flatnonzero(roles == "probe"),
        fpirs=fpirs,
        ranks=ranks,
        within=within,
        rule=rule,
        provenance=_made_with(features, meta, inputs),
        progress=progress,
    )
    return replace(report, notes=(*report.notes, *unit.notes))


def evaluate_megaface(
    features: str | Path,
    meta: str | Path,
    *,
    form: str = "plain",
    fars: Sequence[float] = megaface.FARS,
    ranks: Sequence[int] = megaface.RANKS,
    inputs: Mapping[str, str | Path] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Rank rates among the distractors, and TAR at fixed FARs.

    Args:
        features: A matrix that `open_features` reads, probes and distractors in any order.
        meta: The table: subject, and for the cleaned form listed.
        form: "plain" or "cleaned".
        fars, ranks: As `tronie.evaluation.protocols.megaface.score`.
        inputs, progress: As `evaluate_open_set`.

    Raises:
        NotFound, BadFile, BadArray, BadInput, NotEnoughData: as `evaluate_open_set`.
    """
    cleaned = form == "cleaned"
    required = ("subject", "listed") if cleaned else ("subject",)
    unit, people, table = _read(features, meta, required=required, optional=("listed",))
    listed = _roles(table["listed"], ("0", "1"), meta) == "1" if cleaned else None
    report = megaface.PROTOCOL.score(
        unit.rows,
        people,
        form=form,
        listed=listed,
        fars=fars,
        ranks=ranks,
        provenance=_made_with(features, meta, inputs),
        progress=progress,
    )
    return replace(report, notes=(*report.notes, *unit.notes))


def evaluate_iqiyi_vid(
    features: str | Path,
    meta: str | Path,
    *,
    limit: int = iqiyi_vid.LIMIT,
    denominator: str = "capped",
    inputs: Mapping[str, str | Path] | None = None,
    progress: Progress | None = None,
) -> Report:
    """MAP of the videos that each person's query retrieves.

    Args:
        features: A matrix that `open_features` reads, one row a video or a face of a query.
        meta: The table: subject, role.
        limit, denominator: As `tronie.evaluation.protocols.iqiyi_vid.score`.
        inputs, progress: As `evaluate_open_set`.

    Raises:
        NotFound, BadFile, BadArray, BadInput, NotEnoughData: as `evaluate_open_set`.
    """
    unit, people, table = _read(features, meta, required=("subject", "role"))
    roles = _roles(table["role"], ("query", "video"), meta)
    rows, people, queries = _one_query_each(unit.rows, people, roles == "query", meta)
    report = iqiyi_vid.PROTOCOL.score(
        rows,
        people,
        queries=queries,
        videos=np.flatnonzero(roles == "video"),
        limit=limit,
        denominator=denominator,
        provenance=_made_with(features, meta, inputs),
        progress=progress,
    )
    return replace(report, notes=(*report.notes, *unit.notes))


class _Read(NamedTuple):
    unit: UnitRows
    people: NDArray[np.int64]
    """(N,): whose each row is, -1 for nobody known."""
    table: Mapping[str, tuple[str, ...]]


def _read(
    features: str | Path,
    meta: str | Path,
    *,
    required: Sequence[str],
    optional: Sequence[str] = (),
) -> _Read:
    stored = open_features(features)
    table = read_table(meta, required=required, optional=[c for c in optional if c not in required])
    lines = len(table[required[0]])
    if lines != len(stored):
        raise BadArray(
            f"each row of {features} needs a line of {meta}; got {len(stored)} rows "
            f"and {lines} lines"
        )
    subjects = labels_of(table["subject"], path=meta, first_line=_FIRST_LINE)
    return _Read(unit_rows(stored), people_of(subjects), table)


def _roles(column: Sequence[str], known: Sequence[str], meta: str | Path) -> NDArray[np.str_]:
    for line, word in enumerate(column, start=_FIRST_LINE):
        if word not in known:
            raise BadFile(f"{meta}:{line}: must say {' or '.join(known)}; got {word!r}")
    return np.array(column, np.str_)


def _one_query_each(
    unit: Rows, people: NDArray[np.int64], asks: NDArray[np.bool_], meta: str | Path
) -> tuple[Rows, NDArray[np.int64], NDArray[np.int64]]:
    """Rows, people, and which rows are queries: pooled ones are put behind all others."""
    rows = np.flatnonzero(asks)
    nobody = rows[people[rows] < 0]
    if len(nobody):
        line = int(nobody[0]) + _FIRST_LINE
        raise BadFile(f"{meta}:{line}: a query asks for a known person; its subject is -1")
    if len(np.unique(people[rows])) == len(rows):
        return unit, people, rows
    names, pooled = pool(unit[rows], people[rows], pooling="mean_of_unit")
    queries = np.arange(len(unit), len(unit) + len(names))
    return np.concatenate([unit, pooled]), np.concatenate([people, names]), queries


def _made_with(
    features: str | Path, meta: str | Path, inputs: Mapping[str, str | Path] | None
) -> Provenance:
    return provenance({"features": features, "meta": meta, **(inputs or {})})
