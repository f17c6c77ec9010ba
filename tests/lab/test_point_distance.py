"""Points: the smooth L1 written out, and points that nobody annotated."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.losses.point_distance import point_distance  # noqa: E402 - only where torch is

pytestmark = pytest.mark.lab
torch.set_num_threads(1)

BETA = 1 / 9


def paper(error):
    size = abs(error)
    return size**2 / (2 * BETA) if size < BETA else size - BETA / 2


def drawn(seed):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(6, 5, 2, generator=draw, dtype=torch.float64) * 0.2


def test_the_loss_is_the_formula_summed_over_what_is_there():
    predicted, wanted = drawn(0), drawn(1)
    present = torch.rand(6, 5, generator=torch.Generator().manual_seed(2)) < 0.6
    sums = [
        sum(
            paper(float(predicted[n, k, axis] - wanted[n, k, axis]))
            for k in range(5)
            for axis in range(2)
            if present[n, k]
        )
        for n in range(6)
    ]
    np.testing.assert_allclose(point_distance(predicted, wanted, present), sums, atol=1e-12)


def test_missing_points_teach_nothing_whatever_is_written_there():
    predicted = drawn(0).requires_grad_()
    wanted = drawn(1).clone()
    wanted[:, 2] = float("nan")
    present = torch.ones(6, 5, dtype=torch.bool)
    present[:, 2] = False
    point_distance(predicted, wanted, present).sum().backward()
    assert (predicted.grad[:, 2] == 0).all()
    assert (predicted.grad[:, [0, 1, 3, 4]] != 0).all()


def test_the_gradient_is_that_of_the_loss():
    wanted, present = drawn(1), torch.ones(6, 5, dtype=torch.bool)
    predicted = drawn(0).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: point_distance(x, wanted, present), (predicted,))
