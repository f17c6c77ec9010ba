"""Training on what is damaged, missing or nonsense: one sentence, code 2, and nothing half done."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from working_tree import environment

torch = pytest.importorskip("torch")

import toy_training  # noqa: E402 - only where torch is
from toy_training import tiny_backbone, toy_recipe, write_crops  # noqa: E402
from tronie import catalog  # noqa: E402
from tronie.lab.training import recognition, run_folder  # noqa: E402
from tronie.lab.training.recipe import HEADS, MARGINS  # noqa: E402
from tronie.lab.training.run_log import read_log  # noqa: E402

pytestmark = pytest.mark.lab

PROGRAM = [sys.executable, toy_training.__file__]
ONE_THREAD = {**environment(), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    named = run_folder.NamedRecipe(name="recognition/toy", recipe=toy_recipe())
    found = run_folder.find_recipe
    monkeypatch.setattr(recognition, "build_backbone", tiny_backbone)
    monkeypatch.setattr(
        run_folder, "find_recipe", lambda name: named if name == "toy" else found(name)
    )


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return write_crops(tmp_path_factory.mktemp("drawn"))


@pytest.fixture
def data(drawn, tmp_path):
    return shutil.copytree(drawn, tmp_path / "data")


@pytest.fixture
def shards(cli_here, data, tmp_path):
    assert cli_here("pack", data, "--out", tmp_path / "shards").code == 0
    return tmp_path / "shards"


@pytest.fixture
def train(cli_here, tmp_path):
    """`train(data, "epochs=1")`: a run of the toy with these settings."""

    def run(data, *changes):
        sets = [word for change in changes for word in ("--set", change)]
        return cli_here("train", "toy", "--data", data, "--out", tmp_path / "run", *sets)

    return run


def expect_refused(told, pattern):
    assert told.code == 2
    assert re.search(pattern, told.err), told.err
    assert len(told.err.splitlines()) == 1


def flip(file, *, at=None):
    """Turn over the lowest bit of one byte, by default the middle one."""
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2 if at is None else at] ^= 1
    file.write_bytes(damaged)


# --- shards and archives --------------------------------------------------------------------


def test_a_missing_shard_is_named(shards, train):
    (shards / "shard-00000.bin").unlink()
    expect_refused(train(shards), r"shard 0 of 1 \(.*shard-00000.bin\) is missing; copy it again")


def test_a_truncated_shard_is_named(shards, train):
    shard = shards / "shard-00000.bin"
    size = shard.stat().st_size
    os.truncate(shard, size - 1)
    expect_refused(train(shards), f"is cut off: {size - 1} bytes of {size}; copy it again")


def test_a_byte_that_flipped_in_a_shard_ends_the_run_by_the_image(shards, train):
    flip(shards / "shard-00000.bin")
    expect_refused(train(shards), r"image \d+ of .* has other bytes than were packed at byte \d+")


@pytest.mark.parametrize("name", ["index.npy", "classes.txt", "shards.json", "SHA256SUMS"])
def test_a_byte_that_flipped_beside_the_shards_is_told_by_the_file(name, shards, train):
    flip(shards / name)
    expect_refused(train(shards), f"({name} has|SHA256SUMS).*(altered|as sha256sum writes it)")


def write_archive(folder, data, labels):
    """The images of the data's first people under these labels, in im2rec's form, listed."""
    folder.mkdir()
    rec, idx = bytearray(), []
    for person, label in enumerate(labels):
        for file in sorted((data / f"P{person}").iterdir()):
            payload = struct.pack("<IfQQ", 0, label, len(idx), 0) + file.read_bytes()
            idx.append(f"{len(idx)}\t{len(rec)}\n")
            rec += struct.pack("<II", 0xCED7230A, len(payload)) + payload + bytes(-len(payload) % 4)
    (folder / "train.rec").write_bytes(rec)
    (folder / "train.idx").write_text("".join(idx))
    return folder


def test_labels_with_holes_are_numbered_anew(data, tmp_path, train):
    told = train(write_archive(tmp_path / "rec", data, [0.0, 7.0, 93430.0]))
    assert told.code == 0
    assert "12 images of 3 people" in told.out
    assert run_folder.read_classes(tmp_path / "run") == ("0", "7", "93430")


def test_an_archive_that_was_cut_off_is_told(data, tmp_path, train):
    folder = write_archive(tmp_path / "rec", data, [0.0, 1.0])
    os.truncate(folder / "train.rec", (folder / "train.rec").stat().st_size // 2)
    expect_refused(train(folder), r"train.idx:\d+: record \d+ begins at byte \d+; .* has \d+ bytes")


def test_an_archive_with_a_damaged_record_is_told(data, tmp_path, train):
    folder = write_archive(tmp_path / "rec", data, [0.0, 1.0])
    flip(folder / "train.rec", at=0)
    expect_refused(train(folder), "the record at byte 0 begins with 0b23d7ce instead of the magic")


# --- images ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"no picture", "begins with b'no pictu"), (b"", "is empty"), (None, "truncated PNG picture")],
)
def test_an_unreadable_image_ends_the_run_by_its_name(content, told, data, train):
    image = data / "P2" / "P2_0002.png"
    image.write_bytes(image.read_bytes()[:700] if content is None else content)
    expect_refused(train(data), f"P2_0002.png' .*{told}")


def test_unreadable_images_are_skipped_if_asked_and_counted(data, train, tmp_path):
    for name in ("P1/P1_0001.png", "P3/P3_0004.png"):
        (data / name).write_bytes(b"no picture")
    told = train(data, "data.unreadable=skip")
    assert told.code == 0
    assert "2 images could not be read, and others were taken instead" in told.out
    assert read_log(tmp_path / "run")[-1]["unreadable"] == 2
    named = [line for line in told.out.splitlines() if line.startswith("  ")]
    assert len(named) == 2
    assert all(any(name in line for line in named) for name in ("P1_0001", "P3_0004"))


def test_the_first_five_unreadable_images_are_named(data, train):
    for image in sorted(data.glob("*/*_000[12].png"))[:7]:
        image.write_bytes(b"no picture")
    told = train(data, "data.unreadable=skip")
    assert "7 images could not be read, and others were taken instead:" in told.out
    lines = told.out.splitlines()
    assert sum("begins with b'no pictu" in line for line in lines) == 5
    assert "  and 2 more" in lines


def test_a_pipe_that_is_called_a_picture_ends_the_run_by_its_name(data, train):
    (data / "P2" / "P2_0002.png").unlink()
    os.mkfifo(data / "P2" / "P2_0002.png")
    expect_refused(train(data), "P2_0002.png is no plain file but a pipe")


def test_data_of_unreadable_images_alone_are_refused_even_then(data, train):
    for image in data.glob("*/*.png"):
        image.write_bytes(b"no picture")
    expect_refused(train(data, "data.unreadable=skip"), "20 images in a row cannot be read")


@pytest.mark.parametrize("size", [(1, 1), (112, 111), (250, 250)])
def test_an_image_of_another_size_is_told_with_what_to_do(size, data, train):
    Image.new("RGB", size).save(data / "P2" / "P2_0002.png")
    told = f"P2_0002.png has {size[0]} x {size[1]} pixels; .* of 112 x 112, as tronie align"
    expect_refused(train(data), told)


def test_a_folder_without_images_is_refused(data, train):
    for image in data.glob("*/*.png"):
        image.unlink()
    expect_refused(train(data), "the folder .* holds no photograph")


def test_one_person_is_refused(data, train):
    for person in range(1, 5):
        shutil.rmtree(data / f"P{person}")
    expect_refused(train(data), "needs at least two identities; .* has 1 with 1 or more images")


# --- a batch with one identity ----------------------------------------------------------------


def test_batches_with_one_identity_train(tmp_path, train):
    """Seven images of one person and one of another, two at a time."""
    data = write_crops(tmp_path / "data", people=2, shots=7)
    for n in range(2, 8):
        (data / "P1" / f"P1_{n:04d}.png").unlink()
    told = train(data, "batch_size=2")
    assert (told.code, told.err) == (0, "")
    assert "step 12 of 12" in told.out


@pytest.mark.parametrize("margin", [m for m in catalog.entries(MARGINS) if m != "adacos"])
@pytest.mark.parametrize("head", catalog.entries(HEADS))
def test_one_identity_has_a_finite_loss_by_every_margin_and_head(head, margin):
    recipe = toy_recipe(
        margin=run_folder.from_dict(type(toy_recipe().margin), {"name": margin, "options": {}}),
        head=run_folder.from_dict(type(toy_recipe().head), {"name": head, "options": {}}),
    )
    made = recognition.open_head(recipe, classes=40)
    seeded = torch.Generator().manual_seed(3)
    embeddings = torch.randn(4, 16, generator=seeded).requires_grad_()
    loss = made(embeddings, torch.full((4,), 2))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(embeddings.grad).all()
    assert embeddings.grad.any()


# --- settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("nonsense", "a setting is changed by name=value; got 'nonsense'"),
        ("=3", "a setting is changed by name=value; got '=3'"),
        ("schedule.peak=1", "no entry 'peak' in Schedule. Did you mean 'peak_lr'"),
        ("EPOCHS=1", "no entry 'EPOCHS' in RecognitionRecipe. Did you mean 'epochs'"),
        ("epochs=many", "epochs must be a number; got 'many'"),
        ("batch_size=4.0", "batch_size must be a whole number; got '4.0'"),
        ("schedule=1", "schedule holds several settings; set one of schedule.peak_lr, "),
        ("epochs.x=1", "epochs is one value and holds no x"),
        ("schedule.peak_lr=nan", "schedule.peak_lr must be a number; got 'nan'"),
        ("margin=arkface", "no entry 'arkface' in .* Did you mean 'arcface'"),
        ("margin=../arcface", "no entry '../arcface' in "),
        ("margin.margn=1", "no entry 'margn' in the options of cosface. Did you mean 'margin'"),
        ("margin.classes=9", "no entry 'classes' in the options of cosface"),
        ("head.rate=2", "rate is a share of the classes, in .0, 1.; got 2"),
        ("data.form=zip", "data.form must be one of found, folder, recordio, shards; got 'zip'"),
        ("data.people=no.txt", "there is no people file .*no.txt"),
        ("start_from=nope", "start_from: there is no folder nope; name the folder of a run"),
        ("batch_size=1", "batch_size must be 2 or more; got 1"),
        ("seed=-1", "seed must be 0 or more; got -1"),
        ("seed=9223372036854775808", "seed must be at most 9223372036854775807"),
        ("embedding_size=1000000000", "embedding_size must be at most 65536"),
        ("schedule.peak_lr=1e300", "schedule.peak_lr must be 0 or more and finite, at most 1e.30"),
        ("optimizer.head_lr_ratio=1e300", "a head_lr_ratio of at most 1e.06"),
        ("schedule.drops=-1", "schedule.drops must be epochs above 0"),
        ("validation.bins=no.bin", "validation asks for .*no.bin, which is not there"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(change, told, data, train):
    expect_refused(train(data, change), told)


@pytest.mark.parametrize(
    "change",
    ["head.rate=2", "start_from=nope", "backbone=nope", "batch_size=1", "data.people=no.txt"],
)
def test_a_refused_setting_leaves_nothing_and_the_command_without_it_runs(
    change, data, tmp_path, train, monkeypatch
):
    monkeypatch.setattr(recognition, "build_backbone", _tiny_or_refused)
    assert train(data, change).code == 2
    assert not (tmp_path / "run").exists()
    assert train(data, "epochs=1").code == 0


def test_a_teacher_that_is_not_there_leaves_nothing(data, tmp_path, train):
    told = train(data, "teacher.run=nope", "teacher.angular=1")
    expect_refused(told, "teacher.run: there is no folder nope; name the folder of a run")
    assert not (tmp_path / "run").exists()


def _tiny_or_refused(name, *, embedding_size=None):
    if name == "nope":
        raise catalog.not_found(name, ["tiny"], where="the backbones")
    return tiny_backbone(name, embedding_size=embedding_size)


def test_another_optimizer_cannot_be_gone_on_with_and_leaves_the_run_whole(
    data, tmp_path, train, cli_here
):
    assert train(data).code == 0
    words = ["train", "--resume", tmp_path / "run", "--set", "epochs=4"]
    told = cli_here(*words, "--set", "optimizer.name=adamw")
    expect_refused(told, "cannot go on with optimizer.name: sgd is now adamw")
    told = cli_here(*words)
    assert told.code == 0
    assert "goes on after step 10" in told.out


def test_a_flipped_byte_in_a_checkpoint_is_told_by_resume_and_export_with_what_to_do(
    data, tmp_path, train, cli_here
):
    assert train(data).code == 0
    last = tmp_path / "run" / "checkpoints" / "step-00000010"
    parts = json.loads((last / "tensors.json").read_text())["tensors"]["backbone/5.weight"]["parts"]
    flip(last / parts[0]["file"], at=parts[0]["at"] + parts[0]["bytes"] // 2)
    way = "has other bytes than were written for backbone/5.weight.; delete it to go on from the "
    expect_refused(
        cli_here("train", "--resume", tmp_path / "run"), way + "checkpoint before, step-"
    )
    expect_refused(cli_here("export", tmp_path / "run", "--out", tmp_path / "m.onnx"), way)
    assert not (tmp_path / "m.onnx").exists()
    shutil.rmtree(last)
    told = cli_here("train", "--resume", tmp_path / "run")
    assert told.code == 0
    assert "goes on after step 8" in told.out


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"folder": 3}'])
def test_facts_of_a_run_that_were_edited_are_told_by_the_file(
    text, data, tmp_path, train, cli_here
):
    assert train(data, "epochs=1").code == 0
    (tmp_path / "run" / "data.json").write_text(text)
    expect_refused(cli_here("train", "--resume", tmp_path / "run"), "data.json must hold")


def test_an_unreadable_crop_of_validation_ends_no_run_that_may_skip_it(data, train):
    (data / "P4" / "P4_0002.png").write_bytes(b"no picture")
    sets = ["validation.pairs=pairsDevTest.txt", "validation.threshold_pairs=pairsDevTrain.txt"]
    expect_refused(train(data, *sets), "P4_0002.png")
    told = train(data, *sets, "data.unreadable=skip")
    assert told.code == 0
    assert "1 crop of validation counts as missing, because " in told.err
    assert "pairsDevTest: accuracy" in told.out


# --- folders ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["of Čapek's 人", "new\nline \x1b[31mred"])
def test_any_name_of_a_folder_will_do_and_the_next_command_can_be_pasted(
    name, data, tmp_path, cli_here
):
    here, run = data.rename(tmp_path / f"data {name}"), tmp_path / f"run {name}"
    told = cli_here("train", "toy", "--data", here, "--out", run, "--set", "epochs=1")
    assert (told.code, told.err) == (0, "")
    if name.isprintable():
        pasted = shlex.split(told.out.splitlines()[-1].partition("next: ")[2])
        assert pasted == ["tronie", "export", str(run), "--out", "model.onnx"]
    else:
        assert name not in told.out
    assert cli_here("train", "--resume", run).code == 0
    assert cli_here("export", run, "--out", tmp_path / f"{name}.onnx").code == 0


def test_a_run_below_a_file_is_refused(data, tmp_path, cli_here):
    (tmp_path / "file").write_text("")
    told = cli_here("train", "toy", "--data", data, "--out", tmp_path / "file" / "run")
    expect_refused(told, "file/run cannot be used: Not a directory")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_may_not_be_written_is_refused(data, tmp_path, cli_here):
    (tmp_path / "closed").mkdir(mode=0o500)
    told = cli_here("train", "toy", "--data", data, "--out", tmp_path / "closed" / "run")
    expect_refused(told, "closed/run cannot be used: Permission denied")


def test_a_second_process_in_the_same_run_is_refused(data, tmp_path, train, cli_here):
    assert train(data, "epochs=1").code == 0
    with run_folder.held(tmp_path / "run"):
        expect_refused(train(data), "another process trains in .*run; wait for it")
        told = cli_here("train", "--resume", tmp_path / "run")
    expect_refused(told, "another process trains in .*run; wait for it")


# --- what ends a run from outside ---------------------------------------------------------------


@pytest.mark.slow
def test_a_full_disk_leaves_the_checkpoint_before_and_the_run_goes_on_when_there_is_room(
    data, tmp_path, train, cli_here
):
    """No file may grow over 50 KiB, and a checkpoint is larger: full from step 12 on."""
    assert train(data).code == 0
    run, long = tmp_path / "run", ["--set", "epochs=5"]
    on = shlex.join([*PROGRAM, "train", "--resume", str(run), *long])
    words = ["bash", "-c", f"ulimit -f 50; exec {on}"]
    full = subprocess.run(words, env=ONE_THREAD, capture_output=True, text=True, timeout=120)
    assert full.returncode == 2, full.stderr
    assert "the checkpoint of step 12 cannot be written to" in full.stderr
    assert "step-00000010 is whole" in full.stderr
    assert "Make room, then go on with --resume" in full.stderr
    there = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert there == ["step-00000004", "step-00000008", "step-00000010"]
    told = cli_here("train", "--resume", run)
    assert told.code == 0
    assert "goes on after step 10" in told.out
    assert "done: 17 steps" in told.out


@pytest.mark.slow
def test_a_rank_that_is_killed_ends_torchrun_within_a_minute(data, tmp_path):
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    free = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
    asked = ["train", "toy", "--data", data, "--out", tmp_path / "run", "--set", "epochs=9999"]
    words = list(map(str, [*launch, *free, toy_training.__file__, *asked]))
    began = subprocess.Popen(words, env=ONE_THREAD, stderr=subprocess.PIPE, text=True)
    try:
        second = _rank_of(began.pid, 1)
        _wait_until(lambda: (tmp_path / "run" / "log.jsonl").exists())
        os.kill(second, signal.SIGKILL)
        killed = time.monotonic()
        _, told = began.communicate(timeout=60)
    finally:
        began.terminate()
    assert time.monotonic() - killed < 60
    assert began.returncode != 0
    assert "go on with --resume" in told or "SIGKILL" in told


def _rank_of(torchrun: int, rank: int) -> int:
    """The process that torchrun started as that rank."""
    found: list[int] = []

    def there() -> bool:
        found.extend(
            int(child)
            for child in _children(torchrun)
            if f"RANK={rank}".encode() in _bytes(f"/proc/{child}/environ").split(b"\0")
        )
        return bool(found)

    _wait_until(there)
    return found[0]


def _children(process: int) -> list[str]:
    return _bytes(f"/proc/{process}/task/{process}/children").decode().split()


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _wait_until(done, seconds=60.0):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)  # processes outside this one are watched
