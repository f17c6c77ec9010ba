"""Exact thresholds, false matches and TAR over all pairs of a matrix of features.

    FAR(t)     impostor pairs with score >= t, over all impostor pairs
    TAR(t)     genuine pairs with score >= t, over all genuine pairs
    threshold  the smallest float64 t with FAR(t) <= the FAR asked for

Scores are those of `tronie.evaluation.pairs.scores`, to the bit; pairs are those of
`tronie.evaluation.pairs.pairing`. The result is a function of the rows, the labels and the
FARs: screens, block sizes, threads, machines and interruptions change only the time.

Letters: N rows, K pairs that may be accepted, M impostor pairs.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray
from tronie.evaluation.metrics.intervals import Interval, bootstrap_recentered
from tronie.evaluation.metrics.verification import just_above
from tronie.evaluation.pairs.checkpoint import load_pass, save_pass
from tronie.evaluation.pairs.exact_threshold import TopPairs
from tronie.evaluation.pairs.pairing import DISTRACTOR, Pairing
from tronie.evaluation.pairs.plan import Plan
from tronie.evaluation.pairs.scores import Rows, check_rows, exact_scores
from tronie.evaluation.pairs.sweep import (
    CHECKPOINT_EVERY_S,
    Pass,
    Progress,
    new_pass,
    run_pass,
)

FEW_ERRORS = 30


class ScoredPair(NamedTuple):
    """Two rows and their score."""

    score: float
    first: int
    second: int


@dataclass(frozen=True, eq=False, kw_only=True)
class PairsPoint:
    """One FAR: its threshold, and what was counted at it."""

    far: float
    threshold: float
    """To be used as `score >= threshold` in float64."""
    false_matches: int
    impostor_pairs: int
    achieved_far: float
    accepted: int
    genuine_pairs: int
    tar: float
    far_interval: Interval | None
    tar_interval: Interval | None
    path: str
    """ "kept" or "counted": see `tronie.evaluation.pairs.plan`."""
    false_matches_of_row: NDArray[np.int64]
    """(N,): false matches that each row takes part in; a pair is in two rows."""
    misses_of_row: NDArray[np.int64]
    """(N,): genuine pairs below the threshold that each row takes part in."""

    @property
    def few_errors(self) -> bool:
        """Fewer than 30 errors of one kind: the rule of thirty says not to lean on the rate."""
        return min(self.false_matches, self.genuine_pairs - self.accepted) < FEW_ERRORS


@dataclass(frozen=True, eq=False, kw_only=True)
class PairsResult:
    """What all pairs say."""

    points: tuple[PairsPoint, ...]
    """By falling FAR."""
    worst: tuple[ScoredPair, ...]
    """Impostor pairs by falling score: where labels are wrong, they are here."""
    missed: tuple[ScoredPair, ...]
    """Genuine pairs by rising score."""
    screen: str
    """What searched; it has no part in the numbers."""
    passes: int
    """How often all pairs were visited: 1, unless a first guess was wrong."""
    notes: tuple[str, ...]


def measure_pairs(
    unit: Rows,
    chosen: Pairing,
    plan: Plan,
    *,
    worst: int = 100,
    missed: int = 100,
    seed: int = 0,
    checkpoint: Path | None = None,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    features_sha256: str | None = None,
    progress: Progress | None = None,
) -> PairsResult:
    """Visit all pairs as planned.

    Args:
        unit: Stored unit rows (N, D) float32, in memory or memory-mapped.
        plan: Of `make_plan`, for the same rows and pairs.
        worst: How many of the best impostor pairs to return; fewer if the plan keeps fewer.
        missed: How many of the lowest genuine pairs to return.
        seed: Of the draws of people for the intervals.
        checkpoint: A file to write the state to, and to go on from if it is there. It is
            removed at the end.
        features_sha256: Of the matrix, if known: a checkpoint belongs to one matrix.
        progress: Called with (done, total) pairs visited.

    Raises:
        BadArray: `unit` is no matrix of N unit rows.
        BadInput: the checkpoint belongs to another run, or cannot be written.
        BadFile: the checkpoint is damaged.
    """
    if len(unit) != len(chosen.people):
        raise BadArray(
            f"each row needs a label; got {len(unit)} rows and {len(chosen.people)} labels"
        )
    check_rows(unit)
    run = "" if checkpoint is None else _run_name(unit, chosen, plan, features_sha256)
    state, notes, passes = _search(
        unit, chosen, plan, run, checkpoint, checkpoint_every_s, progress
    )
    scores, codes = state.top.best()
    thresholds, accepted = _thresholds(plan, state, scores, codes, len(unit))
    genuine = _count_genuine(unit, chosen, thresholds, lowest=missed)
    points = _points(chosen, plan, thresholds, accepted, genuine, seed=seed)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return PairsResult(
        points=points,
        worst=_pairs(scores[:worst], codes[:worst], len(unit)),
        missed=genuine.lowest,
        screen=plan.screen.name,
        passes=passes,
        notes=tuple(notes),
    )


def _search(
    unit: Rows,
    chosen: Pairing,
    plan: Plan,
    run: str,
    checkpoint: Path | None,
    every_s: float,
    progress: Progress | None,
) -> tuple[Pass, list[str], int]:
    """Passes until every threshold is found; almost always one."""
    counted = [aim.allowed for aim in plan.aims if aim.path == "counted"]
    state = new_pass(
        chosen,
        panel_rows=plan.screen.panel_rows,
        keep=plan.keep,
        floor=plan.floor,
        brackets=list(plan.brackets),
    )
    wanted = list(plan.brackets)
    notes: list[str] = []
    passes = 1
    if checkpoint is not None and (found := load_pass(checkpoint, run=run)) is not None:
        state, memo = found
        wanted = [(low, high) for low, high in memo["wanted"]]
        notes, passes = list(memo["notes"]), int(memo["passes"])

    def save(now: Pass) -> None:
        if checkpoint is not None:
            memo = {"wanted": wanted, "notes": notes, "passes": passes}
            save_pass(checkpoint, now, run=run, memo=memo)

    while True:
        run_pass(
            unit,
            chosen,
            plan.screen,
            state,
            save=save if checkpoint is not None else None,
            save_every_s=every_s,
            progress=progress,
        )
        lacking = not state.done.all() or len(state.top.best()[0]) < plan.keep
        if not lacking and all(
            bracket.holds(k) for bracket, k in zip(state.brackets, counted, strict=True)
        ):
            return state, notes, passes
        state, wanted = _next_pass(chosen, plan, state, wanted, counted, notes)
        passes += 1


def _next_pass(
    chosen: Pairing,
    plan: Plan,
    state: Pass,
    wanted: list[tuple[float, float]],
    counted: list[int],
    notes: list[str],
) -> tuple[Pass, list[tuple[float, float]]]:
    whole = bool(state.done.all())
    found = state.top.best()[0]
    if len(found) == plan.keep:  # proven: so many pairs score this or more
        floor = float(found[-1]) if plan.keep else np.inf
    elif whole:
        floor = -np.inf
        notes.append(
            f"the sample's floor {state.floor:.6f} was too high: {len(found)} of {plan.keep} "
            "pairs reached it; all pairs were visited again without a floor"
        )
    else:
        floor = state.floor
    brackets, still = [], []
    for bracket, allowed, want in zip(state.brackets, counted, wanted, strict=True):
        if whole and bracket.holds(allowed):
            refused = bracket.refused(allowed)
            brackets.append((refused, just_above(refused)))
            still.append(want)
        elif whole or bracket.overflowed:
            following, wants = bracket.following(allowed, want)
            notes.append(
                f"the threshold that accepts {allowed} was not found in "
                f"[{bracket.low:.6f}, {bracket.high:.6f}); all pairs were visited again"
            )
            brackets.append(following)
            still.append(wants)
        else:
            brackets.append((bracket.low, bracket.high))
            still.append(want)
    again = new_pass(
        chosen, panel_rows=state.panel_rows, keep=plan.keep, floor=floor, brackets=brackets
    )
    return again, still


def _thresholds(
    plan: Plan,
    state: Pass,
    scores: NDArray[np.float64],
    codes: NDArray[np.int64],
    rows: int,
) -> tuple[list[float], list[tuple[int, NDArray[np.int64]]]]:
    """For each aim its threshold, how many pairs reach it, and how many of them touch a row."""
    brackets = iter(state.brackets)
    thresholds, accepted = [], []
    for aim in plan.aims:
        if aim.path == "counted":
            bracket = next(brackets)
            threshold = just_above(bracket.refused(aim.allowed))
            accepted.append(bracket.accepted(threshold))
        else:
            threshold = just_above(float(scores[aim.allowed]))
            taken = codes[scores >= threshold]
            touched = np.bincount(taken // rows, minlength=rows)
            touched += np.bincount(taken % rows, minlength=rows)
            accepted.append((len(taken), touched))
        thresholds.append(threshold)
    return thresholds, accepted


@dataclass(frozen=True, eq=False)
class _Genuine:
    misses: list[int]
    misses_of_row: NDArray[np.int64]  # (F, N)
    pairs_of_row: NDArray[np.int64]  # (N,)
    lowest: tuple[ScoredPair, ...]


def _count_genuine(
    unit: Rows, chosen: Pairing, thresholds: list[float], *, lowest: int
) -> _Genuine:
    n = len(unit)
    of_row = np.zeros((len(thresholds), n), np.int64)
    pairs = np.zeros(n, np.int64)
    misses = [0] * len(thresholds)
    bottom = TopPairs(lowest)
    for first, second in chosen.genuine():
        scores = exact_scores(unit, first, second)
        pairs += np.bincount(first, minlength=n) + np.bincount(second, minlength=n)
        if lowest:
            bottom.add(-scores, first * n + second)
        for k, threshold in enumerate(thresholds):
            missed = scores < threshold
            misses[k] += int(missed.sum())
            of_row[k] += np.bincount(first[missed], minlength=n)
            of_row[k] += np.bincount(second[missed], minlength=n)
    found, codes = bottom.best() if lowest else (np.empty(0), np.empty(0, np.int64))
    return _Genuine(misses, of_row, pairs, _pairs(-found, codes, n))


def _points(
    chosen: Pairing,
    plan: Plan,
    thresholds: list[float],
    accepted: list[tuple[int, NDArray[np.int64]]],
    genuine: _Genuine,
    *,
    seed: int,
) -> tuple[PairsPoint, ...]:
    subject = _subjects(chosen.people)
    false = [count for count, _ in accepted]
    m, p = chosen.impostor_pairs, chosen.genuine_pairs
    far_intervals = bootstrap_recentered(
        np.array([_by_subject(subject, rows) for _, rows in accepted]),
        _by_subject(subject, chosen.pairs_of_rows()),
        counts=false,
        total=m,
        seed=seed,
    )
    tar_intervals = bootstrap_recentered(  # a genuine pair is in two rows of one subject
        np.array(
            [_by_subject(subject, genuine.pairs_of_row - r) // 2 for r in genuine.misses_of_row]
        ),
        _by_subject(subject, genuine.pairs_of_row) // 2,
        counts=[p - missed for missed in genuine.misses],
        total=p,
        seed=seed,
    )
    return tuple(
        PairsPoint(
            far=aim.far,
            threshold=thresholds[k],
            false_matches=false[k],
            impostor_pairs=m,
            achieved_far=false[k] / m,
            accepted=p - genuine.misses[k],
            genuine_pairs=p,
            tar=(p - genuine.misses[k]) / p,
            far_interval=far_intervals[k],
            tar_interval=tar_intervals[k],
            path=aim.path,
            false_matches_of_row=accepted[k][1],
            misses_of_row=genuine.misses_of_row[k],
        )
        for k, aim in enumerate(plan.aims)
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


def _pairs(
    scores: NDArray[np.float64], codes: NDArray[np.int64], rows: int
) -> tuple[ScoredPair, ...]:
    return tuple(
        ScoredPair(score, *divmod(code, rows))
        for score, code in zip(scores.tolist(), codes.tolist(), strict=True)
    )


def _run_name(unit: Rows, chosen: Pairing, plan: Plan, sha256: str | None) -> str:
    """What a checkpoint must agree on: the rows, the pairs and the FARs, and nothing else."""
    digest = hashlib.sha256()
    for array in (chosen.people, chosen.left, chosen.right, chosen.left_out):
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    if sha256 is None:
        matrix = hashlib.sha256()
        for top in range(0, len(unit), 4096):
            matrix.update(np.ascontiguousarray(unit[top : top + 4096]).tobytes())
        sha256 = matrix.hexdigest()
    aims: list[Any] = [[aim.far, aim.allowed, aim.path] for aim in plan.aims]
    return json.dumps([sha256, list(unit.shape), digest.hexdigest(), aims, plan.keep])
