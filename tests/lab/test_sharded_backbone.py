"""Weights that lie over two processes: the same run as copied ones, and as one process.

All runs of two processes come from one start of them; see `ranked`. Batch norms are over all
processes, so that nothing but the order of sums differs: the curves agree to rounding.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sharded_runs import run_ranks

torch = pytest.importorskip("torch")

from toy_training import tiny_backbone, toy_recipe, use_tiny_backbone, write_crops  # noqa: E402
from tronie.lab.nn.backbone import build_backbone  # noqa: E402 - only where torch is
from tronie.lab.nn.cost import on_meta  # noqa: E402
from tronie.lab.training import loop, recognition  # noqa: E402
from tronie.lab.training.checkpoint import checkpoints, newest_checkpoint  # noqa: E402
from tronie.lab.training.distributed import Place, start  # noqa: E402
from tronie.lab.training.export import export_backbone  # noqa: E402
from tronie.lab.training.recipe import Validation  # noqa: E402
from tronie.lab.training.run_folder import NamedRecipe  # noqa: E402
from tronie.lab.training.run_log import read_log  # noqa: E402
from tronie.lab.training.runs import begin, go_on, load_trained  # noqa: E402
from tronie.lab.training.schedule import Optimizer  # noqa: E402
from tronie.lab.training.sharded_backbone import (  # noqa: E402
    gathered_plan,
    own_part,
    parts_of,
    stored_for,
    total_norm,
    weights_in,
)

pytestmark = pytest.mark.lab

HERE = Place(0, 1, torch.device("cpu"))
JUDGED = Validation(
    pairs="pairsDevTest.txt", threshold_pairs="pairsDevTrain.txt", every_steps=4, flip=False
)
SGD = Optimizer(head_lr_ratio=10.0, clip_norm=0.5)  # a length that is passed in most steps
CASES = {
    "sgd": toy_recipe(optimizer=SGD, validation=JUDGED),
    "in parts": toy_recipe(
        optimizer=SGD, batch_size=12, accumulate=3, epochs=6, fixed_last_scale=True
    ),
    "adamw": toy_recipe(optimizer=replace(SGD, name="adamw", decay_only_matrices=True)),
    "a bad step": toy_recipe(optimizer=SGD),
    "fp16": toy_recipe(optimizer=SGD, precision="fp16"),
}
FP16_SCALE = 256.0  # which nothing here overflows
STOP = 7  # three steps after the checkpoint that a run then goes on from


def train(data, out, case, *, place=HERE, sharded=False, stop=None):
    """A run of a case, or the beginning of it, and what it holds of its network."""
    recipe = replace(CASES[case], sharded_backbone=sharded)
    with begin(NamedRecipe(name="recognition/toy", recipe=recipe), data=data, out=out,
               place=place) as run:  # fmt: skip
        own = sum(own_part(p).numel() for p in run._task.backbone.parameters())
        if case == "a bad step":
            spoil(run._task, at=5)
        try:
            run.train(progress=interrupt_at(stop))
        except KeyboardInterrupt:
            assert stop
        return {"own": own, "plan": dict(run.memory)}


def go_on_to_the_end(folder, *, place=HERE, sharded=False):
    changes = [f"sharded_backbone={str(sharded).lower()}"]
    with go_on(folder, place=place, changes=changes) as run:
        run.train()


def spoil(task, *, at):
    """One step whose loss is no number."""
    plain, count = task.loss, iter(range(99))

    def loss(part):
        return plain(part) * (float("nan") if next(count) == at else 1.0)

    task.loss = loss


def interrupt_at(step):
    def progress(told):
        if told.step == step:
            raise KeyboardInterrupt

    return progress


def _work(data, out):
    torch.set_num_threads(1)
    use_tiny_backbone()
    loop.FIRST_SCALE = FP16_SCALE
    with start() as place:
        for case in CASES:
            facts = train(data, out / f"sharded {case}", case, place=place, sharded=True)
        train(data, out / "copied", "sgd", place=place)
        train(data, out / "2 to 1", "adamw", place=place, sharded=True, stop=STOP)
        go_on_to_the_end(out / "1 to 2", place=place, sharded=True)
        go_on_to_the_end(out / "1 to 2 copied", place=place, sharded=False)
    print(json.dumps(facts))


@pytest.fixture(scope="module")
def ranked(tmp_path_factory):
    """The folder of all runs; those of one process are called by their case."""
    out = tmp_path_factory.mktemp("runs")
    data = write_crops(out / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recognition, "build_backbone", tiny_backbone)
        patch.setattr(loop, "FIRST_SCALE", FP16_SCALE)
        for case in CASES:
            train(data, out / case, case)
        train(data, out / "1 to 2", "adamw", stop=STOP)
        shutil.copytree(out / "1 to 2", out / "1 to 2 copied")
        told = run_ranks([sys.executable, __file__, str(data), str(out)], ranks=2)
        (out / "told.json").write_text(json.dumps([json.loads(line) for _, line, _ in told]))
        assert newest_checkpoint(out / "2 to 1" / "checkpoints").step == 4
        go_on_to_the_end(out / "2 to 1")
    return out


def curve(folder):
    """Loss and length of the gradient, step by step; JSON has null where one is no number."""
    lines = [line for line in read_log(folder) if "loss" in line]
    numbers = [[line["loss"], line["grad_norm"]] for line in lines]
    return [[math.nan if one is None else one for one in pair] for pair in numbers]


def expect_same(found, wanted, *, rel=1e-4):
    """Losses and lengths of gradients; ten steps of a toy run enlarge rounding to less than `rel`.

    NaN equals NaN: a step that is skipped is skipped in both.
    """
    assert len(found) == len(wanted) == 10
    for a, b in zip(found, wanted, strict=True):
        assert a == pytest.approx(b, rel=rel, nan_ok=True)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_run_of_two_processes_is_that_of_one(ranked, case):
    rel = 0.02 if case == "fp16" else 1e-4  # of numbers of 11 bits
    expect_same(curve(ranked / f"sharded {case}"), curve(ranked / case), rel=rel)


@pytest.mark.slow
def test_it_is_that_of_copied_weights(ranked):
    expect_same(curve(ranked / "sharded sgd"), curve(ranked / "copied"), rel=1e-5)
    ends = [newest_checkpoint(ranked / who / "checkpoints") for who in ("sharded sgd", "copied")]
    assert sorted(ends[0].names()) == sorted(ends[1].names())
    for name in ends[0].names():
        assert ends[0].shape(name) == ends[1].shape(name)
        if not name.startswith("head/missed"):
            a, b = (end.tensor(name).double() for end in ends)
            assert torch.allclose(a, b, atol=1e-6), name


@pytest.mark.slow
@pytest.mark.parametrize("way", ["2 to 1", "1 to 2", "1 to 2 copied"])
def test_it_goes_on_with_other_processes_cut_or_copied(ranked, way):
    """From the checkpoint of step 4; AdamW's moments and count of steps go on too."""
    expect_same(curve(ranked / way), curve(ranked / "adamw"))
    steps = [line["step"] for line in read_log(ranked / way) if "loss" in line]
    assert steps == list(range(1, 11))


@pytest.mark.slow
def test_a_step_that_is_no_number_is_skipped_in_all_processes(ranked):
    last = read_log(ranked / "sharded a bad step")[-1]
    assert (last["step"], last["skipped"]) == (10, 1)
    stored = newest_checkpoint(ranked / "sharded a bad step" / "checkpoints")
    assert all(stored.tensor(name).isfinite().all() for name in stored.names())


@pytest.mark.slow
def test_it_is_validated_and_exported_as_any_other(ranked, tmp_path):
    told = [
        [line["validation"] for line in read_log(ranked / run) if "validation" in line]
        for run in ("sharded sgd", "sgd")
    ]
    assert len(told[0]) == 3
    assert told[0] == told[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recognition, "build_backbone", tiny_backbone)
        recipe, backbone = load_trained(ranked / "sharded sgd")
        _, other = load_trained(ranked / "sgd")
    proof = export_backbone(backbone, tmp_path / "m.onnx", embedding_size=recipe.embedding_size)
    assert proof.max_difference < 1e-5
    crops = torch.randn(2, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(backbone(crops), other(crops), atol=1e-4)


@pytest.mark.slow
def test_each_process_holds_its_share_and_the_plan_says_so(ranked):
    whole = weights_in(tiny_backbone("tiny", embedding_size=16))
    facts = json.loads((ranked / "told.json").read_text())
    assert sum(one["own"] for one in facts) == whole
    for one in facts:
        assert one["own"] < 0.51 * whole
        assert one["plan"]["backbone weights"] == 4 * one["own"]
        assert one["plan"]["backbone weights gathered"] == 4 * whole
        assert one["plan"]["optimizer state"] == 4 * one["own"]
    assert len(checkpoints(ranked / "sharded sgd" / "checkpoints")) == 3


def test_a_transformer_is_gathered_block_by_block():
    with torch.device("meta"):
        network = on_meta(build_backbone("vit-l", embedding_size=512))
    parts = list(parts_of(network))
    assert parts[:-1] == list(network.blocks)
    assert parts[-1] is network.head[0]
    assert weights_in(network) - sum(map(weights_in, parts)) < 0.01 * weights_in(network)


def test_what_is_not_cut_is_as_it_was(tmp_path):
    network = tiny_backbone("tiny")
    rows = [torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])]
    assert float(total_norm(rows)) == 5.0
    assert own_part(rows[0]) is rows[0]
    assert gathered_plan(network) == {}

    class Stored:
        def tensor(self, name):
            return torch.ones(2)

    assert torch.equal(stored_for(rows[0], Stored(), "optimizer/w/exp_avg"), torch.ones(2))


if __name__ == "__main__":
    _work(Path(sys.argv[1]), Path(sys.argv[2]))
