"""Pairs that a list names: thresholds, misses and intervals, failures to enroll counted.

The same rules as `tronie.evaluation.pairs.enrolled`, where not all pairs of rows are compared
but those of a list, each in its one order and as often as it is there.

Letters: N rows, P pairs of the list, S people.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, NotEnoughData
from tronie.evaluation.metrics.intervals import bootstrap_recentered
from tronie.evaluation.metrics.verification import exact_rate, threshold_at_far
from tronie.evaluation.pairs.enrolled import Enrolled
from tronie.evaluation.pairs.scores import exact_scores
from tronie.evaluation.report_parts import OperatingPoint

FAILED_SCORE = -2.0
"""Of a pair with a failed template: below every cosine, and so below every threshold."""


def listed_points(
    enrolled: Enrolled,
    people: NDArray[np.integer],
    first: NDArray[np.integer],
    second: NDArray[np.integer],
    *,
    fars: Sequence[float],
    of: str = "",
    seed: int = 0,
) -> tuple[OperatingPoint, ...]:
    """An operating point for each FMR, falling.

    Args:
        people: (N,): whose each row is, 0 or more.
        first: (P,): the row on one side of each pair; people say whether it is genuine.
        second: (P,): the row on the other side.

    Raises:
        BadArray: the sides have different lengths.
        NotEnoughData: no genuine pair, or fewer than 1 / FMR impostor pairs.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise BadArray(f"both sides of a list have shape (P,); got {first.shape}, {second.shape}")
    scores = _scores(enrolled, first, second)
    same = people[first] == people[second]
    if not same.any():
        raise NotEnoughData(f"a list needs pairs of one person; none of its {len(same)} is one")
    impostor, genuine = scores[~same], scores[same]
    asked = sorted(set(fars), key=exact_rate, reverse=True)
    thresholds = [threshold_at_far(impostor, far) for far in asked]
    false = [impostor >= threshold for threshold in thresholds]
    accepted = [genuine >= threshold for threshold in thresholds]
    one = _subjects(people, first, second, ~same)
    far_intervals = bootstrap_recentered(
        np.array([_taking_part(one, mask) for mask in false]),
        _taking_part(one, np.ones(len(impostor), np.bool_)),
        counts=[int(mask.sum()) for mask in false],
        total=len(impostor),
        seed=seed,
    )
    # A genuine pair is of one person: it is in one column, not in two.
    own = (one[0][:0], _subjects(people, first, second, same)[0], one[2])
    tar_intervals = bootstrap_recentered(
        np.array([_taking_part(own, mask) for mask in accepted]),
        _taking_part(own, np.ones(len(genuine), np.bool_)),
        counts=[int(mask.sum()) for mask in accepted],
        total=len(genuine),
        seed=seed,
    )
    return tuple(
        OperatingPoint(
            of=of,
            far=float(far),
            threshold=thresholds[n],
            achieved_far=int(false[n].sum()) / len(impostor),
            false_matches=int(false[n].sum()),
            impostor_pairs=len(impostor),
            tar=int(accepted[n].sum()) / len(genuine),
            accepted=int(accepted[n].sum()),
            genuine_pairs=len(genuine),
            far_interval=far_intervals[n],
            tar_interval=tar_intervals[n],
        )
        for n, far in enumerate(asked)
    )


def _scores(
    enrolled: Enrolled, first: NDArray[np.integer], second: NDArray[np.integer]
) -> NDArray[np.float64]:
    place = np.full(len(enrolled.failed), -1, np.int64)
    place[enrolled.row_of] = np.arange(len(enrolled.row_of))
    live = np.flatnonzero((place[first] >= 0) & (place[second] >= 0))
    scores = np.full(len(first), FAILED_SCORE)
    scores[live] = exact_scores(enrolled.unit, place[first[live]], place[second[live]])
    return scores


def _subjects(
    people: NDArray[np.integer],
    first: NDArray[np.integer],
    second: NDArray[np.integer],
    which: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """The people on both sides of some pairs, and how many people there are."""
    a, b = people[first[which]].astype(np.int64), people[second[which]].astype(np.int64)
    return a, b, int(people.max()) + 1


def _taking_part(
    sides: tuple[NDArray[np.int64], NDArray[np.int64], int], counted: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """How many of the counted pairs each person takes part in, (S,)."""
    a, b, people = sides
    total = np.bincount(b[counted], minlength=people)
    if len(a):
        total += np.bincount(a[counted], minlength=people)
    return total
