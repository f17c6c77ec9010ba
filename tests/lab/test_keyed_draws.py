"""What is drawn by class id: the hash step by step in Python's integers, rates, and no ranks."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn import keyed_draws  # noqa: E402 - only where torch is
from tronie.lab.nn.keyed_draws import drawn_classes, initial_rows, key  # noqa: E402

pytestmark = pytest.mark.lab

CPU = torch.device("cpu")


def hashed(number):
    """lowbias32, in integers that do not overflow."""
    number ^= number >> 16
    number = number * 0x7FEB352D % 2**32
    number ^= number >> 15
    number = number * 0x846CA68B % 2**32
    return number ^ number >> 16


def is_drawn(identity, *, rate, seed, step):
    words = key(seed, step)
    return hashed(hashed(identity ^ words >> 32) ^ words % 2**32) < round(rate * 2**32)


def drawn(first, count, **given):
    return drawn_classes(first, count, device=CPU, **given)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("first", [0, 2**31 - 600])
def test_a_class_is_drawn_where_its_hash_is_below_the_rate(rate, first):
    given = {"rate": rate, "seed": 3, "step": 11}
    assert drawn(first, 500, **given).tolist() == [is_drawn(first + i, **given) for i in range(500)]


def test_the_hash_is_the_published_one():
    """Of 1 it gives 1753845952: worked through by hand from its three lines."""
    x = 1 * 0x7FEB352D  # 1 ^ 1 >> 16 is 1
    x ^= x >> 15
    x = x * 0x846CA68B & 0xFFFFFFFF
    assert hashed(1) == x ^ x >> 16 == 1753845952


def test_a_set_in_parts_is_the_set_whole(monkeypatch):
    given = {"rate": 0.3, "seed": 1, "step": 5}
    whole = drawn(0, 1000, **given)
    monkeypatch.setattr(keyed_draws, "_HASH_BLOCK", {"cpu": 64})
    assert torch.equal(torch.cat([drawn(0, 137, **given), drawn(137, 863, **given)]), whole)


def test_each_rate_draws_its_share_in_every_step_and_each_class_its_share_of_steps():
    """Five standard deviations of a binomial number, over 50 steps and 4000 classes."""
    found = torch.stack([drawn(0, 4000, rate=0.1, seed=0, step=t) for t in range(50)]).double()
    deviation = (0.1 * 0.9) ** 0.5
    assert abs(found.mean() - 0.1) < 5 * deviation / (50 * 4000) ** 0.5
    assert (abs(found.mean(dim=1) - 0.1) < 5 * deviation / 4000**0.5).all()
    assert (abs(found.mean(dim=0) - 0.1) < 6 * deviation / 50**0.5).all()


def test_two_steps_and_two_seeds_draw_independently():
    a = drawn(0, 40_000, rate=0.5, seed=0, step=0)
    for seed, step in [(0, 1), (1, 0), (1, 1), (0, 2**20)]:
        both = (a & drawn(0, 40_000, rate=0.5, seed=seed, step=step)).double().mean()
        assert abs(both - 0.25) < 5 * (0.25 * 0.75 / 40_000) ** 0.5


def test_rate_0_draws_none_and_rate_1_all():
    assert not drawn(0, 100, rate=0, seed=0, step=0).any()
    assert drawn(0, 100, rate=1, seed=0, step=0).all()


def test_centers_begin_the_same_whoever_holds_them_and_however_many_there_are():
    whole = initial_rows(0, 2500, width=4, seed=9)
    for first, count in [(0, 10), (1000, 100), (1023, 2), (2048, 452), (7, 0)]:
        assert torch.equal(initial_rows(first, count, width=4, seed=9), whole[first:][:count])
    assert not torch.equal(initial_rows(0, 10, width=4, seed=8), whole[:10])


def test_centers_begin_as_normal_numbers_of_deviation_a_hundredth():
    rows = initial_rows(0, 3000, width=16, seed=0).numpy()
    assert abs(rows.mean()) < 5 * 0.01 / rows.size**0.5
    assert abs(rows.std() - 0.01) < 5 * 0.01 / (2 * rows.size) ** 0.5
    assert len(np.unique(rows[:, 0])) == 3000  # no block repeats another
