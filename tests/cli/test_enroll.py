"""enroll: who gets into a gallery, who does not, and what an interruption leaves."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from datetime import date

import numpy as np
import pytest
from PIL import Image

import toys
from cli.toy_models import write_detector
from tronie.cli.enroll import as_day
from tronie.errors import BadInput
from tronie.gallery.store import Gallery
from working_tree import environment

KEYS = ["people", "photos", "new_photos", "without", "gallery", "gallery_size", "warnings"]


@pytest.fixture
def three(tmp_path, toy):
    """A folder with the folders of three people, two photographs each."""
    folder = tmp_path / "three"
    for person in range(3):
        shutil.copytree(toy.people / f"person_{person}", folder / f"person_{person}")
    return folder


def people_in(path):
    with Gallery.open_as_made(path) as gallery:
        return {person.name: person.photographs for person in gallery.people()}


def test_one_folder_a_person(cli_here, toy, three, tmp_path):
    G = tmp_path / "G.db"
    ran = cli_here("enroll", three, "--gallery", G, *toy.words, "--json")
    assert (ran.code, ran.err) == (0, "")
    (told,) = ran.json_lines()
    assert list(told) == KEYS
    assert (told["people"], told["photos"], told["new_photos"], told["gallery_size"]) == (
        3,
        6,
        6,
        3,
    )
    assert people_in(G) == {"person_0": 2, "person_1": 2, "person_2": 2}


def test_files_called_after_the_person(cli_here, toy, tmp_path):
    photos = [toy.photo(0), toy.photo(1), toy.photo(0, 1)]
    ran = cli_here("enroll", *photos, "--gallery", tmp_path / "G.db", *toy.words)
    assert ran.code == 0
    told = "2 people enrolled from 3 photographs, 3 of them new;"
    assert ran.out == f"{told} {tmp_path / 'G.db'} holds 2 people.\n"
    assert people_in(tmp_path / "G.db") == {"person_0": 2, "person_1": 1}


def test_person_names_whoever_is_on_all_of_them(cli_here, toy, tmp_path, standard_input):
    standard_input(toy.photo(4, 1).read_bytes())
    words = ["--gallery", tmp_path / "G.db", "--person", " Zoë ", *toy.words]
    assert cli_here("enroll", toy.photo(4), "-", *words).code == 0
    assert people_in(tmp_path / "G.db") == {"Zoë": 2}


def test_consent_and_retention_are_kept(cli_here, toy, tmp_path):
    words = ["--gallery", tmp_path / "G.db", "--consent", "signed", "--retain-until", "2999-12-31"]
    assert cli_here("enroll", toy.photo(0), *words, *toy.words).code == 0
    with Gallery.open_as_made(tmp_path / "G.db") as gallery:
        (person,) = gallery.people()
    assert (person.consent, person.retention_until) == ("signed", date(2999, 12, 31))


def test_the_same_again_adds_nothing(cli_here, toy, three, tmp_path):
    words = ["enroll", three, "--gallery", tmp_path / "G.db", *toy.words, "--json"]
    assert cli_here(*words).json_lines()[0]["new_photos"] == 6
    (told,) = cli_here(*words).json_lines()
    assert (told["people"], told["photos"], told["new_photos"], told["gallery_size"]) == (
        3,
        6,
        0,
        3,
    )


def test_a_photograph_of_somebody_else_is_refused_and_the_others_are_done(cli_here, toy, tmp_path):
    G = tmp_path / "G.db"
    assert cli_here("enroll", toy.photo(0), "--gallery", G, *toy.words).code == 0
    for name in ("person_1", "zoe"):
        (tmp_path / "p" / name).mkdir(parents=True)
    shutil.copy(toy.photo(0), tmp_path / "p" / "person_1" / "a.png")
    shutil.copy(toy.photo(2), tmp_path / "p" / "zoe" / "b.png")
    ran = cli_here("enroll", tmp_path / "p", "--gallery", G, *toy.words, "--json")
    assert ran.code == 2
    assert "a.png is already a photograph of person_0; nothing was added for person_1" in ran.err
    assert people_in(G) == {"person_0": 1, "zoe": 1}


def test_one_unreadable_photograph_does_not_stop_the_others(cli_here, toy, three, tmp_path):
    (three / "person_1" / "person_1_0001.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    ran = cli_here("enroll", three, "--gallery", tmp_path / "G.db", *toy.words, "--json")
    (told,) = ran.json_lines()
    assert ran.code == 2
    assert f"{three / 'person_1' / 'person_1_0001.png'}: " in ran.err
    assert told["warnings"] == [ran.err.removeprefix("tronie: ").rstrip("\n")]
    assert people_in(tmp_path / "G.db") == {"person_0": 2, "person_1": 1, "person_2": 2}


def test_who_has_no_face_is_named_and_not_enrolled(cli_here, toy, three, tmp_path):
    for photo in (three / "person_1").iterdir():
        Image.open(photo).resize((80, 80)).save(photo)  # a face of 42 pixels
    words = ["--gallery", tmp_path / "G.db", "--min-size", "60", *toy.words, "--json"]
    ran = cli_here("enroll", three, *words)
    assert (ran.code, ran.json_lines()[0]["without"]) == (3, ["person_1"])
    assert "person_1 was not enrolled: no photograph can be used" in ran.err
    assert "42 px is under the 60 px asked for" in ran.err
    assert people_in(tmp_path / "G.db") == {"person_0": 2, "person_2": 2}


def test_where_nobody_can_be_enrolled_no_gallery_is_made(cli_here, toy, three, tmp_path):
    blind = write_detector(tmp_path / "blind.onnx", scores=())
    words = ["--gallery", tmp_path / "G.db", "--model", toy.model, "--detector", blind]
    assert cli_here("enroll", three, *words).code == 3
    assert not (tmp_path / "G.db").exists()


def test_a_model_that_gives_nan_makes_no_gallery(cli_here, toy, three, tmp_path):
    broken = toys.toy_embedder(tmp_path / "broken.onnx", dimension=64, nan=True)
    words = ["--gallery", tmp_path / "G.db", "--model", broken, "--detector", toy.detector]
    ran = cli_here("enroll", three, *words)
    assert ran.code == 2
    assert "model broken gave NaN or infinity" in ran.err
    assert not (tmp_path / "G.db").exists()


def test_a_photograph_unlike_the_others_is_named(cli_here, toy, tmp_path):
    folder = tmp_path / "p" / "person_0"
    folder.mkdir(parents=True)
    for n, person in enumerate((0, 0, 9)):
        shutil.copy(toy.photo(person, n % 2), folder / f"{n}.png")
    ran = cli_here("enroll", tmp_path / "p", "--gallery", tmp_path / "G.db", *toy.words)
    assert ran.code == 0
    assert "2.png does not look like the others of person_0" in ran.err


def test_a_gallery_made_with_another_model_is_refused_with_both_names(
    cli_here, toy, three, tmp_path
):
    G = tmp_path / "G.db"
    assert cli_here("enroll", three / "person_0", "--gallery", G, *toy.words).code == 0
    other = toys.toy_embedder(tmp_path / "other.onnx", dimension=64, seed=1)
    words = ["--gallery", G, "--model", other, "--detector", toy.detector, "--threshold", "0.5"]
    for verb, more in (("enroll", words[:-2]), ("identify", words)):
        ran = cli_here(verb, three / "person_1", *more)
        assert ran.code == 2
        assert "was made with model toy, detector eyes" in ran.err
        assert "you asked for model other, detector eyes" in ran.err
    assert people_in(G) == {"person_0": 2}


def test_a_database_of_something_else_is_left_alone(cli_here, toy, tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
    other.close()
    before = path.read_bytes()
    ran = cli_here("enroll", toy.photo(0), "--gallery", path, *toy.words)
    assert ran.code == 2
    assert "other.db is a database, but no gallery of tronie" in ran.err
    assert path.read_bytes() == before


def test_a_corrupt_gallery_is_refused_and_not_touched(cli_here, toy, tmp_path):
    path = tmp_path / "G.db"
    path.write_bytes(b"SQLite format 3\0" + b"rubbish" * 1000)
    before = path.read_bytes()
    ran = cli_here("enroll", toy.photo(0), "--gallery", path, *toy.words)
    assert ran.code == 2
    assert "G.db is damaged or no gallery" in ran.err
    assert path.read_bytes() == before


def test_a_locked_gallery_is_told(cli_here, toy, tmp_path, monkeypatch):
    monkeypatch.setitem(Gallery.open.__kwdefaults__, "busy_timeout_s", 0.1)
    G = tmp_path / "G.db"
    assert cli_here("enroll", toy.photo(0), "--gallery", G, *toy.words).code == 0
    holder = sqlite3.connect(G, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    ran = cli_here("enroll", toy.photo(1), "--gallery", G, *toy.words, "--json")
    holder.close()
    assert (ran.code, ran.json_lines()[0]["error"]["code"]) == (2, "gallery_locked")
    assert "the gallery G.db is in use by another process" in ran.err
    assert people_in(G) == {"person_0": 1}


def test_a_gallery_in_a_missing_folder(cli_here, toy, tmp_path):
    G = tmp_path / "missing" / "G.db"
    ran = cli_here("enroll", toy.photo(0), "--gallery", G, *toy.words)
    assert ran.code == 2
    assert f"--gallery {G}: there is no folder {tmp_path / 'missing'}" in ran.err
    ran = cli_here("identify", toy.photo(0), "--gallery", G, *toy.words)
    assert ran.code == 2
    assert "there is no gallery G.db; enroll somebody to make it" in ran.err
    assert not (tmp_path / "missing").exists()


def test_a_gallery_is_never_made_of_something_else(cli_here, toy, tmp_path):
    for G, sentence in (
        ("/dev/null", "is no plain file, and is not replaced"),
        (tmp_path, "is a folder; name a file"),
    ):
        ran = cli_here("enroll", toy.photo(0), "--gallery", G, *toy.words)
        assert ran.code == 2
        assert sentence in ran.err


def test_standard_input_needs_a_name(cli_here, toy, tmp_path):
    ran = cli_here("enroll", "-", "--gallery", tmp_path / "G.db", *toy.words)
    assert ran.code == 2
    assert "standard input does not say who is on it; name them with --person" in ran.err


@pytest.mark.parametrize("name", ["", "  ", "a\x1b[31mb", "two\nlines", "\udcff", "x" * 201])
def test_a_name_that_cannot_be_shown_is_refused(cli_here, toy, tmp_path, name):
    words = ["--gallery", tmp_path / "G.db", "--person", name, *toy.words]
    ran = cli_here("enroll", toy.photo(0), *words)
    assert ran.code == 2
    assert "a name must have 1 to 200 printable characters" in ran.err
    assert "\x1b" not in ran.err
    assert not (tmp_path / "G.db").exists()


def test_a_file_name_that_is_no_text_is_remembered_in_a_form_that_is(cli_here, toy, tmp_path):
    odd = tmp_path / os.fsdecode(b"\xff.png")
    shutil.copy(toy.photo(0), odd)
    words = ["--gallery", tmp_path / "G.db", "--person", "Ada", *toy.words]
    assert cli_here("enroll", odd, *words).code == 0
    assert people_in(tmp_path / "G.db") == {"Ada": 1}


@pytest.mark.parametrize(
    "day", ["tomorrow", "2030-02-30", "2030-1-1T00:00", "", "99999-01-01", "2030/01/01", "\x1b[2J"]
)
def test_a_day_that_is_none_is_refused(cli_here, toy, tmp_path, day):
    words = ["--gallery", tmp_path / "G.db", "--retain-until", day, *toy.words]
    ran = cli_here("enroll", toy.photo(0), *words)
    assert ran.code == 2
    assert "--retain-until takes a day as YYYY-MM-DD; got " in ran.err
    assert not (tmp_path / "G.db").exists()


def test_a_day_that_has_passed_is_refused(cli_here, toy, tmp_path):
    words = ["--gallery", tmp_path / "G.db", "--retain-until", "2001-01-01", *toy.words]
    ran = cli_here("enroll", toy.photo(0), *words)
    assert ran.code == 2
    assert "--retain-until 2001-01-01 has passed" in ran.err


def test_days_are_read_as_written():
    assert as_day(None) is None
    assert as_day("2030-06-01") == date(2030, 6, 1)
    with pytest.raises(BadInput, match=r"got '1\.6\.2030'"):
        as_day("1.6.2030")


KILLED = """
import os, signal, sys
from tronie.cli.main import main
from tronie.gallery.store import Gallery

add, before = Gallery.add, []

def dying(self, name, photographs, **terms):
    before.append(name)
    if len(before) == 20:
        os.kill(os.getpid(), signal.SIGKILL)
    return add(self, name, photographs, **terms)

Gallery.add = dying
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_killed_run_leaves_whole_people_and_can_be_repeated(cli_here, toy, tmp_path):
    people = tmp_path / "people"
    for person in range(40):
        shutil.copytree(toy.people / f"person_{person}", people / f"person_{person:02d}")
    G = tmp_path / "G.db"
    words = ["enroll", people, "--gallery", G, *toy.words, "--threads", "1"]
    command = [sys.executable, "-c", KILLED, *map(str, words)]
    done = subprocess.run(command, env=environment(), capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert people_in(G) == {f"person_{person:02d}": 2 for person in range(19)}
    assert cli_here(*words).code == 0
    assert people_in(G) == {f"person_{person:02d}": 2 for person in range(40)}
    with Gallery.open_as_made(G) as gallery:
        np.testing.assert_allclose(np.linalg.norm(gallery.embeddings().rows, axis=1), 1, rtol=1e-5)


def test_a_pipe_is_refused_and_not_waited_for(cli_here, toy, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    words = ["--gallery", tmp_path / "G.db", "--person", "Ada", *toy.words]
    ran = cli_here("enroll", tmp_path / "pipe.png", toy.photo(0), *words)
    assert ran.code == 2
    assert "is no plain file" in ran.err
    assert people_in(tmp_path / "G.db") == {"Ada": 1}


def test_a_photograph_unlike_those_of_earlier_runs_is_named(cli_here, toy, tmp_path):
    words = ["--gallery", tmp_path / "G.db", "--person", "Ada", *toy.words]
    assert cli_here("enroll", toy.photo(0), toy.photo(0, 1), *words).err == ""
    ran = cli_here("enroll", toy.photo(9), *words)
    assert "person_9_0001.png does not look like the others of Ada" in ran.err


def test_nobody_whose_time_is_over_is_enrolled_without_a_new_day(cli_here, toy, tmp_path):
    G = tmp_path / "G.db"
    words = ["--gallery", G, "--person", "Ada", *toy.words]
    assert cli_here("enroll", toy.photo(0), *words).code == 0
    past = ["--consent", "once", "--retain-until", "2001-01-01"]
    assert cli_here("gallery", "consent", G, "Ada", *past).code == 0
    ran = cli_here("enroll", toy.photo(0, 1), *words)
    assert ran.code == 2
    assert "the retention date of Ada in G.db has passed" in ran.err
    assert people_in(G) == {"Ada": 1}
    assert cli_here("enroll", toy.photo(0, 1), *words, "--retain-until", "2999-01-01").code == 0


def test_canvas_and_least_score_are_options_of_every_verb_that_decides(cli_here, toy, tmp_path):
    G = tmp_path / "G.db"
    assert cli_here("enroll", toy.photo(0), "--gallery", G, *toy.words).code == 0
    for verb in (
        ("enroll", toy.photo(1), "--gallery", G),
        ("identify", toy.photo(0), "--gallery", G),
        ("verify", toy.photo(0), toy.photo(1)),
    ):
        ran = cli_here(*verb, *toy.words, "--det-threshold", "0.95")
        assert (ran.code, "no face found" in ran.err) == (3, True), ran.err
        ran = cli_here(*verb, *toy.words, "--canvas", "32")
        if "--gallery" in verb:  # boxes move with the canvas, so embeddings are others
            assert ran.code == 2
            assert "you asked for model toy" in ran.err
        else:
            assert "its canvas" in ran.out
