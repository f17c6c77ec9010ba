"""Sub-centers: the nearest of K, by a loop in NumPy; one a class is the full softmax."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadInput  # noqa: E402 - only where torch is
from tronie.lab.nn.heads import full_softmax, subcenter  # noqa: E402
from tronie.lab.nn.margins import cosface  # noqa: E402

pytestmark = pytest.mark.lab

C, D = 7, 4
LABELS = torch.tensor([0, 6, 3, 3])
SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}


def embeddings():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, D, generator=generator, dtype=torch.float64).requires_grad_()


def head(subcenters):
    margin = cosface.Margin(margin=0.35)
    made = subcenter.Head(classes=C, dimension=D, margin=margin, seed=2, subcenters=subcenters)
    return made.double()


def nearest_of(made, x):
    """(row, class) -> (cosine, which sub-center), one at a time."""
    w = made.centers.values.numpy().reshape(C, made.subcenters, D)
    found = {}
    for i, row in enumerate(x.detach().numpy()):
        for j in range(C):
            cosines = [row @ c / np.linalg.norm(row) / np.linalg.norm(c) for c in w[j]]
            found[i, j] = max(cosines), int(np.argmax(cosines))
    return found


def test_the_loss_is_that_of_the_nearest_sub_centers():
    made, x = head(3), embeddings()
    near = nearest_of(made, x)
    losses = []
    for i, label in enumerate(LABELS.tolist()):
        logits = np.array([64 * (near[i, j][0] - 0.35 * (j == label)) for j in range(C)])
        top = logits.max()
        losses.append(top + np.log(np.exp(logits - top).sum()) - logits[label])
    np.testing.assert_allclose(made(x, LABELS).item(), np.mean(losses), rtol=1e-12)


def test_only_sub_centers_that_were_nearest_to_a_row_get_a_gradient():
    made, x = head(3), embeddings()
    nearest = {(j, which) for (_, j), (_, which) in nearest_of(made, x).items()}
    made(x, LABELS).backward()
    (gradient,) = made.gradients()
    moved = gradient.view(C, 3, D).abs().sum(dim=2).nonzero().tolist()
    assert {tuple(one) for one in moved} <= nearest
    assert len(nearest) < 3 * C


def test_one_sub_center_is_the_full_softmax():
    margin = cosface.Margin(margin=0.35)
    full = full_softmax.Head(classes=C, dimension=D, margin=margin, seed=2).double()
    one = head(1)
    for _ in range(3):
        x, y = embeddings(), embeddings()
        for made, given in ((full, x), (one, y)):
            loss = made(given, LABELS)
            loss.backward()
            made.step(**SGD)
        assert torch.equal(x.grad, y.grad)
    assert torch.equal(full.centers.values, one.centers.values)


def test_memory_is_planned_for_k_centers_a_class():
    plan = head(3).memory_plan(2)
    assert plan["centers"] == 3 * C * D * 4
    assert plan["logits"] == 4 * 2 * 3 * C * 4


def test_no_sub_centers_are_refused():
    with pytest.raises(BadInput, match="subcenters must be 1 or more; got 0"):
        head(0)
