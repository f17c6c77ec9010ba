"""Lines and numbers: what is wrong is told with file and line."""

from __future__ import annotations

import pytest

from tronie.data.readers.text_lines import lines_of, read_count, read_lines, read_numbers
from tronie.errors import BadFile, BadInput, NotFound


def test_lines_end_in_any_of_the_usual_ways(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffa\r\nb\nc".encode())
    assert read_lines(tmp_path / "a.txt") == ["a", "b", "c"]


def test_numbers_of_a_line():
    assert read_numbers(" 1 -2.5e1\t3 ", where="a:1") == [1.0, -25.0, 3.0]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"there is no file .*a\.txt"):
        read_lines(tmp_path / "a.txt")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(BadInput, match="cannot read"):
        read_lines(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"ok \xff")
    with pytest.raises(BadFile, match=r"is not UTF-8 text: .* at byte 3"):
        read_lines(tmp_path / "a.txt")


def test_lines_of_bytes_that_were_read():
    assert lines_of(b"\xef\xbb\xbfa\r\nb\n\n", where="x") == ["a", "b", ""]
    with pytest.raises(BadFile, match=r"^x\.tar/labels\.txt is not UTF-8 text: .* at byte 0"):
        lines_of(b"\xff", where="x.tar/labels.txt")


@pytest.mark.parametrize(
    ("line", "what"), [("1 x", "numbers only"), ("1 nan", "finite"), ("inf", "finite")]
)
def test_a_line_of_other_things_is_refused(line, what):
    with pytest.raises(BadFile, match=f"^a.txt:7: must hold {what}"):
        read_numbers(line, where="a.txt:7")


@pytest.mark.parametrize("word", ["", "-1", "1.5", "²", "9999999999"])
def test_a_count_is_a_whole_number(word):
    with pytest.raises(BadFile, match=r"^a\.txt:2: must hold the number of faces that follow"):
        read_count(word, where="a.txt:2")
