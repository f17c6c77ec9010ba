"""Files are refused before the work, and written whole or not at all."""

from __future__ import annotations

import os

import pytest

from tronie.cli.files import whole, writable_file, writable_folder
from tronie.errors import BadInput, NotFound


def test_a_folder_is_made_with_its_parents(tmp_path):
    writable_folder(tmp_path / "a" / "b", option="--out")
    writable_folder(tmp_path / "a" / "b", option="--out")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "a").write_text("mine")
    with pytest.raises(BadInput, match=r"--out .*/a is a file; name a folder"):
        writable_folder(tmp_path / "a", option="--out")
    with pytest.raises(BadInput, match=r"--out .*/a/b cannot be made: Not a directory"):
        writable_folder(tmp_path / "a" / "b", option="--out")


def test_a_name_with_a_nul_byte_is_refused(tmp_path):
    with pytest.raises(BadInput, match="null"):
        writable_folder(tmp_path / "a\0b", option="--out")
    with pytest.raises((BadInput, NotFound), match="--out"):
        writable_file(tmp_path / "a\0b" / "c", option="--out")


def test_a_new_name_an_old_file_and_a_link_to_one_may_be_written(tmp_path):
    writable_file(tmp_path / "new", option="--out")
    (tmp_path / "old").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "old")
    writable_file(tmp_path / "old", option="--out")
    writable_file(tmp_path / "link", option="--out")
    assert not (tmp_path / "new").exists()


def test_what_is_no_plain_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match=r"pipe is no plain file, and is not replaced"):
        writable_file(tmp_path / "pipe", option="--report")
    with pytest.raises(BadInput, match="--report /dev/null is no plain file"):
        writable_file(type(tmp_path)("/dev/null"), option="--report")
    with pytest.raises(BadInput, match="is a folder; name a file"):
        writable_file(tmp_path, option="--report")


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"there is no folder .*/no; make it first"):
        writable_file(tmp_path / "no" / "file", option="--report")


def test_files_take_their_names_together_at_the_end(tmp_path):
    (tmp_path / "a").write_text("old")
    with whole(tmp_path / "a", tmp_path / "b") as (a, b):
        a.write(b"new")
        b.write(b"newer")
        assert (tmp_path / "a").read_text() == "old"
        assert not (tmp_path / "b").exists()
    assert [(tmp_path / name).read_text() for name in "ab"] == ["new", "newer"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_nothing_is_left_of_what_was_broken_off(tmp_path, stop):
    (tmp_path / "a").write_text("old")
    with pytest.raises(stop, match="now"):
        break_off(tmp_path, stop("now"))
    assert (tmp_path / "a").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def break_off(folder, stop):
    with whole(folder / "a", folder / "b") as (a, _):
        a.write(b"half")
        raise stop


def test_what_the_disk_refuses_is_a_sentence(tmp_path):
    refused = pytest.raises(BadInput, match=r"cannot write .*/no/a: No such file or directory")
    with refused, whole(tmp_path / "no" / "a"):
        pass


def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "precious").write_text("keep")
    (tmp_path / "a").symlink_to(tmp_path / "precious")
    with whole(tmp_path / "a") as (a,):
        a.write(b"new")
    assert (tmp_path / "precious").read_text() == "keep"
    assert (tmp_path / "a").read_text() == "new"


def test_files_have_the_permissions_that_the_user_gives_new_ones(tmp_path):
    before = os.umask(0o027)
    try:
        with whole(tmp_path / "a") as (a,):
            a.write(b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_link_laid_in_wait_is_neither_followed_nor_removed(tmp_path, monkeypatch):
    (tmp_path / "precious").write_text("keep")
    monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")
    (tmp_path / ".guessed.part").symlink_to(tmp_path / "precious")
    refused = pytest.raises(BadInput, match=r"cannot write .*/a: File exists")
    with refused, whole(tmp_path / "a") as (a,):
        a.write(b"new")
    assert (tmp_path / "precious").read_text() == "keep"
    assert (tmp_path / ".guessed.part").is_symlink()
