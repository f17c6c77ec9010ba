"""What sets of pairs in folds report, against their definitions in plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import NotEnoughData
from tronie.evaluation.metrics.fold_values import (
    contiguous_folds,
    fold_values,
    step_rates,
    tar_values,
    val_step_values,
)
from tronie.evaluation.metrics.folds import exact_accuracy, grid_accuracy


def toy(pairs=60, seed=0):
    rng = np.random.default_rng(seed)
    same = np.arange(pairs) % 2 == 0
    return np.clip(rng.normal(np.where(same, 0.6, 0.1), 0.2), -1, 1), same


@pytest.mark.parametrize("pairs", [10, 11, 19, 20, 6000, 6007])
def test_folds_are_contiguous_and_the_first_ones_have_the_rest(pairs):
    folds = contiguous_folds(pairs)
    assert np.all(np.diff(folds) >= 0)
    sizes = np.bincount(folds, minlength=10).tolist()
    assert sizes == [pairs // 10 + (1 if n < pairs % 10 else 0) for n in range(10)]


def test_fewer_pairs_than_folds_are_refused():
    with pytest.raises(NotEnoughData, match="10 folds need at least 10 pairs; got 9"):
        contiguous_folds(9)


def test_the_values_are_those_of_both_accuracies():
    scores, same = toy()
    folds = contiguous_folds(60)
    found = fold_values(scores, same, folds=folds)
    grid = grid_accuracy(scores, same, folds=folds)
    exact = exact_accuracy(scores, same, folds=folds)
    told = {name: value.value for name, value in found.items()}
    assert told == {
        "accuracy": grid.mean,
        "std": grid.std,
        "accuracy_exact": exact.mean,
        "std_exact": exact.std,
        "threshold": grid.thresholds.mean(),
        "pairs": 60,
    }
    assert (found["accuracy"].count, found["accuracy_exact"].count) == (grid.correct, exact.correct)


def by_loops(scores, same, folds, far):
    """For each fold (TAR, FAR, threshold), by the words of the definition."""
    found = []
    for name in sorted(set(folds.tolist())):
        steps = [n / 1000 for n in range(4000)]
        pairs = list(zip((2 - 2 * scores).tolist(), same.tolist(), folds.tolist(), strict=True))
        others = [d for d, s, f in pairs if f != name and not s]
        fits = [t for t in steps if sum(d < t for d in others) <= far * len(others)]
        genuine = [d for d, s, f in pairs if f == name and s]
        impostor = [d for d, s, f in pairs if f == name and not s]
        t = fits[-1]
        tar = sum(d < t for d in genuine) / len(genuine)
        found.append((tar, sum(d < t for d in impostor) / len(impostor), t))
    return found


@pytest.mark.parametrize("far", [0.001, 0.1, 0.25])
def test_val_step_is_the_largest_step_within_the_far(far):
    scores, same = toy(pairs=36, seed=2)
    folds = contiguous_folds(36, folds=3)
    found = step_rates(scores, same, folds=folds, far=far)
    expected = by_loops(scores, same, folds, far)
    assert found.accept_rates.tolist() == [tar for tar, _, _ in expected]
    assert found.false_accept_rates.tolist() == [rate for _, rate, _ in expected]
    assert found.thresholds.tolist() == [t for _, _, t in expected]
    assert found.accepted == round(sum(tar * 6 for tar, _, _ in expected))
    assert (found.genuine_pairs, found.impostor_pairs) == (18, 18)


def test_an_impostor_pair_of_two_equal_pictures_is_refused_by_a_step_of_zero():
    scores, same = toy()
    scores[1] = 1 + 1e-9  # as rounding may have it; a distance below 0
    found = step_rates(scores, same, folds=contiguous_folds(60), far=0.001)
    assert found.thresholds[1:].tolist() == [0.0] * 9
    assert found.accept_rates[1:].tolist() == [0.0] * 9


def test_an_impostor_pair_on_a_step_is_refused_at_it():
    scores = np.array([0.9, 0.75, 0.9, 0.75])  # distances 0.2 and 0.5, the latter on a step
    same = np.array([True, False, True, False])
    found = step_rates(scores, same, folds=np.array([0, 0, 1, 1]))
    assert found.thresholds.tolist() == [0.5, 0.5]
    assert found.false_matches == 0
    assert found.accepted == 2


def test_val_step_tells_what_it_is_and_what_it_rests_on():
    scores, same = toy()
    values, notes = val_step_values(scores, same, folds=contiguous_folds(60))
    found = step_rates(scores, same, folds=contiguous_folds(60))
    assert values["val_step"].value == found.accept_rates.mean()
    assert values["val_step_std"].value == found.accept_rates.std()
    assert values["val_step_far"].value == found.false_accept_rates.mean()
    assert "not equal" in notes[0]
    assert f"{found.false_matches} false matches stand behind it" in notes[0]


def test_a_fold_without_impostor_pairs_leaves_no_val_step():
    scores, same = toy()
    same[6:12] = True
    values, notes = val_step_values(scores, same, folds=contiguous_folds(60))
    assert values == {}
    assert notes == ("val_step is not given, since fold 2 has no impostor pair",)


def test_tar_needs_a_thousand_impostor_pairs():
    scores, same = toy(pairs=1998)
    assert tar_values(scores, same) == ({}, ())
    scores, same = toy(pairs=2000)
    values, notes = tar_values(scores, same)
    second = sorted(scores[~same])[-2]
    assert values["tar_at_far_0.001"].count == sum(scores[same] > second)
    assert notes == ("tar_at_far_0.001 rests on 1 of 1000 impostor pairs",)
