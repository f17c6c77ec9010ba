"""evaluate lfw, on a folder of toys laid out as LFW is."""

from __future__ import annotations

import shutil
import zipfile
from contextlib import contextmanager

import pytest
from PIL import Image

from cli.toy_models import write_detector
from tronie.cli import evaluate as evaluate_file
from tronie.evaluation.report import Report

PAIRS = """2\t3
person_0\t1\t2
person_1\t1\t2
person_2\t1\t2
person_0\t1\tperson_1\t1
person_1\t2\tperson_2\t1
person_2\t2\tperson_0\t2
person_3\t1\t2
person_4\t1\t2
person_5\t1\t2
person_3\t1\tperson_4\t1
person_4\t2\tperson_5\t1
person_5\t2\tperson_3\t2
"""


@pytest.fixture
def lfw(tmp_path, toy):
    """Two folds of three pairs of each kind, unpacked."""
    data = tmp_path / "lfw"
    for person in range(6):
        (data / f"person_{person}").mkdir(parents=True)
        for shot in range(2):
            photo = data / f"person_{person}" / f"person_{person}_{shot + 1:04d}.jpg"
            Image.open(toy.photo(21 + person, shot)).save(photo, quality=95)
    (data / "pairs.txt").write_text(PAIRS)
    return data


def test_json_begins_with_the_accuracy(cli_here, toy, lfw):
    ran = cli_here("evaluate", "lfw", "--data", lfw, *toy.words, "--json")
    assert (ran.code, ran.err) == (0, "")
    (told,) = ran.json_lines()
    assert list(told)[:3] == ["accuracy", "std", "pairs"]
    assert (told["accuracy"], told["std"], told["pairs"]) == (1.0, 0.0, 12)
    assert (told["report"], told["model"], told["detector"]) == ("lfw", "toy", "eyes")
    assert (told["engine"], told["precision"], told["flip"]) == ("onnxruntime", "float32", False)
    assert told["counts"]["accuracy"] == [12, 12]


def test_the_photographs_may_lie_in_their_zip(cli_here, toy, lfw, tmp_path):
    zipped = tmp_path / "zipped"
    zipped.mkdir()
    shutil.copy(lfw / "pairs.txt", zipped)
    with zipfile.ZipFile(zipped / "lfw.zip", "w") as archive:
        for photo in sorted(lfw.rglob("*.jpg")):
            archive.write(photo, f"lfw/{photo.relative_to(lfw)}")
    words = [*toy.words, "--json"]
    (unpacked,) = cli_here("evaluate", "lfw", "--data", lfw, *words).json_lines()
    (packed,) = cli_here("evaluate", "lfw", "--data", zipped, *words).json_lines()
    for told in (unpacked, packed):
        told["provenance"].pop("date")
    assert packed == unpacked


def test_the_report_can_be_read_back(cli_here, toy, lfw, tmp_path):
    words = ["--report", tmp_path / "report.json", *toy.words]
    ran = cli_here("evaluate", "lfw", "--data", lfw, *words)
    assert ran.code == 0
    report = Report.from_json((tmp_path / "report.json").read_text())
    assert report.values["accuracy"].value == 1.0
    assert report.provenance is not None
    assert report.provenance.inputs.keys() == {"model toy", "detector eyes", "pairs.txt"}


def test_as_a_table_each_value_has_its_unit_and_counts(cli_here, toy, lfw):
    out = cli_here("evaluate", "lfw", "--data", lfw, *toy.words).out
    assert out.splitlines()[0].split() == ["measured", "value", "unit", "counts"]
    row = next(line for line in out.splitlines() if line.startswith("accuracy"))
    assert row.split() == ["accuracy", "1.00000", "fraction", "12", "of", "12"]


def test_photographs_without_a_face_count_as_wrong(cli_here, toy, lfw, tmp_path):
    blind = write_detector(tmp_path / "blind.onnx", scores=())
    words = ["--model", toy.model, "--detector", blind, "--json"]
    ran = cli_here("evaluate", "lfw", "--data", lfw, *words)
    assert ran.code == 0 or "face" in ran.err
    if ran.code == 0:
        assert ran.json_lines()[0]["accuracy"] <= 0.5


def test_the_bar_knows_how_many_photographs_there_are(cli_here, toy, lfw, monkeypatch):
    seen = []

    @contextmanager
    def bar(_description):
        yield lambda done, total: seen.append((done, total))

    monkeypatch.setattr(evaluate_file, "progress_of", bar)
    assert cli_here("evaluate", "lfw", "--data", lfw, *toy.words).code == 0
    assert seen[0] == (0, 12)
    assert seen[-1] == (12, 12)


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (lambda lfw: shutil.rmtree(lfw), "there is no pairs file"),
        (lambda lfw: (lfw / "pairs.txt").unlink(), "there is no pairs file"),
        (lambda lfw: (lfw / "pairs.txt").write_text("2 3\nx\n"), "pairs.txt"),
        (lambda lfw: (lfw / "person_3" / "person_3_0002.jpg").unlink(), "person_3"),
        (lambda lfw: (lfw / "person_3" / "person_3_0002.jpg").write_text("x"), "begins with"),
    ],
)
def test_a_folder_that_is_no_lfw_is_refused(cli_here, toy, lfw, tmp_path, break_it, sentence):
    break_it(lfw)
    words = ["--report", tmp_path / "report.json", *toy.words]
    ran = cli_here("evaluate", "lfw", "--data", lfw, *words)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err
    assert not (tmp_path / "report.json").exists()


def test_a_report_that_cannot_be_written_is_refused_before_the_work(cli_here, toy, lfw, tmp_path):
    words = ["--report", tmp_path / "no" / "report.json", *toy.words]
    ran = cli_here("evaluate", "lfw", "--data", lfw, *words)
    assert (ran.code, ran.out) == (2, "")
    assert f"there is no folder {tmp_path / 'no'}; make it first" in ran.err


def test_an_unknown_protocol_is_refused(cli_here, lfw):
    ran = cli_here("evaluate", "ijb", "--data", lfw)
    assert ran.code == 2
    assert "'lfw'" in ran.err
