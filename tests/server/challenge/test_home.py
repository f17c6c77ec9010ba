"""The folder of a challenge: what lies where, which tracks it has, and keys that are made once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("cryptography")
pytest.importorskip("fsspec")

from tronie.errors import BadFile, BadInput, NotFound
from tronie.server.challenge.home import Home
from tronie.server.challenge.settings import DATABASE_VARIABLE, SECRET_VARIABLE

pytestmark = pytest.mark.server

LONG = "a secret of more than thirty-two bytes"


def make(folder, **given):
    return Home(folder, **({"environment": {}} | given))


def test_a_new_folder_is_made_for_its_owner_alone_with_everything_inside(tmp_path):
    home = make(tmp_path / "deep" / "challenge")
    assert home.folder.stat().st_mode & 0o777 == 0o700
    assert home.settings.database == f"sqlite:///{home.folder}/challenge.db"
    assert home.storage().url == str(home.folder / "uploads")
    assert home.data_of("mfr21-a") == home.folder / "data" / "mfr21-a"
    assert home.work == home.folder / "work"
    assert home.work.is_dir()
    assert home.tracks == {}


def test_a_relative_folder_gives_a_database_that_does_not_depend_on_where_one_stands(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert make(Path("here")).settings.database == f"sqlite:///{tmp_path}/here/challenge.db"


def test_tracks_are_those_with_data_in_the_order_of_the_catalogue(tmp_path):
    for name in ("mfr21-b", "lfr19-deepglint-light", "mfr21-a", "demonstration-faces.part"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "data" / "notes.txt").write_text("no folder")
    found = make(tmp_path).tracks
    assert list(found) == ["lfr19-deepglint-light", "mfr21-a", "mfr21-b"]
    assert found["mfr21-a"].protocol == "mfr21"


def test_a_folder_of_data_that_is_of_no_track_is_named(tmp_path):
    (tmp_path / "data" / "mfr21").mkdir(parents=True)
    with pytest.raises(NotFound, match=r"data/mfr21 is of no track; `tronie list tracks` tells"):
        make(tmp_path)


def test_settings_go_before_the_folder_and_the_database_asked_for_before_settings(tmp_path):
    (tmp_path / "data" / "mfr21-b").mkdir(parents=True)
    (tmp_path / "challenge.toml").write_text(
        'title = "Ours"\ndatabase = "sqlite:////srv/a.db"\ntracks = ["mfr21-a"]\n'
        '[data]\nmfr21-a = "private/mfr21"\n'
    )
    told = make(tmp_path)
    assert (told.settings.title, list(told.tracks)) == ("Ours", ["mfr21-a"])
    assert told.settings.database == "sqlite:////srv/a.db"
    assert told.data_of("mfr21-a") == tmp_path / "private" / "mfr21"
    assert told.storage().url == str(tmp_path / "uploads"), "what settings leave out is here"
    asked = make(tmp_path, database="postgresql://db/challenge")
    assert asked.settings.database == "postgresql://db/challenge"
    environment = {DATABASE_VARIABLE: "sqlite:////srv/b.db", SECRET_VARIABLE: LONG}
    from_outside = make(tmp_path, environment=environment)
    assert from_outside.settings.database == "sqlite:////srv/b.db"
    assert from_outside.settings.secret == LONG.encode()


def test_settings_without_tracks_take_those_with_data(tmp_path):
    (tmp_path / "challenge.toml").write_text('title = "Ours"\n')
    (tmp_path / "data" / "mfr21-b").mkdir(parents=True)
    assert list(make(tmp_path).tracks) == ["mfr21-b"]


def test_settings_that_cannot_be_used_are_refused_with_their_file(tmp_path):
    (tmp_path / "challenge.toml").write_text("title = 3\n")
    with pytest.raises(BadFile, match=r"challenge.toml: title must be a text; got 3"):
        make(tmp_path)


def test_a_track_that_is_none_is_refused_with_the_nearest(tmp_path):
    (tmp_path / "challenge.toml").write_text('tracks = ["mfr21-c"]\n')
    with pytest.raises(NotFound, match=r"no entry 'mfr21-c' .* Did you mean 'mfr21-b'"):
        make(tmp_path)


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"file cannot be a challenge's folder: File exists"):
        make(tmp_path / "file")


def test_keys_are_made_once_and_for_their_owner_alone(tmp_path):
    first, again = make(tmp_path), make(tmp_path)
    assert first.settings.secret == again.settings.secret
    assert len(first.settings.secret) == 32
    assert first.settings.secret != make(tmp_path / "other").settings.secret
    assert first.signer().public_key == again.signer().public_key
    for name in ("form.key", "signing.key"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob("*.part"))


def test_a_key_of_another_length_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "form.key").write_bytes(b"short")
    with pytest.raises(BadInput, match=r"form.key must hold 32 bytes; got 5. Remove it, and every"):
        make(tmp_path)
    assert (tmp_path / "form.key").read_bytes() == b"short"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(BadInput, match=r"form.key cannot be written and read: Permission denied"):
        make(tmp_path)


def test_a_key_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "form.key").mkdir()
    with pytest.raises(BadInput, match=r"form.key cannot be written and read: Is a directory"):
        make(tmp_path)
