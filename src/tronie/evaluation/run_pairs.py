"""Exact TAR at fixed FARs over all pairs of a feature matrix on disk.

    prepared = prepare_pairs("M.npy", "L.npy", fars=[1e-6, 1e-4], screens=...)
    prepared.plan.describe()                  # what will run and how long it takes
    prepared.run(checkpoint=...).to_dict()

The matrix is float32 (N, D), an .npy or in the form of four int32 and its rows, and stays on
disk, memory-mapped. Its rows have length 1, or it is said that they do not: then they are
normalized in float64 and rounded to float32 once, in memory, and those are the rows that are
compared. Labels are an .npy of whole numbers or strings, or a text file of one label a line; the
label -1 is a distractor.

The screens are handed in, since this floor knows no engine; without any, NumPy's product runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.labels import read_label_lines
from tronie.data.readers.npy import NPY, read_npy
from tronie.errors import BadArray, BadFile, BadInput, NotFound
from tronie.evaluation.pairs.all_pairs import (
    PairsResult,
    ScoredPair,
    measure_pairs,
)
from tronie.evaluation.pairs.details import (
    by_label,
    check_groups,
    details_of,
    groups_of,
    notes_on_groups,
)
from tronie.evaluation.pairs.pairing import DISTRACTOR, Pairing, pairing
from tronie.evaluation.pairs.plan import (
    KEPT_AT_MOST,
    SAMPLE_PAIRS,
    Plan,
    make_plan,
)
from tronie.evaluation.pairs.points import PairsPoint
from tronie.evaluation.pairs.scores import (
    NumpyScreen,
    Rows,
    Screen,
    screen_error,
)
from tronie.evaluation.pairs.sweep import CHECKPOINT_EVERY_S, Progress, Spread
from tronie.evaluation.report import Report, Value
from tronie.evaluation.stored_rows import open_stored_rows
from tronie.provenance import Provenance, file_sha256, provenance

VERSION = "1"
"""Changes whenever the same matrix would give another number."""

Screens = Callable[[int, float], Sequence[Screen]]
"""From D, and the error of a float32 product of two rows, to what this machine can run."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PairsOutcome:
    """What was measured, with names for the rows."""

    result: PairsResult
    labels: NDArray[Any]
    """(N,), as in the file."""
    chosen: Pairing
    groups: NDArray[Any] | None
    """(N,), where groups are to be compared."""
    dimension: int
    provenance: Provenance

    def report(self) -> Report:
        """A Report whose details hold the points, the curve, histograms, groups and pairs."""
        values: dict[str, Value] = {}
        for point in self.result.points:
            values[f"tar_at_far_{point.far:g}"] = Value(
                value=point.tar,
                unit="fraction",
                count=point.accepted,
                total=point.genuine_pairs,
                interval=point.tar_interval,
            )
        values["rows"] = Value(value=len(self.labels), unit="rows")
        values["dimension"] = Value(value=self.dimension, unit="numbers")
        return Report(
            name="pairs",
            version=VERSION,
            values=values,
            details=details_of(self.result, self.chosen, self.labels, groups=self.groups),
            notes=(
                "pairs are unordered, each counted once",
                f"searched with {self.result.screen}, which has no part in the numbers",
                *self._notes(),
            ),
            provenance=self.provenance,
        )

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary, ready for JSON; one entry of "points" for each FAR, falling."""
        told: dict[str, Any] = {
            "report": "pairs",
            "version": VERSION,
            "points": [self._point(point) for point in self.result.points],
            "rows": len(self.labels),
            "dimension": self.dimension,
            "pairs": "unordered",
            "screen": self.result.screen,
            "passes": self.result.passes,
            "worst_impostors": [self._pair(pair) for pair in self.result.worst],
            "lowest_genuine": [self._pair(pair) for pair in self.result.missed],
            "notes": list(self._notes()),
            "provenance": self.provenance.to_dict(),
        }
        if self.groups is not None:
            compared = groups_of(self.result, self.chosen, self.groups)
            told["groups"] = [groups.to_dict() for groups in compared]
        return told

    def _notes(self) -> tuple[str, ...]:
        lost = () if self.groups is None else notes_on_groups(self.result)
        return (*self.result.notes, *lost)

    def _point(self, point: PairsPoint) -> dict[str, Any]:
        told = point.operating_point().to_dict()
        if point.false_matches_of_row is not None:
            told["most_false_matches"] = by_label(self.labels, point.false_matches_of_row)
        told["most_misses"] = by_label(self.labels, point.misses_of_row)
        return told

    def _pair(self, pair: ScoredPair) -> dict[str, Any]:
        return {
            "score": pair.score,
            "rows": [pair.first, pair.second],
            "labels": [self.labels[pair.first].item(), self.labels[pair.second].item()],
        }


@dataclass(frozen=True, eq=False, kw_only=True)
class PreparedPairs:
    """Everything read and checked; nothing compared yet."""

    unit: Rows
    labels: NDArray[Any]
    chosen: Pairing
    plan: Plan
    groups: NDArray[Any] | None
    made_with: Provenance
    worst: int
    missed: int

    def run(
        self,
        *,
        checkpoint: Path | None = None,
        checkpoint_every_s: float = CHECKPOINT_EVERY_S,
        sample_pairs: int = 0,
        checkpoint_stays: bool = False,
        seed: int = 0,
        progress: Progress | None = None,
        spread: Spread | None = None,
    ) -> PairsOutcome:
        """Compare all pairs; see `tronie.evaluation.pairs.all_pairs.measure_pairs`."""
        result = measure_pairs(
            self.unit,
            self.chosen,
            self.plan,
            worst=self.worst,
            missed=self.missed,
            sample_pairs=sample_pairs,
            seed=seed,
            checkpoint=checkpoint,
            checkpoint_every_s=checkpoint_every_s,
            checkpoint_stays=checkpoint_stays,
            features_sha256=self.made_with.inputs["features"],
            progress=progress,
            spread=spread,
        )
        return PairsOutcome(
            result=result,
            labels=self.labels,
            chosen=self.chosen,
            groups=self.groups,
            dimension=self.unit.shape[1],
            provenance=self.made_with,
        )


def prepare_pairs(
    features: str | Path,
    labels: str | Path,
    *,
    fars: Sequence[float | Fraction],
    screens: Screens | None = None,
    lengths: str = "unit",
    group: str | Path | None = None,
    against: str | Path | None = None,
    left_out: str | Path | None = None,
    groups: str | Path | None = None,
    sampled_from: float | Fraction | None = None,
    sample_pairs: int = SAMPLE_PAIRS,
    worst: int = 100,
    missed: int = 100,
) -> PreparedPairs:
    """Read and check the files, and plan the run.

    Args:
        features: An .npy of float32, shape (N, D).
        labels: Whose each row is: see the top of this file.
        fars: False accept rates in (0, 1).
        screens: What to search with.
        lengths: "unit": rows have length 1, and others are refused. "any": each row is
            normalized first; the matrix is then held in memory.
        group: An .npy of N true or false: the rows that take part; all if None.
        against: The same for the other side; None: the group against itself.
        left_out: An .npy of whole numbers (X, 2): pairs of rows that count nowhere.
        groups: The group of each row, by name, in the forms of `labels`: FMR and FNMR are then
            compared between groups. All rows of a person are in one.
        sampled_from: FARs from this one on are estimated from a sample of the pairs.
        sample_pairs: How many a sample has.
        worst: How many of the best impostor pairs to return.
        missed: How many of the lowest genuine pairs to return.

    Raises:
        NotFound: a file is not there.
        BadFile: a file is damaged, or of another kind.
        BadArray: shapes do not fit, or a row has no length 1.
        BadInput: a FAR is outside (0, 1), or the groups share a row.
        NotEnoughData: no pair of one person or of two, or a FAR below one in all pairs; the
            message says which FAR can be asked for.
    """
    with ThreadPoolExecutor(max_workers=1) as beside:  # a checksum needs one core, not two
        checksum = beside.submit(file_sha256, features)
        unit = open_stored_rows(features, lengths=lengths)
        names = read_labels(Path(labels))
        if len(names) != len(unit):
            raise BadArray(
                f"each row needs a label; {features} has {len(unit)} rows and {labels} has "
                f"{len(names)} labels"
            )
        chosen = pairing(
            people_of(names),
            group=None if group is None else read_array(Path(group)),
            against=None if against is None else read_array(Path(against)),
            left_out=() if left_out is None else read_array(Path(left_out)),
        )
        named = None if groups is None else read_labels(Path(groups))
        if named is not None:
            check_groups(chosen, named)
        d = unit.shape[1]
        made = [NumpyScreen()] if screens is None else screens(d, screen_error(d))
        plan = make_plan(
            unit,
            chosen,
            fars=fars,
            screens=made,
            worst=worst,
            sampled_from=sampled_from,
            sample_pairs=sample_pairs,
            loose_kept=None if named is None else KEPT_AT_MOST,
        )
    files = {"labels": labels, "group": group, "against": against, "left_out": left_out}
    inputs = {name: Path(file) for name, file in {**files, "groups": groups}.items() if file}
    return PreparedPairs(
        unit=unit,
        labels=names,
        chosen=chosen,
        plan=plan,
        groups=named,
        made_with=provenance({"features": checksum.result(), **inputs}),
        worst=worst,
        missed=missed,
    )


def read_labels(path: Path) -> NDArray[Any]:
    """Labels (N,): whole numbers or strings of an .npy, or the lines of a text file.

    Raises:
        NotFound: there is no such file.
        BadFile: it holds something else, or a line is blank or too long.
        BadInput: it may not be read.
    """
    if path.suffix == ".npy":
        labels = read_array(path)
        if labels.ndim != 1 or labels.dtype.kind not in "iuU":
            raise BadFile(
                f"{path} must hold one whole number or string a row; "
                f"got {labels.dtype} of shape {labels.shape}"
            )
        return labels
    return read_label_lines(path)


def people_of(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Whose each row is: numbers from 0 in the order of the labels, -1 for a distractor."""
    distractor = DISTRACTOR if labels.dtype.kind in "iu" else str(DISTRACTOR)
    people = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    people[labels == distractor] = DISTRACTOR
    return people


def read_array(path: Path) -> NDArray[Any]:
    """The array of an .npy, in memory.

    Raises:
        NotFound: there is no such file.
        BadFile: it is no .npy, holds Python objects, or is not as large as it says.
        BadInput: it may not be read.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(NPY)) != NPY:
                raise BadFile(f"{path} is no .npy; give one array as numpy.save writes it")
            file.seek(0)
            return read_npy(file, size=path.stat().st_size, name=str(path))
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except OSError as fault:
        raise BadInput(f"cannot read {path}: {fault.strerror}") from fault
