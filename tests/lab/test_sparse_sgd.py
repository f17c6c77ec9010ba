"""Rows that wait are what dense SGD with gradients of zero would have made of them."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn import sparse_sgd  # noqa: E402 - only where torch is
from tronie.lab.nn.sparse_sgd import (  # noqa: E402
    MissedSteps,
    catch_up,
    current_rows,
    update_all,
    update_rows,
)

pytestmark = pytest.mark.lab

ROWS, WIDTH = 9, 3


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def settings(step):
    """All three change from step to step."""
    return {
        "lr": 0.3 / (1 + step % 5),
        "momentum": (0.9, 0.5, 0.95)[step % 3],
        "weight_decay": (0.05, 0.2, 0.0)[step % 3],
    }


def dense_sgd(first, gradients):
    """torch's own SGD over all rows, a gradient (ROWS, WIDTH) in every step."""
    weight = torch.nn.Parameter(first.clone())
    optimizer = torch.optim.SGD([weight], lr=1.0, momentum=0.5)
    for step, gradient in enumerate(gradients):
        optimizer.param_groups[0].update(settings(step))
        weight.grad = gradient.clone()
        optimizer.step()
    return weight.detach(), optimizer.state[weight]["momentum_buffer"]


def sparse_sgd_of(first, steps):
    """The same where a step is (rows, their gradients) and nothing else is touched."""
    values, momenta, missed = first.clone(), torch.zeros_like(first), MissedSteps()
    touched = torch.zeros(len(first), dtype=torch.int64)
    for step, (rows, gradient) in enumerate(steps):
        update_rows(
            values, momenta, rows, gradient.clone(),
            products=missed.of(touched[rows]), **settings(step),
        )  # fmt: skip
        missed.add(**settings(step))
        touched[rows] = missed.now
    return values, momenta, missed.of(touched)


def seldom(count, seed=0, dtype=torch.float64):
    """Steps with a gradient for about a fifth of the rows, and the same as dense gradients."""
    rng = np.random.default_rng(seed)
    sparse, dense = [], []
    for step in range(count):
        rows = torch.from_numpy(np.flatnonzero(rng.random(ROWS) < 0.2))
        gradient = drawn(len(rows), WIDTH, seed=step, dtype=dtype)
        whole = torch.zeros(ROWS, WIDTH, dtype=dtype)
        whole[rows] = gradient
        sparse.append((rows, gradient))
        dense.append(whole)
    return sparse, dense


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_waiting_rows_equal_dense_sgd_while_rates_momentum_and_decay_change(dtype):
    sparse, dense = seldom(60, dtype=dtype)
    first = drawn(ROWS, WIDTH, seed=99, dtype=dtype)
    values, momenta, products = sparse_sgd_of(first, sparse)
    expected, expected_momenta = dense_sgd(first, dense)
    near = 1e-12 if dtype == torch.float64 else 1e-5  # 60 roundings of float32
    every = torch.arange(ROWS)
    np.testing.assert_allclose(
        current_rows(values, momenta, every, products), expected, rtol=near, atol=near
    )
    catch_up(values, momenta, products)
    np.testing.assert_allclose(values, expected, rtol=near, atol=near)
    np.testing.assert_allclose(momenta, expected_momenta, rtol=near, atol=near)


def test_a_wait_of_a_thousand_steps_is_still_exact():
    """A running product and its inverse could not do this: 0.9^1000 is 1e-46."""
    first = drawn(ROWS, WIDTH)
    none, once = torch.arange(0), (torch.arange(ROWS), drawn(ROWS, WIDTH, seed=1))
    steps = [once, *[(none, torch.zeros(0, WIDTH, dtype=torch.float64))] * 1000]
    values, momenta, products = sparse_sgd_of(first, steps)
    expected, _ = dense_sgd(first, [once[1], *[torch.zeros(ROWS, WIDTH).double()] * 1000])
    catch_up(values, momenta, products)
    np.testing.assert_allclose(values, expected, rtol=1e-10, atol=1e-20)


def test_rows_that_missed_nothing_move_as_torch_moves_them():
    first, gradients = drawn(ROWS, WIDTH), [drawn(ROWS, WIDTH, seed=i) for i in range(5)]
    values, momenta = first.clone(), torch.zeros_like(first)
    some, others = first.clone(), torch.zeros_like(first)
    for step, gradient in enumerate(gradients):
        update_all(values, momenta, gradient.clone(), **settings(step))
        every = torch.arange(ROWS)
        update_rows(some, others, every, gradient.clone(), products=None, **settings(step))
    expected, expected_momenta = dense_sgd(first, gradients)
    for found, wanted in [
        (values, expected),
        (some, expected),
        (momenta, expected_momenta),
        (others, expected_momenta),
    ]:
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_only_the_chosen_rows_are_touched():
    values, momenta = drawn(ROWS, WIDTH), drawn(ROWS, WIDTH, seed=1)
    before = values.clone(), momenta.clone()
    rows, others = torch.tensor([2, 5]), [0, 1, 3, 4, 6, 7, 8]
    update_rows(values, momenta, rows, torch.ones(2, WIDTH).double(), products=None, **settings(0))
    assert torch.equal(values[others], before[0][others])
    assert torch.equal(momenta[others], before[1][others])
    assert (values[rows] != before[0][rows]).all()


def test_the_size_of_the_blocks_changes_no_bit(monkeypatch):
    sparse, _ = seldom(20)
    whole = sparse_sgd_of(drawn(ROWS, WIDTH), sparse)
    monkeypatch.setattr(sparse_sgd, "_BLOCK_BYTES", {"cpu": 2 * WIDTH * 8})  # two rows
    parts = sparse_sgd_of(drawn(ROWS, WIDTH), sparse)
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_steps_that_nobody_stands_at_are_forgotten_and_the_rest_stays():
    missed = MissedSteps()
    for step in range(10):
        missed.add(**settings(step))
    late = torch.tensor([7, 10, 9])
    before = missed.of(late)
    missed.forget_before(7)
    assert len(missed) == 4
    assert missed.now == 10
    assert torch.equal(missed.of(late), before)
    assert before[1].tolist() == [1, 0, 0, 1]
