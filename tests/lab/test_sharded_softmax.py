"""The loss from slices of the classes: NumPy's softmax, exact gradients, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadArray  # noqa: E402 - only where torch is
from tronie.lab.nn.class_centers import ClassCenters  # noqa: E402
from tronie.lab.nn.margins import adacos, cosface, magface, p2sgrad  # noqa: E402
from tronie.lab.nn.sharded_softmax import gather_batch, margin_loss  # noqa: E402

pytestmark = pytest.mark.lab

B, C, D = 4, 7, 3
LABELS = torch.tensor([0, 6, 2, 2])


def drawn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def batch_of(embeddings, labels=LABELS, classes=C):
    centers = ClassCenters(classes=classes, width=D, seed=0).double()
    return gather_batch(centers, embeddings, labels, dimension=D)


def cosine_of(seed=1):
    return torch.tanh(drawn(B, C, seed=seed))


def numpy_loss(logits, own):
    """The definition: minus the mean logarithm of the softmax of each row's own column."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(p)), own]).mean()


def cosface_logits(cosine):
    logits = 64.0 * cosine.numpy().copy()
    logits[np.arange(B), LABELS] -= 64.0 * 0.35
    return logits


def test_the_loss_is_minus_the_mean_log_softmax_of_what_the_margin_makes():
    cosine = cosine_of()
    loss = margin_loss(cosine, LABELS, batch_of(drawn(B, D)), cosface.Margin(margin=0.35))
    np.testing.assert_allclose(loss, numpy_loss(cosface_logits(cosine), LABELS), rtol=1e-12)


def test_the_gradient_is_exact():
    margin, batch = cosface.Margin(margin=0.35, scale=4.0), batch_of(drawn(B, D))
    cosine = cosine_of().requires_grad_()
    assert torch.autograd.gradcheck(lambda c: margin_loss(c, LABELS, batch, margin), cosine)


def test_a_row_that_is_hopeless_keeps_its_gradient():
    """exp(-512) is no float32, and a floor of 1e-30 under the probability would hide it."""
    cosine = torch.full((B, C), 1.0)
    cosine[torch.arange(B), LABELS] = -1.0
    cosine.requires_grad_()
    margin = cosface.Margin(margin=0.35, scale=256.0)
    loss = margin_loss(cosine, LABELS, batch_of(drawn(B, D)), margin)
    loss.backward()
    assert abs(loss.item() - (256 * 2.35 + np.log(C - 1))) < 1e-3
    np.testing.assert_allclose(cosine.grad[torch.arange(B), LABELS], -256 / B, rtol=1e-6)


def test_equal_logits_cost_the_logarithm_of_their_number():
    cosine = torch.full((B, C), 0.3)
    loss = margin_loss(cosine, LABELS, batch_of(drawn(B, D)), cosface.Margin(margin=0.0))
    assert abs(loss.item() - np.log(C)) < 1e-6


def test_a_filtered_class_leaves_the_sum_and_a_multiplied_one_would_not():
    """Above 0.2 and not the row's own: as if it had no column."""
    cosine = cosine_of()
    logits = cosface_logits(cosine)
    filtered = cosine.numpy() > 0.2
    filtered[np.arange(B), LABELS] = False
    assert filtered.any(axis=1).any()
    masked, multiplied = logits.copy(), logits.copy()
    masked[filtered], multiplied[filtered] = -np.inf, 0.0
    found = margin_loss(
        cosine.requires_grad_(), LABELS, batch_of(drawn(B, D)), cosface.Margin(margin=0.35),
        filter_above=0.2,
    )  # fmt: skip
    found.backward()
    np.testing.assert_allclose(found.detach(), numpy_loss(masked, LABELS), rtol=1e-12)
    assert abs(found.item() - numpy_loss(multiplied, LABELS)) > 1e-3
    assert not cosine.grad[torch.from_numpy(filtered)].any()
    assert torch.isfinite(cosine.grad).all()


def test_rows_whose_class_is_on_another_rank_have_no_target_here():
    """Alone on its rank: the sum is there, the target's logit is another rank's to add."""
    cosine = cosine_of()
    away = torch.tensor([0, -1, 2, -1])
    loss = margin_loss(cosine, away, batch_of(drawn(B, D)), cosface.Margin(margin=0.35))
    logits = 64.0 * cosine.numpy()
    logits[[0, 2], [0, 2]] -= 64.0 * 0.35
    top = logits.max(axis=1)
    each = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    each[[0, 2]] -= logits[[0, 2], [0, 2]]
    np.testing.assert_allclose(loss, each.mean(), rtol=1e-12)


def test_the_penalty_of_lengths_is_added_and_differentiated():
    raw = (10 * drawn(B, D)).requires_grad_()
    margin = magface.Margin(shortest=0.1, longest=100.0)
    batch = batch_of(raw)
    whole = margin_loss(cosine_of(), LABELS, batch, margin)
    (gradient,) = torch.autograd.grad(whole, raw)
    norms = torch.linalg.vector_norm(raw, dim=1)
    logits = margin(cosine_of(), LABELS, norms=norms)
    expected = torch.nn.functional.cross_entropy(logits, LABELS) + margin.penalty(norms)
    np.testing.assert_allclose(whole.item(), expected.item(), rtol=1e-12)
    (expected_gradient,) = torch.autograd.grad(expected, raw)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-9)


def test_a_margin_without_softmax_has_its_own_loss():
    """Half the sum of the squared differences from one and from zero."""
    cosine = cosine_of()
    truth = np.eye(C)[LABELS]
    loss = margin_loss(cosine, LABELS, batch_of(drawn(B, D)), p2sgrad.Margin())
    expected = 0.5 * ((cosine.numpy() - truth) ** 2).sum(axis=1).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


def test_a_margin_that_looks_at_all_others_is_told_their_sum_scaled_up_from_the_sample():
    """AdaCos of 70 classes, 7 of them here: the mean sum over the others, ten times."""
    margin, cosine = adacos.Margin(classes=70), cosine_of()
    s = float(margin.scale)
    margin_loss(cosine, LABELS, batch_of(drawn(B, D), classes=70), margin)
    others = np.exp(s * cosine.numpy())
    others[np.arange(B), LABELS] = 0
    theta = np.median(np.arccos(cosine.numpy()[np.arange(B), LABELS]))
    expected = np.log(10 * others.sum(axis=1).mean()) / np.cos(min(np.pi / 4, theta))
    assert abs(float(margin.scale) - expected) < 1e-9


def test_embeddings_of_another_width_are_refused():
    with pytest.raises(BadArray, match=r"embeddings must have shape \(b, 3\).* got \(4, 5\)"):
        batch_of(drawn(B, 5))


def test_labels_of_another_type_are_refused():
    with pytest.raises(BadArray, match=r"labels must be int64.* got torch.float64"):
        batch_of(drawn(B, D), LABELS.double())


def test_a_label_beyond_the_classes_is_refused():
    with pytest.raises(BadArray, match=r"class ids from 0 to 6; got 0 to 7. Was the head made"):
        batch_of(drawn(B, D), torch.tensor([0, 7, 1, 1]))


def test_a_negative_label_is_refused():
    with pytest.raises(BadArray, match="class ids from 0 to 6; got -1 to 2"):
        batch_of(drawn(B, D), torch.tensor([0, -1, 2, 2]))


def test_a_batch_without_rows_is_refused():
    with pytest.raises(BadArray, match="at least one row; got none on any rank"):
        batch_of(drawn(0, D), LABELS[:0])
