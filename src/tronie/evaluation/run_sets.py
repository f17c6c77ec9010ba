"""Protocols over sets of pairs, from a feature matrix and a table that says whose each row is.

    prepared = prepare_mfr21("M.npy", "META.csv", screens=...)
    prepared.describe()            # what will run, and how long it takes
    prepared.run().to_dict()

META is a CSV with a header and one line for each row of the matrix:

    mfr21                         set,subject
    lfr19-image, lfr19-video      subject[,side]
    trillion-pairs                subject,side

The screens are handed in, since this floor knows no engine; without any, NumPy's product runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tronie.data.readers.labels import labels_of
from tronie.data.readers.table import read_table
from tronie.errors import BadArray, BadInput
from tronie.evaluation.pairs.scores import NumpyScreen, Rows, screen_error
from tronie.evaluation.pairs.sets import (
    HowToRun,
    MeasuredSet,
    PairSet,
    PlannedSet,
    measure_sets,
    plan_sets,
)
from tronie.evaluation.protocols import lfr19_image, lfr19_video, mfr21, trillion_pairs
from tronie.evaluation.report import Report
from tronie.evaluation.run_pairs import Screens, people_of, read_array
from tronie.evaluation.stored_rows import open_stored_rows
from tronie.provenance import Provenance, provenance

LOOSE = 1e-3
"""From this FAR on a row is estimated from a sample, unless all pairs are asked for."""

Score = Callable[..., Report]

_ROWS: Mapping[str, tuple[Callable[[Sequence[str] | None], list[PairSet]], Score]] = {
    "lfr19-image": (lfr19_image.pair_sets, lfr19_image.PROTOCOL.score),
    "lfr19-video": (lfr19_video.pair_sets, lfr19_video.PROTOCOL.score),
    "trillion-pairs": (trillion_pairs.pair_sets, trillion_pairs.PROTOCOL.score),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class PreparedSets:
    """Everything read, checked and planned; nothing compared yet."""

    unit: Rows
    labels: NDArray[Any]
    planned: Sequence[PlannedSet]
    made_with: Provenance
    score: Callable[..., Report]
    """The protocol's own, from measured sets to a Report."""

    @property
    def seconds(self) -> float:
        """Estimated, for this machine, alone on it."""
        return sum(one.plan.seconds for one in self.planned)

    def run(self, how: HowToRun = HowToRun()) -> Report:  # noqa: B008 - frozen
        """Measure all sets and judge them."""
        measured: Mapping[str, MeasuredSet] = measure_sets(
            self.unit,
            self.planned,
            labels=self.labels,
            features_sha256=self.made_with.inputs.get("features"),
            how=how,
        )
        return self.score(measured, provenance=self.made_with)


def prepare_mfr21(
    features: str | Path,
    meta: str | Path,
    *,
    screens: Screens | None = None,
    lengths: str = "unit",
) -> PreparedSets:
    """MFR21, InsightFace track: see `tronie.evaluation.protocols.mfr21`.

    Args:
        features: The matrix (N, D) float32.
        meta: A CSV with the columns set and subject.
        screens: What to search with.
        lengths: "unit", or "any": see `tronie.evaluation.stored_rows`.

    Raises:
        NotFound: a file is not there.
        BadFile: a file is damaged, or of another kind.
        BadArray: the table has another number of lines than the matrix rows, or a row has no
            length 1.
        BadInput: a set is unknown.
        NotEnoughData: a set has too few pairs for its FAR; the message says which can be asked.
    """
    unit = open_stored_rows(features, lengths=lengths)
    table = _table(meta, unit, required=("set", "subject"))
    sets = mfr21.pair_sets(table["set"])
    return _prepared(
        unit, table, sets, mfr21.PROTOCOL.score, {"features": features, "meta": meta}, screens
    )


def prepare_far_row(
    protocol: str,
    features: str | Path,
    meta: str | Path,
    *,
    screens: Screens | None = None,
    lengths: str = "unit",
    left_out: str | Path | None = None,
    sampled_from: float | Fraction | None = LOOSE,
) -> PreparedSets:
    """LFR19 or Trillion-Pairs: a headline and a row of FARs over one set of pairs.

    Args:
        protocol: "lfr19-image", "lfr19-video" or "trillion-pairs".
        features: The matrix (N, D) float32.
        meta: A CSV with the column subject, and side where probes meet a gallery.
        left_out: An .npy of whole numbers (X, 2): pairs of rows that count nowhere.
        sampled_from: FARs from this one on are estimated from a sample; None: none is.

    Raises:
        As `prepare_mfr21`; and BadInput where the protocol is none of these.
    """
    if protocol not in _ROWS:
        raise BadInput(f"a row of FARs is measured by {', '.join(_ROWS)}; got {protocol!r}")
    pair_sets, score = _ROWS[protocol]
    unit = open_stored_rows(features, lengths=lengths)
    needed = ("subject", "side") if protocol == "trillion-pairs" else ("subject",)
    optional = () if protocol == "trillion-pairs" else ("side",)
    table = _table(meta, unit, required=needed, optional=optional)
    sets = pair_sets(table.get("side"))
    inputs = {"features": features, "meta": meta}
    gone: NDArray[Any] | tuple[()] = ()
    if left_out is not None:
        inputs["left_out"] = left_out
        gone = read_array(Path(left_out))
    return _prepared(
        unit, table, sets, score, inputs, screens, left_out=gone, sampled_from=sampled_from
    )


def _table(
    meta: str | Path, unit: Rows, *, required: Sequence[str], optional: Sequence[str] = ()
) -> Mapping[str, tuple[str, ...]]:
    table = read_table(meta, required=required, optional=optional)
    if len(table["subject"]) != len(unit):
        raise BadArray(
            f"each row needs a line of META; the matrix has {len(unit)} rows and {meta} has "
            f"{len(table['subject'])} lines below its header"
        )
    return table


def _prepared(
    unit: Rows,
    table: Mapping[str, tuple[str, ...]],
    sets: Sequence[PairSet],
    score: Score,
    inputs: Mapping[str, str | Path],
    screens: Screens | None,
    *,
    left_out: NDArray[Any] | tuple[()] = (),
    sampled_from: float | Fraction | None = None,
) -> PreparedSets:
    labels = labels_of(table["subject"], path=inputs["meta"], first_line=2)
    dimension = unit.shape[1]
    made = [NumpyScreen()] if screens is None else screens(dimension, screen_error(dimension))
    planned = plan_sets(
        unit,
        people_of(labels),
        sets,
        screens=made,
        sampled_from=sampled_from,
        left_out=left_out,
    )
    return PreparedSets(
        unit=unit,
        labels=labels,
        planned=planned,
        made_with=provenance({name: Path(file) for name, file in inputs.items()}),
        score=score,
    )
