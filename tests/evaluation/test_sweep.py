"""One pass: what it saves can be gone on from, and a fault in a part stops it."""

from __future__ import annotations

import numpy as np
import pytest

import pairs_oracle
from tronie.evaluation.pairs.pairing import pairing
from tronie.evaluation.pairs.scores import NumpyScreen
from tronie.evaluation.pairs.sweep import new_pass, pairs_to_visit, run_pass

UNIT, PEOPLE = pairs_oracle.hard_sets()["distractors"]
CHOSEN = pairing(PEOPLE)


def small(workers=1):
    screen = NumpyScreen()
    screen.tile_rows, screen.panel_rows, screen.workers = 8, 16, workers
    return screen


def fresh():
    return new_pass(CHOSEN, panel_rows=16, keep=20, floor=-np.inf, brackets=[(0.0, 0.1)])


@pytest.mark.parametrize("workers", [1, 3])
def test_a_pass_finds_the_best_and_counts_the_rest(workers):
    state = fresh()
    run_pass(UNIT, CHOSEN, small(workers), state)
    impostor = pairs_oracle.every_pair(UNIT, PEOPLE)[1]
    best = sorted(impostor, key=lambda p: (-p[0], p[1], p[2]))[:20]
    scores, codes = state.top.best()
    n = len(UNIT)
    assert [(s, c // n, c % n) for s, c in zip(scores, codes, strict=True)] == best
    assert state.brackets[0].above == sum(s >= 0.1 for s, _, _ in impostor)
    assert state.brackets[0].inside == sum(0 <= s < 0.1 for s, _, _ in impostor)
    assert state.done.all()


def test_what_was_done_is_not_done_again():
    whole = fresh()
    run_pass(UNIT, CHOSEN, small(), whole)
    half = fresh()

    class Stopped(Exception):
        pass

    def stop_in_the_middle(done, total):
        if done > total / 2:
            raise Stopped("stopped")

    with pytest.raises(Stopped, match="stopped"):
        run_pass(UNIT, CHOSEN, small(), half, progress=stop_in_the_middle)
    assert 0 < half.done.sum() < len(half.done)
    seen = []
    run_pass(UNIT, CHOSEN, small(), half, progress=lambda done, total: seen.append(done))
    assert seen[0] > 0
    for a, b in zip(whole.top.best(), half.top.best(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (whole.brackets[0].above, whole.brackets[0].inside) == (
        half.brackets[0].above,
        half.brackets[0].inside,
    )


def test_a_state_is_saved_as_often_as_asked_and_agrees_with_itself():
    saved = []

    def save(state):
        inside = state.brackets[0].inside
        assert inside == len(state.brackets[0].scores)
        saved.append(int(state.done.sum()))

    run_pass(UNIT, CHOSEN, small(), fresh(), save=save, save_every_s=0)
    assert saved == sorted(saved)
    assert saved[-1] == len(fresh().done)
    saved.clear()
    run_pass(UNIT, CHOSEN, small(), fresh(), save=save, save_every_s=3600)
    assert saved == []


def test_a_fault_in_a_thread_reaches_the_caller():
    screen = small(2)
    screen.left = lambda rows: 1 / 0  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        run_pass(UNIT, CHOSEN, screen, fresh())


def test_no_more_is_visited_than_blocks_need():
    assert pairs_to_visit(CHOSEN, 16) < len(UNIT) ** 2 * 0.6 + 16 * len(UNIT)
