"""From photographs to FRUITS, with any callable that finds and embeds a face."""

from __future__ import annotations

import os

import numpy as np
import pytest

from tronie.errors import BadArray, BadFile, BadImage, BadInput, NotEnoughData, NotFound
from tronie.evaluation.pairs.enrolled import enroll, measure_enrolled, plan_enrolled
from tronie.evaluation.pairs.scores import NumpyScreen
from tronie.evaluation.pairs.sets import HowToRun
from tronie.evaluation.protocols import fruits
from tronie.evaluation.run_fruits import evaluate_fruits

FMR = 0.05
PEOPLE = np.repeat(np.arange(10), 4)
MASKED = np.arange(40) % 4 == 0
SCENE = np.where(np.arange(40) % 3 == 0, "wild", "controlled")
ROWS = 5 * (
    np.random.default_rng(0).normal(size=(10, 8))[PEOPLE]
    + np.random.default_rng(1).normal(size=(40, 8))
)
HOW = HowToRun(sample_pairs=0)


@pytest.fixture
def toy(tmp_path):
    """Files that hold their number; the face of number 7 cannot be found."""
    (tmp_path / "photos").mkdir()
    for n in range(40):
        (tmp_path / "photos" / f"{n}.jpg").write_text(str(n))
    table(tmp_path)
    return tmp_path


def table(folder, head="photo,subject,masked,scene,race", change=lambda n, line: line):
    lines = [
        change(n, f"{n}.jpg,s{PEOPLE[n]},{int(MASKED[n])},{SCENE[n]},{'ab'[PEOPLE[n] % 2]}")
        for n in range(40)
    ]
    (folder / "META.csv").write_text("\n".join([head, *lines]) + "\n")


def analyze(photo):
    n = int(photo)
    return None if n == 7 else ROWS[n].astype(np.float32)


def run(folder, system=analyze, **rest):
    told = {"track": "fruits-500", "fmr": FMR, "how": HOW, **rest}
    return evaluate_fruits(folder / "META.csv", folder / "photos", system, **told)


def test_rates_are_those_of_the_embeddings_with_failures_counted(toy):
    report = run(toy, inputs={"model": "a" * 64})
    rows = ROWS.astype(np.float32)
    rows[7] = np.nan
    for name, sides in {"all": {}, "masked": {"group": MASKED, "against": ~MASKED}}.items():
        planned = plan_enrolled(
            enroll(rows, lengths="any"), PEOPLE, fars=(FMR,), screens=[NumpyScreen()], **sides
        )
        point = measure_enrolled(planned, labels=PEOPLE, how=HOW).point(FMR)
        told = next(point for point in report.details.points if point.of == name)
        assert (told.threshold, told.misses) == (point.threshold, point.misses)
    flat = report.to_dict()
    assert flat["counts"]["failures_to_enroll"] == [1, 40]
    assert set(report.provenance.inputs) == {"meta", "model"}


def test_every_further_column_is_an_attribute_of_photographs(toy):
    groups = run(toy).details.groups
    assert [(g.of, [rate.group for rate in g.rates]) for g in groups] == [
        ("scene", ["controlled", "wild"]),
        ("race", ["a", "b"]),
    ]
    assert sum(rate.genuine_pairs for rate in groups[1].rates) == 60
    table(toy, head="photo,subject,masked", change=lambda n, line: ",".join(line.split(",")[:3]))
    assert run(toy).details.groups == ()


def test_each_photograph_is_read_and_analyzed_in_turn_on_one_core(toy):
    seen, told, cores = [], [], set()

    def system(photo):
        seen.append(int(photo))
        cores.add(len(os.sched_getaffinity(0)))
        return analyze(photo)

    before = os.sched_getaffinity(0)
    report = run(toy, system, warm_up=3, progress=lambda *counts: told.append(counts))
    assert seen == [0, 1, 2, *range(40)]
    assert told == [(n, 40) for n in range(1, 41)]
    assert cores == {1}
    assert os.sched_getaffinity(0) == before
    assert any("the first 3 were run before, untimed" in note for note in report.notes)
    assert 0 < report.values["time_median"].value <= report.values["time_p99"].value


def test_a_system_that_is_too_slow_is_stopped_once_it_cannot_come_back(toy, monkeypatch):
    """With 0.1 us for each of 40 photographs, the first one has used up the time of all."""
    monkeypatch.setattr(fruits, "BUDGETS_S", {"fruits-100": 1e-7})
    seen = []

    def system(photo):
        seen.append(int(photo))
        return analyze(photo)

    with pytest.raises(
        BadInput, match=r"ms a photograph \(mean of 1 of 40\); FRUITS-100 allows 0\. Take a lighter"
    ):
        run(toy, system, track="fruits-100", warm_up=0)
    assert seen == [0]
    report = run(toy, track="fruits-100", over_budget="mark")
    assert report.notes[0].startswith("OVER BUDGET: ")


def test_without_a_mask_the_masked_rate_is_left_out(toy):
    table(toy, change=lambda n, line: line.replace(",1,", ",0,"))
    report = run(toy)
    assert "fnmr_masked" not in report.values
    assert "masked: not measured" in report.notes


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.ones((1, 8)), r"0\.jpg it gave float64 of shape \(1, 8\)"),
        (np.full(8, np.nan), r"0\.jpg it gave float64 of shape \(8,\) and length nan"),
        (np.zeros(8), r"shape \(8,\) and length 0"),
    ],
)
def test_what_is_no_embedding_is_refused(toy, answer, message):
    with pytest.raises(BadArray, match=message):
        run(toy, lambda photo: answer)


def test_embeddings_of_two_lengths_are_refused(toy):
    with pytest.raises(BadArray, match=r"embeddings of one length; got \[8, 9\]"):
        run(toy, lambda photo: np.ones(9 if photo == b"5" else 8))


def test_what_a_system_cannot_read_is_told_as_it_says_it(toy):
    def system(photo):
        raise BadImage(f"no picture: {photo!r}")

    with pytest.raises(BadImage, match="no picture: b'0'"):
        run(toy, system)


def test_no_face_anywhere_is_refused(toy):
    with pytest.raises(NotEnoughData, match="no face was found in any of the 40 photographs"):
        run(toy, lambda photo: None)


def test_the_protocols_fmr_needs_its_pairs(toy):
    with pytest.raises(NotEnoughData, match=r"FAR 1e-05 needs at least 100000 .* got 720"):
        run(toy, fmr=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fmr": 1e-5}, r"^all: FAR 1e-05 needs at least 100000 impostor pairs; got 720"),
        ({"fmr": 0.0019}, r"^masked: FAR 0.0019 needs at least 527 impostor pairs; got 270"),
    ],
)
def test_too_few_pairs_are_told_before_anything_is_timed(toy, changes, message):
    seen = []
    with pytest.raises(NotEnoughData, match=message):
        run(toy, seen.append, **changes)
    assert seen == []


@pytest.mark.parametrize("photo", ["/etc/hostname", "../photos/3.jpg", "a/../../3.jpg"])
def test_a_photograph_outside_its_folder_is_refused_by_its_line(toy, photo):
    table(toy, change=lambda n, line: line.replace("3.jpg", photo) if n == 3 else line)
    with pytest.raises(BadFile, match=rf"META\.csv:5: must hold a path below .*; got '{photo}'"):
        run(toy)


@pytest.mark.parametrize(
    ("column", "message"),
    [(1, r"META\.csv:4: a label has 256 characters"), (4, r"META\.csv:4: a label has 256")],
)
def test_a_name_that_is_no_label_is_refused_by_its_line(toy, column, message):
    def long(n, line):
        fields = line.split(",")
        fields[column] = "x" * 257
        return ",".join(fields) if n == 2 else line

    table(toy, change=long)
    with pytest.raises(BadFile, match=message):
        run(toy)


def test_a_photograph_that_is_not_there_is_named(toy):
    (toy / "photos" / "9.jpg").unlink()
    with pytest.raises(NotFound, match=r"names the photograph .*9\.jpg, and there is no such file"):
        run(toy)


@pytest.mark.parametrize(
    ("head", "error", "message"),
    [
        ("photo,subject,mask,scene,race", BadFile, "lacks the column 'masked'"),
        ("photo,subject,scene,masked,race", BadFile, r"META\.csv:2: the column masked .* 'wild'"),
        ("photo,subject,masked,scene,scene", BadFile, "'scene' is there twice"),
        ('photo,"subject', BadFile, r"META\.csv:1: is no line of a CSV file"),
    ],
)
def test_a_table_that_breaks_its_form_is_refused(toy, head, error, message):
    table(toy, head=head)
    with pytest.raises(error, match=message):
        run(toy)


def test_an_unknown_track_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(BadInput, match="one of fruits-100, fruits-500, fruits-1000; got 'x'"):
        run(tmp_path, track="x")
