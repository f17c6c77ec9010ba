"""Cosines to rows of any length, against NumPy and finite differences."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.cosines import cosines, unit_rows  # noqa: E402 - only where torch is

pytestmark = pytest.mark.lab


def drawn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_cosines_are_those_of_numpy_whatever_the_lengths_of_the_rows():
    unit, rows = unit_rows(drawn(5, 4))[0], drawn(7, 4, seed=1) * torch.logspace(-4, 4, 7)[:, None]
    lengths = np.linalg.norm(rows.numpy(), axis=1)
    np.testing.assert_allclose(
        cosines(unit, rows), unit.numpy() @ (rows.numpy() / lengths[:, None]).T, atol=1e-14
    )


def test_the_gradient_is_exact():
    unit, rows = unit_rows(drawn(3, 4))[0].requires_grad_(), drawn(5, 4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(cosines, (unit, rows))


def test_the_gradient_of_a_row_is_orthogonal_to_it():
    unit, rows = unit_rows(drawn(6, 4))[0], drawn(5, 4, seed=1).requires_grad_()
    (cosines(unit, rows) * drawn(6, 5, seed=2)).sum().backward()
    np.testing.assert_allclose((rows.grad * rows).sum(dim=1).detach(), 0, atol=1e-13)


def test_a_cosine_never_passes_1():
    rows = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    cosine = cosines(unit_rows(rows)[0], rows)
    assert cosine.max() <= 1
    assert (cosine.diagonal() > 1 - 1e-6).all()


def test_zeros_have_no_direction_cosine_0_and_no_gradient():
    raw = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    rows = torch.tensor([[1.0, 0.0], [0.0, 0.0]], requires_grad=True)
    unit, norms = unit_rows(raw)
    cosine = cosines(unit, rows)
    cosine.sum().backward()
    assert norms.tolist() == [0.0, 5.0]
    np.testing.assert_allclose(cosine.detach(), [[0, 0], [0.6, 0]], atol=1e-7)
    assert raw.grad[0].tolist() == [0.0, 0.0]
    assert rows.grad[1].tolist() == [0.0, 0.0]


def test_no_rows_give_no_columns():
    unit = unit_rows(drawn(2, 3).requires_grad_())[0]
    cosine = cosines(unit, torch.zeros(0, 3, dtype=torch.float64))
    assert cosine.shape == (2, 0)
    cosine.sum().backward()
