"""Runs of the toy: begun, gone on with anywhere, held to their recipe and their data."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import toy_training
from sharded_runs import run_ranks
from tronie.errors import BadFile, BadInput, NotFound
from working_tree import environment

torch = pytest.importorskip("torch")

from toy_training import (  # noqa: E402 - only where torch is
    interrupt_at,
    tiny_backbone,
    toy_recipe,
    wait_for_steps,
    write_crops,
)
from tronie.lab.training import recognition  # noqa: E402
from tronie.lab.training.checkpoint import checkpoints, newest_checkpoint  # noqa: E402
from tronie.lab.training.distributed import Place  # noqa: E402
from tronie.lab.training.export import export_backbone  # noqa: E402
from tronie.lab.training.recipe import Data, Teacher  # noqa: E402
from tronie.lab.training.run_folder import NamedRecipe, read_classes, read_recipe  # noqa: E402
from tronie.lab.training.run_log import read_log  # noqa: E402
from tronie.lab.training.runs import begin, go_on, load_trained, steps_of  # noqa: E402

pytestmark = pytest.mark.lab

HERE = Place(0, 1, torch.device("cpu"))
TOY = NamedRecipe(name="recognition/toy", recipe=toy_recipe())
PROGRAM = [sys.executable, toy_training.__file__]


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(recognition, "build_backbone", tiny_backbone)


@pytest.fixture
def data(tmp_path):
    return write_crops(tmp_path / "data")


def train(data, out, recipe=None, *, stop=None, **given):
    """A whole run, or one that is interrupted at a line of its log."""
    named = TOY if recipe is None else NamedRecipe(name="recognition/toy", recipe=recipe)
    with begin(named, data=data, out=out, place=HERE, **given) as run:
        return run.train(progress=interrupt_at(stop))


def resumed(folder, **given):
    with go_on(folder, place=HERE, **given) as run:
        return run.train()


def curve(folder):
    return {line["step"]: line["loss"] for line in read_log(folder) if "loss" in line}


@pytest.mark.slow
def test_a_run_learns_and_leaves_what_it_promises(data, tmp_path):
    outcome = train(data, tmp_path / "run", toy_recipe(epochs=12))
    losses = curve(tmp_path / "run")
    assert outcome.steps == steps_of(toy_recipe(epochs=12), 20) == 40
    assert list(losses) == list(range(1, 41))
    assert losses[40] < 0.7 * losses[1]
    assert read_classes(tmp_path / "run") == ("P0", "P1", "P2", "P3", "P4")
    assert read_recipe(tmp_path / "run").recipe == toy_recipe(epochs=12)
    assert newest_checkpoint(tmp_path / "run" / "checkpoints").step == 40


@pytest.mark.parametrize("stop", [3, 7])
def test_a_run_that_was_ended_goes_on_to_the_same_curve(data, tmp_path, stop):
    train(data, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        train(data, tmp_path / "part", stop=stop)
    resumed(tmp_path / "part")
    assert curve(tmp_path / "part") == curve(tmp_path / "whole")


@pytest.mark.slow
def test_a_run_in_parts_goes_on_as_well(data, tmp_path):
    recipe = toy_recipe(accumulate=3, data=Data(mask=0.5, photometric=0.5, threads=2))
    train(data, tmp_path / "whole", recipe)
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        train(data, tmp_path / "part", recipe, stop=6)
    resumed(tmp_path / "part")
    assert curve(tmp_path / "part") == curve(tmp_path / "whole")


def test_a_finished_run_has_nothing_left_to_do(data, tmp_path):
    train(data, tmp_path / "run")
    before = (tmp_path / "run" / "log.jsonl").read_text()
    assert resumed(tmp_path / "run").steps == 10
    assert (tmp_path / "run" / "log.jsonl").read_text() == before


def test_settings_of_what_comes_later_may_change_and_are_written_down(data, tmp_path):
    train(data, tmp_path / "run")
    with go_on(tmp_path / "run", place=HERE, changes=["epochs=4"]) as run:
        assert run.changed == ("epochs: 3 is now 4",)
        assert run.train().steps == 14
    named = read_recipe(tmp_path / "run")
    assert named.recipe.epochs == 4
    assert named.changes == ({"step": 10, "differences": ["epochs: 3 is now 4"]},)


def test_another_optimizer_is_refused_and_the_recipe_stays(data, tmp_path):
    train(data, tmp_path / "run")
    with pytest.raises(BadInput, match=r"cannot go on with optimizer.name: sgd is now adamw: it"):
        resumed(tmp_path / "run", changes=["optimizer.name=adamw", "epochs=4"])
    assert read_recipe(tmp_path / "run").recipe == toy_recipe()
    changes = ["optimizer.momentum=0.8", "optimizer.weight_decay=0", "optimizer.clip_norm=0"]
    with go_on(tmp_path / "run", place=HERE, changes=[*changes, "epochs=4"]) as run:
        assert run.train().steps == 14


def test_a_state_that_cannot_be_loaded_leaves_the_recipe_as_it_was(data, tmp_path):
    train(data, tmp_path / "run")
    (part,) = checkpoints(tmp_path / "run" / "checkpoints")[-1].glob("*.distcp")
    damaged = bytearray(part.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    part.write_bytes(damaged)
    with pytest.raises(BadFile, match=r"is damaged .* checkpoint before, step-00000008"):
        resumed(tmp_path / "run", changes=["epochs=4"])
    assert read_recipe(tmp_path / "run").recipe == toy_recipe()


@pytest.mark.parametrize(
    ("ranks", "changes"),
    [
        (1, {"batch_size": 3, "accumulate": 3, "norm_statistics": "global"}),
        (6, {"norm_statistics": "local"}),
    ],
)
def test_one_image_to_a_process_is_refused(data, tmp_path, ranks, changes):
    place = Place(0, ranks, torch.device("cpu"))
    named = NamedRecipe(name="recognition/toy", recipe=toy_recipe(**changes))
    with (
        pytest.raises(BadInput, match="leaves one image to each, and batch normalization needs"),
        begin(named, data=data, out=tmp_path / "run", place=place),
    ):
        pass
    assert not (tmp_path / "run").exists()


def test_a_rate_that_rises_to_the_end_is_announced(data, tmp_path):
    recipe = toy_recipe(schedule=replace(toy_recipe().schedule, warmup_epochs=6.0))
    told = []
    named = NamedRecipe(name="recognition/toy", recipe=recipe)
    with begin(named, data=data, out=tmp_path / "run", place=HERE) as run:
        run.train(announce=told.append)
    assert told == [
        "schedule.warmup_epochs is 6 and epochs 3: the rate rises to the end and reaches 50% of "
        "schedule.peak_lr"
    ]


def test_other_settings_are_listed_and_refused(data, tmp_path):
    train(data, tmp_path / "run")
    told = "cannot go on with embedding_size: 16 is now 32; seed: 0 is now 5: its weights"
    with pytest.raises(BadInput, match=told):
        resumed(tmp_path / "run", changes=["embedding_size=32", "seed=5", "epochs=9"])
    assert read_recipe(tmp_path / "run").recipe == toy_recipe()


def test_another_recipe_is_listed_and_refused(data, tmp_path):
    train(data, tmp_path / "run")
    other = NamedRecipe(name="recognition/other", recipe=toy_recipe(batch_size=4, seed=1))
    told = "is a run of recognition/toy and not of recognition/other .* batch_size: 6 is now 4; se"
    with pytest.raises(BadInput, match=told):
        resumed(tmp_path / "run", recipe=other)


def test_other_data_are_told_and_refused(data, tmp_path):
    train(data, tmp_path / "run")
    (data / "P4" / "P4_0001.png").unlink()
    with pytest.raises(BadInput, match="not what this run was begun with: 20 images are now 19"):
        resumed(tmp_path / "run")
    (data / "P3").rename(data / "Q")
    with pytest.raises(BadInput, match="1 class is new, such as 'Q'; 1 class is gone, such as 'P3"):
        resumed(tmp_path / "run")


def test_the_data_may_lie_elsewhere_now(data, tmp_path):
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        train(data, tmp_path / "run", stop=5)
    data.rename(tmp_path / "moved")
    with pytest.raises(NotFound, match="there is no data folder"):
        resumed(tmp_path / "run")
    assert resumed(tmp_path / "run", data=tmp_path / "moved").steps == 10


def test_a_run_that_was_ended_before_its_first_checkpoint_begins_again(data, tmp_path):
    train(data, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        train(data, tmp_path / "part", stop=2)
    resumed(tmp_path / "part")
    assert curve(tmp_path / "part") == curve(tmp_path / "whole")


def test_a_run_begins_with_the_weights_of_another(data, tmp_path):
    train(data, tmp_path / "first")
    _, trained = load_trained(tmp_path / "first")
    recipe = toy_recipe(start_from=str(tmp_path / "first"), seed=4)
    still = replace(recipe, schedule=replace(recipe.schedule, peak_lr=0.0), epochs=0.3)
    train(data, tmp_path / "second", still)
    _, found = load_trained(tmp_path / "second")
    for a, b in zip(trained.parameters(), found.parameters(), strict=True):
        assert torch.equal(a, b)


def test_validation_is_logged_and_reported(data, tmp_path):
    changes = [
        "validation.pairs=pairsDevTest.txt",
        "validation.threshold_pairs=pairsDevTrain.txt",
        "validation.every_steps=4",
    ]
    outcome = train(data, tmp_path / "run", changes=changes)
    told = [line for line in read_log(tmp_path / "run") if "validation" in line]
    assert [line["step"] for line in told] == [4, 8, 10]
    assert outcome.validation == told[-1]["validation"]
    assert len(list((tmp_path / "run" / "reports").iterdir())) == 3


def test_images_that_are_skipped_are_counted_in_the_log(data, tmp_path):
    (data / "P1" / "P1_0002.png").write_bytes(b"no picture")
    train(data, tmp_path / "run", changes=["data.unreadable=skip"])
    assert read_log(tmp_path / "run")[-1]["unreadable"] == 1


def test_the_count_of_skipped_images_goes_on_with_a_run(data, tmp_path):
    """One image is met before the run is ended, and is there again afterwards."""
    (data / "P1" / "P1_0002.png").write_bytes(b"no picture")
    kept = (data / "P1" / "P1_0001.png").read_bytes()
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        train(data, tmp_path / "run", changes=["data.unreadable=skip"], stop=5)
    assert read_log(tmp_path / "run")[-1]["unreadable"] == 1
    (data / "P1" / "P1_0002.png").write_bytes(kept)
    (data / "P3" / "P3_0002.png").write_bytes(b"no picture")
    resumed(tmp_path / "run")
    lines = read_log(tmp_path / "run")
    assert lines[-1]["unreadable"] == 2
    (told,) = [line["unreadable_images"] for line in lines if "unreadable_images" in line][-1:]
    assert ["P1_0002.png" in told[0], "P3_0002.png" in told[1]] == [True, True]


@pytest.mark.slow
def test_a_student_learns_from_a_teacher_and_keeps_its_centers(data, tmp_path):
    train(data, tmp_path / "teacher", toy_recipe(epochs=6))
    teacher = Teacher(run=str(tmp_path / "teacher"), angular=7.0, l2=0.1, kl=0.5, copy_centers=True)
    train(data, tmp_path / "student", toy_recipe(seed=3, teacher=teacher, epochs=6))
    losses = curve(tmp_path / "student")
    assert losses[20] < 0.8 * losses[1]
    ends = [newest_checkpoint(tmp_path / who / "checkpoints") for who in ("teacher", "student")]
    assert torch.equal(ends[0].tensor("head/values"), ends[1].tensor("head/values"))
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        train(data, tmp_path / "again", toy_recipe(seed=3, teacher=teacher, epochs=6), stop=15)
    resumed(tmp_path / "again")
    assert curve(tmp_path / "again") == losses


@pytest.mark.slow
def test_a_teacher_in_a_file_teaches_what_its_run_does(data, tmp_path):
    """The same network through torch and through onnxruntime: the curves agree to rounding."""
    train(data, tmp_path / "teacher")
    recipe, network = load_trained(tmp_path / "teacher")
    export_backbone(network, tmp_path / "t.onnx", embedding_size=recipe.embedding_size)
    teachers = {
        "run": Teacher(run=str(tmp_path / "teacher"), angular=7.0, l2=0.1),
        "model": Teacher(model=str(tmp_path / "t.onnx"), angular=7.0, l2=0.1),
    }
    for name, teacher in teachers.items():
        train(data, tmp_path / name, toy_recipe(seed=3, teacher=teacher))
    found, wanted = curve(tmp_path / "model"), curve(tmp_path / "run")
    assert list(found.values()) == pytest.approx(list(wanted.values()), rel=1e-4)


def test_what_a_teachers_file_does_not_state_is_told(data, tmp_path):
    network = tiny_backbone("tiny", embedding_size=16)
    export_backbone(network, tmp_path / "t.onnx", embedding_size=16)
    (tmp_path / "t.toml").unlink()
    recipe = toy_recipe(teacher=Teacher(model=str(tmp_path / "t.onnx"), angular=1.0), epochs=0.3)
    said = []
    with begin(NamedRecipe(name="recognition/toy", recipe=recipe), data=data,
               out=tmp_path / "run", place=HERE) as run:  # fmt: skip
        run.train(announce=said.append)
    assert len(said) == 1
    assert re.match(r"assumed: t: .* state it in t\.toml if that is wrong", said[0])


def test_a_recipe_that_learns_from_nobody_is_refused_before_a_folder_is_made(data, tmp_path):
    with pytest.raises(BadInput, match="learns from a teacher and names none; set teacher"):
        train(data, tmp_path / "run", toy_recipe(teacher=Teacher(angular=7.0)))
    assert not (tmp_path / "run").exists()


def begin_ranked(data, out, ranks, *changes):
    words = [*PROGRAM, "train", "toy", "--data", str(data), "--out", str(out)]
    sets = [word for change in changes for word in ("--set", change)]
    return run_ranks([*words, *sets], ranks=ranks)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 3])
def test_two_processes_end_in_the_middle_and_others_go_on_to_the_same_curve(data, tmp_path, ranks):
    """Two to the checkpoint of step 4, then one or three; beside one process from end to end.

    Sums are in other orders: the curves agree to rounding, which ten steps of this run enlarge to
    less than a ten-thousandth.
    """
    train(data, tmp_path / "whole")
    begin_ranked(data, tmp_path / "run", 2)
    for late in checkpoints(tmp_path / "run" / "checkpoints")[1:]:
        (late / "tensors.json").unlink()
        for file in late.iterdir():
            file.unlink()
        late.rmdir()
    assert newest_checkpoint(tmp_path / "run" / "checkpoints").step == 4
    told = run_ranks([*PROGRAM, "train", "--resume", str(tmp_path / "run")], ranks=ranks)
    assert "goes on after step 4" in told[0][1]
    assert [out for _, out, _ in told[1:]] == [""] * (ranks - 1)
    found, wanted = curve(tmp_path / "run"), curve(tmp_path / "whole")
    assert found.keys() == wanted.keys()
    assert list(found.values()) == pytest.approx(list(wanted.values()), rel=1e-4)


@pytest.mark.slow
def test_energy_and_triplets_are_the_same_in_two_processes(data, tmp_path):
    changes = ("data.together=2", "triplets.weight=1", "triplets.margin=4", "energy.weight=2")
    train(data, tmp_path / "one", changes=changes)
    begin_ranked(data, tmp_path / "two", 2, *changes)
    one, two = curve(tmp_path / "one"), curve(tmp_path / "two")
    assert list(two.values()) == pytest.approx(list(one.values()), rel=1e-4)
    train(data, tmp_path / "without")
    assert curve(tmp_path / "without")[1] != pytest.approx(one[1], rel=0.1)


@pytest.mark.slow
def test_batch_statistics_of_each_process_make_another_run(data, tmp_path):
    """Why a recipe that must not depend on the processes asks for those of all."""
    train(data, tmp_path / "one", toy_recipe(norm_statistics="local"))
    begin_ranked(data, tmp_path / "two", 2, "norm_statistics=local")
    one, two = curve(tmp_path / "one"), curve(tmp_path / "two")
    assert one[10] != pytest.approx(two[10], rel=1e-3)


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_to_the_same_curve(data, tmp_path):
    """SIGKILL after more and more seconds, until a run comes to its end."""
    long = ["--set", "epochs=12", "--set", "checkpoint.every_steps=2"]
    env = {**environment(), "OMP_NUM_THREADS": "1"}  # of as many threads: sums keep their order
    out, whole = tmp_path / "run", tmp_path / "whole"
    words = [*PROGRAM, "train", "toy", "--data", str(data), "--out", str(whole), *long]
    subprocess.run(words, env=env, stdout=subprocess.DEVNULL, check=True, timeout=240)
    words[-len(long) - 1] = str(out)
    kills = 0
    while True:
        process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL)
        wait_for_steps(process, out, kills * 11 + 3)
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
        words = [*PROGRAM, "train", "--resume", str(out)]
    assert process.returncode == 0
    assert kills >= 3
    assert curve(out) == curve(whole)


@pytest.mark.slow
@pytest.mark.parametrize("sharded", ["false", "true"])
def test_a_process_that_dies_ends_the_others_with_a_sentence(data, tmp_path, sharded):
    """The second of two kills itself while the first waits for its gradients."""
    program = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(toy_training.__file__).parent)!r})
import toy_training
toy_training.use_tiny_backbone()
from tronie.lab.training.recognition import Recognition
plain = Recognition.update
def update(self, *, lr):
    if os.environ["RANK"] == "1" and self.head.centers.steps == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    plain(self, lr=lr)
Recognition.update = update
from tronie.cli.main import main
words = ["--data", {str(data)!r}, "--out", {str(tmp_path / "run")!r}]
sys.exit(main(["train", "toy", *words, "--set", "sharded_backbone={sharded}"]))
"""
    began = time.monotonic()
    ended = run_ranks([sys.executable, "-c", program], ranks=2, good=False)
    assert time.monotonic() - began < 60
    assert [code for code, *_ in ended] == [2, -signal.SIGKILL]
    assert "rank 0 of 2 lost" in ended[0][2]
    assert "--resume" in ended[0][2]
