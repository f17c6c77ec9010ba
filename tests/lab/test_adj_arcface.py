"""adj-ArcFace: weights of the other classes, and what the gradient makes of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadInput  # noqa: E402 - only where torch is
from tronie.lab.nn.margins.adj_arcface import Margin  # noqa: E402
from tronie.lab.nn.margins.arcface import Margin as ArcFace  # noqa: E402

pytestmark = pytest.mark.lab

OWN = torch.zeros(1, dtype=torch.int64)


def test_with_weights_that_are_all_one_it_is_arcface():
    cosine = torch.rand((7, 5), generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    labels = torch.arange(7) % 5
    ours = Margin(alpha=1, sigma=1e12)(cosine, labels)
    np.testing.assert_allclose(ours.numpy(), ArcFace()(cosine, labels).numpy(), atol=1e-9)


def test_a_class_at_the_target_weighs_alpha_and_one_far_away_less():
    a = math.cos(1.2 + 0.5)
    cosine = torch.tensor([[math.cos(1.2), a, -1.0, 1.0]], dtype=torch.float64)
    at_target, opposite, on_centre = Margin(scale=1)(cosine, OWN)[0, 1:].tolist()
    assert at_target == pytest.approx(1.2 * (a + 1) - 1)
    assert opposite == -1  # whatever it weighs
    weight = (on_centre + 1) / 2
    assert weight == pytest.approx(1.2 * math.exp(-((1 - a) ** 2) / 2))


def slopes(gradient, others, target):
    cosine = torch.tensor([[0.0, *others]], dtype=torch.float64, requires_grad=True)
    there = torch.tensor([target], dtype=torch.float64)
    Margin(scale=1, gradient=gradient)(cosine, OWN, target=there).sum().backward()
    return cosine.grad[0, 1:].tolist()


def test_held_weights_push_every_class_away_and_exact_ones_give_far_classes_up():
    others, target = [-0.5, 0.2, 0.9], math.cos(1.7)
    a = math.cos(1.7 + 0.5)
    weights = [1.2 * math.exp(-((c - a) ** 2) / 2) for c in others]
    held, exact = slopes("straight_through", others, target), slopes("exact", others, target)
    np.testing.assert_allclose(held, weights)
    factors = [1 - (c + 1) * (c - a) for c in others]
    np.testing.assert_allclose(exact, np.multiply(weights, factors))
    assert min(held) > 0 > exact[2]


def test_the_target_draws_no_gradient_through_the_weights():
    cosine = torch.tensor([[0.3, 0.2]], dtype=torch.float64, requires_grad=True)
    Margin(scale=1)(cosine, OWN)[0, 1].backward()
    assert float(cosine.grad[0, 0]) == 0


def test_a_width_of_0_is_refused():
    with pytest.raises(BadInput, match=r"^sigma must be above 0 and finite; got 0$"):
        Margin(sigma=0)
