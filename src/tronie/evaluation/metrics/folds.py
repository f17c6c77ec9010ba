"""Ten-fold accuracy as LFW defines it: a threshold from nine folds, judged on the tenth.

Two ways to choose the threshold on the nine:

    grid     squared distances d = 2 - 2 * score, thresholds 0, 0.01, ..., 3.99; a pair is
             "same" when d < threshold, strictly; the first of the best. The field's numbers
             are made so.
    exact    a score threshold between any two neighboring training scores; "same" when
             score >= threshold; the highest of the best. No grid, so no rounding by it.

The result is the mean over folds and the population standard deviation (divided by the
number of folds, not by one less), as published tables give them.

Letters: P pairs, F folds.

Source: Huang et al., UMass TR 07-49, 2007 (the protocol); the grid and its strict `<` are
InsightFace's. Differs from it: distances are made from float64 cosine scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, NotEnoughData

GRID = np.arange(0.0, 4.0, 0.01)
"""The 400 squared distances that the field tries."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FoldAccuracy:
    """What each fold gave, judged with the threshold of the others."""

    accuracies: NDArray[np.float64]
    """(F,), fractions."""
    thresholds: NDArray[np.float64]
    """(F,), as cosine scores; for the grid, 1 - d / 2."""
    correct: int
    pairs: int

    @property
    def mean(self) -> float:
        """Mean accuracy over the folds."""
        return float(self.accuracies.mean())

    @property
    def std(self) -> float:
        """Population standard deviation over the folds."""
        return float(self.accuracies.std())


def grid_accuracy(
    scores: NDArray[np.floating], same: NDArray[np.bool_], *, folds: NDArray[np.integer]
) -> FoldAccuracy:
    """Accuracy over folds with thresholds from the grid of squared distances.

    Args:
        scores: Cosine of each pair, shape (P,), finite.
        same: Whether each pair shows one person, shape (P,).
        folds: Which fold each pair belongs to, shape (P,), any integers.

    Raises:
        BadArray: the shapes differ, or a score is not finite.
        NotEnoughData: fewer than two folds.
    """
    found = _across_folds(scores, same, folds, choose=_first_best_of_grid, accept=_nearer)
    return replace(found, thresholds=1.0 - found.thresholds / 2.0)


def exact_accuracy(
    scores: NDArray[np.floating], same: NDArray[np.bool_], *, folds: NDArray[np.integer]
) -> FoldAccuracy:
    """Accuracy over folds with the best threshold there is between two training scores.

    Takes and raises what `grid_accuracy` does.
    """
    return _across_folds(scores, same, folds, choose=best_threshold, accept=_at_least)


def best_threshold(scores: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    """The score threshold of the highest accuracy on these pairs, for `score >= threshold`.

    Candidates lie halfway between neighboring scores, and above all of them; of several
    equally good ones the highest (the strictest) is taken. shape (P,), at least one pair.
    """
    order = np.argsort(-scores, kind="stable")
    falling, genuine = scores[order], same[order]
    # Accepting the first k of the falling scores gains their genuine and loses the others.
    gains = np.concatenate([[0], np.cumsum(np.where(genuine, 1, -1))])
    between_ties = np.concatenate([[False], falling[1:] == falling[:-1], [False]])
    k = int(np.argmax(np.where(between_ties, -len(scores) - 1, gains)))
    if k == 0:
        return float(np.nextafter(falling[0], np.inf))
    if k == len(falling):
        return float(falling[-1])
    accepted, refused = float(falling[k - 1]), float(falling[k])
    middle = refused + (accepted - refused) / 2
    return middle if middle > refused else accepted


def _across_folds(
    scores: NDArray[np.floating],
    same: NDArray[np.bool_],
    folds: NDArray[np.integer],
    *,
    choose: Callable[[NDArray[np.float64], NDArray[np.bool_]], float],
    accept: Callable[[NDArray[np.float64], float], NDArray[np.bool_]],
) -> FoldAccuracy:
    values = np.asarray(scores, dtype=np.float64)
    if not (values.ndim == 1 and values.shape == same.shape == folds.shape):
        raise BadArray(
            "scores, same and folds must share the shape (P,); "
            f"got {values.shape}, {same.shape} and {folds.shape}"
        )
    if not np.isfinite(values).all():
        raise BadArray(
            f"scores must be finite; got {int((~np.isfinite(values)).sum())} that are not"
        )
    names = np.unique(folds)
    if len(names) < 2:
        raise NotEnoughData(
            f"accuracy over folds needs at least 2 folds, to choose on some and judge on another; "
            f"got {len(names)}. LFW's pairs.txt has 10"
        )
    accuracies, thresholds, correct = [], [], 0
    for name in names:
        test = folds == name
        threshold = choose(values[~test], same[~test])
        right = int(np.count_nonzero(accept(values[test], threshold) == same[test]))
        accuracies.append(right / int(test.sum()))
        thresholds.append(threshold)
        correct += right
    return FoldAccuracy(
        accuracies=np.array(accuracies),
        thresholds=np.array(thresholds),
        correct=correct,
        pairs=len(values),
    )


def _distances(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2.0 - 2.0 * scores


def _first_best_of_grid(scores: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    distances = _distances(scores)
    accepted_same = np.searchsorted(np.sort(distances[same]), GRID, side="left")
    accepted_other = np.searchsorted(np.sort(distances[~same]), GRID, side="left")
    correct = accepted_same + (int((~same).sum()) - accepted_other)
    return float(GRID[int(np.argmax(correct))])


def _nearer(scores: NDArray[np.float64], distance: float) -> NDArray[np.bool_]:
    return _distances(scores) < distance


def _at_least(scores: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    return scores >= threshold
