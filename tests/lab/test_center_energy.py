"""Energy of centers over ranks: that of one matrix, by the plain function and by loops."""

from __future__ import annotations

import functools
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from sharded_runs import run_ranks

torch = pytest.importorskip("torch")

from tronie.lab.nn.center_energy import center_energy  # noqa: E402
from tronie.lab.nn.collectives import gather_rows, rank, world_size  # noqa: E402
from tronie.lab.nn.losses.hyperspherical_energy import hyperspherical_energy  # noqa: E402
from tronie.lab.nn.margins.cosface import Margin  # noqa: E402 - only where torch is
from tronie.lab.training.distributed import start  # noqa: E402
from tronie.lab.training.order import share  # noqa: E402

pytestmark = pytest.mark.lab

CLASSES, DIMENSION = 11, 4
LABELS = torch.tensor([7, 0, 7, 10, 3, 0, 5])
HEADS = {
    "full-softmax": ("full_softmax", {}),
    "partial-fc": ("partial_fc", {"rate": 0.4}),
    "subcenter": ("subcenter", {"subcenters": 2}),
}
RULES = {
    "plain": {"power": 1, "distance": "euclidean", "space": "full"},
    "half": {"power": 2, "distance": "angular", "space": "half"},
}


def came_to(kind, rule):
    """Energy, and the gradient of the centers of all ranks, zero where none was taken."""
    name, options = HEADS[kind]
    made = importlib.import_module(f"tronie.lab.nn.heads.{name}").Head(
        classes=CLASSES, dimension=DIMENSION, margin=Margin(), seed=3, **options
    )
    made = made.double()
    first, end = share(len(LABELS), rank=rank(), ranks=world_size())
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(len(LABELS), DIMENSION, generator=generator, dtype=torch.float64)
    own = LABELS[first:end]
    made(rows[first:end], own)
    energy = center_energy(made.centers, own, DIMENSION, **RULES[rule])
    energy.backward()
    taken, matrix = made.centers.last_taken()
    gradient = torch.zeros_like(made.centers.values)
    gradient[slice(None) if taken is None else taken] = matrix.grad
    everyone = gather_rows(gradient.flatten(1))
    return {"energy": energy.item(), "gradient": everyone.tolist()}


@functools.cache
def alone(kind, rule):
    return came_to(kind, rule)


def centers_of(kind):
    name, options = HEADS[kind]
    made = importlib.import_module(f"tronie.lab.nn.heads.{name}").Head(
        classes=CLASSES, dimension=DIMENSION, margin=Margin(), seed=3, **options
    )
    return made.centers.values.double()


@pytest.mark.parametrize("rule", RULES)
def test_of_all_classes_it_is_the_plain_function_of_the_batchs(rule):
    centers = centers_of("full-softmax").requires_grad_()
    plain = hyperspherical_energy(centers, rows=torch.unique(LABELS), **RULES[rule])
    plain.backward()
    found = alone("full-softmax", rule)
    assert found["energy"] == pytest.approx(plain.item(), rel=1e-12)
    np.testing.assert_allclose(found["gradient"], centers.grad, atol=1e-12)


def test_sub_centers_of_one_class_do_not_repel_each_other():
    centers = centers_of("subcenter").view(CLASSES, 2, DIMENSION).numpy()
    unit = centers / np.linalg.norm(centers, axis=2, keepdims=True)
    terms = [
        1 / np.linalg.norm(unit[i, k] - unit[j, m])
        for i in sorted(set(LABELS.tolist()))
        for j in range(CLASSES)
        for k in range(2)
        for m in range(2)
        if i != j
    ]
    assert alone("subcenter", "plain")["energy"] == pytest.approx(np.mean(terms), rel=1e-12)


def test_of_a_sample_only_those_that_were_taken_are_moved():
    found = np.array(alone("partial-fc", "plain")["gradient"])
    moved = np.flatnonzero(np.abs(found).sum(axis=1))
    assert set(LABELS.tolist()) <= set(moved.tolist())
    assert len(moved) < CLASSES


def test_one_class_alone_has_no_energy():
    name, _ = HEADS["partial-fc"]
    made = importlib.import_module(f"tronie.lab.nn.heads.{name}").Head(
        classes=CLASSES, dimension=DIMENSION, margin=Margin(), rate=0.0
    )
    labels = torch.tensor([4, 4])
    made(torch.ones(2, DIMENSION), labels)
    energy = center_energy(made.centers, labels, DIMENSION, **RULES["plain"])
    energy.backward()
    assert energy.item() == 0
    assert not made.centers.last_taken()[1].grad.any()


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_come_to_what_one_comes_to(ranks):
    told = run_ranks([sys.executable, __file__], ranks=ranks)
    for _, line, _ in told:
        for key, found in json.loads(line).items():
            wanted = alone(*key.split("/"))
            assert found["energy"] == pytest.approx(wanted["energy"], rel=1e-12)
            np.testing.assert_allclose(found["gradient"], wanted["gradient"], atol=1e-12)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    torch.set_num_threads(1)
    with start():
        print(json.dumps({f"{k}/{r}": came_to(k, r) for k in HEADS for r in RULES}))
