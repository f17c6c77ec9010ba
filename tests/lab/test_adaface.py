"""AdaFace: three margins by the length of the embedding, and the statistics they are told by."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadInput  # noqa: E402 - only where torch is
from tronie.lab.nn.margins.adaface import Margin  # noqa: E402
from tronie.lab.nn.margins.arcface import Margin as ArcFace  # noqa: E402
from tronie.lab.nn.margins.cosface import Margin as CosFace  # noqa: E402

pytestmark = pytest.mark.lab

OWN = torch.zeros(1, dtype=torch.int64)


def of_length(length, theta=1.0):
    margin = Margin().eval()
    margin.mean.fill_(20)
    margin.deviation.fill_(1)
    cosine = torch.tensor([[math.cos(theta), 0.2]], dtype=torch.float64)
    return margin(cosine, OWN, norms=torch.tensor([length], dtype=torch.float64)), cosine


def test_a_short_embedding_has_the_margin_of_arcface():
    logits, cosine = of_length(5.0)
    np.testing.assert_allclose(logits.numpy(), ArcFace(margin=0.4)(cosine, OWN).numpy())


def test_an_average_embedding_has_the_margin_of_cosface():
    logits, cosine = of_length(20.0)
    np.testing.assert_allclose(logits.numpy(), CosFace(margin=0.4)(cosine, OWN).numpy())


def test_a_long_embedding_is_turned_towards_its_centre_and_lowered_twice():
    logits, _ = of_length(50.0)
    assert float(logits[0, 0]) == pytest.approx(64 * (math.cos(1.0 - 0.4) - 0.8))


@pytest.mark.parametrize(("length", "theta", "turned"), [(50.0, 0.1, 0.0), (5.0, 3.0, math.pi)])
def test_an_angle_is_turned_no_further_than_its_ends(length, theta, turned):
    logits, _ = of_length(length, theta)
    added = 0.8 if length > 20 else 0.0
    assert float(logits[0, 0]) == pytest.approx(64 * (math.cos(turned) - added))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_concentration_it_is_cosface_in_value_and_gradient(dtype):
    cosine = torch.cos(torch.linspace(0, math.pi, 99, dtype=dtype))[:, None].requires_grad_()
    labels = torch.zeros(99, dtype=torch.int64)
    lengths = torch.linspace(1, 90, 99, dtype=dtype)
    ours = Margin(concentration=0)(cosine, labels, norms=lengths)
    theirs = CosFace(margin=0.4)(cosine, labels)
    np.testing.assert_allclose(ours.detach(), theirs.detach(), atol=3e-5)
    ours.sum().backward()
    np.testing.assert_allclose(cosine.grad.numpy(), 64)


def test_mean_and_deviation_move_by_the_batch_with_lengths_clipped():
    margin = Margin(momentum=0.9)
    lengths = torch.tensor([10.0, 30.0, 500.0])
    margin(torch.zeros((3, 2)), torch.tensor([0, 1, -1]), norms=lengths)
    clipped = np.array([10.0, 30.0, 100.0])
    assert float(margin.mean) == pytest.approx(0.9 * 20 + 0.1 * clipped.mean())
    assert float(margin.deviation) == pytest.approx(0.9 * 100 + 0.1 * clipped.std(ddof=1))


def test_they_move_before_they_are_used():
    margin = Margin(momentum=0, concentration=1)
    lengths = torch.tensor([10.0, 30.0], dtype=torch.float64)
    cosine = torch.full((2, 1), 0.5, dtype=torch.float64)
    logits = margin(cosine, torch.zeros(2, dtype=torch.int64), norms=lengths)
    z = 10 / (math.sqrt(200) + 1e-3)
    oracle = [math.cos(math.pi / 3 - 0.4 * q) - 0.4 - 0.4 * q for q in (-z, z)]
    np.testing.assert_allclose(logits[:, 0].numpy(), np.multiply(64, oracle))


def test_a_batch_of_one_moves_the_mean_alone():
    margin = Margin(momentum=0.5)
    margin(torch.zeros((1, 2)), OWN, norms=torch.tensor([40.0]))
    assert float(margin.mean) == 30
    assert float(margin.deviation) == 100


def test_lengths_are_not_differentiated():
    lengths = torch.tensor([25.0], requires_grad=True)
    cosine = torch.zeros((1, 2), requires_grad=True)
    margin = Margin()
    margin(cosine, OWN, norms=lengths).sum().backward()
    assert lengths.grad is None
    assert not margin.mean.requires_grad  # nor does it keep the graph of past steps


def test_evaluation_moves_nothing_and_a_checkpoint_keeps_both():
    margin = Margin(momentum=0.5)
    margin(torch.zeros((1, 2)), OWN, norms=torch.tensor([40.0]))
    margin.eval()(torch.zeros((1, 2)), OWN, norms=torch.tensor([90.0]))
    resumed = Margin()
    resumed.load_state_dict(margin.state_dict())
    assert float(resumed.mean) == 30


def test_without_lengths_it_is_refused():
    with pytest.raises(BadInput, match=r"^this margin depends on the lengths of the raw"):
        Margin()(torch.zeros((1, 2)), OWN)
