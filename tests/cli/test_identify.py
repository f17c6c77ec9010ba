"""identify: who is who, how sure that is, and what a stranger risks."""

from __future__ import annotations

import shutil

import pytest

import toys
from cli.toy_models import write_detector
from tronie.runtime.calibration import read_calibration

KEYS = [
    "file", "faces", "gallery_size", "people", "threshold", "fmr", "false_matches",
    "impostor_pairs", "threshold_source", "expected_fpir", "warnings", "notes",
]  # fmt: skip


@pytest.fixture
def gallery(tmp_path, toy, cli_here):
    """A gallery of persons 0, 1 and 2, one photograph each."""
    path = tmp_path / "G.db"
    photos = [toy.photo(person) for person in range(3)]
    assert cli_here("enroll", *photos, "--gallery", path, *toy.words).code == 0
    return path


def test_a_person_of_the_gallery_is_recognized_in_another_photograph(cli_here, toy, gallery):
    ran = cli_here("identify", toy.photo(1, 1), "--gallery", gallery, *toy.words, "--json")
    assert (ran.code, ran.err) == (0, "")
    (told,) = ran.json_lines()
    assert list(told) == KEYS
    (face,) = told["faces"]
    assert list(face) == ["box", "detector_score", "match", "score", "candidates"]
    assert face["match"] == "person_1"
    assert face["box"] == list(toys.BOX)
    assert [list(c) for c in face["candidates"]] == [["person", "score"]] * 2
    assert face["candidates"][0] == {"person": "person_1", "score": face["score"]}


def test_a_stranger_matches_nobody_and_exits_with_one(cli_here, toy, gallery):
    ran = cli_here("identify", toy.photo(9), "--gallery", gallery, *toy.words, "--json")
    (face,) = ran.json_lines()[0]["faces"]
    assert (ran.code, face["match"]) == (1, None)
    assert face["score"] < ran.json_lines()[0]["threshold"]


def test_the_score_is_that_of_verify(cli_here, toy, gallery):
    pair = (toy.photo(2, 1), toy.photo(2))
    verified = cli_here("verify", *pair, *toy.words, "--json").json_lines()[0]["score"]
    (told,) = cli_here("identify", pair[0], "--gallery", gallery, *toy.words, "--json").json_lines()
    assert told["faces"][0]["score"] == pytest.approx(verified, abs=2e-5)


def test_the_risk_of_a_stranger_is_one_minus_the_chance_of_no_false_match(cli_here, toy, gallery):
    words = ["--gallery", gallery, *toy.words, "--fmr", "0.01", "--json"]
    (told,) = cli_here("identify", toy.photo(9), *words).json_lines()
    fmr = read_calibration(toy.folder / "toy.calibration.json").at_fmr(0.01).fmr
    assert told["gallery_size"] == 3
    assert told["expected_fpir"] == pytest.approx(1 - (1 - fmr) ** 3, rel=1e-9)


def test_every_photograph_counts_and_a_person_scores_as_their_likest(cli_here, toy, gallery):
    more = [toy.photo(1, 1), "--person", "person_1", "--gallery", gallery, *toy.words]
    assert cli_here("enroll", *more).code == 0
    words = ["--gallery", gallery, *toy.words, "--fmr", "0.01", "--json"]
    (told,) = cli_here("identify", toy.photo(1, 1), *words).json_lines()
    assert (told["gallery_size"], told["people"]) == (4, 3)
    assert told["expected_fpir"] == pytest.approx(1 - (1 - told["fmr"]) ** 4, rel=1e-9)
    assert told["faces"][0]["match"] == "person_1"
    assert told["faces"][0]["score"] == pytest.approx(1, abs=1e-5)  # against itself, and no mean
    assert len({c["person"] for c in told["faces"][0]["candidates"]}) == 2


def test_a_rate_that_nobody_measured_is_not_told_as_zero(cli_here, toy, gallery):
    words = ["--gallery", gallery, *toy.words, "--threshold", "1.0", "--json"]
    (told,) = cli_here("identify", toy.photo(9), *words).json_lines()
    assert (told["fmr"], told["false_matches"]) == (0.0, 0)
    assert told["expected_fpir"] == pytest.approx(1 - (1 - 1 / 12640) ** 3, rel=1e-9)


def test_top_decides_how_many_are_told(cli_here, toy, gallery):
    for top, told in ((1, 1), (3, 3), (10**12, 3)):
        words = ["--gallery", gallery, *toy.words, "--top", top, "--json"]
        (row,) = cli_here("identify", toy.photo(0, 1), *words).json_lines()
        scores = [c["score"] for c in row["faces"][0]["candidates"]]
        assert len(scores) == told
        assert scores == sorted(scores, reverse=True)


def test_for_people_it_is_a_table_and_sentences(cli_here, toy, gallery):
    photos = [toy.photo(1, 1), toy.photo(9)]
    ran = cli_here("identify", *photos, "--gallery", gallery, *toy.words)
    lines = ran.out.splitlines()
    assert lines[0].split() == ["file", "person", "score", "next", "likest"]
    assert lines[2].split()[:2] == ["person_1_0002.png", "person_1"]
    assert "nobody known" in lines[3]
    assert "False match rate 7.9e-05 (1 false match), measured on people" in ran.out
    told = " ".join(ran.out.split())
    assert "3 photographs of 3 people in the gallery: a stranger is taken for one of them" in told
    assert "with probability at most 0.00024." in told


def test_policies_and_several_faces(cli_here, toy, gallery, tmp_path):
    two = write_detector(tmp_path / "two.onnx", scores=(0.9, 0.8), step=100.0)
    G = tmp_path / "two.db"
    words = ["--gallery", G, "--model", toy.model, "--detector", two]
    assert cli_here("enroll", toy.photo(0), *words).code == 0
    for policy, faces in (("all", 2), ("largest", 1)):
        ran = cli_here("identify", toy.photo(0, 1), *words, "--policy", policy, "--json")
        assert len(ran.json_lines()[0]["faces"]) == faces


def test_no_face_exits_with_three(cli_here, toy, gallery):
    words = ["--gallery", gallery, *toy.words, "--min-size", "100"]
    ran = cli_here("identify", toy.photo(1), *words)
    assert ran.code == 3
    assert "no face" in ran.out
    assert ran.err == "tronie: no face found in the photograph\n"


def test_one_unreadable_photograph_does_not_stop_the_others(cli_here, toy, gallery, tmp_path):
    (tmp_path / "bad.png").write_text("no picture")
    photos = [toy.photo(0, 1), tmp_path / "bad.png", toy.photo(1, 1)]
    ran = cli_here("identify", *photos, "--gallery", gallery, *toy.words, "--json")
    rows = ran.json_lines()
    assert ran.code == 2
    assert rows[1]["error"]["code"] == "bad_image"
    assert [rows[n]["faces"][0]["match"] for n in (0, 2)] == ["person_0", "person_1"]


def test_who_may_not_be_matched_any_more_is_not(cli_here, toy, gallery):
    assert cli_here("gallery", "consent", gallery, "person_1", "--consent", "until last year",
                    "--retain-until", "2001-01-01").code == 0  # fmt: skip
    ran = cli_here("identify", toy.photo(1, 1), "--gallery", gallery, *toy.words, "--json")
    (told,) = ran.json_lines()
    assert (ran.code, told["faces"][0]["match"], told["gallery_size"]) == (1, None, 2)
    assert "person_1 is not matched: the retention date has passed" in told["warnings"][0]


def test_an_empty_gallery_recognizes_nobody(cli_here, toy, gallery):
    for person in range(3):
        assert cli_here("gallery", "delete", gallery, f"person_{person}").code == 0
    words = ["--gallery", gallery, *toy.words]
    (told,) = cli_here("identify", toy.photo(1), *words, "--json").json_lines()
    face = told["faces"][0]
    assert (face["match"], face["score"], face["candidates"]) == (None, None, [])
    assert told["expected_fpir"] == 0.0
    assert "nobody known" in cli_here("identify", toy.photo(1), *words).out


def test_a_gallery_that_is_a_folder(cli_here, toy, tmp_path):
    ran = cli_here("identify", toy.photo(0), "--gallery", tmp_path, *toy.words)
    assert ran.code == 2
    assert "cannot use the gallery" in ran.err


def test_markup_and_escapes_in_names_do_not_reach_the_terminal(cli_here, toy, gallery, tmp_path):
    wild = tmp_path / "\x1b[31m[bold]red[\x1b]0;title\x07\u202egpj.png"
    shutil.copy(toy.photo(0, 1), wild)
    ran = cli_here("identify", wild, "--gallery", gallery, *toy.words)
    assert "[bold]red[" in "".join(ran.out.split())
    for steering in ("\x1b", "\x07", "\u202e"):
        assert steering not in ran.out + ran.err
    (told,) = cli_here("identify", wild, "--gallery", gallery, *toy.words, "--json").json_lines()
    assert told["file"] == str(wild)
