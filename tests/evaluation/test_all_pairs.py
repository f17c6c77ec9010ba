"""Thresholds, counts and TAR over all pairs, to the bit, against sorting every score."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pairs_oracle
from tronie.errors import BadArray
from tronie.evaluation.pairs import bracket, plan
from tronie.evaluation.pairs.all_pairs import measure_pairs
from tronie.evaluation.pairs.pairing import pairing
from tronie.evaluation.pairs.plan import make_plan
from tronie.evaluation.pairs.scores import NumpyScreen
from tronie.evaluation.report_parts import FEW_ERRORS
from tronie.geometry.hypersphere import normalize

SETS = pairs_oracle.hard_sets()
FARS = (0.3, 0.05, 0.002)


def screen(panel_rows: int = 32, tile_rows: int = 16, workers: int = 1) -> NumpyScreen:
    made = NumpyScreen()
    made.panel_rows, made.tile_rows, made.workers = panel_rows, tile_rows, workers
    return made


def measure(unit, chosen, *, fars=FARS, screens=None, **rest):
    made = make_plan(unit, chosen, fars=fars, screens=screens or [screen()], worst=5)
    return measure_pairs(unit, chosen, made, worst=5, missed=5, **rest)


def agrees(result, genuine, impostor):
    for point in result.points:
        threshold, false = pairs_oracle.judged(impostor, point.far)
        assert point.threshold == threshold  # every bit
        assert (point.false_matches, point.impostor_pairs) == (false, len(impostor))
        assert point.accepted == sum(s >= threshold for s, _, _ in genuine)
        assert point.tar == point.accepted / len(genuine) == point.accepted / point.genuine_pairs
        assert point.achieved_far == false / len(impostor) <= point.far
        n = len(point.false_matches_of_row)
        for found, wrong in (
            (point.false_matches_of_row, [p for p in impostor if p[0] >= threshold]),
            (point.misses_of_row, [p for p in genuine if p[0] < threshold]),
        ):
            rows = np.array([row for _, i, j in wrong for row in (i, j)], int)
            np.testing.assert_array_equal(found, np.bincount(rows, minlength=n))
    worst = sorted(impostor, key=lambda p: (-p[0], p[1], p[2]))[:5]
    assert list(result.worst) == worst
    assert list(result.missed) == sorted(genuine)[:5]


@pytest.fixture(scope="module")
def truths():
    return {name: pairs_oracle.every_pair(*one) for name, one in SETS.items()}


@pytest.fixture(params=["kept", "counted"])
def path(request, monkeypatch):
    """Both ways to a threshold, whatever the size."""
    if request.param == "counted":
        monkeypatch.setattr(plan, "LOOSE_KEPT_AT_MOST", 0)
        monkeypatch.setattr(plan, "KEPT_AT_MOST", 0)
    return request.param


@pytest.mark.parametrize("name", sorted(SETS))
def test_every_bit_and_count_is_that_of_sorting_all_scores(name, path, truths):
    unit, people = SETS[name]
    result = measure(unit, pairing(people))
    assert {point.path for point in result.points} == {path}
    agrees(result, *truths[name])


@pytest.mark.parametrize(("panel", "tile", "workers"), [(1, 1, 1), (7, 3, 2), (200, 64, 2)])
@pytest.mark.parametrize("name", ["random", "a few rows, copied", "distractors"])
def test_blocks_and_threads_change_nothing(name, panel, tile, workers, path, truths):
    unit, people = SETS[name]
    agrees(measure(unit, pairing(people), screens=[screen(panel, tile, workers)]), *truths[name])


@st.composite
def matrices(draw):
    """Small whole numbers: ties everywhere, and scores that differ in the last bit."""
    n, d = draw(st.integers(4, 24)), draw(st.integers(1, 9))
    rows = np.array(draw(st.lists(st.integers(-2, 2), min_size=n * d, max_size=n * d)))
    rows = rows.reshape(n, d).astype(float)
    rows[~rows.any(axis=1)] = 1
    people = draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n))
    return normalize(rows)[0], np.array(people)


@pytest.mark.slow
@given(matrices(), st.sampled_from([0.9, 0.5, 0.1, 1 / 3]), st.booleans())
@settings(max_examples=80, deadline=None)
def test_small_matrices_full_of_ties(matrix, far, counted):
    unit, people = matrix
    genuine, impostor = pairs_oracle.every_pair(unit, people)
    if not genuine or math.floor(far * len(impostor)) == 0:
        return
    with pytest.MonkeyPatch.context() as patch:
        if counted:
            patch.setattr(plan, "LOOSE_KEPT_AT_MOST", 0)
        agrees(
            measure(unit, pairing(people), fars=[far], screens=[screen(5, 4)]), genuine, impostor
        )


@pytest.mark.parametrize("rows", ["across", "group", "left out"])
def test_other_pairs_than_all(rows, path):
    unit, people = SETS["random"]
    side = np.random.default_rng(3).integers(3, size=len(people))
    left_out = [(0, 5), (1, 2), (40, 7)]
    masks = {
        "across": {"group": side == 0, "against": side == 1},
        "group": {"group": side == 2},
        "left out": {"left_out": left_out},
    }[rows]
    truth = pairs_oracle.every_pair(unit, people, **masks)
    result = measure(unit, pairing(people, **masks), fars=(0.1, 0.02))
    if rows == "across":  # first is always of the group, and pairs have no order
        for pair in (*result.worst, *result.missed):
            assert side[pair.first] == 0
        ordered = [[(s, i, j) if side[i] == 0 else (s, j, i) for s, i, j in kind] for kind in truth]
        truth = ordered[0], ordered[1]
    agrees(result, *truth)


def test_a_floor_that_was_too_high_is_said_and_mended(monkeypatch, truths):
    monkeypatch.setattr(plan, "_start", lambda sample, share: 0.99)
    unit, people = SETS["random"]
    result = measure(unit, pairing(people))
    assert result.passes == 2
    assert "floor 0.990000 was too high" in result.notes[0]
    agrees(result, *truths["random"])


@pytest.mark.parametrize("guess", [(0.9, 0.95), (-0.9, -0.8), (0.2, 0.2000001)])
@pytest.mark.parametrize("name", ["random", "all one row", "an ulp apart"])
def test_a_bracket_that_missed_is_said_and_mended(guess, name, monkeypatch, truths):
    monkeypatch.setattr(plan, "LOOSE_KEPT_AT_MOST", 0)
    monkeypatch.setattr(plan, "_bracket", lambda sample, share, dimension: guess)
    unit, people = SETS[name]
    result = measure(unit, pairing(people), fars=(0.3,))
    assert result.passes == 1 + len(result.notes) > 1
    assert "was not found in" in result.notes[0]
    agrees(result, *truths[name])


@pytest.mark.parametrize("name", ["random", "a few rows, copied", "all one row", "an ulp apart"])
def test_a_bracket_that_overflows_is_halved_until_it_fits(name, monkeypatch, truths):
    monkeypatch.setattr(plan, "LOOSE_KEPT_AT_MOST", 0)
    monkeypatch.setattr(plan, "_bracket", lambda sample, share, dimension: (-2.0, 2.0))
    monkeypatch.setattr(bracket, "MAX_KEPT", 60)
    unit, people = SETS[name]
    result = measure(unit, pairing(people), fars=(0.05,))
    assert result.passes > 1
    agrees(result, *truths[name])


def test_the_order_of_rows_is_nothing_to_the_points():
    unit, people = SETS["random"]
    order = np.random.default_rng(0).permutation(len(people))
    whole, shuffled = (
        measure(unit[rows], pairing(people[rows])) for rows in (np.arange(len(people)), order)
    )
    for a, b in zip(whole.points, shuffled.points, strict=True):
        assert (a.threshold, a.false_matches, a.tar) == (b.threshold, b.false_matches, b.tar)
        np.testing.assert_array_equal(a.false_matches_of_row[order], b.false_matches_of_row)


def test_few_errors_are_marked_and_intervals_hold_the_rate():
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(30), 4)
    rows = rng.normal(size=(30, 20))[people] + 1.2 * rng.normal(size=(120, 20))
    result = measure(normalize(rows)[0], pairing(people), fars=(0.01, 0.001))
    loose, tight = result.points
    assert loose.false_matches >= FEW_ERRORS
    assert loose.genuine_pairs - loose.accepted >= FEW_ERRORS
    assert not loose.few_errors
    assert tight.false_matches < FEW_ERRORS
    assert tight.few_errors
    for point in result.points:
        assert point.far_interval.low <= point.achieved_far <= point.far_interval.high
        assert point.tar_interval.low <= point.tar <= point.tar_interval.high
        assert "re-centered" in point.far_interval.method


def test_a_label_too_few_is_refused():
    unit, people = SETS["random"]
    chosen = pairing(people[:-1])
    made = make_plan(unit[:-1], chosen, fars=[0.1], screens=[screen()])
    with pytest.raises(BadArray, match="each row needs a label; got 90 rows and 89 labels"):
        measure_pairs(unit, chosen, made)


def test_progress_ends_with_all_pairs_visited():
    seen = []
    unit, people = SETS["random"]
    measure(unit, pairing(people), progress=lambda done, total: seen.append((done, total)))
    assert seen[0][0] == 0
    assert seen[-1][0] == seen[-1][1] >= pairing(people).impostor_pairs
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
