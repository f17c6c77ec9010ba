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
from tronie.evaluation.metrics.verification import just_above
from tronie.evaluation.pairs.checkpoint import load_pass, save_pass
from tronie.evaluation.pairs.curve import curve_of, curve_thresholds, histogram
from tronie.evaluation.pairs.genuine import count_genuine, histogram_of
from tronie.evaluation.pairs.pairing import Pairing
from tronie.evaluation.pairs.plan import Plan
from tronie.evaluation.pairs.points import Found, PairsPoint, points_of
from tronie.evaluation.pairs.sample import sample_impostors, sampled_threshold
from tronie.evaluation.pairs.scores import Rows, check_rows
from tronie.evaluation.pairs.sweep import (
    CHECKPOINT_EVERY_S,
    Pass,
    Progress,
    Spread,
    new_pass,
    run_pass,
)
from tronie.evaluation.report_parts import Curve, Histogram


class ScoredPair(NamedTuple):
    """Two rows and their score."""

    score: float
    first: int
    second: int


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
    best_scores: NDArray[np.float64]
    """The impostor pairs that were kept, falling, none above the lowest left out."""
    best_codes: NDArray[np.int64]
    """first row * N + second row, of each of them."""
    genuine_of_row: NDArray[np.int64]
    """(N,): genuine pairs that each row takes part in."""
    curve: Curve
    histograms: tuple[Histogram, ...]
    """Of the genuine pairs; of the impostor pairs where some were sampled."""


def measure_pairs(
    unit: Rows,
    chosen: Pairing,
    plan: Plan,
    *,
    worst: int = 100,
    missed: int = 100,
    sample_pairs: int = 0,
    seed: int = 0,
    checkpoint: Path | None = None,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    checkpoint_stays: bool = False,
    features_sha256: str | None = None,
    progress: Progress | None = None,
    spread: Spread | None = None,
) -> PairsResult:
    """Visit all pairs as planned.

    Args:
        unit: Stored unit rows (N, D) float32, in memory or memory-mapped.
        plan: Of `make_plan`, for the same rows and pairs.
        worst: How many of the best impostor pairs to return; fewer if the plan keeps fewer.
        missed: How many of the lowest genuine pairs to return.
        sample_pairs: Impostor pairs drawn for the loose end of the curve and for the histogram;
            where the plan samples a FAR, its own number is drawn for all.
        seed: Of the draws of people for the intervals, and of pairs for the sample.
        checkpoint: A file to write the state to, and to go on from if it is there. It is
            removed at the end unless `checkpoint_stays`; then it holds the whole pass, and
            asking again takes only the genuine pairs.
        features_sha256: Of the matrix, if known: a checkpoint belongs to one matrix.
        progress: Called with (done, total) pairs visited.
        spread: Who searches the panels; default: threads of this process.

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
        unit, chosen, plan, run, checkpoint, checkpoint_every_s, progress, spread
    )
    scores, codes = state.top.best()
    sample = sample_impostors(unit, chosen, pairs=plan.sample_pairs or sample_pairs, seed=seed)
    found = _thresholds(plan, state, scores, codes, sample, rows=len(unit))
    places = curve_thresholds(scores, sample, impostor_pairs=chosen.impostor_pairs)
    edges = [end for one in found for end in one.between]
    genuine = count_genuine(
        unit,
        chosen,
        [*(one.threshold for one in found), *edges, *(place.threshold for place in places)],
        by_row=len(found),
        lowest=missed,
        workers=plan.screen.workers,
    )
    on_curve = genuine.misses[len(found) + len(edges) :]
    histograms = [histogram("genuine", genuine.histogram, sampled=False)]
    if len(sample):
        histograms.append(histogram("impostor", histogram_of(sample), sampled=True))
    if checkpoint is not None and not checkpoint_stays:
        checkpoint.unlink(missing_ok=True)
    return PairsResult(
        points=points_of(chosen, plan, found, genuine, seed=seed),
        worst=_pairs(scores[:worst], codes[:worst], len(unit)),
        missed=_pairs(genuine.lowest_scores, genuine.lowest_codes, len(unit)),
        screen=plan.screen.name,
        passes=passes,
        notes=tuple(notes),
        best_scores=scores,
        best_codes=codes,
        genuine_of_row=genuine.pairs_of_row,
        curve=curve_of(places, on_curve, genuine_pairs=chosen.genuine_pairs),
        histograms=tuple(histograms),
    )


def _search(
    unit: Rows,
    chosen: Pairing,
    plan: Plan,
    run: str,
    checkpoint: Path | None,
    every_s: float,
    progress: Progress | None,
    spread: Spread | None,
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
            spread=spread,
        )
        lacking = not state.done.all() or len(state.top.best()[0]) < plan.keep
        if not lacking and all(
            bracket.holds(k) for bracket, k in zip(state.brackets, counted, strict=True)
        ):
            save(state)
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
    sample: NDArray[np.float64],
    *,
    rows: int,
) -> list[Found]:
    """For each aim its threshold, how many pairs reach it, and how many of them touch a row."""
    brackets = iter(state.brackets)
    found = []
    for aim in plan.aims:
        if aim.path == "sampled":
            estimate = sampled_threshold(sample, aim.far)
            between = (estimate.low, estimate.high)
            found.append(
                Found(estimate.threshold, estimate.false_matches, None, between, len(sample))
            )
        elif aim.path == "counted":
            bracket = next(brackets)
            threshold = just_above(bracket.refused(aim.allowed))
            found.append(Found(threshold, *bracket.accepted(threshold)))
        else:
            threshold = just_above(float(scores[aim.allowed]))
            taken = codes[: int(np.searchsorted(-scores, -threshold, side="right"))]
            touched = np.bincount(taken // rows, minlength=rows)
            touched += np.bincount(taken % rows, minlength=rows)
            found.append(Found(threshold, len(taken), touched))
    return found


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
