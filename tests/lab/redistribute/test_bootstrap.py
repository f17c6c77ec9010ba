"""The best range: a planted optimum lies in it, and what does not matter is left wide."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import BadArray, NotEnoughData
from tronie.lab.training.redistribute.bootstrap import best_range


def planted(seed, *, count=64, best=0.3, noise=0.01):
    rng = np.random.default_rng(seed)
    shares = rng.uniform(0.05, 0.6, count)
    scores = 0.5 - (shares - best) ** 2 + rng.normal(0, noise, count)
    return shares, scores


@pytest.mark.parametrize("best", [0.15, 0.3, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_a_planted_optimum_is_recovered(seed, best):
    found = best_range(*planted(seed, best=best))
    assert found.low <= best <= found.high
    assert found.high - found.low < 0.3
    assert found.median == pytest.approx(best, abs=0.1)


def test_a_share_that_does_not_matter_has_the_range_of_what_was_drawn():
    rng = np.random.default_rng(0)
    shares = rng.uniform(0.05, 0.6, 64)
    found = best_range(shares, rng.normal(size=64))
    assert found.high - found.low > 0.3


def test_more_networks_narrow_the_range():
    few, many = (best_range(*planted(0, count=n)) for n in (16, 512))
    assert many.high - many.low < few.high - few.low


def test_it_is_the_share_of_the_best_of_a_quarter_by_its_definition():
    shares, scores = planted(0, count=12)
    rng = np.random.default_rng(5)
    noted = []
    for row in rng.integers(12, size=(400, 3)):
        best = row[0]
        for one in row[1:]:
            if scores[one] > scores[best]:
                best = one
        noted.append(shares[best])
    noted.sort()
    found = best_range(shares, scores, draws=400, seed=5)
    assert found.low == noted[int(np.ceil(0.025 * 400)) - 1]
    assert found.median == noted[int(np.ceil(0.5 * 400)) - 1]
    assert found.high == noted[int(np.ceil(0.975 * 400)) - 1]


def test_the_same_seed_gives_the_same_range():
    shares, scores = planted(0)
    assert best_range(shares, scores, seed=1) == best_range(shares, scores, seed=1)


def test_too_few_networks_are_refused():
    with pytest.raises(NotEnoughData, match="a best range needs 8 networks or more; got 7"):
        best_range(np.ones(7), np.ones(7))


@pytest.mark.parametrize(
    ("shares", "scores"),
    [
        (np.ones(9), np.ones(8)),
        (np.ones((3, 3)), np.ones((3, 3))),
        (np.ones(8), np.full(8, np.nan)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(shares, scores):
    with pytest.raises(BadArray, match=r"must be \(N,\) and hold no NaN; got \("):
        best_range(shares, scores)
