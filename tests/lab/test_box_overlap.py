"""Overlaps beside numpy's, and a loss beside its formula written out."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.geometry import boxes as numpy_boxes  # noqa: E402 - only where torch is
from tronie.lab.nn.losses.box_overlap import diou_loss, iou  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


def drawn(count, seed):
    draw = np.random.default_rng(seed)
    upper = draw.uniform(0, 60, (count, 2))
    return np.concatenate([upper, upper + draw.uniform(1, 50, (count, 2))], axis=1)


def paper(a, b):
    """Equation 7 of one pair, number by number."""
    (share,) = numpy_boxes.iou(a[None], b[None])[0]
    centers = ((a[0] + a[2] - b[0] - b[2]) / 2) ** 2 + ((a[1] + a[3] - b[1] - b[3]) / 2) ** 2
    width = max(a[2], b[2]) - min(a[0], b[0])
    height = max(a[3], b[3]) - min(a[1], b[1])
    return 1 - share + centers / (width**2 + height**2)


def test_every_pair_overlaps_as_numpy_says():
    a, b = drawn(7, 0), drawn(9, 1)
    got = iou(torch.tensor(a)[:, None], torch.tensor(b))
    np.testing.assert_allclose(got, numpy_boxes.iou(a, b), atol=1e-12)


def test_the_loss_is_the_formula():
    a, b = drawn(50, 2), drawn(50, 3)
    wanted = [paper(*pair) for pair in zip(a, b, strict=True)]
    np.testing.assert_allclose(diou_loss(torch.tensor(a), torch.tensor(b)), wanted, atol=1e-12)


def test_a_perfect_box_costs_nothing_and_the_farthest_nearly_two():
    box = torch.tensor([[0.0, 0, 1, 1], [0, 0, 1, 1]])
    other = torch.tensor([[0.0, 0, 1, 1], [1e4, 0, 1e4 + 1, 1]])
    loss = diou_loss(box, other)
    assert loss[0] == 0
    assert 1.99 < loss[1] < 2


def test_the_gradient_is_that_of_the_loss_also_where_nothing_is_shared():
    a, b = torch.tensor(drawn(30, 4), requires_grad=True), torch.tensor(drawn(30, 5))
    assert (iou(a, b) == 0).any()
    assert torch.autograd.gradcheck(lambda x: diou_loss(x, b), (a,))
    apart = torch.tensor([[0.0, 0.0, 1.0, 1.0]], requires_grad=True)
    diou_loss(apart, torch.tensor([[5.0, 0.0, 6.0, 1.0]])).sum().backward()
    assert apart.grad[0, [0, 2]].sum() < 0  # descent moves it to the right, toward the other


def test_boxes_without_area_or_turned_round_share_nothing_and_stay_finite():
    flat = torch.tensor([[3.0, 3, 3, 3], [9, 9, 1, 1], [3, 3, 3, 3]], requires_grad=True)
    other = torch.tensor([[0.0, 0, 8, 8], [0, 0, 8, 8], [3, 3, 3, 3]])
    assert (iou(flat, other) == 0).all()
    loss = diou_loss(flat, other)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert flat.grad.isfinite().all()


def test_none_is_none():
    assert diou_loss(torch.empty(0, 4), torch.empty(0, 4)).shape == (0,)
