"""The combined margin: each of its three parts alone is the margin of another paper."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadInput  # noqa: E402 - only where torch is
from tronie.lab.nn.margins.arcface import Margin as ArcFace  # noqa: E402
from tronie.lab.nn.margins.combined import Margin  # noqa: E402
from tronie.lab.nn.margins.cosface import Margin as CosFace  # noqa: E402
from tronie.lab.nn.margins.normface import Margin as NormFace  # noqa: E402
from tronie.lab.nn.margins.sphereface import Margin as SphereFace  # noqa: E402

pytestmark = pytest.mark.lab


def value_and_slope(margin, theta):
    cosine = torch.tensor(np.cos(theta))[:, None].requires_grad_()
    logits = margin(cosine, torch.zeros(len(theta), dtype=torch.int64))
    logits.sum().backward()
    return logits.detach().numpy(), cosine.grad.numpy()


@pytest.mark.parametrize(
    ("parts", "paper", "widest"),
    [
        ({"m1": 1.7, "m2": 0, "m3": 0}, SphereFace(scale=64, margin=1.7), math.pi),
        ({"m1": 1, "m2": 0.5, "m3": 0}, ArcFace(margin=0.5), math.pi - 0.51),
        ({"m1": 1, "m2": 0, "m3": 0.35}, CosFace(margin=0.35), math.pi),
        ({"m1": 1, "m2": 0, "m3": 0}, NormFace(), math.pi),
    ],
    ids=["sphereface", "arcface", "cosface", "normface"],
)
def test_one_part_alone_is_the_margin_of_its_paper(parts, paper, widest):
    theta = np.linspace(0, widest, 199)
    ours, theirs = value_and_slope(Margin(**parts), theta), value_and_slope(paper, theta)
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-12)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-7, atol=1e-9)


def test_all_three_parts_count_at_once():
    ours, _ = value_and_slope(Margin(scale=1, m1=0.9, m2=0.4, m3=0.15), np.array([1.0]))
    assert ours.item() == pytest.approx(math.cos(1.3) - 0.15)


def test_it_goes_through_pi_without_a_step():
    joint = (math.pi - 0.3) / 2
    (before, after), slopes = value_and_slope(
        Margin(scale=1, m1=2, m2=0.3, m3=0), np.array([joint - 1e-7, joint + 1e-7])
    )
    assert before == pytest.approx(-1)
    assert after == pytest.approx(-1)
    np.testing.assert_allclose(slopes, 0, atol=1e-6)


@pytest.mark.parametrize("part", [{"m1": 0.1}, {"m2": -0.1}, {"m3": 3.0}])
def test_a_part_out_of_its_range_is_refused_by_its_name(part):
    ((name, value),) = part.items()
    with pytest.raises(BadInput, match=rf"^{name} must lie in .*; got {value:g}$"):
        Margin(**part)
