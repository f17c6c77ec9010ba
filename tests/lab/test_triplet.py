"""Triplets: mining against loops over all of them, and the loss by its definition."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadArray, NotEnoughData  # noqa: E402 - only where torch is
from tronie.lab.nn.losses import triplet  # noqa: E402
from tronie.lab.nn.losses.triplet import semi_hard_triplets, triplet_loss  # noqa: E402

pytestmark = pytest.mark.lab


def bag(rows=24, identities=6, seed=0, spread=0.5):
    rng = np.random.default_rng(seed)
    names = np.sort(rng.integers(0, identities, rows))
    centers = rng.standard_normal((identities, 8))
    points = centers[names] + spread * rng.standard_normal((rows, 8))
    return torch.tensor(points), torch.tensor(names)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def squared(unit, i, j):
    return float(np.sum((unit[i] - unit[j]) ** 2))


def allowed_by_loops(points, names, margin, farthest=4.0):
    """For each pair (a, p), the set of semi-hard negatives."""
    unit = points.numpy() / np.linalg.norm(points.numpy(), axis=1, keepdims=True)
    allowed = {}
    for a in range(len(unit)):
        for p in range(a + 1, len(unit)):
            near = squared(unit, a, p)
            if names[a] != names[p] or near > farthest:
                continue
            allowed[a, p] = {
                n
                for n in range(len(unit))
                if names[n] != names[a] and near < squared(unit, a, n) < near + margin
            }
    return {pair: negatives for pair, negatives in allowed.items() if negatives}


@pytest.mark.parametrize("margin", [0.1, 0.3, 1.0])
def test_each_pair_that_has_a_semi_hard_negative_gets_one(margin, monkeypatch):
    monkeypatch.setattr(triplet, "_PAIRS_AT_ONCE", 7)
    points, names = bag()
    found = semi_hard_triplets(points, names, generator=seeded(), margin=margin)
    allowed = allowed_by_loops(points, names, margin)
    assert sorted((a, p) for a, p, _ in found.tolist()) == sorted(allowed)
    assert all(n in allowed[a, p] for a, p, n in found.tolist())


def test_every_semi_hard_negative_is_drawn_alike():
    points, names = bag(rows=12, identities=3)
    allowed = allowed_by_loops(points, names, 1.0)
    pair = max(allowed, key=lambda key: len(allowed[key]))
    generator = seeded()
    drawn = []
    for _ in range(300):
        rows = semi_hard_triplets(points, names, generator=generator, margin=1.0).tolist()
        drawn += [n for a, p, n in rows if (a, p) == pair]
    each = 300 / len(allowed[pair])
    assert set(drawn) == allowed[pair]
    assert all(abs(drawn.count(n) - each) < 5 * np.sqrt(each) for n in allowed[pair])


def test_pairs_that_are_too_far_apart_are_left_out():
    points, names = bag(spread=0.9)
    found = semi_hard_triplets(points, names, generator=seeded(), margin=1.0, farthest=0.8)
    allowed = allowed_by_loops(points, names, 1.0, farthest=0.8)
    assert 0 < len(allowed) < len(allowed_by_loops(points, names, 1.0))
    assert sorted((a, p) for a, p, _ in found.tolist()) == sorted(allowed)


def test_the_same_seed_draws_the_same_triplets():
    points, names = bag()
    first, again = (semi_hard_triplets(points, names, generator=seeded(3)) for _ in range(2))
    assert torch.equal(first, again)


def test_clusters_that_are_far_apart_have_no_semi_hard_negative_and_no_loss():
    points = torch.eye(2).repeat_interleave(2, dim=0).requires_grad_()
    found = semi_hard_triplets(points, torch.tensor([0, 0, 1, 1]), generator=seeded())
    assert found.shape == (0, 3)
    loss = triplet_loss(points, found)
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.equal(points.grad, torch.zeros_like(points))


def test_the_loss_is_its_definition_over_unit_vectors():
    points, names = bag()
    triplets = semi_hard_triplets(points, names, generator=seeded(), margin=0.5)
    unit = points.numpy() / np.linalg.norm(points.numpy(), axis=1, keepdims=True)
    terms = [
        max(0, squared(unit, a, p) - squared(unit, a, n) + 0.2) for a, p, n in triplets.tolist()
    ]
    assert 0 in terms  # of a smaller margin than was mined with
    assert float(triplet_loss(points, triplets, margin=0.2)) == pytest.approx(np.mean(terms))


def test_the_gradient_is_that_of_finite_differences():
    points, names = bag(rows=10, identities=3, spread=1.0)
    triplets = semi_hard_triplets(points, names, generator=seeded(), margin=1.0)
    assert len(triplets) > 2
    assert torch.autograd.gradcheck(lambda x: triplet_loss(x, triplets), points.requires_grad_())


def test_a_bag_with_one_identity_is_refused():
    expected = r"^a bag for triplets needs two identities, .* got 3 rows of 1 identities$"
    with pytest.raises(NotEnoughData, match=expected):
        semi_hard_triplets(torch.eye(3), torch.tensor([5, 5, 5]), generator=seeded())


def test_a_bag_without_a_pair_is_refused():
    with pytest.raises(NotEnoughData, match=r"got 3 rows of 3 identities$"):
        semi_hard_triplets(torch.eye(3), torch.tensor([1, 2, 3]), generator=seeded())


def test_identities_of_another_bag_are_refused():
    with pytest.raises(BadArray, match=r"^embeddings must have .* \(3, 3\) and \(2,\)$"):
        semi_hard_triplets(torch.eye(3), torch.tensor([1, 2]), generator=seeded())


def test_triplets_of_two_rows_are_refused():
    with pytest.raises(BadArray, match=r"^triplets must have shape \(T, 3\).*got shape \(1, 2\)$"):
        triplet_loss(torch.eye(3), torch.tensor([[0, 1]]))
