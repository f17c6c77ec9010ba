"""Several sets of pairs over one matrix: the races, the masked against the others, everybody.

A protocol says which rows meet which, and at which FARs; every set is then measured as
`tronie.evaluation.pairs.all_pairs` does, exactly, one after the other, the largest last. Each
set has a checkpoint of its own, which stays until all sets are measured: a run that was killed
goes on in the set where it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import NotEnoughData
from tronie.evaluation.metrics.verification import accepts_allowed, exact_rate
from tronie.evaluation.pairs.all_pairs import PairsResult, measure_pairs
from tronie.evaluation.pairs.details import check_groups, details_of
from tronie.evaluation.pairs.pairing import Pairing, pairing
from tronie.evaluation.pairs.plan import KEPT_AT_MOST, Plan, make_plan
from tronie.evaluation.pairs.scores import Rows, Screen
from tronie.evaluation.pairs.sweep import Progress, Spread
from tronie.evaluation.report_parts import Details, OperatingPoint

CURVE_PAIRS = 200_000
"""Impostor pairs drawn for the loose end of each curve."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PairSet:
    """Which rows meet which, and at which FARs."""

    name: str
    fars: tuple[float, ...]
    """The set is refused where the first of them is below one in all its impostor pairs;
    the others are left out then."""
    group: NDArray[np.bool_] | None = None
    """(N,): the rows of one side; None for all."""
    against: NDArray[np.bool_] | None = None
    """(N,): the rows of the other side; None: the group against itself."""
    groups: NDArray[Any] | None = None
    """(N,): groups to be compared, by name."""


@dataclass(frozen=True, eq=False, kw_only=True)
class MeasuredSet:
    """What one set gave."""

    name: str
    chosen: Pairing
    result: PairsResult
    details: Details
    images: int
    """Rows that take part."""
    too_tight: tuple[float, ...] = ()
    """FARs that were asked for and are below one in all impostor pairs."""

    def point(self, far: float) -> OperatingPoint:
        """The operating point of one of the FARs asked for."""
        return next(point for point in self.details.points if point.far == far)


@dataclass(frozen=True, eq=False, kw_only=True)
class PlannedSet:
    """A set with its pairs counted and its plan made; nothing compared yet."""

    asked: PairSet
    chosen: Pairing
    plan: Plan
    too_tight: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class HowToRun:
    """What changes the time of a run and nothing else, but for the draws of `seed`."""

    checkpoint: Path | None = None
    """A file whose name gets the name of each set added."""
    spread: Spread | None = None
    progress: Progress | None = None
    sample_pairs: int = CURVE_PAIRS
    seed: int = 0
    announce: Callable[[str], None] = field(default=lambda line: None)
    """Called with a sentence or two before each set."""


def plan_sets(
    unit: Rows,
    people: NDArray[np.integer],
    sets: Sequence[PairSet],
    *,
    screens: Sequence[Screen],
    sampled_from: float | Fraction | None = None,
    left_out: NDArray[np.integer] | Sequence[tuple[int, int]] = (),
) -> list[PlannedSet]:
    """Count the pairs of each set and decide how it is measured, smallest set first.

    Args:
        unit: Stored unit rows (N, D) float32.
        people: (N,): whose each row is, -1 for a distractor.
        sampled_from: FARs from this one on are estimated from a sample.
        left_out: Pairs of rows (X, 2) that count in no set.

    Raises:
        NotEnoughData: a set has no genuine or no impostor pair, or too few for its first FAR.
        BadInput: the rows of a person are in two groups.
    """
    planned = []
    for asked in sets:
        try:
            chosen = pairing(people, group=asked.group, against=asked.against, left_out=left_out)
            possible = [
                far for far in asked.fars if accepts_allowed(far, chosen.impostor_pairs) > 0
            ]
            if asked.fars[0] not in possible:
                raise NotEnoughData(
                    f"its FAR of {asked.fars[0]:g} needs {math.ceil(1 / exact_rate(asked.fars[0]))}"
                    f" impostor pairs, and these rows give {chosen.impostor_pairs}; "
                    "`tronie evaluate pairs --far` takes any FAR"
                )
            if asked.groups is not None:
                check_groups(chosen, asked.groups)
            plan = make_plan(
                unit,
                chosen,
                fars=possible,
                screens=screens,
                worst=100,
                sampled_from=sampled_from,
                loose_kept=None if asked.groups is None else KEPT_AT_MOST,
            )
        except NotEnoughData as fault:
            raise NotEnoughData(f"the set {asked.name}: {fault}") from fault
        tight = tuple(far for far in asked.fars if far not in possible)
        planned.append(PlannedSet(asked=asked, chosen=chosen, plan=plan, too_tight=tight))
    return sorted(planned, key=lambda one: one.chosen.impostor_pairs)


def measure_sets(
    unit: Rows,
    planned: Sequence[PlannedSet],
    *,
    labels: NDArray[Any],
    features_sha256: str | None = None,
    how: HowToRun = HowToRun(),
) -> Mapping[str, MeasuredSet]:
    """Measure every set; see `tronie.evaluation.pairs.all_pairs.measure_pairs`.

    Args:
        labels: (N,): whose each row is, by the name to be shown.
        features_sha256: Of the matrix, if known.

    Returns:
        Name of the set to what it gave.
    """
    measured = {}
    for one in planned:
        name = one.asked.name
        for line in one.plan.describe():
            how.announce(f"{name}: {line}")
        result = measure_pairs(
            unit,
            one.chosen,
            one.plan,
            sample_pairs=how.sample_pairs,
            seed=how.seed,
            checkpoint=_checkpoint(how, name),
            checkpoint_stays=True,
            features_sha256=features_sha256,
            progress=how.progress,
            spread=how.spread,
        )
        details = details_of(result, one.chosen, labels, of=name, groups=one.asked.groups)
        sides = [one.chosen.left] if one.chosen.itself else [one.chosen.left, one.chosen.right]
        measured[name] = MeasuredSet(
            name=name,
            chosen=one.chosen,
            result=result,
            details=details,
            images=sum(len(side) for side in sides),
            too_tight=one.too_tight,
        )
    for one in planned:
        if (file := _checkpoint(how, one.asked.name)) is not None:
            file.unlink(missing_ok=True)
    return measured


def all_details(measured: Mapping[str, MeasuredSet], order: Sequence[str]) -> Details:
    """The details of several sets as those of one Report, in `order`."""
    return Details.joined(measured[name].details for name in order if name in measured)


def _checkpoint(how: HowToRun, name: str) -> Path | None:
    file = how.checkpoint
    return None if file is None else file.with_name(f"{file.name}.{name}")
