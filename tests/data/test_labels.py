"""Labels: the same person under the same name, and every line that has none named."""

from __future__ import annotations

import pytest

from tronie.data.readers.labels import LONGEST, labels_of, read_label_lines
from tronie.errors import BadFile, NotFound


def test_a_byte_order_mark_and_blanks_make_no_new_person(tmp_path):
    path = tmp_path / "L.txt"
    path.write_bytes("\ufeffann\r\nbob \r\n\tann\nan n\n".encode())
    assert read_label_lines(path).tolist() == ["ann", "bob", "ann", "an n"]


def test_a_label_may_have_256_characters():
    assert labels_of(["é" * LONGEST], path="L.txt").tolist() == ["é" * 256]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (["a", "", "b"], r"^L\.txt:2 is blank; each row has a label \(-1: nobody known\)$"),
        (["a", "b", " \t"], r"^L\.txt:3 is blank"),
        (["a", "x" * 3_000_000], r"^L\.txt:2: a label has 256 characters at most; .* has 3000000$"),
        (["a\0", "a"], r"^L\.txt:1: a label holds no NUL; got 'a\\x00'$"),
    ],
)
def test_what_is_no_label_is_refused_by_its_line(fields, message):
    with pytest.raises(BadFile, match=message):
        labels_of(fields, path="L.txt")


def test_lines_of_a_table_are_counted_from_its_header_and_some_may_be_blank():
    with pytest.raises(BadFile, match=r"^META\.csv:3 is blank"):
        labels_of(["a", ""], path="META.csv", first_line=2)
    assert labels_of(["a", " "], path="META.csv", or_none=True).tolist() == ["a", ""]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"there is no file .*L\.txt"):
        read_label_lines(tmp_path / "L.txt")
