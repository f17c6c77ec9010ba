"""ArcFace: the equation, its continuation, its two gradients, and its limit."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadInput  # noqa: E402 - only where torch is
from tronie.lab.nn.margins.arcface import Margin  # noqa: E402
from tronie.lab.nn.margins.normface import Margin as NormFace  # noqa: E402

pytestmark = pytest.mark.lab

OWN = torch.zeros(1, dtype=torch.int64)


def at(theta, other=0.2):
    return torch.tensor([[math.cos(theta), other]], dtype=torch.float64)


def test_the_target_is_the_cosine_of_the_angle_with_its_margin():
    logits = Margin(margin=math.pi / 6)(at(math.pi / 3), OWN)
    np.testing.assert_allclose(logits.numpy(), [[0, 64 * 0.2]], atol=1e-12)  # 60 and 30 degrees


def test_past_pi_minus_m_the_logit_starts_lower_by_0_117_and_falls_on():
    joint = math.pi - 0.5
    before, after = (float(Margin(scale=1)(at(joint + d), OWN)[0, 0]) for d in (-1e-9, 1e-9))
    assert before == pytest.approx(-1)
    assert after - before == pytest.approx(1 - math.cos(0.5) - 0.5 * math.sin(0.5))
    assert after - before == pytest.approx(-0.1173, abs=5e-5)
    opposite = float(Margin(scale=1)(at(math.pi), OWN)[0, 0])
    assert opposite == pytest.approx(-1 - 0.5 * math.sin(0.5))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_a_margin_it_is_normface_in_value_and_gradient_at_the_ends_too(dtype):
    cosine = torch.cos(torch.linspace(0, math.pi, 99, dtype=dtype))[:, None].requires_grad_()
    labels = torch.zeros(99, dtype=torch.int64)
    margin = Margin(margin=0)(cosine, labels)
    assert torch.equal(margin, NormFace()(cosine, labels))
    margin.sum().backward()
    assert torch.equal(cosine.grad, torch.full_like(cosine, 64))


def gradient_of_loss(margin, cosine):
    """d loss / d cosine of the own column, and the probability of the own class."""
    cosine = cosine.clone().requires_grad_()
    logits = margin(cosine, OWN)
    torch.nn.functional.cross_entropy(logits, OWN).backward()
    return float(cosine.grad[0, 0]), float(torch.softmax(logits.detach(), dim=1)[0, 0])


def test_the_exact_gradient_has_the_factor_that_the_straight_one_leaves_out():
    theta, m, s = 1.1, 0.5, 8.0
    exact, p = gradient_of_loss(Margin(scale=s, margin=m), at(theta))
    straight, _ = gradient_of_loss(
        Margin(scale=s, margin=m, gradient="straight_through"), at(theta)
    )
    assert straight == pytest.approx(s * (p - 1))
    assert exact == pytest.approx(s * (p - 1) * math.sin(theta + m) / math.sin(theta))


def test_on_the_centre_the_slope_is_large_and_finite():
    cosine = torch.ones((1, 1), requires_grad=True)
    Margin(scale=1, margin=0.5)(cosine, OWN).backward()
    floor = math.sqrt(2 * torch.finfo(torch.float32).eps)
    assert float(cosine.grad) == pytest.approx(math.sin(floor + 0.5) / math.sin(floor), rel=1e-3)


def test_a_margin_in_degrees_is_refused():
    with pytest.raises(BadInput, match=r"^margin must lie in \[0, 1.571\] radians; got 30$"):
        Margin(margin=30)


def test_an_unknown_gradient_is_refused():
    with pytest.raises(
        BadInput, match=r"^gradient must be 'exact' or 'straight_through'; got 'on'"
    ):
        Margin(gradient="on")
