"""Runs of a detector on drawn photographs: begun, gone on with, killed, held to their data."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

import toy_detection
from working_tree import environment

torch = pytest.importorskip("torch")

from toy_detection import toy_recipe, write_photos  # noqa: E402 - only where torch is
from toy_training import (  # noqa: E402
    interrupt_at,
    tiny_backbone,
    wait_for_steps,
    write_crops,
)
from toy_training import toy_recipe as toy_recognizer  # noqa: E402
from tronie.errors import BadFile, BadImage, BadInput, NotEnoughData, NotFound  # noqa: E402
from tronie.evaluation.report import Report  # noqa: E402
from tronie.lab.training import recognition  # noqa: E402
from tronie.lab.training.checkpoint import newest_checkpoint  # noqa: E402
from tronie.lab.training.detection_recipe import DetectionData, DetectionValidation  # noqa: E402
from tronie.lab.training.distributed import Place  # noqa: E402
from tronie.lab.training.recipe import Teacher  # noqa: E402
from tronie.lab.training.run_folder import NamedRecipe, read_classes, read_recipe  # noqa: E402
from tronie.lab.training.run_log import read_log  # noqa: E402
from tronie.lab.training.runs import begin, go_on, load_trained  # noqa: E402

pytestmark = pytest.mark.lab

HERE = Place(0, 1, torch.device("cpu"))
PROGRAM = [sys.executable, toy_detection.__file__]


@pytest.fixture
def data(tmp_path):
    return write_photos(tmp_path / "data")


def train(data, out, recipe=None, *, stop=None, **given):
    """A whole run, or one that is interrupted at a line of its log."""
    named = NamedRecipe(name="detection/toy", recipe=recipe or toy_recipe())
    with begin(named, data=data, out=out, place=HERE, **given) as run:
        return run.train(progress=interrupt_at(stop))


def resumed(folder, **given):
    with go_on(folder, place=HERE, **given) as run:
        return run.train()


def curve(folder):
    """All that the log tells of each step but for times."""
    times = ("images_per_s", "remaining_s")
    lines = [line for line in read_log(folder) if "loss" in line]
    return [{name: value for name, value in line.items() if name not in times} for line in lines]


def assert_same_end(one, other):
    assert curve(one) == curve(other)
    ends = [newest_checkpoint(folder / "checkpoints") for folder in (one, other)]
    assert ends[0].step == ends[1].step
    assert ends[0].note == ends[1].note
    assert set(ends[0].names()) == set(ends[1].names())
    for name in ends[0].names():
        assert torch.equal(ends[0].tensor(name), ends[1].tensor(name)), name


def test_a_run_leaves_what_it_promises(data, tmp_path):
    outcome = train(data, tmp_path / "run")
    lines = read_log(tmp_path / "run")
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert all(line["loss"] == pytest.approx(line["classification"] + line["boxes"], rel=1e-5)
               for line in lines)  # fmt: skip
    assert outcome.steps == 8
    assert read_recipe(tmp_path / "run") == NamedRecipe(name="detection/toy", recipe=toy_recipe())
    assert read_classes(tmp_path / "run") == ("face",)
    stored = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert stored.note["task"]["averaged"] == 8
    heads = {name.split("/")[0] for name in stored.names()}
    assert {"network", "average"} < heads


@pytest.mark.parametrize("stop", [2, 4])
def test_a_run_that_was_ended_goes_on_bit_for_bit(data, tmp_path, stop):
    """Before its first checkpoint, and after it; with sizes that are drawn and two parts a step."""
    drawn = replace(toy_recipe().data, sizes=(64, 96), threads=2)
    recipe = toy_recipe(data=drawn, batch_size=4, accumulate=2)
    train(data, tmp_path / "whole", recipe)
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        train(data, tmp_path / "part", recipe, stop=stop)
    resumed(tmp_path / "part")
    assert_same_end(tmp_path / "part", tmp_path / "whole")


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_bit_for_bit(data, tmp_path):
    env = {**environment(), "OMP_NUM_THREADS": "1"}
    more = ["--set", "epochs=12", "--set", "checkpoint.every_steps=2"]
    out, whole = tmp_path / "run", tmp_path / "whole"
    words = [*PROGRAM, "train", "toy", "--data", str(data), "--out", str(whole), *more]
    subprocess.run(words, env=env, stdout=subprocess.DEVNULL, check=True, timeout=240)
    words[-len(more) - 1] = str(out)
    for steps in (3, 6, 8):
        process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL)
        wait_for_steps(process, out, steps)
        assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        words = [*PROGRAM, "train", "--resume", str(out)]
    subprocess.run(words, env=env, stdout=subprocess.DEVNULL, check=True, timeout=240)
    assert_same_end(out, whole)


def test_photographs_held_out_are_judged_on_the_way(tmp_path):
    data = write_photos(tmp_path / "data", photos=8)
    recipe = toy_recipe(
        epochs=2,
        data=DetectionData(sizes=(96,), threads=1, held_out=0.4),
        validation=DetectionValidation(size=160, every_steps=2),
    )
    judged = []
    with begin(NamedRecipe(name="detection/toy", recipe=recipe), data=data,
               out=tmp_path / "run", place=HERE) as run:  # fmt: skip
        held = run.data.counts["held_out"]
        assert run.data.counts["images"] == 8 - held
        assert run.data.told.endswith(f"faces, {held} more held out")
        outcome = run.train(judged=lambda step, numbers: judged.append((step, numbers)))
    steps = [step for step, _ in judged]
    assert steps == sorted({*range(2, run.steps + 1, 2), run.steps})
    assert judged[-1][1] == outcome.validation
    file = tmp_path / "run" / "reports" / f"held-out-step-{run.steps:08d}.json"
    report = Report.from_json(file.read_text())
    assert report.values["all"].value == outcome.validation["held-out"]
    assert report.values["photographs"].value == held


def test_a_run_begins_with_the_average_of_another(data, tmp_path):
    train(data, tmp_path / "first")
    _, trained = load_trained(tmp_path / "first")
    still = replace(toy_recipe().schedule, peak_lr=0.0)
    recipe = toy_recipe(start_from=str(tmp_path / "first"), seed=4, schedule=still, epochs=0.3)
    train(data, tmp_path / "second", recipe)
    _, found = load_trained(tmp_path / "second")
    for a, b in zip(trained.parameters(), found.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_recognizer_and_a_detector_do_not_begin_with_each_other(data, tmp_path, monkeypatch):
    monkeypatch.setattr(recognition, "build_backbone", tiny_backbone)
    crops = write_crops(tmp_path / "crops")
    named = NamedRecipe(name="recognition/toy", recipe=toy_recognizer(epochs=0.3))
    with begin(named, data=crops, out=tmp_path / "recognizer", place=HERE) as run:
        run.train()
    with pytest.raises(BadFile, match=r"holds no network/.*; it was written by another recipe"):
        train(data, tmp_path / "run", toy_recipe(start_from=str(tmp_path / "recognizer")))
    train(data, tmp_path / "detector", toy_recipe(epochs=0.3))
    teacher = Teacher(run=str(tmp_path / "detector"), angular=1.0)
    named = NamedRecipe(name="recognition/toy", recipe=toy_recognizer(teacher=teacher))
    told = r"teacher.run: .*detector is a run of detection/toy, which embeds no faces; name the run"
    with (
        pytest.raises(BadInput, match=told),
        begin(named, data=crops, out=tmp_path / "x", place=HERE),
    ):
        pass


def test_other_labels_are_told_and_refused_and_the_data_may_lie_elsewhere(data, tmp_path):
    train(data, tmp_path / "run", toy_recipe(epochs=1))
    labels = data / "labels.txt"
    kept = labels.read_text()
    labels.write_text(kept.replace("\n38 ", "\n39 ", 1))
    told = "is not what this run was begun with: labels differ. Restore it, or begin another run"
    with pytest.raises(BadInput, match=told):
        resumed(tmp_path / "run", changes=["epochs=2"])
    labels.write_text(kept)
    data.rename(tmp_path / "moved")
    with pytest.raises(NotFound, match="there is no data folder"):
        resumed(tmp_path / "run", changes=["epochs=2"])
    assert resumed(tmp_path / "run", data=tmp_path / "moved", changes=["epochs=2"]).steps == 2


def test_other_settings_are_listed_and_refused(data, tmp_path):
    train(data, tmp_path / "run", toy_recipe(epochs=1))
    told = "cannot go on with detector: scrfd-0.5g is now scrfd-2.5g; ema: 0.9 is now 0.5: its"
    with pytest.raises(BadInput, match=told):
        resumed(tmp_path / "run", changes=["detector=scrfd-2.5g", "ema=0.5", "epochs=2"])


@pytest.mark.parametrize(
    ("changes", "fault", "told"),
    [
        (["detector=scrfd-0.6g"], NotFound, "no entry 'scrfd-0.6g' .* Did you mean 'scrfd-0.5g'"),
        (["data.held_out=0.0001"], NotEnoughData, "keeps 0 of 3 photographs for validation"),
        (["data.labels=gone.txt"], NotFound, "gone.txt"),
        (["validation.truth=mats"], NotFound, "wider_face_val.mat"),
        (["data.scales=0"], BadInput, "data.scales needs parts of the short side"),
    ],
)
def test_what_cannot_be_is_refused_before_a_folder_is_made(data, tmp_path, changes, fault, told):
    with pytest.raises(fault, match=told):
        train(data, tmp_path / "run", changes=changes)
    assert not (tmp_path / "run").exists()


def test_photographs_without_a_face_to_learn_from_are_refused(data, tmp_path):
    (data / "labels.txt").write_text("# EVENT/0.png 160 160\n10 10 40 40 1\n# EVENT/2.png\n")
    with pytest.raises(BadInput, match=r"no face is labeled in the 2 photographs of "):
        train(data, tmp_path / "run")


def test_a_photograph_that_cannot_be_read_ends_the_run_or_is_counted(data, tmp_path):
    (data / "EVENT" / "1.png").write_bytes(b"no picture")
    with pytest.raises(BadImage, match=r"EVENT/1\.png"):
        train(data, tmp_path / "run")
    train(data, tmp_path / "skipping", changes=["data.unreadable=skip"])
    last = read_log(tmp_path / "skipping")[-1]
    assert last["unreadable"] == 1
    stored = newest_checkpoint(tmp_path / "skipping" / "checkpoints")
    assert "EVENT/1.png" in stored.note["task"]["unreadable"]["reasons"][0]


def test_a_photograph_without_faces_is_background(data, tmp_path):
    shutil.copy(data / "EVENT" / "0.png", data / "EVENT" / "empty.png")
    with (data / "labels.txt").open("a") as labels:
        labels.write("# EVENT/empty.png 160 160\n")
    outcome = train(data, tmp_path / "run", toy_recipe(batch_size=2, epochs=2))
    assert (outcome.steps, outcome.skipped) == (4, 0)
