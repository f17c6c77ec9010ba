"""What was counted at each FAR, with intervals over people and counts by row.

Letters: N rows, S people, M impostor pairs, P genuine pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tronie.evaluation.metrics.intervals import Interval, bootstrap_recentered, wilson
from tronie.evaluation.pairs.genuine import Genuine
from tronie.evaluation.pairs.pairing import DISTRACTOR, Pairing
from tronie.evaluation.pairs.plan import Plan
from tronie.evaluation.report_parts import FEW_ERRORS, OperatingPoint


@dataclass(frozen=True, eq=False)
class Found:
    """A threshold, and the impostor pairs at or above it."""

    threshold: float
    false_matches: int
    of_row: NDArray[np.int64] | None
    """(N,): those that touch each row; None for a sample."""
    between: tuple[float, ...] = ()
    """Where the threshold was estimated: low and high."""
    sampled_pairs: int = 0
    """Of how many `false_matches` are, where they were counted on a sample."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PairsPoint:
    """One FAR: its threshold, and what was counted at it."""

    far: float
    threshold: float
    """To be used as `score >= threshold` in float64."""
    false_matches: int
    impostor_pairs: int
    """M, or how many were sampled."""
    achieved_far: float
    accepted: int
    genuine_pairs: int
    tar: float
    far_interval: Interval | None
    tar_interval: Interval | None
    path: str
    """ "kept", "counted" or "sampled": see `tronie.evaluation.pairs.plan`."""
    false_matches_of_row: NDArray[np.int64] | None
    """(N,): false matches that each row takes part in; a pair is in two rows. None if sampled."""
    misses_of_row: NDArray[np.int64]
    """(N,): genuine pairs below the threshold that each row takes part in."""

    @property
    def few_errors(self) -> bool:
        """Fewer than 30 errors of one kind: the rule of thirty says not to lean on the rate."""
        return min(self.false_matches, self.genuine_pairs - self.accepted) < FEW_ERRORS

    def operating_point(self, *, of: str = "") -> OperatingPoint:
        """The same for a Report; `of` names the set."""
        return OperatingPoint(
            of=of,
            far=self.far,
            threshold=self.threshold,
            achieved_far=self.achieved_far,
            false_matches=self.false_matches,
            impostor_pairs=self.impostor_pairs,
            tar=self.tar,
            accepted=self.accepted,
            genuine_pairs=self.genuine_pairs,
            far_interval=self.far_interval,
            tar_interval=self.tar_interval,
            sampled=self.path == "sampled",
        )


def points_of(
    chosen: Pairing, plan: Plan, found: Sequence[Found], genuine: Genuine, *, seed: int
) -> tuple[PairsPoint, ...]:
    """A point for each aim of `plan`.

    Args:
        found: One for each aim.
        genuine: Counted at the thresholds of `found`, then at all their `between`.
        seed: Of the draws of people.
    """
    subject = _subjects(chosen.people)
    m, p = chosen.impostor_pairs, chosen.genuine_pairs
    misses = [int(k) for k in genuine.misses[: len(found)]]
    exact = [one for one in found if one.of_row is not None]
    far_intervals = iter(
        bootstrap_recentered(
            np.array([_by_subject(subject, one.of_row) for one in exact if one.of_row is not None]),
            _by_subject(subject, chosen.pairs_of_rows()),
            counts=[one.false_matches for one in exact],
            total=m,
            seed=seed,
        )
        if exact
        else ()
    )
    tar_intervals = bootstrap_recentered(  # a genuine pair is in two rows of one subject
        np.array(
            [_by_subject(subject, genuine.pairs_of_row - r) // 2 for r in genuine.misses_of_row]
        ),
        _by_subject(subject, genuine.pairs_of_row) // 2,
        counts=[p - missed for missed in misses],
        total=p,
        seed=seed,
    )
    edges = iter(genuine.misses[len(found) :].tolist())
    points = []
    for k, (aim, one) in enumerate(zip(plan.aims, found, strict=True)):
        pairs = one.sampled_pairs or m
        tar, tar_interval = (p - misses[k]) / p, tar_intervals[k]
        if one.of_row is None:
            far_interval: Interval | None = wilson(one.false_matches, pairs)
            ends = [1 - next(edges) / p for _ in one.between]
            tar_interval = _widened(tar, tar_interval, ends)
        else:
            far_interval = next(far_intervals)
        points.append(
            PairsPoint(
                far=aim.far,
                threshold=one.threshold,
                false_matches=one.false_matches,
                impostor_pairs=pairs,
                achieved_far=one.false_matches / pairs,
                accepted=p - misses[k],
                genuine_pairs=p,
                tar=tar,
                far_interval=far_interval,
                tar_interval=tar_interval,
                path=aim.path,
                false_matches_of_row=one.of_row,
                misses_of_row=genuine.misses_of_row[k],
            )
        )
    return tuple(points)


def _widened(tar: float, over_people: Interval | None, ends: list[float]) -> Interval:
    """The interval over people, and that of a threshold that was estimated, put together."""
    best, least = max(ends), min(ends)
    if over_people is None:
        return Interval(low=least, high=best, method="threshold from a sample of impostor pairs")
    return replace(
        over_people,
        low=max(0.0, over_people.low - (tar - least)),
        high=min(1.0, over_people.high + (best - tar)),
        method=over_people.method + "; widened for a threshold from a sample",
    )


def _subjects(people: NDArray[np.int32]) -> NDArray[np.int64]:
    """Whose each row is, every distractor being somebody of its own."""
    subject = people.astype(np.int64)
    nobody = np.flatnonzero(subject == DISTRACTOR)
    subject[nobody] = int(subject.max()) + 1 + np.arange(len(nobody))
    return np.unique(subject, return_inverse=True)[1].astype(np.int64)


def _by_subject(subject: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    sums = np.zeros(int(subject.max()) + 1, np.int64)
    np.add.at(sums, subject, rows)
    return sums
