"""What each protocol of a track asks of an organizer's META, and how it is measured.

    mfr21                       set,subject
    lfr19-image, lfr19-video    subject[,side]
    fruits                      subject,masked[,photo,race,age,gender,scene]
    lfw-all                     subject[,name]

These are the tables of `tronie evaluate`, and the measuring is that of `tronie evaluate`, with
the same screens. Before a challenge opens, META is held to what its track needs: rows for every
set that the score is made of, and enough pairs for every FAR that ranks.

Where everybody meets everybody (lfw-all), ten folds of drawn pairs give an accuracy too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.labels import labels_of
from tronie.data.readers.table import read_table
from tronie.errors import BadInput, NotEnoughData
from tronie.evaluation.metrics.verification import accepts_allowed, too_few_pairs
from tronie.evaluation.pairs.pairing import pairing
from tronie.evaluation.pairs.scores import screen_error
from tronie.evaluation.pairs.sets import HowToRun, PairSet, measure_sets, plan_sets
from tronie.evaluation.protocols import lfr19_image, lfr19_video, lfw_all, lfw_bin, mfr21
from tronie.evaluation.report import Report
from tronie.evaluation.run_pairs import Screens, people_of
from tronie.evaluation.run_sets import prepare_far_row, prepare_mfr21
from tronie.evaluation.stored_rows import open_stored_rows
from tronie.provenance import provenance
from tronie.server.challenge.fruits_crops import measure_fruits
from tronie.server.challenge.fruits_crops import read_meta as read_fruits_meta

FOLD_PAIRS = 3000
"""Of one person that are drawn at most, and as many of two people."""
LEAST_FOLD_PAIRS = 10
_FOLD_VALUES = ("accuracy", "std", "accuracy_exact", "std_exact", "pairs")


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """What a measure is given."""

    features: Path
    meta: Path
    left_out: Path | None
    """An .npy of pairs of rows that count nowhere."""
    lengths: str
    """ "unit" or "any", as `tronie.evaluation.stored_rows` has it."""
    screens: Screens
    how: HowToRun


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One protocol."""

    rows_of: Callable[[Path], int]
    """The rows that a META is for, once it is seen to have all that the track needs."""
    run: Callable[[Matrix], Report]
    pairs_may_be_left_out: bool = False


def _mfr21_rows(meta: Path) -> int:
    table = read_table(meta, required=("set", "subject"))
    sets = mfr21.pair_sets(table["set"])
    if not set(mfr21.WEIGHTS) <= {one.name for one in sets}:
        raise BadInput(
            f"{meta} must have rows of both halves of the mask set and of all four races, which "
            f"the score is made of; got {', '.join(sorted(set(table['set'])))}"
        )
    return _checked(meta, table["subject"], sets)


def _run_mfr21(asked: Matrix) -> Report:
    prepared = prepare_mfr21(
        asked.features, asked.meta, screens=asked.screens, lengths=asked.lengths
    )
    return prepared.run(asked.how)


def _far_row(protocol: ModuleType) -> Measure:
    """The measure of a protocol that has a headline and a row of FARs."""

    def rows_of(meta: Path) -> int:
        table = read_table(meta, required=("subject",), optional=("side",))
        return _checked(meta, table["subject"], protocol.pair_sets(table.get("side")))

    def run(asked: Matrix) -> Report:
        prepared = prepare_far_row(
            protocol.PROTOCOL.name,
            asked.features,
            asked.meta,
            screens=asked.screens,
            lengths=asked.lengths,
            left_out=asked.left_out,
        )
        return prepared.run(asked.how)

    return Measure(rows_of=rows_of, run=run, pairs_may_be_left_out=True)


def _fruits_rows(meta: Path) -> int:
    table, sets = read_fruits_meta(meta)
    return _checked(meta, table["subject"], sets)


def _run_fruits(asked: Matrix) -> Report:
    return measure_fruits(
        open_stored_rows(asked.features, lengths=asked.lengths),
        asked.meta,
        screens=asked.screens,
        how=asked.how,
        made_with=provenance({"features": asked.features, "meta": asked.meta}),
    )


def _all_pairs_rows(meta: Path) -> int:
    table = read_table(meta, required=("subject",), optional=("name",))
    rows = _checked(meta, table["subject"], lfw_all.pair_sets())
    drawn = len(drawn_pairs(people_of(labels_of(table["subject"], path=meta, first_line=2)))[2])
    if drawn < LEAST_FOLD_PAIRS:
        raise NotEnoughData(
            f"{meta}: ten folds need {LEAST_FOLD_PAIRS} pairs, half of them of one person; these "
            f"rows give {drawn}. Add photographs of people who are there"
        )
    return rows


def _run_all_pairs(asked: Matrix) -> Report:
    unit = open_stored_rows(asked.features, lengths=asked.lengths)
    table = read_table(asked.meta, required=("subject",), optional=("name",))
    labels = labels_of(table["subject"], path=asked.meta, first_line=2)
    people, dimension = people_of(labels), unit.shape[1]
    planned = plan_sets(
        unit,
        people,
        lfw_all.pair_sets(),
        screens=asked.screens(dimension, screen_error(dimension)),
    )
    measured = measure_sets(unit, planned, labels=labels, how=asked.how)
    made_with = provenance({"features": asked.features, "meta": asked.meta})
    report = lfw_all.PROTOCOL.score(measured, provenance=made_with)
    first, second, same = drawn_pairs(people)
    rows = np.stack([first, second], axis=1).reshape(-1)
    folds = lfw_bin.PROTOCOL.score(np.asarray(unit[rows]), same, name="drawn pairs")
    drawn = {name: folds.values[name] for name in _FOLD_VALUES}
    note = (
        f"accuracy is of {len(same)} pairs drawn with a seed, half of them of one person, in ten "
        "folds; TAR is over all pairs"
    )
    return replace(report, values={**report.values, **drawn}, notes=(note, *report.notes))


def drawn_pairs(
    people: NDArray[np.int64], *, most: int = FOLD_PAIRS
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Pairs of one person and of two by turns, the same for the same people.

    Args:
        people: (N,): whose each row is, -1 for nobody known, who is in no pair.
        most: Pairs of each kind.

    Returns:
        First rows, second rows and whether they show one person, (2P,) each, where P is the
        number of pairs of one person, or half of those of two people if that is less.
    """
    known = np.flatnonzero(people >= 0)
    genuine = _genuine(people, known, most)
    counts = np.unique(people[known], return_counts=True)[1]
    impostors = (len(known) ** 2 - int((counts.astype(np.int64) ** 2).sum())) // 2
    genuine = genuine[: impostors // 2]
    rng = np.random.default_rng(0)
    others: dict[tuple[int, int], None] = {}
    while len(others) < len(genuine):
        one, two = sorted(known[rng.integers(0, len(known), 2)].tolist())
        if people[one] != people[two]:
            others[one, two] = None
    pairs = [pair for both in zip(genuine, others, strict=True) for pair in both]
    rows = np.array(pairs, np.int64).reshape(-1, 2)
    return rows[:, 0], rows[:, 1], np.tile([True, False], len(genuine))


def _genuine(
    people: NDArray[np.int64], known: NDArray[np.int64], most: int
) -> list[tuple[int, int]]:
    """Neighbors of every person first, then their next but one, ...: nobody fills the list."""
    order = known[np.argsort(people[known], kind="stable")]
    found: list[tuple[int, int]] = []
    for step in range(1, len(order)):
        one, two = order[:-step], order[step:]
        same = people[one] == people[two]
        if not same.any() or len(found) >= most:
            break
        found += list(zip(one[same].tolist(), two[same].tolist(), strict=True))
    return found[:most]


def _checked(meta: Path, subjects: Sequence[str], sets: Sequence[PairSet]) -> int:
    """How many rows there are, once every set is seen to have the pairs for its first FAR."""
    people = people_of(labels_of(subjects, path=meta, first_line=2))
    for one in sets:
        try:
            pairs = pairing(people, group=one.group, against=one.against).impostor_pairs
            if not accepts_allowed(one.fars[0], pairs):
                raise too_few_pairs(one.fars[0], pairs)
        except NotEnoughData as fault:
            raise NotEnoughData(f"{meta}: the set {one.name}: {fault}") from fault
    return len(people)


MEASURES: Mapping[str, Measure] = {
    "mfr21": Measure(rows_of=_mfr21_rows, run=_run_mfr21),
    "lfr19-image": _far_row(lfr19_image),
    "lfr19-video": _far_row(lfr19_video),
    "fruits": Measure(rows_of=_fruits_rows, run=_run_fruits),
    "lfw-all": Measure(rows_of=_all_pairs_rows, run=_run_all_pairs),
}
