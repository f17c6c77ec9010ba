"""What a run over all pairs will do and about how long it takes, said before it starts.

A sample of rows is compared with itself. It tells where the thresholds lie, and so

    kept        a FAR whose accepted pairs fit into memory: the best K + 1 pairs are kept
    counted     a FAR whose accepted pairs do not: they are counted, and only those in a
                bracket about the threshold are kept
    sampled     a loose FAR for which an estimate is enough, where that is asked for: a sample
                of impostor pairs, with its interval

and which screen is fastest: an 8-bit one where few pairs lie within its error of the lowest
threshold that is kept, a float32 one where many do, or where pairs have to be counted.

The sample decides about time only. What it gets wrong, the run finds out and repeats.

Letters: K pairs that may be accepted, M impostor pairs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadInput, NotEnoughData
from tronie.evaluation.metrics.verification import accepts_allowed, exact_rate, too_few_pairs
from tronie.evaluation.pairs.pairing import Pairing
from tronie.evaluation.pairs.scores import ProductScreen, Rows, Screen, screen_error
from tronie.evaluation.pairs.sweep import pairs_to_visit

KEPT_AT_MOST = 1 << 24
"""Best pairs kept for a tight FAR: 16 bytes each, three times over while they are sorted."""
SAMPLE_PAIRS = 1_000_000
"""Impostor pairs drawn for FARs that are sampled."""
SAMPLED_ERRORS = 30
"""A FAR that accepts fewer pairs of the sample is not estimated from it."""
LOOSE_FAR = Fraction(1, 1000)
LOOSE_KEPT_AT_MOST = 1 << 17
"""From LOOSE_FAR on, counting is cheaper than keeping this many."""

_SAMPLE_ROWS = 3072
_LARGE_SAMPLE_ROWS = 8192
_LARGE = 10**10
_RESCORE_S = 1e-6  # one pair in float64, on one thread, measured roughly


@dataclass(frozen=True, kw_only=True)
class Aim:
    """One FAR, and how its threshold is found."""

    far: float
    allowed: int
    """K."""
    path: str
    """ "kept", "counted" or "sampled"."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """What will run."""

    screen: Screen
    aims: tuple[Aim, ...]
    """By falling FAR."""
    keep: int
    """Best pairs that are kept."""
    floor: float
    """Where the search for them starts; an estimate, lowered if it was too high."""
    brackets: tuple[tuple[float, float], ...]
    """Of the FARs that are counted, in their order."""
    impostor_pairs: int
    genuine_pairs: int
    sample_pairs: int
    """Drawn for the FARs that are sampled; 0 if there is none."""
    seconds: float
    """Estimated, for this machine, alone on it."""

    def describe(self) -> list[str]:
        """A few sentences for whoever waits."""
        lines = [
            f"{self.impostor_pairs} impostor and {self.genuine_pairs} genuine pairs, "
            f"about {_duration(self.seconds)} with {self.screen.name}"
        ]
        ways = {
            "kept": "the best pairs are kept and scored in float64",
            "counted": "pairs are counted, in float64 within the error of the bracket's ends",
            "sampled": "an estimate from a sample of the pairs, with its interval",
        }
        lines += [f"FAR {a.far:g}: {a.allowed} may be accepted; {ways[a.path]}" for a in self.aims]
        return lines


def make_plan(
    unit: Rows,
    chosen: Pairing,
    *,
    fars: Sequence[float | Fraction],
    screens: Sequence[Screen],
    worst: int = 0,
    sampled_from: float | Fraction | None = None,
    sample_pairs: int = SAMPLE_PAIRS,
    loose_kept: int | None = None,
    seed: int = 0,
) -> Plan:
    """Decide how each FAR is found and which screen runs; see the top of this file.

    Args:
        unit: Stored unit rows (N, D).
        screens: What this machine has; at least one must give products.
        worst: How many of the best impostor pairs are wanted beside the thresholds.
        sampled_from: FARs from this one on are estimated from a sample, where there are more
            impostor pairs than the sample has; None: none is.
        sample_pairs: How many pairs a sample has.
        loose_kept: From LOOSE_FAR on, accepted pairs are kept up to this many, and counted
            beyond; LOOSE_KEPT_AT_MOST if None, KEPT_AT_MOST where the pairs are wanted.

    Raises:
        BadInput: a FAR is outside (0, 1), or none is asked for.
        NotEnoughData: a FAR is below one in all impostor pairs, or too tight for the sample;
            says what can be asked.
    """
    if sampled_from is not None and chosen.impostor_pairs <= sample_pairs:
        sampled_from = None  # all pairs cost no more than the sample
    kept_at_most = LOOSE_KEPT_AT_MOST if loose_kept is None else loose_kept
    aims = _aims(fars, chosen.impostor_pairs, sampled_from, sample_pairs, kept_at_most)
    sample, rows = _sample(unit, chosen, seed=seed)
    kept = [aim.allowed for aim in aims if aim.path == "kept"]
    keep = min(chosen.impostor_pairs, max([k + 1 for k in kept] + [worst]))
    share = keep / chosen.impostor_pairs
    brackets = tuple(
        _bracket(sample, aim.allowed / chosen.impostor_pairs, unit.shape[1])
        for aim in aims
        if aim.path == "counted"
    )
    costs = []
    for screen in screens:
        if brackets and not isinstance(screen, ProductScreen):
            continue
        visits = pairs_to_visit(chosen, screen.panel_rows)
        low = _at_rank(sample, share) - screen.typical_error(rows)
        proposed = np.count_nonzero(sample >= low) / max(1, len(sample))
        rescoring = 2 * proposed * chosen.impostor_pairs * _RESCORE_S / screen.workers
        costs.append((visits / screen.pairs_per_s + rescoring, screen))
    if not costs:
        raise BadInput("no screen that gives products was handed in, and a FAR needs counting")
    seconds, screen = min(costs, key=lambda entry: entry[0])
    genuine_s = chosen.genuine_pairs * _RESCORE_S
    return Plan(
        screen=screen,
        aims=aims,
        keep=keep,
        floor=_start(sample, share),
        brackets=brackets,
        impostor_pairs=chosen.impostor_pairs,
        genuine_pairs=chosen.genuine_pairs,
        sample_pairs=sample_pairs if any(aim.path == "sampled" for aim in aims) else 0,
        seconds=seconds + genuine_s,
    )


def _aims(
    fars: Sequence[float | Fraction],
    pairs: int,
    sampled_from: float | Fraction | None,
    sample_pairs: int,
    loose_kept: int,
) -> tuple[Aim, ...]:
    if len(fars) == 0:
        raise BadInput("no FAR was asked for; give at least one, such as 1e-4")
    aims = []
    for rate, given in sorted({exact_rate(far): far for far in fars}.items(), reverse=True):
        if rate == 1:
            raise BadInput("a FAR of 1 accepts every pair and needs no threshold; ask for less")
        allowed = accepts_allowed(given, pairs)
        if allowed == 0:
            raise too_few_pairs(given, pairs)
        limit = min(KEPT_AT_MOST, loose_kept) if rate >= LOOSE_FAR else KEPT_AT_MOST
        path = "kept" if allowed < limit else "counted"
        if sampled_from is not None and rate >= exact_rate(sampled_from):
            path = "sampled"
            if (few := accepts_allowed(given, sample_pairs)) < SAMPLED_ERRORS:
                raise NotEnoughData(
                    f"FAR {float(given):g} accepts {few} of a sample of {sample_pairs} pairs, and "
                    f"an estimate needs {SAMPLED_ERRORS}; draw more pairs, or sample from a "
                    "higher FAR on"
                )
        aims.append(Aim(far=float(given), allowed=allowed, path=path))
    return tuple(aims)


def _sample(unit: Rows, chosen: Pairing, *, seed: int) -> tuple[NDArray[np.float32], Rows]:
    """Scores of impostor pairs of some rows, ascending; and some of the rows."""
    rng = np.random.default_rng(seed)
    size = _LARGE_SAMPLE_ROWS if chosen.impostor_pairs > _LARGE else _SAMPLE_ROWS
    sides = []
    for side in (chosen.left,) if chosen.itself else (chosen.left, chosen.right):
        few = side if len(side) <= size else rng.choice(side, size, replace=False)
        sides.append(np.sort(few))
    left, right = sides[0], sides[-1]
    left_rows, right_rows = np.asarray(unit[left]), np.asarray(unit[right])
    scores = left_rows @ right_rows.T
    people = chosen.people
    mask = people[left][:, None] != people[right][None, :]
    if chosen.itself:
        mask &= left[:, None] < right[None, :]
    return np.sort(scores[mask]), right_rows[:1024]


def _at_rank(sample: NDArray[np.float32], share: float) -> float:
    """The score that about `share` of the pairs reach."""
    if len(sample) == 0:
        return -math.inf
    rank = min(len(sample) - 1, math.ceil(share * len(sample)))
    return float(sample[len(sample) - 1 - rank])


def _start(sample: NDArray[np.float32], share: float) -> float:
    """A floor that is very likely low enough: half as many pairs again, and six deviations."""
    count = share * len(sample)
    wide = 1.5 * count + 6 * math.sqrt(count) + 10
    if wide >= len(sample):
        return -math.inf
    return _at_rank(sample, wide / len(sample)) - 1e-4


def _bracket(sample: NDArray[np.float32], share: float, dimension: int) -> tuple[float, float]:
    """A range that very likely holds the score of rank share * M: six deviations of the count
    and a twentieth of it, since pairs of a sample share rows."""
    if len(sample) == 0:
        return -1.0, 1.0
    count = share * len(sample)
    spread = (6 * math.sqrt(count + 1) + 0.05 * count + 10) / len(sample)
    error = screen_error(dimension)
    high = _at_rank(sample, max(0.0, share - spread)) + error
    return _at_rank(sample, min(1.0, share + spread)) - error, high


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
