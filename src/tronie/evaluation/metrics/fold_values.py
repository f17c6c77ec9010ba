"""What every set of pairs in folds reports: accuracy, TAR at a thousandth, VAL-step.

    accuracy          mean over folds, threshold from the field's grid: the field's number
    accuracy_exact    mean over folds, threshold exact: the same without the grid's rounding
    std, std_exact    population standard deviation over the folds
    threshold         mean over folds of the grid's thresholds, as a cosine
    tar_at_far_0.001  TAR where at most 0.1 % of the impostor pairs are accepted, one
                      threshold for all folds
    val_step          mean over folds of the TAR at a threshold that the other folds chose:
                      of the squared distances 0, 0.001, ..., 3.999 the largest whose FAR
                      there is at most 0.1 %; a pair is accepted when d < threshold
    val_step_far      mean over folds of the FAR at the same thresholds

Letters: P pairs, F folds.

Source: Huang et al., UMass TR 07-49, 2007 (folds); VAL is InsightFace's. Differs from its VAL:
it interpolates the threshold between grid points, over abscissae that repeat, which works
with old versions of SciPy only; a step is never above the FAR it was chosen for, on the folds
it was chosen on. The two numbers are not equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tronie.errors import NotEnoughData
from tronie.evaluation.metrics.folds import FoldAccuracy, exact_accuracy, grid_accuracy
from tronie.evaluation.metrics.intervals import wilson
from tronie.evaluation.metrics.verification import (
    accepts_allowed,
    tar_at_threshold,
    threshold_at_far,
)
from tronie.evaluation.report import Value

FAR = 0.001
FOLDS = 10
STEPS = np.arange(4000) / 1000
"""The 4,000 squared distances that VAL-step chooses from."""


@dataclass(frozen=True, eq=False, kw_only=True)
class StepRates:
    """What each fold gave at the threshold of the others."""

    accept_rates: NDArray[np.float64]
    """(F,): TAR."""
    false_accept_rates: NDArray[np.float64]
    """(F,)."""
    thresholds: NDArray[np.float64]
    """(F,), squared distances."""
    accepted: int
    genuine_pairs: int
    false_matches: int
    impostor_pairs: int


def contiguous_folds(pairs: int, *, folds: int = FOLDS) -> NDArray[np.int64]:
    """Which fold each of `pairs` pairs belongs to, (P,): 0 0 ... 1 1 ..., in their order.

    Where they do not part evenly, each of the first P % F folds has one more.

    Raises:
        NotEnoughData: fewer pairs than folds.

    Example:
        >>> contiguous_folds(7, folds=3).tolist()
        [0, 0, 0, 1, 1, 2, 2]
    """
    if pairs < folds:
        raise NotEnoughData(f"{folds} folds need at least {folds} pairs; got {pairs}")
    less, more = divmod(pairs, folds)
    return np.repeat(np.arange(folds), [less + (fold < more) for fold in range(folds)])


def fold_values(
    scores: NDArray[np.floating], same: NDArray[np.bool_], *, folds: NDArray[np.integer]
) -> dict[str, Value]:
    """Accuracy both ways, its deviations, the threshold and the number of pairs.

    Takes and raises what `tronie.evaluation.metrics.folds.grid_accuracy` does.
    """
    grid = grid_accuracy(scores, same, folds=folds)
    exact = exact_accuracy(scores, same, folds=folds)
    return {
        "accuracy": _accuracy(grid),
        "std": Value(value=grid.std, unit="fraction"),
        "accuracy_exact": _accuracy(exact),
        "std_exact": Value(value=exact.std, unit="fraction"),
        "threshold": Value(value=float(grid.thresholds.mean()), unit="cosine"),
        "pairs": Value(value=len(scores), unit="pairs"),
    }


def tar_values(
    scores: NDArray[np.floating], same: NDArray[np.bool_]
) -> tuple[dict[str, Value], tuple[str, ...]]:
    """TAR at FAR 0.001 over all pairs and a note on what it rests on; nothing of too few."""
    impostor = scores[~same]
    allowed = accepts_allowed(FAR, len(impostor))
    if allowed == 0 or not same.any():
        return {}, ()
    tar = tar_at_threshold(scores[same], threshold_at_far(impostor, FAR))
    value = Value(
        value=tar.value,
        unit="fraction",
        count=tar.count,
        total=tar.total,
        interval=wilson(tar.count, tar.total),
    )
    note = f"tar_at_far_0.001 rests on {allowed} of {len(impostor)} impostor pairs"
    return {"tar_at_far_0.001": value}, (note,)


def val_step_values(
    scores: NDArray[np.floating], same: NDArray[np.bool_], *, folds: NDArray[np.integer]
) -> tuple[dict[str, Value], tuple[str, ...]]:
    """VAL-step with its FAR, and notes; nothing where a fold lacks pairs of one kind."""
    lacking = [
        f"fold {place + 1} has no {kind} pair"
        for place, name in enumerate(np.unique(folds))
        for kind, of_kind in (("genuine", same), ("impostor", ~same))
        if not (of_kind & (folds == name)).any()
    ]
    if lacking:
        return {}, (f"val_step is not given, since {lacking[0]}",)
    found = step_rates(scores, same, folds=folds)
    values = {
        "val_step": Value(
            value=float(found.accept_rates.mean()),
            unit="fraction",
            count=found.accepted,
            total=found.genuine_pairs,
            interval=wilson(found.accepted, found.genuine_pairs),
        ),
        "val_step_std": Value(value=float(found.accept_rates.std()), unit="fraction"),
        "val_step_far": Value(
            value=float(found.false_accept_rates.mean()),
            unit="fraction",
            count=found.false_matches,
            total=found.impostor_pairs,
        ),
    }
    note = (
        "val_step is our VAL at FAR 0.001, by whole steps of 0.001; published ones interpolate, "
        f"and are not equal; {found.false_matches} false matches stand behind it"
    )
    return values, (note,)


def step_rates(
    scores: NDArray[np.floating],
    same: NDArray[np.bool_],
    *,
    folds: NDArray[np.integer],
    far: float = FAR,
) -> StepRates:
    """TAR and FAR of each fold at the threshold that the others choose; see the top.

    Args:
        scores: Cosine of each pair, shape (P,), finite.
        same: Whether each pair shows one person, shape (P,); each fold has pairs of both kinds.
        folds: Which fold each pair belongs to, shape (P,), two or more.
        far: Of the other folds' impostor pairs.
    """
    # Rounding may leave a distance of equal rows just below zero: no threshold would refuse it.
    distances = np.maximum(0.0, 2.0 - 2.0 * np.asarray(scores, np.float64))
    accept, false_accept, thresholds = [], [], []
    counts = np.zeros(2, np.int64)
    for name in np.unique(folds):
        test = folds == name
        others = np.sort(distances[~test & ~same])
        allowed = accepts_allowed(far, len(others))
        accepted = np.searchsorted(others, STEPS, side="left")
        threshold = float(STEPS[np.flatnonzero(accepted <= allowed)[-1]])
        near = distances < threshold
        genuine, impostor = test & same, test & ~same
        right, wrong = int((near & genuine).sum()), int((near & impostor).sum())
        counts += (right, wrong)
        accept.append(right / int(genuine.sum()))
        false_accept.append(wrong / int(impostor.sum()))
        thresholds.append(threshold)
    return StepRates(
        accept_rates=np.array(accept),
        false_accept_rates=np.array(false_accept),
        thresholds=np.array(thresholds),
        accepted=int(counts[0]),
        genuine_pairs=int(same.sum()),
        false_matches=int(counts[1]),
        impostor_pairs=int((~same).sum()),
    )


def _accuracy(found: FoldAccuracy) -> Value:
    return Value(
        value=found.mean,
        unit="fraction",
        count=found.correct,
        total=found.pairs,
        interval=wilson(found.correct, found.pairs),
    )
