"""Li-ArcFace: the same fall for every radian."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadInput  # noqa: E402 - only where torch is
from tronie.lab.nn.margins.li_arcface import Margin  # noqa: E402

pytestmark = pytest.mark.lab


def test_logits_by_hand():
    cosine = torch.tensor([[1.0, 0.5, 0.0, -1.0]], dtype=torch.float64)  # 0, 60, 90, 180 degrees
    logits = Margin(scale=3, margin=math.pi / 6)(cosine, torch.tensor([1]))
    np.testing.assert_allclose(logits.numpy(), [[3, 0, 0, -3]], atol=1e-12)


def test_the_target_falls_by_the_same_amount_for_every_radian_past_pi_too():
    theta = torch.linspace(0.01, math.pi - 0.01, 50, dtype=torch.float64)
    labels = torch.zeros(50, dtype=torch.int64)
    logits = Margin(scale=1)(torch.cos(theta)[:, None], labels)[:, 0]
    np.testing.assert_allclose(torch.diff(logits) / torch.diff(theta), -2 / math.pi, rtol=1e-6)


def test_without_a_margin_the_own_column_is_as_the_others():
    cosine = torch.rand((3, 3), generator=torch.Generator().manual_seed(0))
    margin = Margin(margin=0)
    assert torch.equal(margin(cosine, torch.arange(3)), margin(cosine, torch.full((3,), -1)))


def test_on_the_centre_and_opposite_the_slope_is_at_most_1304_in_float32():
    cosine = torch.tensor([[1.0, -1.0]], requires_grad=True)
    Margin(scale=1)(cosine, torch.tensor([0])).sum().backward()
    np.testing.assert_allclose(cosine.grad.numpy(), 2 / math.pi * 2048, rtol=1e-3)


def test_a_margin_in_degrees_is_refused():
    with pytest.raises(BadInput, match=r"^margin must lie in \[0, 1.571\] radians; got 25$"):
        Margin(margin=25)
