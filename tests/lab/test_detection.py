"""A detector in training: its loss, its average, its state, and what two processes agree on."""

from __future__ import annotations

import math
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from sharded_runs import run_ranks

torch = pytest.importorskip("torch")

import toy_detection  # noqa: E402 - only where torch is
from toy_detection import toy_recipe, write_photos  # noqa: E402
from tronie.lab.nn.detector import build_detector  # noqa: E402
from tronie.lab.training.checkpoint import newest_checkpoint, save_checkpoint  # noqa: E402
from tronie.lab.training.detection import (  # noqa: E402
    Detection,
    load_detector,
    memory_plan,
    open_detector,
)
from tronie.lab.training.detection_crops import crops  # noqa: E402
from tronie.lab.training.detection_loader import FaceLoader  # noqa: E402
from tronie.lab.training.detection_source import open_faces  # noqa: E402
from tronie.lab.training.schedule import make_optimizer  # noqa: E402

pytestmark = pytest.mark.lab

CPU = torch.device("cpu")


@pytest.fixture
def task(tmp_path):
    """`task(**changes)`: one over drawn photographs."""
    with ExitStack() as closing:
        source = open_faces(write_photos(tmp_path / "data"), closing=closing)

        def made(*, validate=None, **changes):
            recipe = toy_recipe(**changes)
            loader = FaceLoader(
                source,
                augment=crops(recipe.data),
                batch_size=recipe.batch_size,
                parts=recipe.accumulate,
                seed=recipe.seed,
                sizes=recipe.data.sizes,
                threads=1,
            )
            closing.enter_context(loader)
            return Detection(recipe, loader, device=CPU, validate=validate)

        yield made


def a_step(task, step, *, lr=0.01):
    """One step of plain SGD; its loss."""
    optimizer = torch.optim.SGD(task.network.parameters(), lr=lr)
    (parts,) = task.steps(step, step + 1)
    losses = [task.loss(part) for part in parts]
    for loss in losses:
        (loss / len(losses)).backward()
    optimizer.step()
    optimizer.zero_grad()
    task.update(lr=lr)
    return sum(loss.item() for loss in losses) / len(losses)


def same_tensors(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def test_the_loss_is_the_networks_own_over_normalized_crops(task):
    made = task()
    ((part,),) = made.steps(0, 1)
    twin = open_detector(toy_recipe()).train()
    pixels = (torch.from_numpy(part.images).permute(0, 3, 1, 2).float() - 127.5) / 128
    wanted, parts = twin.loss(twin(pixels), part.targets)
    seen = []
    made.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    torch.testing.assert_close(made.loss(part), wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(seen[0].contiguous(), pixels.contiguous())
    told = made.told()
    assert told.keys() == parts.keys() == {"classification", "boxes"}
    assert sum(told.values()) == pytest.approx(wanted.item(), rel=1e-4)


def test_the_parts_that_are_told_are_those_of_the_last_step(task):
    made = task(batch_size=6, accumulate=2)
    for step in range(3):
        loss = a_step(made, step)
        assert sum(made.told().values()) == pytest.approx(loss, rel=1e-5)


def test_points_are_told_where_the_network_has_them(task):
    made = task(detector="scrfd-0.5g-kps")
    a_step(made, 0)
    assert made.told().keys() == {"classification", "boxes", "points"}


def test_a_step_that_is_undone_leaves_the_average_alone(task):
    made = task()
    a_step(made, 0)
    before = {n: t.clone() for n, t in made.average.network.state_dict().items()}
    ((part,),) = made.steps(1, 2)
    made.loss(part).backward()
    made.discard()
    assert same_tensors(before, made.average.network.state_dict())
    assert made.average.steps == 1


def test_what_is_saved_is_loaded_the_average_and_its_steps_too(task, tmp_path):
    made = task()
    for step in range(3):
        a_step(made, step)
    note = {"task": made.note()}
    save_checkpoint(tmp_path / "points", made.state(), step=3, note=note)
    again = task(seed=5)
    again.load(newest_checkpoint(tmp_path / "points"))
    assert same_tensors(made.network.state_dict(), again.network.state_dict())
    assert same_tensors(made.average.network.state_dict(), again.average.network.state_dict())
    assert again.average.steps == 3
    assert not same_tensors(made.network.state_dict(), made.average.network.state_dict())


@pytest.mark.parametrize("ema", [0.9, 0.0])
def test_who_asks_for_a_trained_detector_gets_the_average_where_there_is_one(task, tmp_path, ema):
    made = task(ema=ema)
    for step in range(3):
        a_step(made, step)
    save_checkpoint(tmp_path / "points", made.state(), step=3, note={"task": made.note()})
    stored = newest_checkpoint(tmp_path / "points")
    found = build_detector("scrfd-0.5g")
    load_detector(found, stored)
    assert same_tensors(found.state_dict(), made.judged.state_dict())
    assert (made.average is None) == (ema == 0.0)
    other = task(ema=0.5, seed=9)
    other.start_from(stored)
    assert same_tensors(other.network.state_dict(), found.state_dict())
    assert same_tensors(other.judged.state_dict(), found.state_dict())


def test_the_average_is_judged_in_evaluation_and_training_goes_on(task):
    seen = []

    def validate(step, network):
        seen.append((step, network, network.training))
        return {"held-out": 0.5}

    made = task(validate=validate)
    a_step(made, 0)
    assert made.validate(7) == {"held-out": 0.5}
    assert seen == [(7, made.average.network, False)]
    assert made.network.training
    assert task().validate(7) == {}


def test_fresh_weights_are_those_of_the_seed(task):
    first = task().network.state_dict()
    assert same_tensors(first, task().network.state_dict())
    assert not same_tensors(first, task(seed=1).network.state_dict())


def test_it_learns_the_photographs_by_heart(task):
    still = replace(toy_recipe().data, scales=(1.0,), flip=0.0, photometric=0.0)
    made = task(data=still)
    losses = [a_step(made, step, lr=0.02) for step in range(12)]
    assert min(losses) < 0.8 * losses[0]  # the same crops each time, but a rough way down
    assert all(map(math.isfinite, losses))


def test_memory_is_told_by_what_it_is_for():
    recipe = toy_recipe()
    network = open_detector(recipe)
    size = 4 * 572_741
    assert memory_plan(recipe, network) == {
        "network weights": size,
        "network gradients": size,
        "optimizer state": size,
        "moving average": size,
    }
    assert "moving average" not in memory_plan(toy_recipe(ema=0.0), network)


def test_every_weight_is_moved_by_the_optimizer(task):
    made = task()
    moved = {p for g in make_optimizer(toy_recipe().optimizer, made.modules()).param_groups
             for p in g["params"]}  # fmt: skip
    assert moved == set(made.network.parameters())


PROGRAM = f"""
import sys
sys.path.insert(0, {str(Path(toy_detection.__file__).parent)!r})
from contextlib import ExitStack
from pathlib import Path
import torch
torch.set_num_threads(1)
from toy_detection import toy_recipe
from tronie.lab.training.detection import Detection
from tronie.lab.training.detection_crops import crops
from tronie.lab.training.detection_loader import FaceLoader
from tronie.lab.training.detection_source import open_faces
from tronie.lab.training.distributed import start
data, out, shards = sys.argv[1:]
recipe = toy_recipe()
with start() as place, ExitStack() as closing:
    ranks = (0, 1) if shards == "equal" else (place.rank, place.ranks)
    loader = closing.enter_context(FaceLoader(
        open_faces(Path(data), closing=closing), augment=crops(recipe.data), batch_size=4,
        seed=recipe.seed, sizes=recipe.data.sizes, threads=1, rank=ranks[0], ranks=ranks[1]))
    task = Detection(recipe, loader, device=place.device)
    closing.callback(task.close)
    ((part,),) = task.steps(0, 1)
    loss = task.loss(part)
    loss.backward()
    gradient = torch.cat([p.grad.flatten() for p in task.network.parameters()])
    found = {{"loss": loss.detach(), "gradient": gradient, "told": task.told()}}
    torch.save(found, Path(out) / f"{{shards}}-{{place.ranks}}-{{place.rank}}.pt")
"""


@pytest.mark.slow
def test_two_processes_with_the_same_crops_have_the_gradient_of_one(tmp_path):
    """With other crops each divides by its own anchors; what they come to is the same in both."""
    data = write_photos(tmp_path / "data")

    def step(ranks, shards):
        words = [sys.executable, "-c", PROGRAM, str(data), str(tmp_path), shards]
        run_ranks(words, ranks=ranks)
        files = (tmp_path / f"{shards}-{ranks}-{n}.pt" for n in range(ranks))
        return [torch.load(file, weights_only=True) for file in files]

    (one,), two = step(1, "equal"), step(2, "equal")
    for found in two:
        torch.testing.assert_close(found["gradient"], one["gradient"], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found["loss"], one["loss"])
        assert found["told"] == pytest.approx(one["told"], rel=1e-5)
    first, second = step(2, "own")
    assert torch.equal(first["gradient"], second["gradient"])
    assert torch.equal(first["loss"], second["loss"])
    assert first["told"] == second["told"]
