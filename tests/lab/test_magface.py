"""MagFace: the margin of a length, its gradient, and what a long embedding earns."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadInput  # noqa: E402 - only where torch is
from tronie.lab.nn.margins.arcface import Margin as ArcFace  # noqa: E402
from tronie.lab.nn.margins.magface import Margin  # noqa: E402

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    ("length", "angular"), [(3, 0.45), (10, 0.45), (60, 0.625), (110, 0.8), (500, 0.8)]
)
def test_a_length_has_its_margin(length, angular):
    cosine = torch.tensor([[0.5, 0.2]], dtype=torch.float64)
    own = torch.tensor([0])
    lengths = torch.tensor([length], dtype=torch.float64)
    ours = Margin()(cosine, own, norms=lengths)
    np.testing.assert_allclose(ours.numpy(), ArcFace(margin=angular)(cosine, own).numpy())


@pytest.mark.parametrize("theta", [0.7, 1.5, 2.9])  # the last one beyond pi - m
def test_the_target_is_differentiated_by_the_length_too(theta):
    margin = Margin()
    cosine = torch.tensor([[math.cos(theta), 0.2]], dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([50.0], dtype=torch.float64, requires_grad=True)
    own = torch.tensor([0])
    assert torch.autograd.gradcheck(lambda c, a: margin(c, own, norms=a), (cosine, lengths))


def test_a_length_that_is_clipped_has_no_gradient():
    lengths = torch.tensor([3.0, 300.0], requires_grad=True)
    margin = Margin()
    logits = margin(torch.zeros((2, 2)), torch.tensor([0, 1]), norms=lengths)
    (logits.sum() + margin.penalty(lengths)).backward()
    assert lengths.grad.tolist() == [0, 0]


def test_the_penalty_is_the_mean_of_its_formula():
    lengths = torch.tensor([20.0, 80.0, 5.0], dtype=torch.float64)
    each = [a / 110**2 + 1 / a for a in (20, 80, 10)]
    assert float(Margin().penalty(lengths)) == pytest.approx(35 * sum(each) / 3)


def test_the_penalty_falls_up_to_the_longest():
    lengths = torch.linspace(10, 110, 101, dtype=torch.float64)
    penalties = torch.stack([Margin().penalty(a[None]) for a in lengths])
    assert float(penalties.diff().max()) < 0
    last = torch.tensor([110.0], dtype=torch.float64, requires_grad=True)
    Margin().penalty(last).backward()
    assert float(last.grad) == pytest.approx(0, abs=1e-12)  # the minimum of g


def test_without_lengths_it_is_refused():
    with pytest.raises(BadInput, match=r"^this margin depends on the lengths of the raw"):
        Margin()(torch.zeros((1, 2)), torch.tensor([0]))


def test_a_longest_below_the_shortest_is_refused():
    with pytest.raises(BadInput, match=r"^longest must be above shortest, 10; got 5$"):
        Margin(longest=5)


def test_a_largest_margin_below_the_least_is_refused():
    with pytest.raises(BadInput, match=r"^largest_margin must lie in \[0.45, 1.571\] radians; got"):
        Margin(largest_margin=0.1)
