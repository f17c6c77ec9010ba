"""verify: the decision, its error rate, and its exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import toys
from cli.toy_models import write_contract, write_detector
from tronie.cli.verify import rate_words
from tronie.runtime.calibration import Threshold, read_calibration
from working_tree import environment

KEYS = [
    "match", "score", "threshold", "fmr", "false_matches", "impostor_pairs", "threshold_source",
    "score_fmr", "model", "detector", "contract", "faces", "warnings",
]  # fmt: skip


def test_one_person_is_a_match_and_exits_with_zero(cli_here, toy):
    ran = cli_here("verify", toy.photo(7), toy.photo(7, 1), *toy.words, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith('{"match": true, "score": 0.')
    (told,) = ran.json_lines()
    assert list(told) == KEYS
    assert told["score"] >= told["threshold"]
    assert told["faces"]["a"]["box"] == list(toys.BOX)
    assert (told["model"], told["detector"], told["warnings"]) == ("toy", "eyes", [])


def test_two_people_are_no_match_and_exit_with_one(cli_here, toy):
    ran = cli_here("verify", toy.photo(7), toy.photo(8), *toy.words, "--json")
    assert ran.code == 1
    assert ran.out.startswith('{"match": false, "score": ')
    assert ran.json_lines()[0]["score"] < ran.json_lines()[0]["threshold"]


def test_the_score_is_the_cosine_of_what_embed_writes(cli_here, toy, tmp_path):
    pair = (toy.photo(3), toy.photo(4))
    assert cli_here("embed", *pair, "--out", tmp_path / "E.npy", *toy.words).code == 0
    a, b = np.load(tmp_path / "E.npy").astype(np.float64)
    cosine = a @ b / np.sqrt((a @ a) * (b @ b))
    told = cli_here("verify", *pair, *toy.words, "--json").json_lines()[0]
    assert told["score"] == pytest.approx(cosine, abs=1e-5)


def test_the_error_rate_is_that_of_the_card_beside_the_model(cli_here, toy):
    card = read_calibration(toy.folder / "toy.calibration.json")
    for fmr in (1e-2, 1e-3):
        words = [toy.photo(0), toy.photo(0, 1), *toy.words, "--fmr", fmr, "--json"]
        (told,) = cli_here("verify", *words).json_lines()
        expected = card.at_fmr(fmr)
        assert told["threshold"] == pytest.approx(expected.value, abs=1e-6)
        assert (told["fmr"], told["false_matches"]) == (expected.fmr, expected.false_matches)
        assert told["fmr"] <= fmr
        assert told["impostor_pairs"] == 12640
        assert "160 photographs of 80 people" in told["threshold_source"]


def test_for_people_it_is_told_in_sentences(cli_here, toy):
    ran = cli_here("verify", toy.photo(7), toy.photo(8), *toy.words)
    lines = ran.out.splitlines()
    assert lines[0].startswith("Different people: the score ")
    assert "is below the threshold" in lines[0]
    assert lines[1].startswith("False match rate 7.9e-05 (1 false match), measured on people, ")
    assert "%" not in ran.out


def test_a_stated_threshold_is_used_and_its_measured_rate_told(cli_here, toy):
    words = [toy.photo(7), toy.photo(8), *toy.words, "--threshold", "-0.5", "--json"]
    ran = cli_here("verify", *words)
    (told,) = ran.json_lines()
    assert (ran.code, told["match"], told["threshold"]) == (0, True, -0.5)
    assert told["fmr"] > 0.9


def test_without_a_card_no_threshold_is_made_up(cli_here, toy, tmp_path):
    model = tmp_path / "new.onnx"
    toys.toy_embedder(model, dimension=64)
    write_contract(model, 'kind="embedder"\nformat="embedding"\ndimension=64')
    words = [toy.photo(0), toy.photo(0, 1), "--model", model, "--detector", toy.detector, "--json"]
    ran = cli_here("verify", *words)
    assert ran.code == 2
    assert ran.json_lines()[0]["error"]["code"] == "not_found"
    assert "model new has no calibration" in ran.err
    assert "--threshold" in ran.err
    ran = cli_here("verify", *words, "--threshold", "0.5")
    (told,) = ran.json_lines()
    assert (ran.code, told["fmr"], told["impostor_pairs"]) == (0, None, None)


def test_the_card_of_another_model_is_refused(cli_here, toy, tmp_path):
    other = toys.toy_embedder(tmp_path / "other.onnx", dimension=64, seed=1)
    shutil.copy(toy.folder / "toy.calibration.json", tmp_path / "other.calibration.json")
    words = ["--model", other, "--detector", toy.detector]
    ran = cli_here("verify", toy.photo(0), toy.photo(0, 1), *words)
    assert ran.code == 2
    assert "calibration of other was made for a model with SHA-256" in ran.err


def test_an_error_rate_too_low_to_be_measured_is_refused(cli_here, toy):
    ran = cli_here("verify", toy.photo(0), toy.photo(1), *toy.words, "--fmr", "1e-9")
    assert ran.code == 2
    assert "FMR 1e-09 cannot be told from 12640 impostor pairs" in ran.err


@pytest.mark.parametrize("words", [["--fmr", "nan"], ["--threshold", "nan"], ["--fmr", "0"]])
def test_a_limit_that_cannot_be_compared_with_is_refused(cli_here, toy, words):
    ran = cli_here("verify", toy.photo(0), toy.photo(1), *toy.words, *words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1


def test_another_detector_than_the_cards_is_told(cli_here, toy, tmp_path):
    moved = write_detector(tmp_path / "moved.onnx", scores=(0.8,))
    words = ["--model", toy.model, "--detector", moved, "--json"]
    (told,) = cli_here("verify", toy.photo(0), toy.photo(0, 1), *words).json_lines()
    assert "measured with detector eyes" in told["warnings"][0]


def test_of_several_faces_the_largest_is_compared_and_it_is_told(cli_here, toy, tmp_path):
    two = write_detector(tmp_path / "two.onnx", scores=(0.9, 0.8), step=100.0)
    words = ["--model", toy.model, "--detector", two, "--json"]
    (told,) = cli_here("verify", toy.photo(0), toy.photo(0, 1), *words).json_lines()
    assert "a: 2 faces found, the largest used" in told["warnings"]


def test_a_photograph_without_a_face_is_told_by_its_name(cli_here, toy, tmp_path):
    blind = write_detector(tmp_path / "blind.onnx", scores=())
    words = ["--model", toy.model, "--detector", blind, "--json"]
    ran = cli_here("verify", toy.photo(0), toy.photo(1), *words)
    assert (ran.code, ran.json_lines()[0]["error"]["code"]) == (3, "no_face")
    assert f"no face found in {toy.photo(0)}. Is it upright" in ran.err


def test_the_second_photograph_is_told_by_its_name_too(cli_here, toy, tmp_path):
    small = tmp_path / "no face found in a small picture.png"
    Image.open(toy.photo(1)).resize((40, 40)).save(small)
    strict = ["--model", toy.model, "--detector", toy.detector]
    ran = cli_here("verify", toy.photo(0), small, *strict, "--json")
    assert ran.code in (0, 1)  # a small face is a face
    blind = write_detector(tmp_path / "blind.onnx", scores=())
    ran = cli_here("verify", small, small, "--model", toy.model, "--detector", blind)
    assert f"no face found in {small}. Is it" in ran.err


def test_one_of_the_two_may_come_from_standard_input(cli_here, toy, standard_input):
    standard_input(toy.photo(5).read_bytes())
    ran = cli_here("verify", "-", toy.photo(5, 1), *toy.words, "--json")
    assert ran.json_lines()[0]["match"] is True


@pytest.mark.parametrize(
    ("pair", "sentence"),
    [
        (["-", "-"], "standard input can be read once"),
        (["{people}", "{photo}"], "verify compares two photographs; {people} names 160"),
        (["{photo}", "missing.png"], "missing.png is not there"),
    ],
)
def test_words_that_are_no_two_photographs(cli_here, toy, pair, sentence):
    names = {"people": toy.people, "photo": toy.photo(0)}
    ran = cli_here("verify", *(word.format(**names) for word in pair), *toy.words)
    assert (ran.code, ran.out) == (2, "")
    assert sentence.format(**names) in ran.err


def test_a_photograph_that_cannot_be_read_is_no_answer(cli_here, toy, tmp_path):
    (tmp_path / "text.jpg").write_text("text")
    ran = cli_here("verify", toy.photo(0), tmp_path / "text.jpg", *toy.words, "--json")
    assert (ran.code, ran.json_lines()[0]["error"]["code"]) == (2, "bad_image")
    assert "text.jpg" in ran.err


def test_a_rate_of_no_false_matches_is_told_as_a_bound():
    limit = Threshold(value=0.9, fmr=0.0, false_matches=0, impostor_pairs=1000, source="toys")
    assert rate_words(limit) == "False match rate under 0.001 (0 false matches), measured on toys."


def test_comparing_two_photographs_needs_no_database(toy):
    """SQLAlchemy takes 0.2 s to import, which only galleries must pay."""
    code = (
        "import json, sys; from tronie.cli.main import main\n"
        "code = main(sys.argv[1:])\n"
        "sys.exit('sqlalchemy' in sys.modules or 'jinja2' in sys.modules or code)"
    )
    words = ["verify", toy.photo(0), toy.photo(0, 1), *toy.words, "--json"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        env=environment(), capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["match"] is True


def test_a_rate_that_is_an_upper_bound_is_told_as_one():
    counted = Threshold(value=0.5, fmr=0.01, false_matches=10, impostor_pairs=1000, source="toys")
    assert rate_words(counted).startswith("False match rate 0.01 (10 false matches)")
    assert rate_words(replace(counted, is_bound=True)).startswith("False match rate at most 0.01 (")
