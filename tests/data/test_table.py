"""Tables: the columns that the csv module wrote, and every line that is not a row told."""

from __future__ import annotations

import csv

import pytest

from tronie.data.readers.table import read_table
from tronie.errors import BadFile, BadInput, NotFound


def written(path, text: str):
    path.write_bytes(text.encode())
    return path


def test_columns_come_back_in_the_order_of_the_file(tmp_path):
    path = written(tmp_path / "m.csv", "subject,id,group\n17,a.jpg,African\n18,b.jpg,\n")
    table = read_table(path, required=["id", "subject"], optional=["group", "mask"])
    assert dict(table) == {
        "subject": ("17", "18"),
        "id": ("a.jpg", "b.jpg"),
        "group": ("African", ""),
    }
    assert list(table) == ["subject", "id", "group"]


def test_what_the_csv_module_writes_is_read_back(tmp_path):
    rows = [["a,b", 'c "d"', "é\nf"], [" x ", "", "0"]] * 9000
    with (tmp_path / "m.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["a", "b", "c"], *rows])
    table = read_table(tmp_path / "m.csv", required=["a", "b", "c"])
    assert list(zip(*table.values(), strict=True)) == [tuple(row) for row in rows]


@pytest.mark.parametrize(
    "text", ["\ufeffa,b\n1,2\n", "a,b\r\n1,2\r\n", "a,b\n1,2", "a,b\n1,2\n\n\n"]
)
def test_marks_and_ends_of_lines_do_not_matter(text, tmp_path):
    table = read_table(written(tmp_path / "m.csv", text), required=["a", "b"])
    assert dict(table) == {"a": ("1",), "b": ("2",)}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a,b\n1,2\n3\n", r"m\.csv:3: has 1 fields; there are 2 column names"),
        ("a,b\n1,2,3\n", r"m\.csv:2: has 3 fields"),
        ("a,b\n1,2\n\n3,4\n", r"m\.csv:3: is empty; each line is a row of the table"),
        ('a,b\n1,"2\n', r"m\.csv:2: is no line of a CSV file: unexpected end"),
        ('a,b\n1,"2"3\n', r"m\.csv:2: is no line of a CSV file"),
        ("a,b\n1," + "2" * 200_000, r"m\.csv:2: is no line of a CSV file: field larger"),
        ("", r"m\.csv is empty; its first line must name its columns: a,b"),
        ("\n\n", r"m\.csv is empty"),
        ("a,b\n", r"m\.csv has no line below its column names"),
        ("b\n1\n", r"m\.csv:1: lacks the column 'a'; its columns are b"),
        ("group\n1\n", r"m\.csv:1: lacks the column 'a', 'b'; its columns are group"),
        ("a,b,a\n1,2,3\n", r"m\.csv:1: the column 'a' is there twice"),
        ("a,b,gruop\n1,2,3\n", r"unknown column 'gruop'\. Did you mean 'group'\? .*: a, b, group"),
        ("a,b, Group\n1,2,3\n", r"unknown column ' Group'\. Did you mean 'group'\?"),
        ("a,b,zzz\n1,2,3\n", r"m\.csv:1: unknown column 'zzz'\. It may hold: a, b, group"),
    ],
)
def test_a_table_of_another_form_is_refused_by_its_line(text, what, tmp_path):
    with pytest.raises(BadFile, match=what):
        read_table(written(tmp_path / "m.csv", text), required=["a", "b"], optional=["group"])


def test_a_line_below_many_is_named(tmp_path):
    path = written(tmp_path / "m.csv", "a\n" + "1\n" * 20_000 + "1,2\n")
    with pytest.raises(BadFile, match=r"m\.csv:20002: has 2 fields; there are 1"):
        read_table(path, required=["a"])


def test_a_line_break_within_quotes_counts_as_a_line_of_the_file(tmp_path):
    path = written(tmp_path / "m.csv", 'a,b\n"1\n1",2\n3\n')
    with pytest.raises(BadFile, match=r"m\.csv:4: has 1 fields"):
        read_table(path, required=["a", "b"])


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "m.csv").write_bytes(b"a\n\xff\n")
    with pytest.raises(BadFile, match=r"m\.csv is not UTF-8 text: invalid start byte"):
        read_table(tmp_path / "m.csv", required=["a"])


def test_a_file_that_is_not_there_or_is_a_folder_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"there is no table .*m\.csv"):
        read_table(tmp_path / "m.csv", required=["a"])
    with pytest.raises(BadInput, match="cannot read"):
        read_table(tmp_path, required=["a"])
