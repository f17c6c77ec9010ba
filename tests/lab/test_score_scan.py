"""Screens of torch: bounds that hold, exact sums, results to the bit; on a GPU if there is one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pairs_oracle
from tronie.errors import BadInput, EngineUnavailable
from tronie.evaluation.pairs import plan as plans
from tronie.evaluation.pairs.all_pairs import measure_pairs
from tronie.evaluation.pairs.pairing import pairing
from tronie.evaluation.pairs.plan import make_plan
from tronie.evaluation.pairs.scores import ProductScreen, screen_error
from tronie.geometry.hypersphere import normalize
from tronie.runtime import score_scan as on_cpu

torch = pytest.importorskip("torch")

from tronie.lab.nn import score_scan  # noqa: E402 - only where torch is
from tronie.lab.nn.score_scan import (  # noqa: E402
    Float32Panel,
    Float32Screen,
    Int8Screen,
    common_scale,
    int8_product,
    multiplies_exactly,
    open_screens,
    own_scales,
    quantize,
)

pytestmark = pytest.mark.lab

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SETS = pairs_oracle.hard_sets()
ENGINES = ["int8", "float32"]


def screen_of(engine, dimension, *, tile_rows=16, panel_rows=32):
    sizes = {"tile_rows": tile_rows, "panel_rows": panel_rows, "pairs_per_s": 1e8}
    if engine == "float32":
        return Float32Screen(DEVICE, error=screen_error(dimension), **sizes)
    return Int8Screen(DEVICE, **sizes)


def brought(rows):
    return torch.tensor(rows, device=DEVICE)


def real_products(a, b):
    return a.astype(np.longdouble) @ b.astype(np.longdouble).T


def approximate_and_error(unit):
    screen = screen_of("int8", unit.shape[1])
    left, panel = screen.left(unit).quantized, screen.panel(unit)
    product = panel.multiply(left.numbers).double() * (left.scale[:, None] * panel.scale)
    return product.cpu().numpy(), panel.error(left).cpu().numpy()


@pytest.mark.parametrize("name", sorted(SETS))
def test_no_pair_is_further_off_than_the_bound(name):
    unit, _ = SETS[name]
    product, error = approximate_and_error(unit)
    assert (np.abs(real_products(unit, unit) - product) <= error[:, None]).all()


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3, 17, 64, 300]), st.floats(0.01, 6))
@settings(max_examples=40, deadline=None)
def test_the_bound_holds_where_rounding_is_worst(seed, dimension, tilt):
    # Rests that all point along the other row: Cauchy-Schwarz has nothing to give away.
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1, 1], dimension)
    steps = (rng.integers(-9, 9, (6, dimension)) + 0.5 - 1e-6 * signs) * (
        1 + tilt * rng.random((6, 1))
    )
    steps[:, 0] = 127
    unit = normalize(np.concatenate([steps, signs[None] + 0.0 * steps[:1]]))[0]
    product, error = approximate_and_error(unit)
    assert (np.abs(real_products(unit, unit) - product) <= error[:, None]).all()


@pytest.mark.parametrize("name", sorted(SETS))
def test_rows_become_the_numbers_and_the_limits_that_the_cpu_gives_them(name):
    unit, _ = SETS[name]
    rows = brought(unit)
    for here, there in [
        (quantize(rows, own_scales(rows)), on_cpu.quantize(unit, on_cpu.own_scales(unit))),
        (quantize(rows, common_scale(rows)), on_cpu.common_scale(unit)),
    ]:
        np.testing.assert_array_equal(here.numbers.cpu().numpy(), there.numbers)
        np.testing.assert_array_equal(here.scale.cpu().numpy(), there.scale)
        # Sums of squares are float32 sums, each in its own order; SLACK pays for them.
        np.testing.assert_allclose(here.rest.cpu(), there.rest, rtol=1e-5, atol=1e-9)
        np.testing.assert_allclose(here.length.cpu(), there.length, rtol=1e-5)
    panel = screen_of("int8", unit.shape[1]).panel(unit)
    expected = on_cpu.Int8Panel(unit, levels=127)
    left = on_cpu.Int8Screen(levels=127, workers=1).left(unit)
    for floor in (-np.inf, -0.1, 0.2, 0.9, 3.0):
        mine = panel.limits(quantize(rows, own_scales(rows)), floor).cpu().numpy()
        np.testing.assert_allclose(mine, expected.limits(left, floor), atol=1, rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (33, 17, 65), (40, 64, 96)])
def test_sums_are_exact_for_every_shape(shape):
    rows, columns, dimension = shape
    rng = np.random.default_rng(0)
    left = rng.integers(-127, 128, (rows, dimension), dtype=np.int8)
    right = rng.integers(-127, 128, (columns, dimension), dtype=np.int8)
    product = int8_product(brought(right))(brought(left)).cpu().numpy()
    np.testing.assert_array_equal(product, left.astype(np.int64) @ right.T.astype(np.int64))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", sorted(SETS))
def test_no_pair_at_or_above_the_floor_is_missed(name, engine):
    unit = SETS[name][0][:30]
    screen = screen_of(engine, unit.shape[1])
    exact = np.array([[pairs_oracle.score(a, b) for b in unit] for a in unit])
    for floor in [-np.inf, *np.quantile(exact, [0.1, 0.5, 0.99]), 3.0]:
        i, j = screen.panel(unit).hits(screen.left(unit), float(floor))
        assert (np.diff(i) >= 0).all()
        found = set(zip(i.tolist(), j.tolist(), strict=True))
        assert len(found) == len(i)
        assert {(int(a), int(b)) for a, b in np.argwhere(exact >= floor)} <= found


def test_little_more_than_the_pairs_above_the_floor_comes_to_the_host(monkeypatch):
    monkeypatch.setattr(score_scan, "_NEAR_AT_ONCE", 100)
    unit = normalize(np.random.default_rng(3).normal(size=(300, 512)))[0]
    exact = unit.astype(np.float64) @ unit.T.astype(np.float64)
    screen = screen_of("int8", 512)
    left, panel = screen.left(unit), screen.panel(unit)
    reached = panel.multiply(left.quantized.numbers) >= panel.limits(left.quantized, 0.1)[:, None]
    i, _ = panel.hits(left, 0.1)
    above = np.count_nonzero(exact >= 0.1)
    assert int(reached.sum()) > 1.2 * above
    assert above <= len(i) <= np.count_nonzero(exact >= 0.1 - 2 * screen_error(512))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", sorted(SETS))
def test_every_engine_gives_the_bits_of_sorting_all_scores(name, engine):
    unit, people = SETS[name]
    genuine, impostor = pairs_oracle.every_pair(unit, people)
    for panel, tile in [(32, 16), (13, 5), (200, 64)]:
        screen = screen_of(engine, unit.shape[1], panel_rows=panel, tile_rows=tile)
        chosen = pairing(people)
        plan = make_plan(unit, chosen, fars=(0.3, 0.05, 0.002), screens=[screen])
        for point in measure_pairs(unit, chosen, plan).points:
            threshold, false = pairs_oracle.judged(impostor, point.far)
            assert (point.threshold, point.false_matches) == (threshold, false)
            assert point.accepted == sum(s >= threshold for s, _, _ in genuine)


def test_the_bits_are_those_of_the_screens_of_the_cpu_also_where_pairs_are_counted(monkeypatch):
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(300), 2)
    unit = normalize(rng.normal(size=(300, 128))[people] + rng.normal(size=(600, 128)))[0]
    chosen = pairing(people)
    fars = (0.05, 1e-3, 1e-4)
    theirs = [on_cpu.Int8Screen(levels=127, workers=1, pairs_per_s=1e8)]
    expected = measure_pairs(
        unit, chosen, make_plan(unit, chosen, fars=fars, screens=theirs, worst=9)
    )
    mine = [screen_of(engine, 128, tile_rows=64, panel_rows=128) for engine in ENGINES]
    for counted in (False, True):
        if counted:
            monkeypatch.setattr(plans, "LOOSE_KEPT_AT_MOST", 0)
        for screens in (mine[1:], mine):
            plan = make_plan(unit, chosen, fars=fars, screens=screens, worst=9)
            assert bool(plan.brackets) == counted
            result = measure_pairs(unit, chosen, plan)
            for a, b in zip(result.points, expected.points, strict=True):
                assert (a.threshold, a.false_matches, a.tar) == (
                    b.threshold,
                    b.false_matches,
                    b.tar,
                )
                np.testing.assert_array_equal(a.false_matches_of_row, b.false_matches_of_row)
            assert result.worst[:9] == expected.worst[:9]


def test_screens_are_tested_and_measured_and_say_where_they_run(monkeypatch):
    monkeypatch.setattr(score_scan, "MEASURE_S", 0.005)
    monkeypatch.setattr(score_scan, "_CPU_PANEL", 256)
    coarse, fine = open_screens(64, float32_error=screen_error(64), device=DEVICE)
    where = "CPU" if DEVICE == "cpu" else torch.cuda.get_device_name()
    assert (coarse.name, fine.name) == (f"int8, torch, {where}", f"float32, torch, {where}")
    assert coarse.pairs_per_s > 0
    assert fine.pairs_per_s > 0
    assert [isinstance(screen, ProductScreen) for screen in (coarse, fine)] == [False, True]
    assert torch.get_float32_matmul_precision() == "highest"


def test_extreme_rows_are_multiplied_rightly_or_there_is_no_8_bit_screen(monkeypatch):
    assert multiplies_exactly(512, DEVICE)
    assert multiplies_exactly(33, DEVICE)
    assert not multiplies_exactly(on_cpu.MAX_DIMENSION + 1, DEVICE)
    exact = torch._int_mm
    monkeypatch.setattr(torch, "_int_mm", lambda a, b: exact(a, b).clamp(-(2**15), 2**15 - 1))
    monkeypatch.setattr(score_scan, "MEASURE_S", 0.001)
    monkeypatch.setattr(score_scan, "_CPU_PANEL", 256)
    assert not multiplies_exactly(64, DEVICE)
    only = open_screens(64, float32_error=1e-5, device=DEVICE)
    assert [type(screen) for screen in only] == [Float32Screen]


def test_float32_products_of_eleven_bits_are_refused(monkeypatch):
    def as_tf32(self, left):
        short = [(rows.view(torch.int32) + 0x1000 & ~0x1FFF).view(torch.float32)
                 for rows in (left, self._right)]  # fmt: skip
        return (short[0] @ short[1].T).cpu().numpy()

    monkeypatch.setattr(Float32Panel, "product", as_tf32)
    with pytest.raises(EngineUnavailable, match=r"are off by 0\.00\d+, as TF32 is; switch"):
        open_screens(64, float32_error=1e-5, device=DEVICE)


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cpu:0", ""])
def test_a_device_of_another_form_is_refused(device):
    with pytest.raises(BadInput, match='a device is "cpu", "cuda" or "cuda:1"; got'):
        open_screens(8, float32_error=1e-6, device=device)


def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(
        EngineUnavailable, match=r"device cuda:99 was asked for, and torch .* finds"
    ):
        open_screens(8, float32_error=1e-6, device="cuda:99")


def test_a_full_device_says_what_a_row_takes(monkeypatch):
    def full(rows):
        raise torch.OutOfMemoryError("no memory")

    screen = screen_of("int8", 40)
    monkeypatch.setattr(score_scan, "own_scales", full)
    with pytest.raises(EngineUnavailable, match=r"is full: every row of a pass .* takes 200 bytes"):
        screen.left(SETS["random"][0])
