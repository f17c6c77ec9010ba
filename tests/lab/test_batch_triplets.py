"""Triplets of a batch: the plain loss of what is mined, the same draw for the same step."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.lab.training.batch_triplets import batch_triplet_loss  # noqa: E402
from tronie.lab.training.recipe import Triplets  # noqa: E402 - only where torch is

pytestmark = pytest.mark.lab

ROWS = torch.randn(12, 5, generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor([0, 0, 0, 1, 1, 2, 3, 3, 4, 5, 5, 5])


def test_a_pair_with_one_possible_negative_costs_what_the_formula_says():
    """Two of one person, one of another that is semi-hard, one that is too far."""
    unit = torch.tensor([[1.0, 0.0], [0.9, 0.436], [0.85, -0.527], [-1.0, 0.0]])
    rows = (3 * torch.nn.functional.normalize(unit)).requires_grad_()
    loss = batch_triplet_loss(
        rows, torch.tensor([0, 0, 1, 2]), Triplets(weight=9.0, margin=0.3), seed=0, step=0
    )
    a, p, n = torch.nn.functional.normalize(unit)[:3].numpy()
    wanted = ((a - p) ** 2).sum() - ((a - n) ** 2).sum() + 0.3
    assert loss.item() == pytest.approx(float(wanted), rel=1e-5)
    loss.backward()
    assert not rows.grad[3].any()
    assert rows.grad[:3].abs().sum(dim=1).min() > 0


def test_what_is_drawn_belongs_to_the_seed_and_the_step():
    def loss(**given):
        return float(batch_triplet_loss(ROWS, LABELS, Triplets(margin=2.0), **given))

    torch.manual_seed(5)
    first = loss(seed=1, step=3)
    torch.manual_seed(6)
    assert loss(seed=1, step=3) == first
    others = [loss(seed=seed, step=step) for seed, step in ((1, 4), (2, 3), (1, 5))]
    assert all(not np.isclose(one, first) for one in others)


def test_a_batch_without_a_pair_teaches_nothing():
    rows = ROWS.clone().requires_grad_()
    loss = batch_triplet_loss(rows, torch.arange(12), Triplets(), seed=0, step=0)
    loss.backward()
    assert loss.item() == 0
    assert not rows.grad.any()
