"""The task of recognition: pixels, embeddings, gradients against one whole graph, and its state."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from toy_training import crop, tiny_backbone, toy_recipe, write_crops  # noqa: E402
from tronie.lab.nn.keyed_draws import drawn_classes  # noqa: E402
from tronie.lab.nn.losses.hyperspherical_energy import hyperspherical_energy  # noqa: E402
from tronie.lab.training import recognition  # noqa: E402 - only where torch is
from tronie.lab.training.batch_triplets import batch_triplet_loss  # noqa: E402
from tronie.lab.training.checkpoint import newest_checkpoint, save_checkpoint  # noqa: E402
from tronie.lab.training.distillation import Teaching  # noqa: E402
from tronie.lab.training.loaders import Loader  # noqa: E402
from tronie.lab.training.recipe import Data, Energy, Teacher, Triplets  # noqa: E402
from tronie.lab.training.recognition import (  # noqa: E402
    Recognition,
    augmentation,
    embed_crops,
    memory_plan,
    open_backbone,
    open_head,
    to_input,
)
from tronie.lab.training.settings import Entry  # noqa: E402
from tronie.lab.training.sources import open_source  # noqa: E402
from tronie.runtime.contract import Contract  # noqa: E402
from tronie.runtime.pixels import network_input  # noqa: E402

pytestmark = pytest.mark.lab

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(recognition, "build_backbone", tiny_backbone)


@pytest.fixture
def loader(tmp_path):
    with ExitStack() as closing:
        source = open_source(write_crops(tmp_path), Data(), closing=closing)
        yield closing.enter_context(Loader(source, batch_size=6, seed=0, threads=1))


@pytest.fixture
def pairs(loader):
    """The same images, two of one person side by side."""
    with Loader(loader.source, batch_size=6, seed=0, threads=1, together=2) as found:
        yield found


def test_pixels_are_what_the_runtime_feeds_an_exported_model():
    crops = np.stack([crop(0, 0), crop(1, 0)])
    contract = Contract(kind="embedder", format="embedding", dimension=16)
    wanted = network_input(crops, contract)
    np.testing.assert_allclose(to_input(crops, CPU).numpy(), wanted, atol=1e-6)


def test_the_loss_and_its_gradients_are_those_of_the_plain_formula(loader):
    """CosFace over all classes, written out."""
    recipe = toy_recipe(head=Entry(name="full-softmax"))
    task = Recognition(recipe, loader, device=CPU)
    centers = task.head.centers.values.clone().requires_grad_()
    (part,) = next(iter(task.steps(0, 1)))
    loss = task.loss(part)
    loss.backward()
    twin = open_backbone(recipe)
    rows = twin(to_input(part.images, CPU))
    cosine = torch.nn.functional.normalize(rows) @ torch.nn.functional.normalize(centers).T
    own = torch.nn.functional.one_hot(torch.from_numpy(part.labels), 5)
    plain = torch.nn.functional.cross_entropy(
        8.0 * (cosine - 0.1 * own), torch.from_numpy(part.labels)
    )
    plain.backward()
    assert loss.item() == pytest.approx(plain.item(), rel=1e-5)
    for a, b in zip(task.backbone.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-5)
    (gradient,) = task.own_gradients()
    assert torch.allclose(gradient, centers.grad, atol=1e-5)


def test_energy_and_triplets_are_added_with_their_weights(pairs):
    """Each term by the function that has it, of the same network and centers."""
    recipe = toy_recipe(
        head=Entry(name="full-softmax"),
        data=Data(threads=1, together=2),
        energy=Energy(weight=0.5, power=2, space="half"),
        triplets=Triplets(weight=3.0, margin=4.0, margin_weight=0.25),
    )
    task = Recognition(recipe, pairs, device=CPU)
    (part,) = next(iter(task.steps(0, 1)))
    labels = torch.from_numpy(part.labels)
    found = task.loss(part).item()
    rows = open_backbone(recipe)(to_input(part.images, CPU))
    head = open_head(recipe, classes=5)
    mined = batch_triplet_loss(rows, labels, recipe.triplets, seed=recipe.seed, step=0)
    energy = hyperspherical_energy(
        head.centers.values, power=2, space="half", rows=torch.unique(labels)
    )
    wanted = 0.25 * head(rows, labels) + 0.5 * energy + 3.0 * mined
    assert mined.item() > 0
    assert found == pytest.approx(wanted.item(), rel=1e-5)


def test_energy_spreads_the_centers(loader):
    angles = {}
    for weight in (0.0, 50.0):
        recipe = toy_recipe(head=Entry(name="full-softmax"), energy=Energy(weight=weight))
        task = Recognition(recipe, loader, device=CPU)
        for (part,) in task.steps(0, 6):
            task.loss(part).backward()
            task.update(lr=0.01)
        unit = torch.nn.functional.normalize(task.head.centers.values)
        angles[weight] = float((unit @ unit.T - torch.eye(5)).max())
    assert angles[50.0] < angles[0.0] - 0.05


def test_triplets_alone_leave_the_centers_where_they_are(pairs):
    recipe = toy_recipe(
        data=Data(threads=1, together=2),
        triplets=Triplets(weight=1.0, margin=4.0, margin_weight=0.0),
    )
    task = Recognition(recipe, pairs, device=CPU)
    before = task.head.centers.values.clone()
    for (part,) in task.steps(0, 3):
        loss = task.loss(part)
        loss.backward()
        task.update(lr=0.1)
    state = task.head.shard_state()
    assert torch.equal(state["rows"]["values"], before)
    assert (state["step"], len(state["missed"])) == (3, 1)  # nothing waits to be made up for
    assert next(task.backbone.parameters()).grad.abs().sum() > 0


def test_the_centers_move_by_the_heads_own_sgd(loader):
    task = Recognition(toy_recipe(head=Entry(name="full-softmax")), loader, device=CPU)
    before = task.head.centers.values.clone()
    (part,) = next(iter(task.steps(0, 1)))
    task.loss(part).backward()
    gradient = task.own_gradients()[0].clone()
    task.update(lr=0.01)
    wanted = before - 0.1 * (gradient + 5e-4 * before)  # head_lr_ratio is 10
    assert torch.allclose(task.head.centers.values, wanted, atol=1e-7)


def test_centers_copied_from_a_teacher_stay_and_the_classes_drawn_beside_them_change(loader):
    recipe = toy_recipe(
        head=Entry(name="partial-fc", options={"rate": 0.5}),
        teacher=Teacher(run="t", angular=1.0, copy_centers=True),
    )
    theirs = open_head(replace(recipe, seed=8), classes=5).shard_state()
    teaching = Teaching(settings=recipe.teacher, network=open_backbone(recipe), centers=theirs)
    task = Recognition(recipe, loader, device=CPU, teaching=teaching)
    drawn = []
    take = task.head.centers.take

    def remembered(rows):
        drawn.append(tuple(rows.tolist()))
        return take(rows)

    task.head.centers.take = remembered
    (part,) = next(iter(task.steps(0, 1)))
    alone = part._replace(labels=np.zeros_like(part.labels))
    for _ in range(6):
        task.loss(alone).backward()
        task.update(lr=0.1)
    wanted = [
        drawn_classes(0, 5, rate=0.5, seed=recipe.seed, step=n, device=CPU).index_fill(
            0, torch.tensor([0]), True
        )
        for n in range(6)
    ]
    assert drawn == [tuple(one.nonzero()[:, 0].tolist()) for one in wanted]
    assert len(set(drawn)) > 3
    assert torch.equal(task.head.centers.values, theirs["rows"]["values"])


@pytest.mark.parametrize("margin", ["cosface", "curricular", "adaface", "adacos"])
@pytest.mark.parametrize("head", ["partial-fc", "subcenter", "full-softmax"])
def test_the_state_is_all_there_is(loader, tmp_path, margin, head):
    recipe = toy_recipe(margin=Entry(name=margin), head=Entry(name=head))
    task = Recognition(recipe, loader, device=CPU)
    for (part,) in task.steps(0, 3):
        task.loss(part).backward()
        task.update(lr=0.01)
    save_checkpoint(tmp_path / "c", task.state(), step=3, note={"task": task.note()})
    again = Recognition(replace(recipe, seed=99), loader, device=CPU)
    again.load(newest_checkpoint(tmp_path / "c"))
    again.head.centers.seed = recipe.seed  # what is drawn next belongs to the recipe
    (part,) = next(iter(task.steps(3, 4)))
    again.backbone.train()
    assert torch.equal(task.loss(part), again.loss(part))


def test_the_first_weights_come_from_the_seed_alone():
    weights = []
    for disturbance in (1, 2):
        torch.manual_seed(disturbance)
        weights.append(next(open_backbone(toy_recipe()).parameters()))
    assert torch.equal(*weights)
    other = next(open_backbone(toy_recipe(seed=1)).parameters())
    assert not torch.equal(weights[0], other)


def test_crops_are_embedded_in_evaluation():
    net = tiny_backbone("tiny", embedding_size=16)
    crops = np.stack([crop(n, 0) for n in range(3)])
    embed = embed_crops(net, CPU)
    alone = np.concatenate([embed(crops[n : n + 1]) for n in range(3)])
    np.testing.assert_allclose(embed(crops), alone, atol=1e-6)
    assert not net.training
    assert embed(crops).dtype == np.float32


def test_the_same_face_wears_the_same_mask_and_every_second_face_is_mirrored():
    augment = augmentation(Data(flip=0.0, mask=1.0), seed=0)
    masked = [augment(crop(0, 0), 5, np.random.default_rng(n)) for n in range(2)]
    np.testing.assert_array_equal(*masked)
    assert (masked[0] != crop(0, 0)).any()
    mirror = augmentation(Data(flip=0.5), seed=0)
    drawn = [mirror(crop(0, 0), 5, np.random.default_rng(n)) for n in range(200)]
    mirrored = sum(np.array_equal(one, crop(0, 0)[:, ::-1]) for one in drawn)
    assert 70 < mirrored < 130
    assert augmentation(Data(flip=0.0), seed=0) is None


def test_the_memory_plan_counts_the_network_and_the_head():
    recipe = toy_recipe()
    backbone = open_backbone(recipe)
    plan = memory_plan(recipe, backbone, open_head(recipe, classes=1000))
    weights = 4 * sum(p.numel() for p in backbone.parameters())
    assert plan["backbone weights"] == plan["backbone gradients"] == weights
    assert plan["optimizer state"] == weights
    assert plan["head: centers"] == 4 * 16 * 1000
    assert "head: energy" not in plan
    spread = replace(recipe, energy=Energy(weight=1.0))
    more = memory_plan(spread, backbone, open_head(spread, classes=1000))
    assert more["head: energy"] * 4 == more["head: logits"] * 5


def test_a_margin_that_depends_on_the_number_of_classes_is_told_it():
    head = open_head(toy_recipe(margin=Entry(name="adacos")), classes=50)
    assert float(head.margin.scale) == pytest.approx(2**0.5 * np.log(49), rel=1e-5)
