"""tronie train and export of detectors: the commands of a run on drawn photographs, to the end."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from working_tree import environment

torch = pytest.importorskip("torch")

import toy_detection  # noqa: E402 - only where torch is
from sharded_runs import run_ranks  # noqa: E402
from toy_detection import toy_recipe, write_photos  # noqa: E402
from toy_training import find_toy  # noqa: E402
from toys import BOX, SIDE  # noqa: E402
from tronie.cli.models_in_use import Chosen, open_detector  # noqa: E402
from tronie.lab.training import run_folder  # noqa: E402
from tronie.lab.training.run_log import read_log  # noqa: E402
from tronie.lab.training.runs import load_trained  # noqa: E402

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setattr(run_folder, "find_recipe", find_toy("detection/toy", toy_recipe()))


@pytest.fixture
def data(tmp_path):
    return write_photos(tmp_path / "data")


@pytest.fixture
def run(cli_here, data, tmp_path):
    """A short run, trained."""
    told = cli_here("train", "toy", "--data", data, "--out", tmp_path / "run", "--set", "epochs=1")
    assert told.code == 0, told.err
    return tmp_path / "run"


def test_it_tells_what_it_does_how_far_it_is_and_how_good(cli_here, tmp_path):
    data = write_photos(tmp_path / "data", photos=8)
    sets = ["data.held_out=0.4", "validation.every_steps=2", "epochs=2"]
    words = [word for one in sets for word in ("--set", one)]
    told = cli_here("train", "toy", "--data", data, "--out", tmp_path / "run", *words)
    assert (told.code, told.err) == (0, "")
    lines = told.out.splitlines()
    held = json.loads((tmp_path / "run" / "data.json").read_text())["images"]
    assert lines[0].startswith(f"detection/toy: {held} photographs with ")
    assert f" faces, {8 - held} more held out, " in lines[0]
    assert "moving average" in told.out
    step = next(line for line in lines if line.startswith("step 1 of "))
    assert all(word in step for word in ("loss ", "lr ", "images/s", " left"))
    judged = [line for line in lines if "  AP: held-out " in line]
    assert [line.split()[1] for line in judged] == ["2"]  # that of the last step comes at the end
    assert sum(line.startswith("held-out: AP 0.") for line in lines) == 1
    assert lines[-1].startswith("done: 4 steps, loss ")


def test_json_is_one_object_a_line(cli_here, data, tmp_path):
    words = ["--set", "epochs=2", "--json"]
    told = cli_here("train", "toy", "--data", data, "--out", tmp_path / "run", *words)
    lines = told.json_lines()
    assert (lines[0]["images"], lines[0]["faces"], lines[0]["steps"]) == (3, 4, 2)
    assert [line["step"] for line in lines[1:-1]] == [1, 2]
    assert lines[-1]["validation"] == {}


def test_a_run_goes_on_with_more_epochs(cli_here, run):
    told = cli_here("train", "--resume", run, "--set", "epochs=2")
    assert (told.code, told.err) == (0, "")
    assert "goes on after step 1" in told.out
    assert [line["step"] for line in read_log(run)] == [1, 2]


@pytest.mark.parametrize(
    "other", ["recognition/lfw_small_resnet_arcface", "detection/redistribute_500m"]
)
def test_a_run_does_not_go_on_as_another_task(cli_here, run, other):
    told = cli_here("train", other, "--resume", run)
    assert told.code == 2
    assert told.err == (
        f"tronie: {run} is a run of detection/toy and not of {other}. Leave the recipe out, or "
        "begin another run\n"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["toy", "--set", "margin=arcface"], "no entry 'margin' in DetectionRecipe"),
        (["toy", "--set", "size=320"], "no entry 'size' in DetectionRecipe"),
        (["detection/redistribute_500m"], "is a search; run tronie redistribute detection/redist"),
        (["recognition/lfw_small_resnet_arcface"], "peopleDevTrain.txt"),
        (["detection/scrfd_600m"], "Did you mean 'detection/scrfd_500m'?"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(cli_here, data, tmp_path, words, told):
    answer = cli_here("train", *words, "--data", data, "--out", tmp_path / "run")
    assert (answer.code, answer.out) == (2, "")
    assert told in answer.err
    assert len(answer.err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_the_page_speaks_of_detectors(cli_here):
    told = cli_here("train", "--help").out
    assert "a recognizer or a detector" in told
    assert "labels.txt" in told


def test_list_and_show_know_the_recipes(cli_here):
    listed = [line["name"] for line in cli_here("list", "recipes", "--json").json_lines()]
    assert "detection/scrfd_500m" in listed
    assert "Cost" in cli_here("show", "detection/wider708_scrfd_500m").out


@pytest.mark.parametrize("layout", ["decoded", "published"])
def test_the_average_is_exported_and_read_as_it_is(cli_here, run, tmp_path, layout):
    """What the runtime finds with the file is what torch computes with the average."""
    file = tmp_path / "det.onnx"
    told = cli_here("export", run, "--out", file, "--layout", layout, "--threads", 1)
    assert (told.code, told.err) == (0, "")
    assert f"scrfd-0.5g, {layout}, " in told.out
    assert "as tronie detects by" in told.out
    _, network = load_trained(run)
    picture = torch.zeros(1, 3, SIDE, SIDE).fill_((200 - 127.5) / 128)
    with torch.no_grad():
        boxes, scores, _ = network.decode(network(picture))
    grey = torch.full((SIDE, SIDE, 3), 200, dtype=torch.uint8).numpy()
    chosen = Chosen(detector=str(file), canvas=SIDE, det_threshold=0.0)
    opened, _ = open_detector(chosen, nms_threshold=1.0)
    found = opened.detect(grey)
    best = int(scores[0].argmax())
    assert found.scores.max() == pytest.approx(float(scores[0, best]), abs=1e-5)
    assert found.boxes[found.scores.argmax()] == pytest.approx(boxes[0, best].numpy(), abs=0.01)


def test_json_of_an_export_holds_the_proof(cli_here, run, tmp_path):
    (told,) = cli_here("export", run, "--out", tmp_path / "det.onnx", "--json").json_lines()
    assert (told["detector"], told["layout"]) == ("scrfd-0.5g", "decoded")
    assert told["max_difference_reader"] <= 1e-4 * max(1.0, told["largest"])


def test_a_layout_is_not_of_recognizers(cli_here, tmp_path, monkeypatch):
    from toy_training import tiny_backbone, write_crops
    from toy_training import toy_recipe as toy_recognizer
    from tronie.lab.training import recognition

    monkeypatch.setattr(recognition, "build_backbone", tiny_backbone)
    named = run_folder.NamedRecipe(name="recognition/toy", recipe=toy_recognizer(epochs=0.3))
    monkeypatch.setattr(run_folder, "find_recipe", lambda name: named)
    crops = write_crops(tmp_path / "crops")
    assert cli_here("train", "toy", "--data", crops, "--out", tmp_path / "run").code == 0
    told = cli_here("export", tmp_path / "run", "--out", tmp_path / "m.onnx", "--layout", "decoded")
    assert told.code == 2
    assert f"--layout decoded is of detectors, and {tmp_path / 'run'} is a run of a rec" in told.err


@pytest.mark.slow
def test_a_detector_learned_by_heart_finds_its_faces_from_the_command_line(
    cli_here, data, tmp_path
):
    sets = ["epochs=250", "data.scales=1", "data.flip=0", "data.photometric=0", "data.sizes=160"]
    sets += ["schedule.peak_lr=0.02", "schedule.warmup_epochs=20", "ema=0.95", "log_every=50"]
    sets += ["checkpoint.every_steps=1000"]
    words = [word for one in sets for word in ("--set", one)]
    told = cli_here("train", "toy", "--data", data, "--out", tmp_path / "run", *words)
    assert told.code == 0, told.err
    file = tmp_path / "det.onnx"
    assert cli_here("export", tmp_path / "run", "--out", file).code == 0
    photo = data / "EVENT" / "0.png"
    words = [photo, "--detector", file, "--json", "--canvas", 160]
    (found,) = cli_here("detect", *words).json_lines()
    (face,) = found["faces"]
    assert face["box"] == pytest.approx(BOX, abs=12)


@pytest.mark.slow
def test_two_processes_train_and_judge_and_one_speaks(data, tmp_path):
    data = write_photos(tmp_path / "more", photos=8)
    sets = ["data.held_out=0.4", "batch_size=4", "epochs=2", "norm_statistics=global"]
    words = ["train", "toy", "--data", str(data), "--out", str(tmp_path / "run")]
    words += [word for one in sets for word in ("--set", one)]
    ended = run_ranks([sys.executable, toy_detection.__file__, *words], ranks=2)
    assert "in 2 processes on cpu" in ended[0][1]
    assert "held-out: AP 0." in ended[0][1]
    assert ended[1][1] == ""
    program = [sys.executable, "-m", "tronie", "train", "--resume", str(tmp_path / "run")]
    done = subprocess.run(
        [*program, "--set", "epochs=3"], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
