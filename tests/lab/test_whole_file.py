"""Small files, whole or not there."""

from __future__ import annotations

import pytest

from tronie.errors import BadFile, BadInput, NotFound
from tronie.lab.training.whole_file import read_object, write_whole


def test_what_is_written_takes_the_place_of_what_was(tmp_path):
    path = tmp_path / "a.json"
    write_whole(path, "{}")
    write_whole(path, '{"n": 1}')
    assert read_object(path, lacking="none") == {"n": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_what_cannot_be_written_says_so_and_leaves_nothing(tmp_path):
    (tmp_path / "a.json").mkdir()
    with pytest.raises(BadInput, match=r"cannot write .*a.json: Is a directory"):
        write_whole(tmp_path / "a.json", "{}")
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_a_file_that_is_not_there_is_what_the_caller_says(tmp_path):
    with pytest.raises(NotFound, match=r"^nothing here$"):
        read_object(tmp_path / "a.json", lacking="nothing here")


@pytest.mark.parametrize(
    ("text", "told"), [("{", "cannot be read: Expecting"), ("[1]", r"must hold an object; .*\[1\]")]
)
def test_a_damaged_file_is_named(tmp_path, text, told):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BadFile, match=f"a.json {told}"):
        read_object(tmp_path / "a.json", lacking="none")
