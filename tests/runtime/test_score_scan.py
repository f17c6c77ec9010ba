"""Screens of the engine: bounds that hold, sums that do not saturate, results to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pairs_oracle
from tronie.errors import EngineUnavailable
from tronie.evaluation.pairs import plan as plans
from tronie.evaluation.pairs.all_pairs import measure_pairs
from tronie.evaluation.pairs.pairing import pairing
from tronie.evaluation.pairs.plan import make_plan
from tronie.evaluation.pairs.scores import ProductScreen, screen_error
from tronie.geometry.hypersphere import normalize
from tronie.runtime import score_scan
from tronie.runtime.score_scan import (
    MAX_DIMENSION,
    Float32Screen,
    Int8Screen,
    common_scale,
    int8_product,
    open_screens,
    own_scales,
    quantize,
    safe_levels,
)

SETS = pairs_oracle.hard_sets()
ENGINES = ["int8", "int7", "float32"]


def screen_of(engine: str, dimension: int, *, workers: int = 1):
    if engine == "float32":
        return Float32Screen(error=screen_error(dimension), workers=workers, pairs_per_s=1e8)
    levels = {"int8": 127, "int7": 63}[engine]
    return Int8Screen(levels=levels, workers=workers, pairs_per_s=1e8)


def real_products(a, b):
    return a.astype(np.longdouble) @ b.astype(np.longdouble).T


@pytest.mark.parametrize("engine", ["int8", "int7"])
@pytest.mark.parametrize("name", sorted(SETS))
def test_no_pair_is_further_off_than_the_bound(name, engine):
    unit, _ = SETS[name]
    screen = screen_of(engine, unit.shape[1])
    left, panel = screen.left(unit), screen.panel(unit)
    numbers = left.values.astype(np.int64) - (screen.levels + 1)
    product = panel.multiply(left.values)
    right = common_scale(unit).numbers
    np.testing.assert_array_equal(product, numbers @ right.T.astype(np.int64))
    approximate = product * (left.scale[:, None] * panel.scale).astype(np.longdouble)
    off = np.abs(real_products(unit, unit) - approximate)
    assert (off <= panel.error(left)[:, None]).all()


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3, 17, 64, 300]), st.floats(0.01, 6))
@settings(max_examples=60, deadline=None)
def test_the_bound_holds_where_rounding_is_worst(seed, dimension, tilt):
    # Rests that all point along the other row: Cauchy-Schwarz has nothing to give away.
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1, 1], dimension)
    steps = (rng.integers(-9, 9, (6, dimension)) + 0.5 - 1e-6 * signs) * (
        1 + tilt * rng.random((6, 1))
    )
    steps[:, 0] = 127
    rows = normalize(np.concatenate([steps, signs[None] + 0.0 * steps[:1]]))[0]
    screen = screen_of("int8", dimension)
    left, panel = screen.left(rows), screen.panel(rows)
    product = panel.multiply(left.values) * (left.scale[:, None] * panel.scale)
    off = np.abs(real_products(rows, rows) - product)
    assert (off <= panel.error(left)[:, None]).all()


def test_the_bound_is_nearly_reached_so_it_is_not_too_wide_either():
    # Left: exactly on its grid. Right: half a step off everywhere, along the left row.
    dimension = 256
    left_row = np.ones(dimension)
    right_row = np.full(dimension, 10.5 - 1e-3)
    right_row[0] = 127
    rows = normalize(np.stack([left_row, right_row]))[0]
    screen = screen_of("int8", dimension)
    left, panel = screen.left(rows[:1]), screen.panel(rows[1:])
    product = panel.multiply(left.values) * left.scale * panel.scale
    off = float(np.abs(real_products(rows[:1], rows[1:]) - product)[0, 0])
    assert 0.9 * panel.error(left)[0] < off <= panel.error(left)[0]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", sorted(SETS))
def test_no_pair_at_or_above_the_floor_is_missed(name, engine):
    unit, _ = SETS[name]
    unit = unit[:30]
    screen = screen_of(engine, unit.shape[1])
    exact = np.array([[pairs_oracle.score(a, b) for b in unit] for a in unit])
    for floor in [-np.inf, *np.quantile(exact, [0.1, 0.5, 0.99]), 3.0]:
        i, j = screen.panel(unit).hits(screen.left(unit), float(floor))
        assert (np.diff(i) >= 0).all()
        found = set(zip(i.tolist(), j.tolist(), strict=True))
        assert len(found) == len(i)
        assert {(int(a), int(b)) for a, b in np.argwhere(exact >= floor)} <= found


def test_lengths_of_rests_are_never_too_small():
    rng = np.random.default_rng(0)
    unit = normalize(rng.normal(size=(50, 700)))[0]
    q = quantize(unit, own_scales(unit))
    rest = unit.astype(np.longdouble) - q.numbers * q.scale.astype(np.longdouble)[:, None]
    true = np.sqrt((rest * rest).sum(axis=1))
    assert (q.rest + score_scan.SLACK >= true).all()
    np.testing.assert_allclose(q.rest.astype(float), true.astype(float), rtol=1e-3)
    assert (q.length >= np.sqrt((unit.astype(np.longdouble) ** 2).sum(axis=1))).all()
    assert np.abs(q.numbers).max() == 127


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", sorted(SETS))
def test_every_engine_gives_the_bits_of_sorting_all_scores(name, engine):
    unit, people = SETS[name]
    genuine, impostor = pairs_oracle.every_pair(unit, people)
    for panel, tile, workers in [(32, 16, 1), (13, 5, 2), (200, 64, 2)]:
        screen = screen_of(engine, unit.shape[1], workers=workers)
        screen.panel_rows, screen.tile_rows = panel, tile
        chosen = pairing(people)
        plan = make_plan(unit, chosen, fars=(0.3, 0.05, 0.002), screens=[screen])
        for point in measure_pairs(unit, chosen, plan).points:
            threshold, false = pairs_oracle.judged(impostor, point.far)
            assert (point.threshold, point.false_matches) == (threshold, false)
            assert point.accepted == sum(s >= threshold for s, _, _ in genuine)


def test_only_a_screen_that_gives_products_may_count(monkeypatch):
    monkeypatch.setattr(plans, "LOOSE_KEPT_AT_MOST", 0)
    unit, people = SETS["random"]
    both = [screen_of("int8", 40), screen_of("float32", 40)]
    assert [isinstance(screen, ProductScreen) for screen in both] == [False, True]
    plan = make_plan(unit, pairing(people), fars=(0.01,), screens=both)
    assert plan.screen is both[1]
    point = measure_pairs(unit, pairing(people), plan).points[0]
    expected = pairs_oracle.judged(pairs_oracle.every_pair(unit, people)[1], 0.01)
    assert (point.threshold, point.false_matches) == expected


def saturating(right, *, zero):
    """What a CPU does that adds neighboring products in 16 bits."""
    exact = int8_product(right, zero=zero)

    def multiply(left):
        raw = left[:, None, :].astype(np.int64) * right[None].astype(np.int64)
        pairs = np.clip(raw[..., ::2] + raw[..., 1::2], -(2**15), 2**15 - 1)
        total = pairs.sum(axis=-1) - zero * right.astype(np.int64).sum(axis=1)
        assert total.shape == exact(left).shape
        return total.astype(np.int32)

    return multiply


def test_this_machine_multiplies_extreme_rows_rightly():
    assert safe_levels(512) in (127, 63)
    assert safe_levels(33) in (127, 63)


def test_a_product_that_saturates_is_given_seven_bits_and_a_broken_one_is_not_used():
    assert safe_levels(64, saturating) == 63
    assert (
        safe_levels(64, lambda right, *, zero: lambda left: np.zeros((len(left), len(right))))
        is None
    )
    assert safe_levels(MAX_DIMENSION + 1) is None


def test_a_speed_is_known_though_the_machine_was_busy_all_the_time(monkeypatch):
    """It is divided by; a plan was lost when threads began after the time was over."""
    monkeypatch.setattr(score_scan, "MEASURE_S", -1.0)
    for screen in open_screens(64, float32_error=screen_error(64), threads=2):
        assert screen.pairs_per_s > 0


def test_screens_are_measured_and_the_fastest_8_bit_one_comes_first(monkeypatch):
    monkeypatch.setattr(score_scan, "MEASURE_S", 0.005)
    screens = open_screens(64, float32_error=screen_error(64), threads=1)
    assert screens[-1].name == "float32, onnxruntime MatMul"
    assert all(screen.pairs_per_s > 0 and screen.workers == 1 for screen in screens)
    monkeypatch.setattr(score_scan, "safe_levels", lambda dimension: None)
    only = open_screens(64, float32_error=screen_error(64), threads=2)
    assert [(screen.name, screen.workers) for screen in only] == [(screens[-1].name, 2)]


def test_no_threads_are_refused():
    with pytest.raises(EngineUnavailable, match="threads must be at least 1; got 0"):
        open_screens(8, float32_error=1e-6, threads=0)
