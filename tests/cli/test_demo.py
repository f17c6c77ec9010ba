"""demo: the whole trip, once on toys in place of people and once on the real photographs."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from cli.toy_models import write_detector
from tronie.cli import demo as demo_file
from tronie.cli.demo_photos import PHOTOS
from tronie.gallery.store import Gallery

KEYS = ["file", "person", "answer", "score", "right"]


@pytest.fixture
def toy_photos(monkeypatch, toy):
    """Each person of the demo is a toy, and has another shot for each photograph."""
    people = sorted({photo.person for photo in PHOTOS})
    shots: dict[str, int] = {}
    paths = {}
    for photo in PHOTOS:
        shot = shots.setdefault(photo.person, 0)
        shots[photo.person] += 1
        paths[photo.file] = toy.photo(21 + people.index(photo.person), shot)
    monkeypatch.setattr(demo_file, "demo_photographs", lambda say: paths)
    return paths


def test_the_demo_enrolls_two_recognizes_two_and_rejects_three(cli_here, toy, toy_photos, tmp_path):
    out = tmp_path / "new" / "demo"
    ran = cli_here("demo", "--out", out, *toy.words, "--json")
    assert (ran.code, ran.err) == (0, "")
    rows = ran.json_lines()
    assert all(list(row)[:5] == KEYS for row in rows)
    assert [row["answer"] for row in rows] == [
        "Emmanuel Macron",
        "Jacinda Ardern",
        None,
        None,
        None,
    ]
    assert all(row["right"] for row in rows)
    assert all((row["score"] >= row["threshold"]) == (row["answer"] is not None) for row in rows)
    fmr = rows[0]["fmr"]
    assert rows[0]["expected_fpir"] == pytest.approx(1 - (1 - fmr) ** 2, rel=1e-9)
    written = sorted(p.name for p in out.iterdir())
    assert written == ["gallery.db", "overview.jpg", "photos", "report.html"]
    for name, path in toy_photos.items():
        assert (out / "photos" / name).read_bytes() == path.read_bytes()
    with Gallery.open_as_made(out / "gallery.db") as gallery:
        assert [p.name for p in gallery.people()] == ["Emmanuel Macron", "Jacinda Ardern"]


def test_for_people_it_is_a_table(cli_here, toy, toy_photos, tmp_path):
    ran = cli_here("demo", "--out", tmp_path, *toy.words)
    assert ran.out.startswith(
        "Enrolled from one photograph each: Emmanuel Macron (2014), Jacinda Ardern (2018).\n"
    )
    assert re.search(r"Barack Obama, 2005 +nobody known +-?0\.\d{3} +yes", ran.out)
    assert "False match rate" in ran.out
    assert f"{tmp_path / 'report.html'} written; " in ran.out


def test_a_wrong_decision_exits_with_one(cli_here, toy, toy_photos, tmp_path):
    ran = cli_here("demo", "--out", tmp_path, *toy.words, "--threshold", "-1")
    assert ran.code == 1
    assert " NO" in ran.out
    assert "2 of 5 answers are right" in (tmp_path / "report.html").read_text()


def test_it_can_be_repeated(cli_here, toy, toy_photos, tmp_path):
    words = ["demo", "--out", tmp_path, *toy.words, "--json"]
    assert cli_here(*words).out == cli_here(*words).out


def test_a_gallery_of_other_people_is_left_alone(cli_here, toy, toy_photos, tmp_path):
    G = tmp_path / "gallery.db"
    assert cli_here("enroll", toy.photo(3), "--gallery", G, *toy.words).code == 0
    before = G.read_bytes()
    ran = cli_here("demo", "--out", tmp_path, *toy.words)
    assert ran.code == 2
    assert f"{G} is a gallery of other people (1 of them), and is left alone" in ran.err
    assert G.read_bytes() == before


def test_the_overview_shows_all_who_were_asked_about(cli_here, toy, toy_photos, tmp_path):
    assert cli_here("demo", "--out", tmp_path, *toy.words).code == 0
    sheet = np.asarray(Image.open(tmp_path / "overview.jpg"))
    assert sheet.shape == (8 + 320 + 8, 5 * 328 + 8, 3)
    cells = [sheet[8:328, 8 + n * 328 : 328 + n * 328].astype(int) for n in range(5)]
    green, amber = (np.array(c) for c in ((64, 200, 110), (240, 170, 60)))
    for n, cell in enumerate(cells):  # the plate of the label: thousands of pixels of one color
        near = [(np.abs(cell - color).max(axis=2) < 24).sum() for color in (green, amber)]
        assert (near[0] > near[1]) == (n < 2)
        assert max(near) > 3000


def test_a_photograph_without_a_face_is_named(cli_here, toy, toy_photos, tmp_path):
    blind = write_detector(tmp_path / "blind.onnx", scores=())
    ran = cli_here("demo", "--out", tmp_path, "--model", toy.model, "--detector", blind)
    assert ran.code == 3
    assert "no face found in macron-2014.jpg" in ran.err
    assert not (tmp_path / "report.html").exists()


def test_a_folder_that_cannot_be_made(cli_here, toy, toy_photos, tmp_path):
    (tmp_path / "taken").write_text("mine")
    ran = cli_here("demo", "--out", tmp_path / "taken", *toy.words)
    assert ran.code == 2
    assert "is a file; name a folder" in ran.err


@pytest.mark.network
@pytest.mark.slow
def test_the_real_demo_is_right_about_all_five(cli, tmp_path, monkeypatch):
    """From an empty cache, as somebody who has just cloned the repository."""
    monkeypatch.setenv("TRONIE_HOME", str(tmp_path / "cache"))
    ran = cli("demo", "--out", tmp_path / "demo", "--json")
    assert ran.code == 0, ran.err
    rows = ran.json_lines()
    assert [row["right"] for row in rows] == [True] * 5
    assert all(abs(row["score"] - row["threshold"]) > 0.1 for row in rows)
    shutil.rmtree(tmp_path / "demo")
    again = cli("demo", "--out", tmp_path / "demo", "--json")
    assert (again.out, again.err) == (ran.out, "")  # from the cache, to the last digit
