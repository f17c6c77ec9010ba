"""SphereFace: a factor of the angle, let in slowly, with a fixed scale or the length's."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadInput  # noqa: E402 - only where torch is
from tronie.lab.nn.margins.normface import Margin as NormFace  # noqa: E402
from tronie.lab.nn.margins.sphereface import Margin  # noqa: E402

pytestmark = pytest.mark.lab

OWN = torch.zeros(1, dtype=torch.int64)


def at(theta):
    return torch.tensor([[math.cos(theta), 0.2]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("degrees", "value"), [(30, -0.5), (45, -1), (60, -1.5), (90, -3), (135, -5), (180, -7)]
)
def test_four_times_the_angle_by_hand(degrees, value):
    """cos 120, cos 180, -cos 240 - 2, cos 360 - 4, -cos 540 - 6, cos 720 - 8."""
    logits = Margin(scale=1, margin=4)(at(math.radians(degrees)), OWN)
    assert float(logits[0, 0]) == pytest.approx(value)


def test_a_factor_of_one_is_normface_in_value_and_gradient():
    cosine = torch.cos(torch.linspace(0, math.pi, 99))[:, None].requires_grad_()
    labels = torch.zeros(99, dtype=torch.int64)
    logits = Margin(scale=64, margin=1)(cosine, labels)
    np.testing.assert_allclose(
        logits.detach().numpy(), NormFace()(cosine, labels).detach().numpy(), atol=2e-5
    )
    logits.sum().backward()
    np.testing.assert_allclose(cosine.grad.numpy(), 64)


def test_lambda_falls_with_the_steps_of_training_and_not_below_its_least():
    margin = Margin(scale=1, margin=4, lambda_start=10, lambda_least=2, lambda_decay=1)
    theta = math.radians(90)  # psi is -3 and the cosine 0, so that the logit is -3 / (1 + lambda)
    found = [-3 / float(margin(at(theta), OWN)[0, 0]) - 1 for _ in range(7)]
    np.testing.assert_allclose(found, [10, 5, 10 / 3, 2.5, 2, 2, 2])


def test_evaluation_counts_no_steps_and_a_checkpoint_keeps_them():
    margin = Margin(lambda_start=10)
    margin(at(1.0), OWN)
    margin.eval()(at(1.0), OWN)
    resumed = Margin(lambda_start=10)
    resumed.load_state_dict(margin.state_dict())
    assert int(resumed.steps) == 1


def test_without_a_scale_the_length_is_the_scale_and_is_learned():
    margin = Margin(scale=None, margin=4)
    assert margin.needs_norms
    lengths = torch.tensor([7.0], dtype=torch.float64, requires_grad=True)
    logits = margin(at(math.pi / 2), OWN, norms=lengths)
    np.testing.assert_allclose(logits.detach().numpy(), [[-21, 1.4]])
    logits.sum().backward()
    assert float(lengths.grad) == pytest.approx(-3 + 0.2)


def test_without_a_scale_and_without_lengths_it_is_refused():
    with pytest.raises(BadInput, match=r"^this margin depends on the lengths of the raw"):
        Margin(scale=None)(at(1.0), OWN)


def test_a_factor_below_one_is_refused():
    with pytest.raises(BadInput, match=r"^margin must lie in \[1, 8\]; got 0.5$"):
        Margin(margin=0.5)
