"""models calibrate: the card, its counts, and where it is used from."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from cli.toy_models import write_detector
from tronie.geometry.hypersphere import normalize
from tronie.runtime import zoo
from tronie.runtime.calibration import read_calibration


@pytest.fixture
def ten(tmp_path, toy):
    """A folder with ten people, twice each: 180 pairs of two people."""
    for person in range(10):
        shutil.copytree(toy.people / f"person_{person}", tmp_path / "ten" / f"person_{person}")
    return tmp_path / "ten"


def words(toy, data, out):
    return ["models", "calibrate", toy.model, "--detector", toy.detector, "--data", data,
            "--out", out]  # fmt: skip


def test_the_counts_are_those_of_a_double_loop(cli_here, toy, ten, tmp_path):
    ran = cli_here(*words(toy, ten, tmp_path / "c.json"), "--dataset", "ten toys", "--json")
    assert ran.code == 0
    (told,) = ran.json_lines()
    assert list(told) == [
        "model", "model_sha256", "detector", "contract", "settings", "dataset",
        "photos_without_face", "provenance", "points", "out",
    ]  # fmt: skip
    assert told["dataset"] == "ten toys, 20 photographs of 10 people"
    assert cli_here("embed", ten, "--out", tmp_path / "E.npy", *toy.words).code == 0
    unit = normalize(np.load(tmp_path / "E.npy"))[0].astype(np.float64)
    names = [line.split("/")[-2] for line in (tmp_path / "E.txt").read_text().split()]
    (point,) = told["points"]
    impostor, false, genuine, hits = 0, 0, 0, 0
    for i in range(20):
        for j in range(i):
            accepted = float(unit[i] @ unit[j]) >= point["threshold"]
            if names[i] == names[j]:
                genuine, hits = genuine + 1, hits + accepted
            else:
                impostor, false = impostor + 1, false + accepted
    assert (impostor, genuine) == (180, 10)
    assert (point["impostor_pairs"], point["genuine_pairs"]) == (180, 10)
    assert (point["false_matches"], point["genuine_pairs"] - point["misses"]) == (false, hits)


def test_the_card_can_be_read_back_and_names_what_was_measured(cli_here, toy, ten, tmp_path):
    ran = cli_here(*words(toy, ten, tmp_path / "c.json"))
    assert ran.code == 0
    assert "FMR asked" in ran.out
    assert ran.out.endswith("180 pairs of two people, 10 of one; 0 photographs without a face.\n")
    card = read_calibration(tmp_path / "c.json")
    assert (card.model, card.detector, card.impostor_pairs) == ("toy", "eyes", 180)
    assert card.dataset == "ten, 20 photographs of 10 people"
    inputs = json.loads((tmp_path / "c.json").read_text())["provenance"]["inputs"]
    assert inputs.keys() == {"model toy", "detector eyes"}


def test_without_a_file_the_card_goes_beside_the_model_and_is_used(cli_here, toy, ten, tmp_path):
    """By path beside the file, and by name into the model's folder in the cache."""
    own = tmp_path / "mine.onnx"
    shutil.copy(toy.model, own)
    assert cli_here("models", "pull", own, "--accept-license").code == 0
    for model, home in ((own, tmp_path), ("mine", zoo.home() / "models" / "mine")):
        words = ["models", "calibrate", model, "--detector", toy.detector, "--data", ten]
        assert cli_here(*words).code == 0
        file = zoo.find(model)
        assert zoo.own_card(file).parent == home
        assert zoo.calibration_of(file).impostor_pairs == 180
    told = json.loads(zoo.own_card(file).read_text())
    assert told["settings"]["canvas"] == [160, 160]  # fixed by the toy
    (shown,) = cli_here("models", "show", "mine", "--json").json_lines()
    assert shown["calibration"]["card"] == f"your own card, {zoo.own_card(file)}"
    assert "your own card" in cli_here("models", "show", "mine").out


def test_lfws_layout_is_read_too(cli_here, toy, tmp_path):
    data = tmp_path / "lfw"
    for person in range(10):
        home = data / f"person_{person}"
        home.mkdir(parents=True)
        for shot in range(2):
            photo = home / f"person_{person}_{shot + 1:04d}.jpg"
            Image.open(toy.photo(person, shot)).save(photo, quality=95)
    (data / "pairs.txt").write_text("not read here, only known by\n")
    ran = cli_here(*words(toy, data, tmp_path / "c.json"), "--json")
    assert ran.code == 0
    assert ran.json_lines()[0]["dataset"] == "lfw, 20 photographs of 10 people"


@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        ("missing/c.json", "there is no folder"),
        (".", "is a folder; name a file"),
        ("/dev/null", "/dev/null is no plain file, and is not replaced"),
    ],
)
def test_a_card_that_cannot_be_written_is_refused_before_the_work(
    cli_here, toy, ten, tmp_path, monkeypatch, out, sentence
):
    monkeypatch.chdir(tmp_path)
    ran = cli_here(*words(toy, ten, out))
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err


def test_too_few_people_are_refused_and_no_card_is_written(cli_here, toy, tmp_path):
    shutil.copytree(toy.people / "person_0", tmp_path / "one" / "person_0")
    ran = cli_here(*words(toy, tmp_path / "one", tmp_path / "c.json"))
    assert ran.code == 2
    assert "two photographs of one person and two people" in ran.err
    assert not (tmp_path / "c.json").exists()


def test_people_without_faces_are_refused(cli_here, toy, ten, tmp_path):
    blind = write_detector(tmp_path / "blind.onnx", scores=())
    more = ["--detector", blind, "--data", ten, "--out", tmp_path / "c.json"]
    ran = cli_here("models", "calibrate", toy.model, *more)
    assert ran.code == 2
    assert f"no photograph of {ten} shows a face" in ran.err
    assert not (tmp_path / "c.json").exists()


def test_a_photograph_that_cannot_be_read_stops_a_measurement(cli_here, toy, ten, tmp_path):
    """A rate over fewer photographs than the folder has would be another number."""
    (ten / "person_3" / "person_3_0001.png").write_text("no picture")
    ran = cli_here(*words(toy, ten, tmp_path / "c.json"))
    assert ran.code == 2
    assert "person_3_0001.png' begins with" in ran.err
    assert not (tmp_path / "c.json").exists()
