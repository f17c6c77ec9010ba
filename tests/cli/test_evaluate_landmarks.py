"""evaluate landmarks-*: files of points, a detector's points, and what contradicts itself."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import toys
from cli.toy_models import write_contract
from tronie.evaluation.run_landmarks import evaluate_landmarks_aflw

TRUTH = "face,x0,y0,left,top,right,bottom\na,10,10,0,0,100,100\nb,20,20,0,0,50,50\n"
FOUND = "face,x0,y0\na,13,14\n"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "t.csv").write_text(TRUTH)
    (tmp_path / "p.csv").write_text(FOUND)
    return tmp_path


def test_two_files_of_points_are_judged(cli_here, files):
    report = files / "r.json"
    words = ["--truth", files / "t.csv", "--predictions", files / "p.csv", "--report", report]
    ran = cli_here("evaluate", "landmarks-aflw", *words, "--json")
    assert (ran.code, ran.err) == (0, "")
    (told,) = ran.json_lines()
    assert next(iter(told)) == "nme"
    expected = evaluate_landmarks_aflw(files / "t.csv", files / "p.csv")
    assert {name: told[name] for name in expected.values} == {
        name: value.value for name, value in expected.values.items()
    }
    page = files / "r.html"
    assert cli_here("report", report, "--out", page).code == 0
    html = page.read_text()
    assert "<b>Cumulative errors</b>" in html
    assert "share of the faces" in html
    assert "Normal-deviate axes" not in html


def test_a_table_is_printed_for_people(cli_here, files):
    ran = cli_here(
        "evaluate", "landmarks-aflw", "--truth", files / "t.csv", "--predictions", files / "p.csv"
    )
    assert ran.code == 0
    assert "failure_rate_0.1" in ran.out
    assert "1 of 2" in ran.out


@pytest.mark.parametrize(("verb", "count"), [("landmarks-300w", 68), ("landmarks-wflw", 98)])
def test_the_other_protocols_answer_too(cli_here, tmp_path, verb, count):
    points = np.random.default_rng(0).uniform(0, 100, (count, 2)).round(1)
    axes = ",".join(f"x{n},y{n}" for n in range(count))
    numbers = ",".join(map(str, points.ravel()))
    mark = "challenging" if count == 68 else "pose"
    (tmp_path / "t.csv").write_text(f"face,{axes},{mark}\na,{numbers},1\n")
    (tmp_path / "p.csv").write_text(f"face,{axes}\na,{numbers}\n")
    words = ["--truth", tmp_path / "t.csv", "--predictions", tmp_path / "p.csv", "--json"]
    (told,) = cli_here("evaluate", verb, *words).json_lines()
    assert (told["report"], told["nme"], told[f"{mark}_nme"]) == (verb, 0.0, 0.0)


@pytest.fixture
def labeled(tmp_path, toy):
    """A photograph of the toy people, labeled where its face is."""
    Image.open(toy.photo(3)).convert("RGB").save(tmp_path / "one.png")
    return tmp_path


def test_the_points_of_a_detector_are_judged(cli_here, toy, labeled):
    (found,) = cli_here(
        "detect", labeled / "one.png", "--detector", toy.detector, "--json"
    ).json_lines()
    face = found["faces"][0]
    numbers = [*face["box"], *np.ravel(face["landmarks"])]
    (labeled / "labels.txt").write_text("# one.png\n" + " ".join(f"{v:.3f}" for v in numbers))
    words = ["--data", labeled, "--detector", toy.detector, "--json"]
    ran = cli_here("evaluate", "landmarks-aflw", *words)
    assert (ran.code, ran.err) == (0, "")
    (told,) = ran.json_lines()
    assert told["nme"] == pytest.approx(0, abs=1e-4)
    assert told["counts"]["nme"] == [1, 1]
    assert (told["detector"], told["engine"], told["precision"]) == (
        "eyes", "onnxruntime", "float32",
    )  # fmt: skip


def test_a_detector_without_points_is_refused(cli_here, labeled):
    model = labeled / "boxes.onnx"
    boxes_alone(model)
    (labeled / "labels.txt").write_text("# one.png\n0 0 9 9 " + "1 1 " * 5)
    ran = cli_here("evaluate", "landmarks-aflw", "--data", labeled, "--detector", model)
    assert ran.code == 2
    assert "detector boxes gives boxes without points; take one that gives five" in ran.err


def boxes_alone(path):
    """The toy detector without its landmarks."""
    import onnx

    toys.toy_detector(path, scores=(0.9,), step=0.0)
    model = onnx.load(path)
    kept = [output for output in model.graph.output if output.name != "landmarks"]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    onnx.save(model, path)
    side = toys.SIDE
    write_contract(path, f'kind="detector"\nformat="decoded"\nwidth={side}\nheight={side}')


@pytest.mark.parametrize(
    "words",
    [[], ["--truth", "t.csv"], ["--predictions", "p.csv"], ["--truth", "t.csv", "--data", "."]],
)
def test_files_or_photographs_are_needed_and_not_both(cli_here, files, words):
    named = [files / word if "." in word and word != "." else word for word in words]
    ran = cli_here("evaluate", "landmarks-aflw", *named)
    assert ran.code == 2
    assert "give --truth and --predictions, two files of points, or --data DIR alone" in " ".join(
        ran.err.split()
    )


def test_a_report_that_cannot_be_written_is_told_first(cli_here, files):
    words = ["--truth", files / "none.csv", "--predictions", files / "p.csv"]
    ran = cli_here("evaluate", "landmarks-300w", *words, "--report", files / "no/r.json")
    assert ran.code == 2
    assert "--report" in ran.err
