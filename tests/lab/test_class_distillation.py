"""Distillation by features and classes: definitions as loops, gradients, and where they are 0."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadArray, BadInput  # noqa: E402 - only where torch is
from tronie.lab.nn.losses.class_distillation import (  # noqa: E402
    class_distillation,
    feature_distillation,
)

pytestmark = pytest.mark.lab


def pair(rows=3, columns=4, seed=0):
    rng = np.random.default_rng(seed)
    return 2 * rng.standard_normal((rows, columns)), 3 * rng.standard_normal((rows, columns))


def softmax(logits, temperature):
    powers = [math.exp(z / temperature) for z in logits]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_divergence_is_its_definition(temperature):
    student, teacher = pair()
    rows = []
    for s, t in zip(student, teacher, strict=True):
        q, p = softmax(s, temperature), softmax(t, temperature)
        rows.append(sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True)))
    loss = class_distillation(torch.tensor(student), torch.tensor(teacher), temperature=temperature)
    assert float(loss) == pytest.approx(temperature**2 * np.mean(rows))


def test_its_gradient_is_the_temperature_times_the_difference_of_probabilities():
    student, teacher = pair()
    leaf = torch.tensor(student, requires_grad=True)
    class_distillation(leaf, torch.tensor(teacher), temperature=3.0).backward()
    for i, (s, t) in enumerate(zip(student, teacher, strict=True)):
        oracle = 3.0 * np.subtract(softmax(s, 3.0), softmax(t, 3.0)) / len(student)
        np.testing.assert_allclose(leaf.grad[i].numpy(), oracle, atol=1e-12)


def test_a_student_that_is_its_teacher_has_nothing_to_learn():
    teacher = torch.tensor(pair()[1])
    student = teacher.clone().requires_grad_()
    loss = class_distillation(student, teacher, temperature=2.0) + feature_distillation(
        student, teacher
    )
    loss.backward()
    assert float(loss.detach()) == 0
    np.testing.assert_allclose(student.grad.numpy(), 0, atol=1e-15)


def test_probabilities_of_zero_are_no_trouble():
    student = torch.tensor([[0.0, 64.0]], requires_grad=True)
    loss = class_distillation(student, torch.tensor([[1e4, -1e4]]))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(64)
    assert torch.isfinite(student.grad).all()


def test_features_are_compared_as_they_are_or_at_length_one():
    student, teacher = pair()
    s, t = torch.tensor(student), torch.tensor(teacher)
    raw = np.mean(np.sum((student - teacher) ** 2, axis=1))
    unit_s = student / np.linalg.norm(student, axis=1, keepdims=True)
    unit_t = teacher / np.linalg.norm(teacher, axis=1, keepdims=True)
    unit = np.mean(np.sum((unit_s - unit_t) ** 2, axis=1))
    assert float(feature_distillation(s, t)) == pytest.approx(raw)
    assert float(feature_distillation(s, t, lengths="unit")) == pytest.approx(unit)


def test_a_linear_student_recovers_a_linear_teacher():
    rng = np.random.default_rng(1)
    faces, taught = (
        torch.tensor(rng.standard_normal((64, 5))),
        torch.tensor(rng.normal(size=(5, 3))),
    )
    weights = torch.zeros((5, 3), dtype=torch.float64, requires_grad=True)
    for _ in range(200):
        loss = feature_distillation(faces @ weights, faces @ taught)
        (gradient,) = torch.autograd.grad(loss, weights)
        weights = (weights.detach() - 0.2 * gradient).requires_grad_()
    np.testing.assert_allclose(weights.detach().numpy(), taught.numpy(), atol=1e-6)


def test_the_teacher_is_not_taught():
    teacher = torch.ones((1, 2), requires_grad=True)
    student = torch.tensor([[1.0, 0.0]], requires_grad=True)
    (class_distillation(student, teacher) + feature_distillation(student, teacher)).backward()
    assert teacher.grad is None


def test_features_of_another_width_are_refused():
    expected = (
        r"^the embeddings of student and teacher must have one shape .* \(2, 3\) and \(2, 4\)$"
    )
    with pytest.raises(BadArray, match=expected):
        feature_distillation(torch.ones((2, 3)), torch.ones((2, 4)))


def test_logits_of_other_classes_are_refused():
    with pytest.raises(BadArray, match=r"^the logits of student and .* \(1, 3\) and \(1, 2\)$"):
        class_distillation(torch.ones((1, 3)), torch.ones((1, 2)))


def test_a_temperature_of_0_is_refused():
    with pytest.raises(BadInput, match=r"^the temperature must be above 0 and finite; got 0$"):
        class_distillation(torch.ones((1, 3)), torch.ones((1, 3)), temperature=0)


def test_an_unknown_way_to_compare_is_refused():
    with pytest.raises(BadInput, match=r"^lengths must be 'raw' or 'unit'; got 'both'$"):
        feature_distillation(torch.ones((1, 3)), torch.ones((1, 3)), lengths="both")
