"""Exact TAR at fixed FARs over all pairs of a feature matrix on disk.

    prepared = prepare_pairs("M.npy", "L.npy", fars=[1e-6, 1e-4], screens=...)
    prepared.plan.describe()                  # what will run and how long it takes
    prepared.run(checkpoint=...).to_dict()

The matrix is float32 (N, D) and stays on disk, memory-mapped. Its rows have length 1, or it is
said that they do not: then they are normalized in float64 and rounded to float32 once, in
memory, and those are the rows that are compared. Labels are an .npy of whole numbers or
strings, or a text file of one label a line; the label -1 is a distractor.

The screens are handed in, since this floor knows no engine; without any, NumPy's product runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadFile, BadInput, NotFound
from tronie.evaluation.pairs.all_pairs import (
    FEW_ERRORS,
    PairsPoint,
    PairsResult,
    ScoredPair,
    measure_pairs,
)
from tronie.evaluation.pairs.pairing import DISTRACTOR, Pairing, pairing
from tronie.evaluation.pairs.plan import Plan, make_plan
from tronie.evaluation.pairs.scores import (
    NumpyScreen,
    Rows,
    Screen,
    check_rows,
    screen_error,
)
from tronie.evaluation.pairs.sweep import CHECKPOINT_EVERY_S, Progress
from tronie.geometry.hypersphere import normalize
from tronie.provenance import Provenance, provenance

VERSION = "1"
"""Changes whenever the same matrix would give another number."""

Screens = Callable[[int, float], Sequence[Screen]]
"""From D, and the error of a float32 product of two rows, to what this machine can run."""

_NORMALIZED_AT_ONCE = 8192
_SUBJECTS_SHOWN = 20
_NPY = b"\x93NUMPY"


@dataclass(frozen=True, eq=False, kw_only=True)
class PairsOutcome:
    """What was measured, with names for the rows."""

    result: PairsResult
    labels: NDArray[Any]
    """(N,), as in the file."""
    dimension: int
    provenance: Provenance

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary, ready for JSON; one entry of "points" for each FAR, falling."""
        return {
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
            "notes": list(self.result.notes),
            "provenance": self.provenance.to_dict(),
        }

    def _point(self, point: PairsPoint) -> dict[str, Any]:
        told: dict[str, Any] = {
            "far": point.far,
            "threshold": point.threshold,
            "tar": point.tar,
            "achieved_far": point.achieved_far,
            "false_matches": point.false_matches,
            "impostor_pairs": point.impostor_pairs,
            "accepted": point.accepted,
            "genuine_pairs": point.genuine_pairs,
            "few_errors": point.few_errors,
        }
        for name, interval in (
            ("far_interval", point.far_interval),
            ("tar_interval", point.tar_interval),
        ):
            told[name] = None if interval is None else interval.to_dict()
        if point.few_errors:
            misses = point.genuine_pairs - point.accepted
            told["note"] = (
                f"rests on {point.false_matches} false matches and {misses} misses; "
                f"below {FEW_ERRORS} a rate is rough"
            )
        told["most_false_matches"] = self._subjects(point.false_matches_of_row)
        told["most_misses"] = self._subjects(point.misses_of_row)
        return told

    def _subjects(self, of_row: NDArray[np.int64]) -> list[dict[str, Any]]:
        """The labels whose rows take part in most errors."""
        names, at = np.unique(self.labels, return_inverse=True)
        sums = np.zeros(len(names), np.int64)
        np.add.at(sums, at, of_row)
        most = np.lexsort((np.arange(len(sums)), -sums))[:_SUBJECTS_SHOWN]
        return [
            {"label": names[n].item(), "in_pairs": int(sums[n])} for n in most.tolist() if sums[n]
        ]

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
    made_with: Provenance
    worst: int
    missed: int

    def run(
        self,
        *,
        checkpoint: Path | None = None,
        checkpoint_every_s: float = CHECKPOINT_EVERY_S,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> PairsOutcome:
        """Compare all pairs; see `tronie.evaluation.pairs.all_pairs.measure_pairs`."""
        result = measure_pairs(
            self.unit,
            self.chosen,
            self.plan,
            worst=self.worst,
            missed=self.missed,
            seed=seed,
            checkpoint=checkpoint,
            checkpoint_every_s=checkpoint_every_s,
            features_sha256=self.made_with.inputs["features"],
            progress=progress,
        )
        return PairsOutcome(
            result=result,
            labels=self.labels,
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
    unit = _features(Path(features), lengths)
    names = read_labels(Path(labels))
    if len(names) != len(unit):
        raise BadArray(
            f"each row needs a label; {features} has {len(unit)} rows and {labels} has "
            f"{len(names)} labels"
        )
    chosen = pairing(
        people_of(names),
        group=None if group is None else _array(Path(group)),
        against=None if against is None else _array(Path(against)),
        left_out=() if left_out is None else _array(Path(left_out)),
    )
    dimension = unit.shape[1]
    made = [NumpyScreen()] if screens is None else screens(dimension, screen_error(dimension))
    plan = make_plan(unit, chosen, fars=fars, screens=made, worst=worst)
    files = {"features": features, "labels": labels, "group": group, "against": against}
    files["left_out"] = left_out
    inputs = {name: Path(file) for name, file in files.items() if file is not None}
    return PreparedPairs(
        unit=unit,
        labels=names,
        chosen=chosen,
        plan=plan,
        made_with=provenance(inputs),
        worst=worst,
        missed=missed,
    )


def read_labels(path: Path) -> NDArray[Any]:
    """Labels (N,): whole numbers or strings of an .npy, or the lines of a text file.

    Raises:
        NotFound: there is no such file.
        BadFile: it holds something else, or a line is empty.
    """
    if path.suffix == ".npy":
        labels = _array(path)
        if labels.ndim != 1 or labels.dtype.kind not in "iuU":
            raise BadFile(
                f"{path} must hold one whole number or string a row; "
                f"got {labels.dtype} of shape {labels.shape}"
            )
        return labels
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as fault:
        raise BadFile(f"{path} is no text of one label a line: {fault}") from fault
    if "" in lines:
        raise BadFile(f"{path}:{lines.index('') + 1} is empty; each line is the label of a row")
    return np.array(lines, dtype=np.str_)


def people_of(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Whose each row is: numbers from 0 in the order of the labels, -1 for a distractor."""
    distractor = DISTRACTOR if labels.dtype.kind in "iu" else str(DISTRACTOR)
    people = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    people[labels == distractor] = DISTRACTOR
    return people


def _features(path: Path, lengths: str) -> Rows:
    if lengths not in ("unit", "any"):
        raise BadInput(f'lengths of rows are "unit" or "any"; got {lengths!r}')
    stored = np.asarray(_array(path, mapped=True))  # a plain view: memmap objects are slow to slice
    if lengths == "unit":
        check_rows(stored)
        return stored
    if stored.ndim != 2 or stored.dtype.kind != "f":
        raise BadArray(
            f"features must be floats of shape (N, D); got {stored.dtype} of shape {stored.shape}"
        )
    unit = np.empty(stored.shape, np.float32)
    for top in range(0, len(stored), _NORMALIZED_AT_ONCE):
        part = slice(top, top + _NORMALIZED_AT_ONCE)
        unit[part] = normalize(np.asarray(stored[part]))[0]
    return unit


def _array(path: Path, *, mapped: bool = False) -> NDArray[Any]:
    try:
        with path.open("rb") as file:
            if file.read(len(_NPY)) != _NPY:
                raise BadFile(f"{path} is no .npy; give one array as numpy.save writes it")
        array: NDArray[Any] = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except (OSError, ValueError, EOFError) as fault:
        raise BadFile(f"{path} is no .npy that can be read: {fault}") from fault
    return array
