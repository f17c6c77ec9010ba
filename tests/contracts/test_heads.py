"""Every entry of lab/nn/heads keeps the same promises, on one rank and on several."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import sharded_runs
from tronie import catalog

torch = pytest.importorskip("torch")

from tronie.lab.nn.margins import cosface  # noqa: E402 - only where torch is

pytestmark = pytest.mark.lab

PACKAGE = "tronie.lab.nn.heads"
KEYS = catalog.entries(PACKAGE)
C, D = 20, 5
LABELS = torch.tensor([0, 19, 7, 7])
SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}


def head(key, **given):
    kind = catalog.load(PACKAGE, key, "Head")
    return kind(**{"classes": C, "dimension": D, "margin": cosface.Margin(), **given})


def embeddings(dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(4, D, generator=generator, dtype=dtype).requires_grad_()


def test_there_is_an_entry_and_each_of_them_runs_on_several_ranks_below():
    assert {"full-softmax", "partial-fc", "subcenter"} <= set(KEYS)
    assert set(KEYS) <= set(sharded_runs.CASES)


@pytest.mark.parametrize("key", KEYS)
def test_an_entry_says_where_it_comes_from_and_where_it_differs(key):
    told = catalog.docstring(PACKAGE, key)
    assert "Source: " in told
    assert "Differs from" in told


@pytest.mark.parametrize("key", KEYS)
def test_an_entry_is_made_by_name_with_defaults_for_all_that_only_it_has(key):
    taken = inspect.signature(catalog.load(PACKAGE, key, "Head").__init__).parameters
    names = ["classes", "dimension", "margin", "seed", "group"]
    assert list(taken)[1:6] == names
    for name, parameter in list(taken.items())[1:]:
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert (parameter.default is inspect.Parameter.empty) == (name in names[:3])


@pytest.mark.parametrize("key", KEYS)
def test_a_step_lowers_the_loss_of_its_batch_and_leaves_the_input_alone(key):
    made, x = head(key), embeddings()
    before = x.detach().clone()
    first = made(x, LABELS)
    assert first.shape == ()
    first.backward()
    assert torch.isfinite(x.grad).all()
    made.step(**SGD)
    assert made(x, LABELS).item() < first.item()
    assert torch.equal(x, before)


@pytest.mark.parametrize("key", KEYS)
def test_the_gradient_of_embeddings_is_exact(key):
    made = head(key, margin=cosface.Margin(scale=4.0)).double()
    assert torch.autograd.gradcheck(lambda x: made(x, LABELS), embeddings(torch.float64))


@pytest.mark.parametrize("key", KEYS)
def test_discarded_gradients_leave_no_trace(key):
    one, other = head(key), head(key)
    one(embeddings(), LABELS).backward()
    assert one.gradients()
    one.discard()
    assert not one.gradients()
    for made in (one, other):
        made(embeddings(), LABELS).backward()
        made.step(**SGD)
    assert torch.equal(one.centers.values, other.centers.values)


@pytest.mark.parametrize("key", KEYS)
def test_a_state_holds_all_and_classes_may_be_added(key, tmp_path):
    made = head(key)
    made(embeddings(), LABELS).backward()
    made.step(**SGD)
    torch.save(made.shard_state(), tmp_path / "head.pt")
    more = head(key, classes=C + 3)
    more.load_shard_state([torch.load(tmp_path / "head.pt", weights_only=True)])
    assert torch.equal(more.centers.values[:C], made.centers.values)
    assert torch.equal(more.centers.values[C:], head(key, classes=C + 3).centers.values[C:])


@pytest.mark.parametrize("key", KEYS)
def test_memory_is_planned_in_bytes_and_grows_with_the_batch(key):
    small, large = head(key).memory_plan(2), head(key).memory_plan(4)
    assert set(small) == {"centers", "state", "sampled", "logits", "gathered"}
    assert small["centers"] == large["centers"] == head(key).centers.values.nbytes
    assert large["logits"] >= 2 * small["logits"]


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("key", KEYS)
def test_several_ranks_equal_one(key, ranks):
    runs = sharded_runs.runs()
    (one,) = runs[key, 1]
    for found in runs[key, ranks]:
        np.testing.assert_allclose(found["losses"], one["losses"], rtol=1e-11)
        np.testing.assert_allclose(found["weight"], one["weight"], rtol=1e-10)
    whole, again = sharded_runs.head_of(key), sharded_runs.head_of(key)
    whole.load_shard_state([one["state"]])
    again.load_shard_state([found["state"] for found in runs[key, ranks]])
    with torch.no_grad():
        np.testing.assert_allclose(
            again.centers.take(), whole.centers.take(), rtol=1e-9, atol=1e-13
        )


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("key", KEYS)
def test_a_run_stopped_on_two_ranks_goes_on_with_another_number_of_them(key, ranks):
    runs = sharded_runs.runs()
    (one,) = runs[key, 1]
    for found in runs[key, f"2 to {ranks}"]:
        rest = one["losses"][sharded_runs.STOP :]
        np.testing.assert_allclose(found["losses"], rest, rtol=1e-11)
        np.testing.assert_allclose(found["weight"], one["weight"], rtol=1e-10)
