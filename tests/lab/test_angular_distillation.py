"""Angular distillation: both equations, their gradients by hand, and where they are 0."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadArray, BadInput  # noqa: E402 - only where torch is
from tronie.lab.nn.losses.angular_distillation import angular_distillation  # noqa: E402

pytestmark = pytest.mark.lab


def pair(rows=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, 6)), 3 * rng.standard_normal((rows, 6))


def cosines(s, t):
    return (s * t).sum(axis=1) / np.linalg.norm(s, axis=1) / np.linalg.norm(t, axis=1)


def test_values_are_those_of_the_equations():
    s, t = pair()
    student, teacher = torch.tensor(s), torch.tensor(t)
    fourth = np.mean((1 - cosines(s, t)) ** 2)
    fifth = np.mean(2 * (1 - cosines(s, t)))
    assert float(angular_distillation(student, teacher, equation=4)) == pytest.approx(fourth)
    assert float(angular_distillation(student, teacher)) == pytest.approx(fifth)


@pytest.mark.parametrize("equation", [4, 5])
def test_the_gradient_is_the_one_worked_out_by_hand(equation):
    """-(2 / |s|) (I - s s') t, and for equation 4 another factor of 1 - cos."""
    s, t = pair(rows=1)
    student = torch.tensor(s, requires_grad=True)
    angular_distillation(student, torch.tensor(t), equation=equation).backward()
    unit_s, unit_t = s[0] / np.linalg.norm(s), t[0] / np.linalg.norm(t)
    oracle = -2 / np.linalg.norm(s) * (unit_t - (unit_s @ unit_t) * unit_s)
    if equation == 4:
        oracle = oracle * (1 - unit_s @ unit_t)
    np.testing.assert_allclose(student.grad[0].numpy(), oracle)


@pytest.mark.parametrize("equation", [4, 5])
def test_a_student_that_points_where_its_teacher_does_has_nothing_to_learn(equation):
    teacher = torch.randn((4, 512), generator=torch.Generator().manual_seed(0))
    student = (0.25 * teacher).requires_grad_()  # an exact power of two: no bit changes
    loss = angular_distillation(student, teacher, equation=equation)
    loss.backward()
    assert float(loss.detach()) == 0
    assert float(student.grad.abs().max()) < 1e-7


def test_a_small_angle_keeps_its_bits_in_float32():
    teacher = torch.tensor([[1.0, 0.0]])
    student = torch.tensor([[1.0, 1e-5]])
    assert float(angular_distillation(student, teacher)) == pytest.approx(1e-10, rel=1e-3)


def test_the_teacher_is_not_taught():
    teacher = torch.ones((1, 2), requires_grad=True)
    student = torch.tensor([[1.0, 0.0]], requires_grad=True)
    angular_distillation(student, teacher).backward()
    assert teacher.grad is None


def test_a_student_of_another_width_is_refused():
    with pytest.raises(BadArray, match=r"one shape \(N, D\); got \(2, 3\) and \(2, 4\)$"):
        angular_distillation(torch.ones((2, 3)), torch.ones((2, 4)))


def test_an_equation_that_is_not_there_is_refused():
    with pytest.raises(
        BadInput, match=r"^equation must be 4 or 5, as the paper counts them; got 3"
    ):
        angular_distillation(torch.ones((2, 3)), torch.ones((2, 3)), equation=3)
