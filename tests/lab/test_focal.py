"""The quality focal loss beside its formula in numpy."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.losses.focal import quality_focal_loss  # noqa: E402 - only where torch is

pytestmark = pytest.mark.lab
torch.set_num_threads(1)

LOGITS = np.linspace(-6, 6, 41)
QUALITY = np.linspace(0, 1, 11)


def paper(logits, quality, beta):
    p = 1 / (1 + np.exp(-logits))
    return np.abs(quality - p) ** beta * (-quality * np.log(p) - (1 - quality) * np.log(1 - p))


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.0])
def test_the_loss_is_the_formula(beta):
    logits, quality = np.meshgrid(LOGITS, QUALITY)
    got = quality_focal_loss(torch.tensor(logits), torch.tensor(quality), beta=beta)
    np.testing.assert_allclose(got, paper(logits, quality, beta), atol=1e-12)


def test_a_score_that_says_the_quality_costs_nothing():
    quality = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    torch.testing.assert_close(
        quality_focal_loss(torch.logit(quality), quality), torch.zeros(3, dtype=torch.float64)
    )


def test_the_gradient_flows_through_the_factor_too():
    logits = torch.tensor(LOGITS, requires_grad=True)
    for quality in (0.0, 0.37):
        wanted = torch.full_like(logits, quality).detach()
        assert torch.autograd.gradcheck(lambda x, y=wanted: quality_focal_loss(x, y), (logits,))


def test_far_logits_stay_finite():
    logits = torch.tensor([-1e4, 1e4], requires_grad=True)
    loss = quality_focal_loss(logits, torch.tensor([1.0, 0.0]))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert logits.grad.isfinite().all()
