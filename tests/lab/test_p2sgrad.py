"""P2SGrad: the loss has the gradient that the paper writes down, in any number of shards."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.margins.p2sgrad import Margin  # noqa: E402 - only where torch is

pytestmark = pytest.mark.lab


def embeddings_and_centers(classes=4):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((6, 8)), rng.standard_normal((classes, 8))
    return x, w, rng.integers(0, classes, 6)


def test_it_says_that_there_is_no_softmax():
    assert not Margin.softmax


def test_the_loss_is_half_the_squared_distance_of_cosines_to_one_hot():
    cosine = torch.tensor([[0.5, 0.2], [-1.0, 1.0]], dtype=torch.float64)
    loss = Margin().loss(cosine, torch.tensor([0, 1]))
    np.testing.assert_allclose(loss.numpy(), [(0.25 + 0.04) / 2, 0.5])


def test_gradients_of_embeddings_and_centres_are_those_of_the_paper():
    """Sums over j of (cos_j - [j = y]) d cos_j / dx, written as loops."""
    x, w, y = embeddings_and_centers()
    leaf_x, leaf_w = (torch.tensor(values, requires_grad=True) for values in (x, w))
    unit = torch.nn.functional.normalize
    Margin().loss(unit(leaf_x) @ unit(leaf_w).T, torch.tensor(y)).sum().backward()
    by_x, by_w = np.zeros_like(x), np.zeros_like(w)
    for i in range(len(x)):
        for j in range(len(w)):
            a, b = x[i] / np.linalg.norm(x[i]), w[j] / np.linalg.norm(w[j])
            wrong = a @ b - (j == y[i])
            by_x[i] += wrong * (b - (a @ b) * a) / np.linalg.norm(x[i])
            by_w[j] += wrong * (a - (a @ b) * b) / np.linalg.norm(w[j])
    np.testing.assert_allclose(leaf_x.grad.numpy(), by_x, atol=1e-12)
    np.testing.assert_allclose(leaf_w.grad.numpy(), by_w, atol=1e-12)


def test_the_loss_of_a_row_is_the_sum_over_the_shards():
    cosine = torch.tensor(np.random.default_rng(1).uniform(-1, 1, (5, 7)))
    labels = torch.tensor([0, 2, 3, 6, 6])
    whole = Margin().loss(cosine, labels)
    parts = torch.zeros_like(whole)
    for first, last in ((0, 3), (3, 3), (3, 7)):
        columns = torch.where((labels >= first) & (labels < last), labels - first, -1)
        parts += Margin().loss(cosine[:, first:last], columns)
    np.testing.assert_allclose(parts.numpy(), whole.numpy())


def test_the_pull_to_the_own_centre_does_not_depend_on_how_many_classes_there_are():
    pulls = []
    for classes in (2, 2000):
        cosine = torch.zeros((1, classes), requires_grad=True)
        Margin().loss(cosine, torch.tensor([0])).sum().backward()
        pulls.append(cosine.grad[0].tolist())
    assert pulls[0][0] == pulls[1][0] == -1
    assert set(pulls[1][1:]) == {0}  # right angles are where the others belong
