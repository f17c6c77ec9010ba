"""Full softmax: the formula in NumPy, any floating type, and SGD of the centers."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.heads.full_softmax import Head  # noqa: E402 - only where torch is
from tronie.lab.nn.margins import arcface, cosface, normface  # noqa: E402

pytestmark = pytest.mark.lab

C, D = 11, 4
LABELS = torch.tensor([0, 10, 3, 3, 7])
SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}


def embeddings(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(5, D, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()


def head(margin=None):
    return Head(classes=C, dimension=D, margin=margin or normface.Margin(), seed=2)


def test_the_loss_is_the_formula():
    made, x = head(cosface.Margin(margin=0.35)).double(), embeddings()
    raw, w = x.detach().numpy(), made.centers.values.numpy()
    cosine = (raw / np.linalg.norm(raw, axis=1)[:, None]) @ (
        w / np.linalg.norm(w, axis=1)[:, None]
    ).T
    cosine[np.arange(5), LABELS] -= 0.35
    p = np.exp(64 * cosine)
    p /= p.sum(axis=1, keepdims=True)
    expected = -np.log(p[np.arange(5), LABELS]).mean()
    np.testing.assert_allclose(made(x, LABELS).item(), expected, rtol=1e-12)


def test_it_trains_as_a_dense_layer_under_torchs_sgd():
    """The same softmax by torch's own functions, five steps."""
    made = head().double()
    weight = torch.nn.Parameter(made.centers.values.clone())
    optimizer = torch.optim.SGD([weight], **SGD)
    for _ in range(5):
        x, y = embeddings(), embeddings()
        made(x, LABELS).backward()
        made.step(**SGD)
        optimizer.zero_grad()
        cosine = torch.nn.functional.linear(
            *(torch.nn.functional.normalize(a) for a in (y, weight))
        )
        torch.nn.functional.cross_entropy(64 * cosine, LABELS).backward()
        optimizer.step()
        np.testing.assert_allclose(x.grad, y.grad, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(made.centers.values, weight.detach(), rtol=1e-10)


def test_the_gradient_of_an_embedding_is_orthogonal_to_it():
    x = embeddings()
    head(arcface.Margin()).double()(x, LABELS).backward()
    np.testing.assert_allclose((x.grad * x).sum(dim=1).detach(), 0, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_embeddings_of_16_bits_are_compared_in_float32_also_under_autocast(dtype):
    made, x = head(), embeddings(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = made(x, LABELS)
    assert loss.dtype == torch.float32
    plain = made(x.detach().float(), LABELS)
    assert loss.item() == plain.item()
    loss.backward()
    assert x.grad.dtype == dtype


def test_a_batch_of_one_is_a_batch():
    """Squeezed labels break the released code here."""
    x = embeddings()[:1]
    assert head().double()(x, LABELS[:1]).ndim == 0


def test_memory_is_planned_for_the_rows_of_all_ranks():
    plan = head().memory_plan(8)
    assert plan["centers"] == plan["sampled"] == C * D * 4
    assert plan["gathered"] == 8 * (6 * D * 4 + 8)
