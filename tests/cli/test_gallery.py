"""gallery: who is in it, and how they are forgotten."""

from __future__ import annotations

import sqlite3

import pytest

from tronie.gallery.store import Gallery


@pytest.fixture
def gallery(tmp_path, toy, cli_here):
    """person_0 with two photographs, person_1 with one and a consent note."""
    path = tmp_path / "G.db"
    words = ["--gallery", path, *toy.words]
    assert cli_here("enroll", toy.photo(0), toy.photo(0, 1), *words).code == 0
    assert cli_here("enroll", toy.photo(1), *words, "--consent", "signed 2026-01-01").code == 0
    return path


def test_list_names_everybody(cli_here, gallery):
    rows = cli_here("gallery", "list", gallery, "--json").json_lines()
    assert [list(row) for row in rows] == [
        ["name", "consent", "retention_until", "created", "photographs", "expired"]
    ] * 2
    assert [(row["name"], row["photographs"]) for row in rows] == [("person_0", 2), ("person_1", 1)]
    assert rows[1]["consent"] == "signed 2026-01-01"
    assert [row["expired"] for row in rows] == [False, False]


def test_list_as_a_table_says_what_made_the_gallery(cli_here, gallery):
    out = cli_here("gallery", "list", gallery).out
    assert out.splitlines()[0].split() == ["person", "photos", "consent", "retain", "until"]
    assert "no limit" in out
    assert out.endswith("2 people; made with toy and eyes.\n")


def test_delete_leaves_no_trace_in_any_file(cli_here, gallery):
    assert b"person_0" in everything(gallery)
    ran = cli_here("gallery", "delete", gallery, "person_0")
    assert (ran.code, ran.out) == (0, "person_0 is forgotten.\n")
    assert b"person_0" not in everything(gallery)
    assert [row["name"] for row in listed(cli_here, gallery)] == ["person_1"]
    (told,) = cli_here("gallery", "delete", gallery, "person_1", "--json").json_lines()
    assert told == {"deleted": ["person_1"]}
    assert listed(cli_here, gallery) == []


def test_deleting_somebody_who_is_not_there_suggests_the_nearest(cli_here, gallery):
    ran = cli_here("gallery", "delete", gallery, "person_2", "--json")
    assert (ran.code, ran.json_lines()[0]["error"]["code"]) == (2, "not_found")
    assert "nobody is called person_2 in G.db. Did you mean person_" in ran.err


def test_purge_forgets_whose_time_is_over(cli_here, gallery):
    assert cli_here("gallery", "purge", gallery).out == "Forgotten: nobody.\n"
    words = ["--consent", "withdrawn", "--retain-until", "2001-01-01"]
    (told,) = cli_here("gallery", "consent", gallery, "person_0", *words, "--json").json_lines()
    assert told == {"person": "person_0", "consent": "withdrawn", "retention_until": "2001-01-01"}
    assert [row["expired"] for row in listed(cli_here, gallery)] == [True, False]
    assert "2001-01-01 (expired)" in cli_here("gallery", "list", gallery).out
    (told,) = cli_here("gallery", "purge", gallery, "--json").json_lines()
    assert told == {"deleted": ["person_0"]}
    assert b"person_0" not in everything(gallery)


def test_consent_without_a_day_lifts_the_limit(cli_here, gallery):
    for words, until in ((["--retain-until", "2999-01-01"], "2999-01-01"), ([], None)):
        ran = cli_here("gallery", "consent", gallery, "person_1", "--consent", "again", *words)
        assert ran.code == 0
        assert listed(cli_here, gallery)[1]["retention_until"] == until
    assert ran.out == "person_1: noted, no limit.\n"


def test_what_could_not_be_wiped_can_be_wiped_later(cli_here, gallery, monkeypatch):
    monkeypatch.setitem(Gallery.open_as_made.__kwdefaults__, "busy_timeout_s", 0.1)
    reader = sqlite3.connect(gallery, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM people").fetchall()
    ran = cli_here("gallery", "delete", gallery, "person_0")
    assert ran.code == 2
    assert "person_0: gone from the tables of G.db" in ran.err
    assert "then wipe the gallery" in ran.err
    assert cli_here("gallery", "delete", gallery, "person_0").code == 2  # no success either
    reader.close()
    assert cli_here("gallery", "wipe", gallery).code == 0
    assert b"person_0" not in everything(gallery)
    assert cli_here("gallery", "wipe", gallery, "--json").json_lines() == [{"wiped": str(gallery)}]


@pytest.mark.parametrize(
    "words",
    [["list"], ["delete", "Ada"], ["purge"], ["wipe"], ["consent", "Ada", "--consent", "x"]],
)
def test_a_gallery_that_is_not_there_is_not_made(cli_here, tmp_path, words):
    verb, *more = words
    ran = cli_here("gallery", verb, tmp_path / "none.db", *more)
    assert (ran.code, ran.out) == (2, "")
    assert "there is no gallery none.db; enroll somebody to make it" in ran.err
    assert not list(tmp_path.glob("none.db*"))


def test_a_file_that_is_no_gallery_is_told(cli_here, tmp_path):
    (tmp_path / "photo.db").write_bytes(b"\xff\xd8\xff rubbish")
    ran = cli_here("gallery", "list", tmp_path / "photo.db")
    assert ran.code == 2
    assert "photo.db is damaged or no gallery" in ran.err


def test_a_consent_note_cannot_steer_the_terminal(cli_here, gallery):
    note = "yes\x1b[2J\nperson_9  1  signed"
    assert cli_here("gallery", "consent", gallery, "person_0", "--consent", note).code == 0
    out = cli_here("gallery", "list", gallery).out
    assert "\x1b" not in out
    assert "\\x1b[2J\\n" in out
    assert listed(cli_here, gallery)[0]["consent"] == note


def test_long_names_stay_readable_in_eighty_columns(cli_here, toy, tmp_path):
    name = "Maria Aurelia Constanza " * 5
    words = ["--gallery", tmp_path / "G.db", "--person", name, "--consent", "c" * 150]
    assert cli_here("enroll", toy.photo(0), *words, *toy.words).code == 0
    out = cli_here("gallery", "list", tmp_path / "G.db").out
    assert max(map(len, out.splitlines())) <= 80
    assert out.count("Maria") == 5
    assert out.count("c" * 10) >= 7
    assert "no limit" in out  # a short cell is not broken for a long neighbor


def listed(cli_here, path):
    return cli_here("gallery", "list", path, "--json").json_lines()


def everything(path):
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
