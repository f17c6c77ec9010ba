"""Partial FC: what is taken, what it costs, what is left alone, and any number of ranks."""

from __future__ import annotations

import numpy as np
import pytest

import sharded_runs

torch = pytest.importorskip("torch")

from tronie.errors import BadInput  # noqa: E402 - only where torch is
from tronie.lab.nn.heads import full_softmax, partial_fc  # noqa: E402
from tronie.lab.nn.keyed_draws import drawn_classes  # noqa: E402
from tronie.lab.nn.margins import arcface, cosface, normface, p2sgrad  # noqa: E402

pytestmark = pytest.mark.lab

C, D, SEED = 40, 4, 2
LABELS = torch.tensor([0, 39, 12, 12, 25])
SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05}
SAMPLED = [case for case, (head, *_) in sharded_runs.CASES.items() if head == "partial_fc"]


def embeddings(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(5, D, generator=generator, dtype=torch.float64).requires_grad_()


def head(margin=None, **options):
    margin = margin or cosface.Margin(margin=0.35)
    made = partial_fc.Head(classes=C, dimension=D, margin=margin, seed=SEED, **options)
    return made.double()


def taken_in(step, *, rate=0.3, labels=LABELS):
    """The drawn and the positives, as sets of class ids."""
    drawn = drawn_classes(0, C, rate=rate, seed=SEED, step=step, device=torch.device("cpu"))
    return sorted(set(drawn.nonzero()[:, 0].tolist()) | set(labels.tolist()))


def now(made):
    with torch.no_grad():
        return made.centers.take().clone()


def test_the_loss_is_the_softmax_over_the_drawn_and_the_positives():
    made, x = head(rate=0.3), embeddings()
    ids = taken_in(0)
    assert 5 < len(ids) < 30
    w, raw = made.centers.values.numpy()[ids], x.detach().numpy()
    cosine = (raw / np.linalg.norm(raw, axis=1)[:, None]) @ (
        w / np.linalg.norm(w, axis=1)[:, None]
    ).T
    own = [ids.index(label) for label in LABELS.tolist()]
    cosine[np.arange(5), own] -= 0.35
    p = np.exp(64 * cosine)
    expected = -np.log(p[np.arange(5), own] / p.sum(axis=1)).mean()
    np.testing.assert_allclose(made(x, LABELS).item(), expected, rtol=1e-12)


def test_reweighted_a_drawn_class_stands_for_as_many_as_the_rate_says():
    made, x = head(rate=0.3, reweighted=True), embeddings()
    ids = taken_in(0)
    unit = torch.nn.functional.normalize(x.detach(), dim=1)
    centers = torch.nn.functional.normalize(made.centers.values[ids], dim=1)
    logits = 64 * (unit @ centers.T)
    total = 0.0
    for row, label in enumerate(LABELS.tolist()):
        own = logits[row, ids.index(label)] - 64 * 0.35
        sum_ = own.exp()
        for column, other in enumerate(ids):
            if other != label:
                stands_for = 1 if other in LABELS else 1 / 0.3
                sum_ = sum_ + stands_for * logits[row, column].exp()
        total += float(sum_.log() - own)
    np.testing.assert_allclose(made(x, LABELS).item(), total / 5, rtol=1e-12)


def test_reweighted_the_sum_is_on_average_that_of_all_classes():
    margin, x, label = normface.Margin(scale=4.0), embeddings()[:1].detach(), LABELS[2:3]
    full = full_softmax.Head(classes=C, dimension=D, margin=margin, seed=SEED).double()
    made = head(margin, rate=0.25, reweighted=True)
    sums = []
    for _ in range(2000):
        sums.append(made(x, label).exp().item())  # the sum, as a part of the class's own
        made.stand_still()
    error = np.std(sums) / np.sqrt(len(sums))
    assert abs(np.mean(sums) - full(x, label).exp().item()) < 3 * error
    assert error < 0.02 * np.mean(sums)


def test_weights_without_a_draw_or_a_softmax_are_refused():
    with pytest.raises(BadInput, match=r"needs a rate above 0 .*; got 0 and .*cosface"):
        head(rate=0, reweighted=True)
    with pytest.raises(BadInput, match=r"a margin with a softmax; got 0.1 and .*p2sgrad"):
        head(p2sgrad.Margin(), reweighted=True)


def test_only_what_was_taken_changes_and_only_it_has_a_gradient():
    made = head(rate=0.3)
    for step in range(3):
        before, ids = made.centers.values.clone(), taken_in(step)
        made(embeddings(step), LABELS).backward()
        assert [one.shape for one in made.gradients()] == [(len(ids), D)]
        made.step(**SGD)
        changed = (made.centers.values != before).any(dim=1).nonzero()[:, 0].tolist()
        assert changed == ids


def test_exact_centers_are_those_of_dense_sgd_and_frozen_ones_those_of_a_loop():
    """Every row in its own loop: momentum and decay in all steps, or in its own steps only."""
    for unsampled in ("exact", "frozen"):
        made = head(rate=0.3, unsampled=unsampled)
        w = made.centers.values.clone()
        m = torch.zeros_like(w)
        for step in range(8):
            ids, given = taken_in(step), {**SGD, "lr": 0.1 / (1 + step)}
            made(embeddings(step), LABELS).backward()
            (part,) = made.gradients()
            gradient = torch.zeros_like(w)
            gradient[ids] = part
            for row in range(C):
                if unsampled == "exact" or row in ids:
                    m[row] = 0.9 * m[row] + 0.05 * w[row] + gradient[row]
                    w[row] = w[row] - given["lr"] * m[row]
            made.step(**given)
        np.testing.assert_allclose(now(made), w, rtol=1e-11)


def test_at_rate_1_it_is_the_full_softmax_bit_for_bit():
    full = full_softmax.Head(classes=C, dimension=D, margin=arcface.Margin(), seed=SEED).double()
    part = head(arcface.Margin(), rate=1.0)
    for step in range(4):
        x, y = embeddings(step), embeddings(step)
        for made, given in ((full, x), (part, y)):
            made(given, LABELS).backward()
            made.step(**SGD)
        assert torch.equal(x.grad, y.grad)
    assert torch.equal(full.centers.values, part.centers.values)


def test_at_rate_0_the_positives_meet_each_other():
    made = head(rate=0.0)
    made(embeddings(), LABELS).backward()
    assert [one.shape for one in made.gradients()] == [(4, D)]


def test_equal_logits_cost_the_logarithm_of_the_number_taken():
    """The denominator is smaller than the full one, by design and by this much."""
    made = head(normface.Margin(), rate=0.3)
    made.centers.values[:] = 1.0
    assert abs(made(embeddings(), LABELS).item() - np.log(len(taken_in(0)))) < 1e-12


def test_each_step_draws_another_set_and_the_same_step_the_same_one():
    one, other = head(rate=0.3), head(rate=0.3)
    sets = [taken_in(step) for step in range(4)]
    assert len({tuple(ids) for ids in sets}) == 4
    for step in range(4):
        losses = [made(embeddings(step), LABELS) for made in (one, other, one)]
        assert losses[0].item() == losses[1].item() == losses[2].item()
        for made in (one, other):
            made.discard()
            made.step(**SGD)


def test_it_learns_to_tell_a_few_classes_apart():
    """Ten directions, noise around them: after 60 steps the own center is the nearest one."""
    generator = torch.Generator().manual_seed(3)
    directions = torch.nn.functional.normalize(torch.randn(C, D * 4, generator=generator))
    made = partial_fc.Head(
        classes=C, dimension=D * 4, margin=cosface.Margin(scale=16.0), seed=0, rate=0.2
    )
    for _ in range(60):
        labels = torch.randint(0, C, (64,), generator=generator)
        noise = 0.05 * torch.randn(64, D * 4, generator=generator)
        made(directions[labels] + noise, labels).backward()
        made.step(lr=0.02, momentum=0.9, weight_decay=5e-4)
    found = torch.nn.functional.normalize(now(made)) @ directions.T
    assert (found.argmax(dim=0) == torch.arange(C)).float().mean() > 0.95


def test_memory_is_planned_for_the_sample_and_its_gradient():
    plan = head(rate=0.1).memory_plan(5)
    assert plan["sampled"] == 2 * (4 + 5) * D * 4
    assert plan["logits"] == 4 * 5 * (4 + 5) * 4
    assert head(rate=1.0).memory_plan(5)["sampled"] == C * D * 4


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("case", SAMPLED)
def test_any_number_of_ranks_take_the_same_set_and_learn_the_same(case, ranks):
    """Margins with penalties, running state, no softmax; what is frozen; what is filtered."""
    runs = sharded_runs.runs()
    (one,) = runs[case, 1]
    for found in runs[case, ranks]:
        np.testing.assert_allclose(found["losses"], one["losses"], rtol=1e-11)
        np.testing.assert_allclose(found["weight"], one["weight"], rtol=1e-10)
    whole, again = sharded_runs.head_of(case), sharded_runs.head_of(case)
    whole.load_shard_state([one["state"]])
    again.load_shard_state([found["state"] for found in runs[case, ranks]])
    np.testing.assert_allclose(now(again), now(whole), rtol=1e-9, atol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("case", SAMPLED)
def test_stopped_on_two_ranks_it_goes_on_with_one_or_three(case, ranks):
    runs = sharded_runs.runs()
    (one,) = runs[case, 1]
    for found in runs[case, f"2 to {ranks}"]:
        rest = one["losses"][sharded_runs.STOP :]
        np.testing.assert_allclose(found["losses"], rest, rtol=1e-11)


def test_a_rate_above_1_is_refused():
    with pytest.raises(BadInput, match=r"rate is a share of the classes, in \[0, 1\]; got 10"):
        head(rate=10)


def test_a_filter_that_is_no_cosine_is_refused():
    with pytest.raises(BadInput, match=r"filter_above is a cosine in \[-1, 1\].* got 40"):
        head(filter_above=40)


def test_a_filter_for_a_margin_without_softmax_is_refused():
    with pytest.raises(BadInput, match=r"for a margin with a softmax; got 0.4 for .*p2sgrad"):
        head(p2sgrad.Margin(), filter_above=0.4)
