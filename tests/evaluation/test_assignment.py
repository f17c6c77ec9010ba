"""The best assignment: against every permutation, and against scipy at each step."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from tronie.errors import BadArray
from tronie.evaluation.metrics.assignment import growing_assignment


def gained(gains: np.ndarray, owners: np.ndarray) -> float:
    return sum(gains[row, m] for m, row in enumerate(owners) if row >= 0)


def best_of_all(gains: np.ndarray) -> float:
    """Every way to give each row a column of its own, or none."""
    rows, columns = gains.shape
    choices = [*range(columns), *[None] * rows]
    return max(
        sum(gains[n, m] for n, m in enumerate(way) if m is not None)
        for way in itertools.permutations(choices, rows)
    )


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 4),
    columns=st.integers(1, 3),
    seed=st.integers(0, 10_000),
    step=st.sampled_from([0.0, 0.25]),
)
def test_it_is_the_best_of_all_permutations(rows, columns, seed, step):
    gains = np.random.default_rng(seed).random((rows, columns))
    if step:
        gains = np.round(gains / step) * step  # many ties and zeros
    owners = growing_assignment(gains)[-1]
    assert len({o for o in owners if o >= 0}) == sum(o >= 0 for o in owners)
    assert gained(gains, owners) == pytest.approx(best_of_all(gains), abs=1e-12)


def test_it_is_the_best_after_every_row():
    gains = np.random.default_rng(3).random((30, 12))
    gains[gains < 0.5] = 0
    for n, owners in enumerate(growing_assignment(gains)):
        rows, columns = linear_sum_assignment(gains[: n + 1], maximize=True)
        assert gained(gains, owners) == pytest.approx(gains[rows, columns].sum(), abs=1e-9)
        assert owners.max() <= n


def test_it_beats_taking_the_largest_first():
    assert growing_assignment(np.array([[0.9, 0.8], [0.85, 0.0]]))[-1].tolist() == [1, 0]


def test_a_gain_of_nothing_is_no_match():
    assert growing_assignment(np.array([[0.0, 0.0], [0.0, 0.3]])).tolist() == [[-1, -1], [-1, 1]]


def test_nothing_to_assign():
    assert growing_assignment(np.zeros((0, 3))).shape == (0, 3)
    assert growing_assignment(np.zeros((3, 0))).shape == (3, 0)


@pytest.mark.parametrize("gains", [np.zeros(3), np.array([[-0.1]]), np.array([[np.nan]])])
def test_what_is_no_table_of_gains_is_refused(gains):
    with pytest.raises(BadArray, match="finite and >= 0"):
        growing_assignment(gains)
