"""Columns of whole numbers: as Python would read them line by line, only faster."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tronie.data.readers import whole_numbers
from tronie.data.readers.whole_numbers import read_whole_numbers
from tronie.errors import BadFile, BadInput, NotFound


def rows(path, form="A B"):
    blocks = list(read_whole_numbers(path, form=form))
    return np.concatenate(blocks).tolist() if blocks else []


@pytest.mark.parametrize("block_bytes", [16, 50, 1 << 20])
def test_rows_of_many_blocks_are_those_of_int_and_split(block_bytes, tmp_path, monkeypatch):
    monkeypatch.setattr(whole_numbers, "BLOCK_BYTES", block_bytes)
    expected = np.random.default_rng(0).integers(0, 10**5, (500, 2)).tolist()
    (tmp_path / "a.txt").write_text("".join(f"{a} {b}\n" for a, b in expected))
    assert rows(tmp_path / "a.txt") == expected


@pytest.mark.parametrize(
    "text",
    ["1\t2\n3\t4\n", "1 2\r\n3 4\r\n", " 1  2 \n\t3 4", "\ufeff1 2\n3 4\n\n \n", "01 2\n3 0004"],
)
def test_lines_end_and_columns_part_in_any_of_the_usual_ways(text, tmp_path):
    (tmp_path / "a.txt").write_bytes(text.encode())
    assert rows(tmp_path / "a.txt") == [[1, 2], [3, 4]]


def test_numbers_may_have_eighteen_digits(tmp_path):
    (tmp_path / "a.txt").write_text("999999999999999999 0\n")
    assert rows(tmp_path / "a.txt") == [[10**18 - 1, 0]]


@pytest.mark.parametrize("text", ["", "\n\n", " "])
def test_a_file_without_a_line_has_no_rows(text, tmp_path):
    (tmp_path / "a.txt").write_text(text)
    assert rows(tmp_path / "a.txt") == []


@pytest.mark.parametrize("block_bytes", [8, 1 << 20])
@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("1 2\n3\n", r":2: must read 'A B' in whole numbers; got '3'"),
        ("1 2\n3 4 5\n", r":2: must read .* got '3 4 5'"),
        ("1 2 3\n4\n", r":1: must read"),
        ("1\n2 3 4\n", r":1: must read"),
        ("1 2\n3 -4\n", r":2: must read .* got '3 -4'"),
        ("1 2\n3 4.\n", r":2: must read"),
        ("1 2\n3 \x0b\n", r":2: must read"),
        ("1 2\nx y\n", r":2: must read"),
        ("1 2\n3 é\n", r":2: must read"),
        ("1 2\n3 1000000000000000000\n", r":2: must read|short lines"),
        ("1 2\n\n3 4\n", r":2: (is empty|must read)"),
        ("1 2\n3 4\n\n\n5 6\n", r":3: (is empty|must read)"),
        ("\n1 2\n", r":1: (is empty|must read)"),
    ],
)
def test_a_line_that_breaks_the_form_is_named(text, what, block_bytes, tmp_path, monkeypatch):
    monkeypatch.setattr(whole_numbers, "BLOCK_BYTES", block_bytes)
    (tmp_path / "a.txt").write_bytes(text.encode())
    with pytest.raises(BadFile, match=rf"a\.txt{what}|a\.txt is no text of {what}"):
        rows(tmp_path / "a.txt")


def test_a_line_of_a_later_block_is_named_by_its_place_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(whole_numbers, "BLOCK_BYTES", 16)
    (tmp_path / "a.txt").write_text("1 2\n" * 99 + "x\n" + "1 2\n" * 9)
    with pytest.raises(BadFile, match=r"a\.txt:100: must read 'A B' in whole numbers; got 'x'"):
        rows(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_text("1 2\n" * 99 + "\n" * 50 + "1 2\n")
    with pytest.raises(BadFile, match=r"a\.txt:100: is empty"):
        rows(tmp_path / "a.txt")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123 \t\n\r-x", max_size=40))
def test_a_file_is_read_as_line_by_line_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "whole_numbers.txt"
    path.write_bytes(text.encode())
    lines = [line.split() for line in text.rstrip().split("\n")] if text.strip() else []
    if all(len(line) == 2 and all(word.isdigit() for word in line) for line in lines):
        assert rows(path) == [[int(word) for word in line] for line in lines]
    else:
        with pytest.raises(BadFile, match=r":\d+: "):
            rows(path)


def test_a_line_without_an_end_is_not_read_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(whole_numbers, "BLOCK_BYTES", 100)
    (tmp_path / "a.txt").write_text("1" * 1000)
    with pytest.raises(BadFile, match=r"is no text of short lines: one has 103 bytes"):
        rows(tmp_path / "a.txt")


def test_a_file_that_is_not_there_or_is_a_folder_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"there is no file .*a\.txt"):
        rows(tmp_path / "a.txt")
    with pytest.raises(BadInput, match="cannot read"):
        rows(tmp_path)
