"""Probes searched in a gallery, and what a Report shows of that.

    mated probe        its person is in the gallery
    non-mated probe    its person is not, or is nobody known

A gallery may hold several rows of a person; the person scores as the best of them. Scores are
exact, and ranks and thresholds are counted from them: see `metrics.top_matches` and
`metrics.identification`.

Intervals of rates of mated probes come from a bootstrap over their people, with the gallery as
it is. Those of FPIR are Wilson's and labeled: the people of non-mated probes need not be known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadInput, NotEnoughData
from tronie.evaluation.metrics.identification import (
    OpenSetPoint,
    mate_ranks,
    open_set_point,
    rank_rate,
)
from tronie.evaluation.metrics.intervals import Interval, bootstrap_within
from tronie.evaluation.metrics.top_matches import (
    Progress,
    best_others,
    mate_scores,
    part_of,
)
from tronie.evaluation.metrics.verification import accepts_allowed
from tronie.evaluation.pairs.scores import Rows
from tronie.evaluation.report import Value
from tronie.evaluation.report_parts import Details, OperatingPoint
from tronie.evaluation.score_details import histograms_of_scores, optimistic

POINTS_ARE_SEARCHES = (
    "points count searches, not pairs: far is FPIR, tar is TPIR, impostor pairs are non-mated "
    "probes and genuine pairs are mated ones"
)

_SEED = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Searches:
    """What the searches of one gallery gave."""

    mates: NDArray[np.float64]
    """(P,), score of each mated probe with its person."""
    ranks: NDArray[np.int64]
    """(P,), counted from 1; those after the last rank asked for are one more than it."""
    people: NDArray[np.int64]
    """(P,), whose each mated probe is."""
    strangers: NDArray[np.float64]
    """(Q,), best score of each non-mated probe."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Searched:
    """The same, as parts of a Report."""

    values: dict[str, Value]
    details: Details
    notes: tuple[str, ...]


def search(
    unit: Rows,
    people: NDArray[np.integer],
    *,
    probes: NDArray[np.integer],
    gallery: NDArray[np.integer],
    deepest: int = 1,
    progress: Progress | None = None,
) -> Searches:
    """Search every probe.

    Args:
        unit: Stored unit rows, shape (N, D).
        people: Whose each row is, shape (N,): 0 or more, or -1 for nobody known.
        probes: Rows, shape (P + Q,).
        gallery: Rows, shape (G,), none of them a probe.
        deepest: The largest rank that will be asked for.
        progress: Called with (done, total) comparisons of a probe with a row of the gallery.

    Raises:
        NotEnoughData: the gallery or the probes are empty.
        BadInput: a row is both.
        BadArray: shapes do not fit.
    """
    if len(probes) == 0 or len(gallery) == 0:
        raise NotEnoughData(
            f"a search needs probes and a gallery; got {len(probes)} and {len(gallery)} rows"
        )
    if len(shared := np.intersect1d(probes, gallery)):
        raise BadInput(
            f"{len(shared)} rows are both probe and gallery, the first of them {shared[0]}; "
            "it would find itself"
        )
    mates = mate_scores(unit, people, probes=probes, gallery=gallery)
    mated = np.isfinite(mates)
    total, first = len(probes) * len(gallery), int(mated.sum()) * len(gallery)
    others = best_others(
        unit,
        people,
        probes=probes[mated],
        gallery=gallery,
        top=deepest,
        progress=part_of(progress, before=0, total=total),
    )
    strangers = best_others(
        unit,
        people,
        probes=probes[~mated],
        gallery=gallery,
        progress=part_of(progress, before=first, total=total),
    )[:, 0]
    return Searches(
        mates=mates[mated],
        ranks=mate_ranks(mates[mated], others),
        people=np.asarray(people, np.int64)[probes[mated]],
        strangers=strangers,
    )


def searched(
    found: Searches,
    *,
    fpirs: Sequence[float],
    ranks: Sequence[int],
    rule: str = "conservative",
    within: int = 1,
    of: str = "",
) -> Searched:
    """Values, points and histograms of searches.

    Args:
        fpirs: In (0, 1). One that the non-mated probes cannot measure is left out, with a note.
        ranks: For the CMC.
        rule: "conservative" or "published", of `metrics.identification`.
        within: TPIR asks for the mate among so many.
        of: Which gallery; its values begin with this and "_".

    Returns:
        Values "rank_1", "tpir_at_fpir_0.01", "mated_probes", "nonmated_probes" and their like.

    Raises:
        NotEnoughData: no probe is mated.
        BadInput: an FPIR, a rank or the rule is none.
    """
    prefix = f"{of}_" if of else ""
    values = {}
    for rank in ranks:
        values[f"{prefix}rank_{rank}"] = rank_value(found.ranks, rank, people=found.people)
    points, notes = [], []
    left_out = []
    for fpir in sorted(set(fpirs), reverse=True):
        enough = accepts_allowed(fpir, len(found.strangers)) > 0
        if len(found.strangers) == 0 or (rule == "conservative" and not enough):
            left_out.append(f"{fpir:g}")
            continue
        point = open_set_point(
            found.mates, found.ranks, found.strangers, fpir=fpir, rank=within, rule=rule
        )
        value = rate_over_people(point.hits, found.people)
        values[f"{prefix}tpir_at_fpir_{fpir:g}"] = value
        points.append(_operating_point(point, value.interval, of))
    if left_out:
        among = f" of {of}" if of else ""
        notes.append(
            f"left out: FPIR {', '.join(left_out)}; there are {len(found.strangers)} "
            f"non-mated probes{among}"
        )
    values[f"{prefix}mated_probes"] = Value(value=len(found.mates), unit="probes")
    values[f"{prefix}nonmated_probes"] = Value(value=len(found.strangers), unit="probes")
    histograms = histograms_of_scores(found.mates, found.strangers, of=of)
    return Searched(
        values=values,
        details=Details(points=tuple(points), histograms=histograms),
        notes=tuple(notes),
    )


def rank_value(ranks: NDArray[np.integer], rank: int, *, people: NDArray[np.integer]) -> Value:
    """CMC at `rank`, with its interval.

    Args:
        ranks: Of each mated probe, shape (P,), counted from 1.
        people: Whose each is, shape (P,).

    Raises:
        NotEnoughData: there are no probes.
        BadInput: `rank` is below 1.
    """
    rank_rate(ranks, rank)
    return rate_over_people(ranks <= rank, people)


def rate_over_people(counted: NDArray[np.bool_], people: NDArray[np.integer]) -> Value:
    """A rate of probes or pairs, with an interval that draws the people they are of.

    Args:
        counted: Which are counted, shape (P,), one or more.
        people: Whose each is, shape (P,).
    """
    _, whose = np.unique(people, return_inverse=True)
    hits = np.bincount(whose, weights=counted).astype(np.int64)
    count, total = int(hits.sum()), len(counted)
    drawn = bootstrap_within(hits, pairs=np.bincount(whose), seed=_SEED)
    return Value(
        value=count / total,
        unit="fraction",
        count=count,
        total=total,
        interval=drawn or optimistic(count, total),
    )


def _operating_point(point: OpenSetPoint, interval: Interval | None, of: str) -> OperatingPoint:
    false, found = point.false_positives, point.found
    return OperatingPoint(
        of=of,
        far=point.fpir,
        threshold=point.threshold,
        achieved_far=false.value,
        false_matches=false.count,
        impostor_pairs=false.total,
        tar=found.value,
        accepted=found.count,
        genuine_pairs=found.total,
        far_interval=optimistic(false.count, false.total),
        tar_interval=interval,
    )
