"""What a run will do, said before it starts."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tronie.errors import BadInput, NotEnoughData
from tronie.evaluation.pairs import plan as module
from tronie.evaluation.pairs.pairing import pairing
from tronie.evaluation.pairs.plan import make_plan
from tronie.evaluation.pairs.scores import NumpyScreen
from tronie.geometry.hypersphere import normalize

PEOPLE = np.repeat(np.arange(100), 2)
UNIT = normalize(np.random.default_rng(0).normal(size=(200, 32)))[0]
CHOSEN = pairing(PEOPLE)  # 19,800 impostor pairs


class Coarse:
    """An 8-bit screen as far as a plan knows: fast, wide, and without products."""

    name, workers, tile_rows, panel_rows, keeps_left = "coarse", 1, 64, 64, True

    def __init__(self, *, pairs_per_s, error):
        self.pairs_per_s, self.error = pairs_per_s, error

    def typical_error(self, rows):
        return self.error

    def left(self, rows):
        return rows

    def panel(self, rows):
        raise AssertionError("a plan searches nothing")


def planned(*fars, screens=None, **rest):
    return make_plan(UNIT, CHOSEN, fars=fars, screens=screens or [NumpyScreen()], **rest)


def test_aims_fall_and_say_how_many_may_be_accepted():
    plan = planned(0.001, 0.1, Fraction(1, 3))
    assert [(aim.far, aim.allowed) for aim in plan.aims] == [
        (1 / 3, 6600),
        (0.1, 1980),
        (0.001, 19),
    ]
    assert plan.keep == 6601
    assert (plan.impostor_pairs, plan.genuine_pairs) == (19_800, 100)


def test_a_far_is_asked_once_and_worst_pairs_may_need_more_than_it():
    plan = planned(0.001, 0.001, worst=50)
    assert len(plan.aims) == 1
    assert plan.keep == 50


def test_loose_rates_are_counted_in_a_bracket_that_holds_the_threshold(monkeypatch):
    monkeypatch.setattr(module, "LOOSE_KEPT_AT_MOST", 100)
    plan = planned(0.1, 0.001)
    assert [aim.path for aim in plan.aims] == ["counted", "kept"]
    scores = np.sort((UNIT @ UNIT.T)[PEOPLE[:, None] < PEOPLE[None, :]])
    low, high = plan.brackets[0]
    assert low < scores[-1981] < high
    assert plan.floor < scores[-20]


def test_the_cheapest_screen_is_taken_and_one_without_products_never_counts(monkeypatch):
    slow = NumpyScreen(pairs_per_s=1e6)
    fine, wide = Coarse(pairs_per_s=1e7, error=1e-4), Coarse(pairs_per_s=1e7, error=2.0)
    monkeypatch.setattr(module, "_RESCORE_S", 1e-3)
    assert planned(0.001, screens=[slow, fine]).screen is fine
    assert planned(0.001, screens=[slow, wide]).screen is slow
    monkeypatch.setattr(module, "LOOSE_KEPT_AT_MOST", 0)
    assert planned(0.1, screens=[slow, fine]).screen is slow
    with pytest.raises(BadInput, match="no screen that gives products was handed in"):
        planned(0.1, screens=[fine])


def test_the_estimate_grows_with_the_pairs_and_falls_with_the_speed():
    slow, fast = NumpyScreen(pairs_per_s=1e4), NumpyScreen(pairs_per_s=1e5)
    a, b = planned(0.001, screens=[slow]).seconds, planned(0.001, screens=[fast]).seconds
    assert a > 2 > b  # 200 x 200 places at 10,000 a second


def test_the_plan_is_told_in_sentences():
    lines = planned(0.001, screens=[NumpyScreen(pairs_per_s=1e8)]).describe()
    assert lines[0].startswith("19800 impostor and 100 genuine pairs, about ")
    assert lines[0].endswith("with float32, numpy")
    assert lines[1] == (
        "FAR 0.001: 19 may be accepted; the best pairs are kept and scored in float64"
    )
    assert [module._duration(s) for s in (0.5, 90, 600, 7200)] == [
        "0.5 s",
        "90 s",
        "10 min",
        "2.0 h",
    ]


@pytest.mark.parametrize(
    ("fars", "error", "message"),
    [
        ((), BadInput, "no FAR was asked for"),
        ((0.0,), BadInput, r"a FAR must lie in \(0, 1\]; got 0.0"),
        ((1.0,), BadInput, "a FAR of 1 accepts every pair"),
        (
            (0.1, 1e-6),
            NotEnoughData,
            r"FAR 1e-06 needs at least 1000000 impostor pairs; got 19800. "
            r"Add pairs, or ask for FAR >= 5.1e-05",
        ),
    ],
)
def test_rates_that_cannot_be_measured_are_refused(fars, error, message):
    with pytest.raises(error, match=message):
        planned(*fars)


def test_a_far_is_sampled_only_where_a_sample_saves_anything_and_says_enough():
    unit, people = _some_rows()
    chosen = pairing(people)
    asked = dict(fars=[0.1], screens=[NumpyScreen()], sampled_from=0.05)
    few = make_plan(unit, chosen, sample_pairs=chosen.impostor_pairs - 1, **asked)
    assert [aim.path for aim in few.aims] == ["sampled"]
    assert few.sample_pairs == chosen.impostor_pairs - 1
    all_of_them = make_plan(unit, chosen, sample_pairs=chosen.impostor_pairs, **asked)
    assert [aim.path for aim in all_of_them.aims] == ["kept"]
    assert all_of_them.sample_pairs == 0
    with pytest.raises(NotEnoughData, match=r"FAR 0.1 accepts 20 of a sample of 200 pairs, and"):
        make_plan(unit, chosen, sample_pairs=200, **asked)


def _some_rows():
    rng = np.random.default_rng(0)
    return normalize(rng.normal(size=(60, 8)))[0], np.repeat(np.arange(20), 3)
