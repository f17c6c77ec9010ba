"""All pairs where some templates could not be made: failures to enroll, counted as NIST does.

    a genuine pair with a failed template       is a miss, whatever the threshold
    an impostor pair with a failed template     never matches, and is among the impostor pairs

    FMR(t)     impostor pairs with score >= t, over all impostor pairs
    FNMR(t)    genuine pairs with a failed template or score < t, over all genuine pairs
    threshold  the smallest float64 t with FMR(t) <= the FMR asked for

At a threshold a recognizer gains nothing by refusing difficult photographs. It may still lower
the threshold by refusing those that look like everybody, so the failures stand in a Report too.

Only enrolled rows are searched, for the K = floor(FMR M) pairs that may be accepted of all.
Intervals are those over the enrolled rows, scaled: the failures are held as they are.

Letters: N rows of the matrix, L of them enrolled, M impostor pairs, P genuine pairs.

Source: NIST, FRTE 1:1 and its application programming interface: a failed template gives the
score -1, which is below every threshold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput, NotEnoughData
from tronie.evaluation.metrics.group_differences import compared_groups
from tronie.evaluation.metrics.intervals import Interval
from tronie.evaluation.metrics.verification import accepts_allowed, too_few_pairs
from tronie.evaluation.pairs.all_pairs import PairsResult, measure_pairs
from tronie.evaluation.pairs.details import details_of
from tronie.evaluation.pairs.pairing import Pairing, counts_within, pairing
from tronie.evaluation.pairs.plan import Plan, make_plan
from tronie.evaluation.pairs.points import PairsPoint
from tronie.evaluation.pairs.scores import Rows, Screen, check_rows, exact_scores
from tronie.evaluation.pairs.sets import HowToRun
from tronie.evaluation.report_parts import Curve, Details, GroupRate, Groups, OperatingPoint
from tronie.geometry.hypersphere import normalize

_AT_ONCE = 8192


@dataclass(frozen=True, eq=False, kw_only=True)
class Enrolled:
    """The rows that have a template. Made by `enroll`."""

    unit: Rows
    """(L, D)."""
    row_of: NDArray[np.int64]
    """(L,): which row of the matrix each is, rising."""
    failed: NDArray[np.bool_]
    """(N,)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PlannedEnrolled:
    """A set of pairs that is counted and planned; nothing compared yet."""

    of: str
    enrolled: Enrolled
    every: Pairing
    """Of all N rows."""
    chosen: Pairing
    """Of the L rows that have a template."""
    fars: tuple[float, ...]
    """Falling."""
    allowed: tuple[int, ...]
    """K, for each of them."""
    plan: Plan


@dataclass(frozen=True, eq=False, kw_only=True)
class MeasuredEnrolled:
    """What a set of pairs gave."""

    planned: PlannedEnrolled
    result: PairsResult
    details: Details
    """Points and the curve count failures; rows are those of the matrix."""
    templates: int
    """Rows of the set, enrolled or not."""
    failed: int
    """Of them without a template."""

    def point(self, far: float) -> OperatingPoint:
        """The operating point of one of the FARs asked for."""
        return next(point for point in self.details.points if point.far == far)


class JudgedPairs(NamedTuple):
    """Some genuine pairs, by rows of the matrix."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    accepted: NDArray[np.bool_]


def enroll(
    features: NDArray[np.floating[Any]],
    *,
    lengths: str = "unit",
    failed: NDArray[np.bool_] | None = None,
) -> Enrolled:
    """The rows that have a template, as stored unit rows.

    Args:
        features: (N, D); a row that is NaN all through has no template either. Without a
            failure, unit rows stay where they are; else they are copied.
        lengths: "unit": rows have length 1, and others are refused; "any": they are normalized.
        failed: (N,), the rows whose template is not to be looked at.

    Raises:
        BadArray: shapes do not fit, or a row is not finite, is zero, or not of length 1.
        BadInput: `lengths` is neither.
        NotEnoughData: no row has a template.
    """
    if lengths not in ("unit", "any"):
        raise BadInput(f'lengths of rows are "unit" or "any"; got {lengths!r}')
    if features.ndim != 2 or features.dtype.kind != "f":
        raise BadArray(
            f"features must be floats of shape (N, D); got {features.dtype} of shape "
            f"{features.shape}"
        )
    gone = np.zeros(len(features), np.bool_) if failed is None else failed.copy()
    if gone.shape != (len(features),):
        raise BadArray(
            f"failed must be true or false for each of the {len(features)} rows; got shape "
            f"{gone.shape}"
        )
    for top in range(0, len(features), _AT_ONCE):
        gone[top : top + _AT_ONCE] |= np.isnan(features[top : top + _AT_ONCE]).all(axis=1)
    rows = np.flatnonzero(~gone)
    if len(rows) == 0:
        raise NotEnoughData(f"all {len(gone)} templates failed; there is nothing to compare")
    stored = features.dtype == np.float32 and lengths == "unit"
    if stored and len(rows) == len(gone):
        unit: Rows = features.astype(np.float32, copy=False)
    else:
        unit = np.empty((len(rows), features.shape[1]), np.float32)
        for top in range(0, len(rows), _AT_ONCE):
            part = features[rows[top : top + _AT_ONCE]]
            unit[top : top + _AT_ONCE] = part if lengths == "unit" else normalize(part)[0]
    check_rows(unit)
    return Enrolled(unit=unit, row_of=rows, failed=gone)


def plan_enrolled(
    enrolled: Enrolled,
    people: NDArray[np.integer],
    *,
    fars: Sequence[float],
    screens: Sequence[Screen],
    of: str = "",
    group: NDArray[np.bool_] | None = None,
    against: NDArray[np.bool_] | None = None,
) -> PlannedEnrolled:
    """Count the pairs with and without failures, and plan the search.

    Args:
        people: (N,): whose each row is.
        fars: FMRs over all impostor pairs, those with failed templates included.
        of: What the set is called.
        group: (N,): see `tronie.evaluation.pairs.pairing.pairing`.
        against: (N,): likewise.

    Raises:
        NotEnoughData: no genuine or no impostor pair is left, or an FMR is below one in M.
        BadInput: an FMR is outside (0, 1), or accepts every pair that is left.
    """
    every = pairing(people, group=group, against=against)
    rows = enrolled.row_of
    lost = len(people) - len(rows)
    try:
        chosen = every
        if lost:
            chosen = pairing(
                people[rows],
                group=None if group is None else group[rows],
                against=None if against is None else against[rows],
            )
    except NotEnoughData as fault:
        raise NotEnoughData(f"{fault}; {lost} of {len(people)} templates failed") from fault
    asked = tuple(sorted(set(fars), reverse=True))
    allowed = tuple(accepts_allowed(far, every.impostor_pairs) for far in asked)
    for far, most in zip(asked[::-1], allowed[::-1], strict=True):
        if most == 0:
            raise too_few_pairs(far, every.impostor_pairs)
        if most >= chosen.impostor_pairs:
            raise BadInput(
                f"an FMR of {far:g} of {every.impostor_pairs} impostor pairs accepts all "
                f"{chosen.impostor_pairs} that have a template; ask for less"
            )
    plan = make_plan(
        enrolled.unit,
        chosen,
        fars=[Fraction(most, chosen.impostor_pairs) for most in allowed],
        screens=screens,
        worst=100,
    )
    return PlannedEnrolled(
        of=of,
        enrolled=enrolled,
        every=every,
        chosen=chosen,
        fars=asked,
        allowed=allowed,
        plan=plan,
    )


def measure_enrolled(
    planned: PlannedEnrolled,
    *,
    labels: NDArray[Any],
    features_sha256: str | None = None,
    how: HowToRun = HowToRun(),  # noqa: B008 - frozen
) -> MeasuredEnrolled:
    """Compare all pairs as planned.

    Args:
        labels: (N,): whose each row is, by the name to be shown.
        features_sha256: Of the matrix, if known.
    """
    of, enrolled = planned.of, planned.enrolled
    for line in planned.plan.describe():
        how.announce(f"{of}: {line}" if of else line)
    file = how.checkpoint
    result = measure_pairs(
        enrolled.unit,
        planned.chosen,
        planned.plan,
        sample_pairs=how.sample_pairs,
        seed=how.seed,
        checkpoint=None if file is None else file.with_name(f"{file.name}.{of or 'pairs'}"),
        features_sha256=_run_of(features_sha256, enrolled.failed),
        progress=how.progress,
        spread=how.spread,
    )
    live = details_of(result, planned.chosen, labels[enrolled.row_of], of=of)
    rows = enrolled.row_of.tolist()
    details = replace(
        live,
        points=tuple(_with_failures(planned, result, n) for n in range(len(planned.fars))),
        curves=tuple(_curve_with_failures(planned, curve) for curve in live.curves),
        pairs=tuple(
            replace(pair, rows=(rows[pair.rows[0]], rows[pair.rows[1]])) for pair in live.pairs
        ),
    )
    of_set = np.union1d(planned.every.left, planned.every.right)
    return MeasuredEnrolled(
        planned=planned,
        result=result,
        details=details,
        templates=len(of_set),
        failed=int(enrolled.failed[of_set].sum()),
    )


def judged_genuine(planned: PlannedEnrolled, threshold: float) -> Iterator[JudgedPairs]:
    """Every genuine pair, failed templates included, and whether it is accepted; in pieces."""
    enrolled = planned.enrolled
    place = np.full(len(enrolled.failed), -1, np.int64)
    place[enrolled.row_of] = np.arange(len(enrolled.row_of))
    for first, second in planned.every.genuine():
        accepted = np.zeros(len(first), np.bool_)
        live = np.flatnonzero((place[first] >= 0) & (place[second] >= 0))
        scores = exact_scores(enrolled.unit, place[first[live]], place[second[live]])
        accepted[live] = scores >= threshold
        yield JudgedPairs(first, second, accepted)


def group_rates(
    measured: MeasuredEnrolled, values: NDArray[np.str_], *, far: float, of: str
) -> Groups:
    """Each value of an attribute of photographs against itself, at the threshold of all.

    Unlike groups of people, one person's photographs may have several values (age, scene):
    pairs count where both photographs have the value.

    Args:
        values: (N,), "" for none.
        far: One of the FARs asked for, whose accepted pairs were kept.
        of: What the attribute is called.

    Raises:
        BadInput: the accepted pairs of `far` were only counted.
    """
    planned = measured.planned
    place = planned.fars.index(far)
    kept = _found(planned, measured.result, place)
    if kept.path != "kept":
        raise BadInput(f"the pairs accepted at FMR {far:g} were counted and not kept; ask for less")
    names, at = np.unique(values, return_inverse=True)
    rows = planned.enrolled.row_of
    codes = measured.result.best_codes[: kept.false_matches]
    first, second = (rows[side] for side in np.divmod(codes, len(rows)))
    false = np.bincount(at[first[at[first] == at[second]]], minlength=len(names))
    accepted = np.zeros(len(names), np.int64)
    for pairs in judged_genuine(planned, kept.threshold):
        inside = (at[pairs.first] == at[pairs.second]) & pairs.accepted
        accepted += np.bincount(at[pairs.first[inside]], minlength=len(names))
    rates = []
    for n, name in enumerate(names.tolist()):
        if name == "":
            continue
        impostor, genuine = counts_within(planned.every, at == n)
        rates.append(
            GroupRate(
                group=name,
                false_matches=int(false[n]),
                impostor_pairs=impostor,
                misses=genuine - int(accepted[n]),
                genuine_pairs=genuine,
            )
        )
    return compared_groups(rates, far=far, threshold=kept.threshold, of=of)


def _run_of(features_sha256: str | None, failed: NDArray[np.bool_]) -> str | None:
    """What a checkpoint calls the matrix: which rows of it were compared is part of that."""
    if features_sha256 is None or not failed.any():
        return features_sha256
    return hashlib.sha256(features_sha256.encode() + failed.tobytes()).hexdigest()


def _found(planned: PlannedEnrolled, result: PairsResult, place: int) -> PairsPoint:
    """The engine's point of one of the FARs; two FARs may allow equally many pairs."""
    return next(
        point
        for aim, point in zip(planned.plan.aims, result.points, strict=True)
        if aim.allowed == planned.allowed[place]
    )


def _with_failures(planned: PlannedEnrolled, result: PairsResult, place: int) -> OperatingPoint:
    point = _found(planned, result, place).operating_point(of=planned.of)
    m, p = planned.every.impostor_pairs, planned.every.genuine_pairs
    return replace(
        point,
        far=planned.fars[place],
        achieved_far=point.false_matches / m,
        impostor_pairs=m,
        tar=point.accepted / p,
        genuine_pairs=p,
        far_interval=_scaled(point.far_interval, point.impostor_pairs, m),
        tar_interval=_scaled(point.tar_interval, point.genuine_pairs, p),
    )


def _curve_with_failures(planned: PlannedEnrolled, curve: Curve) -> Curve:
    every, chosen = planned.every, planned.chosen
    lost = every.genuine_pairs - chosen.genuine_pairs
    points = [
        replace(
            point,
            fmr=point.fmr * chosen.impostor_pairs / every.impostor_pairs,
            fnmr=(point.misses + lost) / every.genuine_pairs,
            misses=point.misses + lost,
        )
        for point in curve.points
    ]
    return replace(curve, points=tuple(points))


def _scaled(interval: Interval | None, pairs: int, all_pairs: int) -> Interval | None:
    if interval is None or pairs == all_pairs:
        return interval
    return replace(
        interval,
        low=interval.low * pairs / all_pairs,
        high=interval.high * pairs / all_pairs,
        method=f"{interval.method}; failures to enroll held as they are",
    )
