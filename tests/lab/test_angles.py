"""Angles from cosines: exact at the ends, derivatives as handed in, columns put in place."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.angles import (  # noqa: E402 - only where torch is
    angle,
    arc,
    compared,
    curve,
    inner_angle,
    own_cosine,
    scaled,
    sine,
    widened,
)

pytestmark = pytest.mark.lab


def test_an_angle_is_that_of_arctangent_over_the_whole_range():
    theta = torch.linspace(0, math.pi, 1001, dtype=torch.float64)
    np.testing.assert_allclose(angle(torch.cos(theta)).numpy(), theta.numpy(), atol=3e-8)
    np.testing.assert_allclose(sine(torch.cos(theta)).numpy(), np.sin(theta.numpy()), atol=3e-8)


def test_a_sine_near_0_keeps_the_bits_that_one_minus_the_square_loses():
    away = 2900 * 2**-24  # theta is 0.019; the square lies between two numbers of float32
    cosine = torch.tensor([1 - away], dtype=torch.float32)
    assert float(sine(cosine)[0]) == pytest.approx(math.sqrt(away * (2 - away)), rel=1e-7)


@pytest.mark.parametrize("cosine", [1.0, 1.0000002, -1.0, -1.0000002])
def test_past_the_end_an_angle_is_the_end(cosine):
    there = torch.tensor([cosine])
    assert float(sine(there)) == 0
    assert float(angle(there)) == pytest.approx(0 if cosine > 0 else math.pi)


@pytest.mark.parametrize(("dtype", "floor"), [(torch.float32, 4.8828e-4), (torch.float64, 2.1e-8)])
def test_derivatives_are_taken_no_nearer_to_an_end_than_rounding_can_tell(dtype, floor):
    ends = inner_angle(torch.tensor([1.0, -1.0], dtype=dtype)).double()
    assert float(ends[0]) == pytest.approx(floor, rel=5e-3)
    assert float(ends[1]) == pytest.approx(math.pi - floor, rel=1e-6)


def test_an_arc_has_the_derivatives_of_finite_differences():
    theta = np.array([0.3, 1.0, 2.0, 2.9])  # the last one beyond pi - m
    step = 1e-6
    cosine = torch.tensor(np.cos(theta))
    margin = torch.full_like(cosine, 0.5)
    by_cosine = (arc(cosine + step, 0.5).value - arc(cosine - step, 0.5).value) / (2 * step)
    by_margin = (arc(cosine, margin + step).value - arc(cosine, margin - step).value) / (2 * step)
    np.testing.assert_allclose(arc(cosine, 0.5).slope.numpy(), by_cosine.numpy(), rtol=1e-6)
    np.testing.assert_allclose(arc(cosine, margin).margin_slope, by_margin.numpy(), rtol=1e-6)


def test_a_curve_takes_its_derivatives_from_the_caller():
    a = torch.tensor([1.0, 2.0], requires_grad=True)
    b = torch.tensor([3.0, 4.0], requires_grad=True)
    value = curve(torch.tensor([7.0, 8.0]), (a, torch.tensor([0.5, -1.0])), (b, torch.ones(2)))
    assert value.tolist() == [7.0, 8.0]
    (value * torch.tensor([10.0, 100.0])).sum().backward()
    assert a.grad.tolist() == [5.0, -100.0]
    assert b.grad.tolist() == [10.0, 100.0]


def test_a_second_derivative_of_a_curve_is_refused():
    a = torch.tensor([1.0], requires_grad=True)
    value = curve(torch.tensor([7.0]), (a, torch.tensor([0.5])))
    (first,) = torch.autograd.grad(value.square().sum(), a, create_graph=True)
    with pytest.raises(RuntimeError, match=r"once_differentiable"):
        first.sum().backward()


def test_the_own_column_is_replaced_and_the_rest_scaled():
    cosine = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    logits = scaled(cosine, torch.tensor([2, -1]), torch.tensor([9.0, 9.0]), scale=10.0)
    np.testing.assert_allclose(logits.numpy(), [[1, 2, 90], [4, 5, 6]], rtol=1e-6)
    assert own_cosine(cosine, torch.tensor([2, 0])).tolist() == cosine[[0, 1], [2, 0]].tolist()


def test_a_replaced_column_has_the_gradient_of_what_replaced_it():
    cosine = torch.ones((2, 2), requires_grad=True)
    own = torch.ones(2, requires_grad=True)
    scaled(cosine, torch.tensor([1, -1]), own, scale=10.0).sum().backward()
    assert cosine.grad.tolist() == [[10, 0], [10, 10]]
    assert own.grad.tolist() == [10, 0]


def test_a_shard_without_columns_is_left_empty():
    nothing, nowhere = torch.zeros((2, 0)), torch.tensor([-1, -1])
    assert scaled(nothing, nowhere, own_cosine(nothing, nowhere), scale=2.0).shape == (2, 0)


def test_what_is_compared_is_the_target_that_was_handed_in_or_else_the_own_column():
    cosine = torch.tensor([[0.1, 0.2], [0.3, 0.4]], requires_grad=True)
    labels = torch.tensor([1, -1])
    found, known = compared(cosine, labels, None)
    assert float(found[0]) == pytest.approx(0.2)
    assert known.tolist() == [True, False]
    found, known = compared(cosine, labels, torch.tensor([0.7, 0.8], requires_grad=True))
    assert found.tolist() == torch.tensor([0.7, 0.8]).tolist()
    assert known.tolist() == [True, True]
    assert not found.requires_grad


def test_only_sixteen_bits_are_widened():
    assert widened(torch.ones(1, dtype=torch.bfloat16)).dtype == torch.float32
    assert widened(torch.ones(1, dtype=torch.float64)).dtype == torch.float64
