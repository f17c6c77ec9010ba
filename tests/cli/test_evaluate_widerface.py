"""evaluate widerface: in every way that numbers are told for, and what contradicts itself."""

from __future__ import annotations

import shutil

import numpy as np
import onnx
import pytest
from PIL import Image
from scipy.io import savemat

from tronie.evaluation.report import Report
from tronie.runtime import detector as detector_file
from tronie.runtime.session import Session


@pytest.fixture
def wider(tmp_path):
    """One photograph, 1024 pixels wide, with one face that counts in all three subsets."""
    folder = tmp_path / "wider"
    (folder / "0--Toys").mkdir(parents=True)
    Image.new("RGB", (1024, 512), (90, 120, 80)).save(folder / "0--Toys" / "one.jpg")
    cell = np.empty((1, 1), object)

    def held(value):
        box = cell.copy()
        box[0, 0] = value
        return box

    names = {"event_list": held("0--Toys"), "file_list": held(held("one"))}
    savemat(
        folder / "wider_face_val.mat",
        {**names, "face_bbx_list": held(held(np.array([[60.8, 44.8, 134.4, 172.8]])))},
    )
    for subset in ("easy", "medium", "hard"):
        savemat(folder / f"wider_{subset}_val.mat", {"gt_list": held(held(np.array([[1]])))})
    return folder


def test_a_detector_is_judged_by_the_rules_of_wider_face(cli_here, toy, wider, tmp_path):
    report = tmp_path / "report.json"
    words = ["--data", wider, "--detector", toy.detector, "--report", report, "--json"]
    ran = cli_here("evaluate", "widerface", *words)
    assert (ran.code, ran.err) == (0, "")
    (told,) = ran.json_lines()
    assert list(told)[:3] == ["easy", "medium", "hard"]
    assert (told["photographs"], told["detector"]) == (1, "eyes")
    assert Report.from_json(report.read_text()).name == "widerface"


def test_predictions_on_disk_are_judged_without_a_detector(cli_here, wider, tmp_path):
    predictions = tmp_path / "predictions.npz"
    np.savez(
        predictions,
        names=np.array(["0--Toys/one"]),
        counts=np.array([2]),
        xywh=np.array([[60.8, 44.8, 134.4, 172.8], [500.0, 100.0, 50.0, 50.0]]),
        score=np.array([0.9, 0.2]),
    )
    ran = cli_here("evaluate", "widerface", "--data", wider, "--predictions", predictions, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json_lines()[0]["hard"] == 1.0


@pytest.fixture
def shown(monkeypatch):
    """Height and width of every canvas that a model sees."""
    seen = []
    run = Session.run

    def told(self, pixels):
        seen.append(pixels.shape[2:])
        return run(self, pixels)

    monkeypatch.setattr(Session, "run", told)
    return seen


@pytest.mark.parametrize(
    ("words", "canvases", "looks"),
    [
        ((), [(160, 160)], "canvas of 160x160"),
        (("--canvas", "64"), [(64, 64)], "canvas of 64x64"),
        (("--size", "original"), [(512, 1024)], "original"),
        (("--size", "100x400"), [(128, 224)], "100x400"),
        (("--size", "110x165"), [(96, 192)], "110x165"),
        (("--flip",), [(160, 160)] * 2, "canvas of 160x160; mirrored too"),
        (
            ("--scales", "50,80", "--flip", "--voting"),
            [(64, 96), (64, 128)] * 2,
            "50x75, 80x120; mirrored too; box voting",
        ),
    ],
)
def test_a_photograph_is_looked_at_as_asked_and_the_report_says_how(
    cli_here, toy, wider, tmp_path, shown, words, canvases, looks
):
    report = tmp_path / "report.json"
    basis = ["--data", wider, "--detector", toy.detector, "--report", report, "--json"]
    ran = cli_here("evaluate", "widerface", *basis, *words)
    assert (ran.code, ran.err) == (0, "")
    assert shown == canvases
    (told,) = ran.json_lines()
    assert told["looks"] == looks
    kept = "voted on from an IoU of 0.4 on, at most 750 a photograph"
    kept = kept if "--voting" in words else "suppressed above an IoU of 0.45"
    note = f"looked at: {looks}; scores from 0.02, {kept}"
    assert Report.from_json(report.read_text()).notes[-1] == note


def test_no_close_up_is_taken(cli_here, toy, wider, shown, monkeypatch):
    """The face is smaller than a third of the photograph: `tronie detect` looks twice."""
    monkeypatch.setattr(detector_file, "LARGE", 0.1)
    words = ["--detector", toy.detector, "--json"]
    assert cli_here("evaluate", "widerface", "--data", wider, *words).code == 0
    assert len(shown) == 1


def test_help_tells_the_published_ways(cli_here):
    told = " ".join(cli_here("evaluate", "widerface", "--help").out.replace("│", " ").split())
    assert "How a photograph is looked at" in told
    assert "--size 1100x1650 and for --size original" in told
    assert "--scales 500,800,1100,1400,1700 --flip --voting" in told


# --- refusals -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--size", "640"), "--size takes SHORTxLONG in pixels, as 1100x1650, or original"),
        (("--size", "640"), "A square that photographs are fitted into is --canvas PIXELS"),
        (("--size", "1650x1100"), "room for a picture is SHORTxLONG, from 1 to 8192 pixels"),
        (("--size", "0x9"), "from 1 to 8192 pixels; got 0x9"),
        (("--size", "100x9000"), "from 1 to 8192 pixels; got 100x9000"),
        (("--size", ""), "--size takes SHORTxLONG in pixels, as 1100x1650, or original; got ''"),
        (("--scales", "500;800"), "--scales takes pixels with commas between, as 500,800,1100"),
        (("--scales", "500,"), "--scales takes pixels with commas between, as 500,800,1100"),
        (("--scales", "500,500"), "looks need sizes, each once; got 500x750, 500x750"),
        (("--scales", "0"), "from 1 to 8192 pixels; got 0x0"),
        (("--scales", "8000"), "from 1 to 8192 pixels; got 8000x12000"),
        (
            ("--scales", "500", "--size", "original"),
            "--size and --scales contradict each other; give one of them",
        ),
        (
            ("--canvas", "640", "--size", "original"),
            "--canvas and --size contradict each other; give one of them",
        ),
    ],
)
def test_a_way_that_cannot_be_is_refused(cli_here, toy, wider, words, sentence):
    ran = cli_here("evaluate", "widerface", "--data", wider, "--detector", toy.detector, *words)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in " ".join(ran.err.split())


@pytest.mark.parametrize(
    "words", [("--flip",), ("--voting",), ("--size", "original"), ("--canvas", "64")]
)
def test_predictions_are_not_looked_at_again(cli_here, wider, tmp_path, words):
    basis = ["--data", wider, "--predictions", tmp_path / "p.npz"]
    ran = cli_here("evaluate", "widerface", *basis, *words)
    assert (ran.code, ran.out) == (2, "")
    assert "--predictions are judged as they are; leave out --canvas" in ran.err


def test_a_file_of_one_size_is_refused_before_anything_is_read(cli_here, toy, tmp_path):
    fixed = tmp_path / "fixed.onnx"
    model = onnx.load(toy.detector)
    for axis in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        axis.dim_value = 160
    onnx.save(model, fixed)
    shutil.copy(toy.detector.with_suffix(".toml"), fixed.with_suffix(".toml"))
    words = ["--data", tmp_path / "nowhere", "--detector", fixed, "--size", "original"]
    ran = cli_here("evaluate", "widerface", *words)
    assert (ran.code, ran.out) == (2, "")
    assert "detector fixed works on 160 x 160 pixels only; pictures of other sizes" in ran.err


def test_a_folder_without_the_truth_is_refused(cli_here, toy, wider):
    (wider / "wider_hard_val.mat").unlink()
    ran = cli_here("evaluate", "widerface", "--data", wider, "--detector", toy.detector)
    assert (ran.code, ran.out) == (2, "")
    assert "wider_hard_val.mat" in ran.err
