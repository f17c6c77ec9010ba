"""tronie train: a run from the command line, its answers and its refusals."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from working_tree import environment

torch = pytest.importorskip("torch")

import toy_training  # noqa: E402 - only where torch is
from toy_training import find_toy, tiny_backbone, toy_recipe, write_crops  # noqa: E402
from tronie.lab.training import recognition, run_folder  # noqa: E402
from tronie.lab.training.run_log import read_log  # noqa: E402

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setattr(recognition, "build_backbone", tiny_backbone)
    monkeypatch.setattr(run_folder, "find_recipe", find_toy("recognition/toy", toy_recipe()))


@pytest.fixture
def data(tmp_path):
    return write_crops(tmp_path / "data")


@pytest.fixture
def run(cli_here, data, tmp_path):
    """A short run, trained."""
    told = cli_here("train", "toy", "--data", data, "--out", tmp_path / "run", "--set", "epochs=1")
    assert told.code == 0, told.err
    return tmp_path / "run"


def test_it_tells_what_it_does_and_how_far_it_is(cli_here, data, tmp_path):
    out = tmp_path / "run"
    told = cli_here("train", "toy", "--data", data, "--out", out, "--set", "margin=arcface")
    assert (told.code, told.err) == (0, "")
    lines = told.out.splitlines()
    assert lines[0] == (
        f"recognition/toy: 20 images of 5 people, 10 steps in 1 process on cpu; the run is {out}"
    )
    assert "memory of each process" in told.out
    assert "in all" in told.out
    steps = [line for line in lines if line.startswith("step ")]
    assert len(steps) == 10
    assert "images/s" in steps[0]
    assert steps[-1].startswith("step 10 of 10  epoch 3.00  loss ")
    assert lines[-1].startswith("done: 10 steps, loss ")


def test_json_is_one_object_a_line(cli_here, data, tmp_path):
    told = cli_here("train", "toy", "--data", data, "--out", tmp_path / "run", "--json")
    lines = told.json_lines()
    assert lines[0]["steps"] == 10
    assert lines[0]["memory_bytes"]["backbone weights"] > 0
    assert [line["step"] for line in lines[1:-1]] == list(range(1, 11))
    assert lines[-1]["loss"] == lines[-2]["loss"]


def test_a_run_goes_on_with_more_epochs(cli_here, run):
    told = cli_here("train", "--resume", run, "--set", "epochs=2")
    assert told.code == 0
    assert "goes on after step 4" in told.out
    assert "changed: epochs: 1 is now 2" in told.out
    assert [line["step"] for line in read_log(run)] == list(range(1, 8))


def test_a_run_that_is_done_says_so(cli_here, run):
    told = cli_here("train", "--resume", run)
    assert told.code == 0
    done = f"the run was done: all 4 steps; next: tronie export {run} --out model.onnx"
    assert told.out.splitlines()[-1] == done


def test_a_run_is_repeated_from_its_folder(cli_here, run, data, tmp_path):
    told = cli_here("train", run, "--data", data, "--out", tmp_path / "again")
    assert told.code == 0
    assert read_log(tmp_path / "again")[-1]["loss"] == read_log(run)[-1]["loss"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "name a recipe"),
        (["toy"], "a new run needs --data DIR"),
        (["toy", "--data", "{data}"], "a new run needs --out RUN"),
        (["toy", "--resume", "{run}", "--out", "x"], "leave --out away"),
        (["toi", "--data", "{data}", "--out", "{tmp}/x"], "no entry 'toi' in the recipes of tro"),
        (["toy", "--data", "{tmp}/no", "--out", "{tmp}/x"], "there is no data folder"),
        (["toy", "--data", "{data}", "--out", "{run}"], "holds a run of recognition/toy already"),
        (["toy", "--data", "{data}", "--out", "{data}"], "with other things in it"),
        (
            ["toy", "--data", "{data}", "--out", "{tmp}/x", "--set", "epoch=1"],
            "no entry 'epoch' in RecognitionRecipe. Did you mean 'epochs'?",
        ),
        (["--resume", "{tmp}/no"], "holds no run: there is no recipe.json in it"),
        (["--resume", "{run}", "--set", "seed=4"], "cannot go on with seed: 0 is now 4"),
        (["toy", "--resume", "{run}"], "not of recognition/toy as it stands: epochs: 1 is now 3"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(cli_here, run, data, tmp_path, words, told):
    given = [word.format(data=data, run=run, tmp=tmp_path) for word in words]
    answer = cli_here("train", *given)
    assert answer.code == 2
    assert answer.out == ""
    assert told in answer.err
    assert len(answer.err.splitlines()) == 1


def test_without_torch_it_says_what_to_install(cli_here, data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "tronie.lab.training.distributed")
    told = cli_here("train", "toy", "--data", data, "--out", tmp_path / "run")
    assert told.code == 2
    assert (
        "tronie train needs torch, which is not installed; pip install 'tronie[train]'" in told.err
    )


def test_a_loss_that_is_no_number_ends_it_with_a_sentence(cli_here, data, tmp_path):
    steep = ["--set", "schedule.peak_lr=1e30", "--set", "optimizer.clip_norm=0"]
    more = ["--set", "bad_steps=3", "--set", "epochs=9"]
    told = cli_here("train", "toy", "--data", data, "--out", tmp_path / "run", *steep, *more)
    assert told.code == 2
    assert "is skipped: loss" in told.err
    assert "3 steps in a row had no finite loss and gradient" in told.err.splitlines()[-1]


def test_a_run_whose_last_step_had_no_finite_loss_does_not_say_that_nothing_was_to_do(
    cli_here, data, tmp_path
):
    steep = ["--set", "schedule.peak_lr=1e30", "--set", "optimizer.clip_norm=0"]
    told = cli_here("train", "toy", "--data", data, "--out", tmp_path / "run", *steep)
    lines = told.out.splitlines()
    assert lines[-1].startswith("done: 10 steps, loss nan, in ")
    assert re.fullmatch(r"\d+ of 10 steps were skipped: no finite loss or gradient", lines[-2])


def test_a_large_loss_and_a_slow_pace_are_told_in_few_digits(cli_here, data, tmp_path, monkeypatch):
    from tronie.lab.training import loop

    told = loop.Told(
        step=1,
        steps=9,
        epoch=0.1,
        loss=3.16445e29,
        lr=0.1,
        grad_norm=1.0,
        images_per_s=0.42,
        remaining_s=7384.0,
        skipped=0,
    )
    monkeypatch.setattr(loop, "Told", lambda **_: told)
    ran = cli_here("train", "toy", "--data", data, "--out", tmp_path / "run", "--set", "epochs=0.3")
    line = "step 1 of 9  epoch 0.10  loss 3.164e+29  lr 0.1  0.42 images/s  2 h 03 min left"
    assert line in ran.out.splitlines()


def test_json_counts_what_could_not_be_read(cli_here, data, tmp_path):
    (data / "P1" / "P1_0002.png").write_bytes(b"no picture")
    words = ["toy", "--data", data, "--out", tmp_path / "run", "--set", "data.unreadable=skip"]
    assert cli_here("train", *words, "--json").json_lines()[-1]["unreadable"] == 1


@pytest.mark.slow
def test_an_unreadable_image_of_another_process_is_told_by_its_name(data, tmp_path):
    from sharded_runs import run_ranks

    (data / "P2" / "P2_0002.png").write_bytes(b"no picture")
    words = ["train", "toy", "--data", str(data), "--out", str(tmp_path / "run")]
    program = [sys.executable, toy_training.__file__, *words]
    ended = run_ranks(program, ranks=2, good=False)
    assert all(code == 2 for code, *_ in ended)
    assert sum("P2_0002.png" in err for *_, err in ended) == 1


@pytest.mark.slow
def test_two_processes_under_torchrun_train_and_the_network_is_exported(data, tmp_path):
    """The commands as they are written, with a real network, on drawn crops."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    free = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
    sets = ["--set", "batch_size=4", "--set", "epochs=0.5", "--set", "log_every=1"]
    asked = ["train", "recognition/lfw_small_resnet_arcface_pfc01", "--data", str(data)]
    words = [*launch, *free, "-m", "tronie", *asked, "--out", str(tmp_path / "run"), *sets]
    env = {**environment(), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "in 2 processes on cpu" in done.stdout
    assert done.stdout.count("step 3 of 3") == 1
    assert [line["step"] for line in read_log(tmp_path / "run") if "loss" in line] == [1, 2, 3]
    export = ["export", str(tmp_path / "run"), "--out", str(tmp_path / "m.onnx"), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "tronie", *export], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    proof = json.loads(done.stdout)
    assert proof["max_difference"] <= 1e-4 * max(1, proof["largest"])
