"""FDDB's files: ellipses, and detections in both forms."""

from __future__ import annotations

import pytest

from tronie.data.readers.fddb import read_detections, read_ellipses
from tronie.errors import BadFile, NotFound

ONE = "2002/08/11/big/img_591\n1\n123.58 85.55 1.2658 269.69 161.78  1\n"
TWO = "2002/08/26/big/img_265\n2\n67.3 44.5 -1.4 105.2 87.2 1\n41.9 27.0 1.4 184.0 70.7 1\n"


def test_the_faces_of_one_file_and_of_the_folder_of_all(tmp_path):
    (tmp_path / "FDDB-fold-01-ellipseList.txt").write_text(ONE)
    (tmp_path / "FDDB-fold-02-ellipseList.txt").write_text(TWO + "\n")
    one = read_ellipses(tmp_path / "FDDB-fold-01-ellipseList.txt")
    assert one["2002/08/11/big/img_591"].tolist() == [[123.58, 85.55, 1.2658, 269.69, 161.78]]
    both = read_ellipses(tmp_path)
    assert [len(rows) for rows in both.values()] == [1, 2]


def test_rectangles_become_corners_and_ellipses_stay(tmp_path):
    (tmp_path / "d.txt").write_text("a\n2\n1 2 3 4 0.5\n5 6 7 8 -3\nb\n0\n")
    found = read_detections(tmp_path / "d.txt")
    assert found["a"].shapes.tolist() == [[1, 2, 4, 6], [5, 6, 12, 14]]
    assert found["a"].scores.tolist() == [0.5, -3]
    assert len(found["b"].scores) == 0
    (tmp_path / "e.txt").write_text("a\n1\n1 2 3 4 5 0.5\n")
    assert read_detections(tmp_path / "e.txt")["a"].shapes.tolist() == [[1, 2, 3, 4, 5]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n", r"d.txt:1: the file ends after the name 'a'"),
        ("a\nb\n", r"d.txt:2: must hold the number of faces"),
        ("a\n2\n1 2 3 4 5\n", r"d.txt:2: announces 2 faces; 1 lines follow"),
        ("a\n1\n1 2 3 4\n", r"d.txt:1: a face has 5 or 6 numbers; got \[4\]"),
        ("a\n0\na\n0\n", r"d.txt:3: a is there twice"),
        ("a\n1\n1 2 3 4 5\nb\n1\n1 2 3 4 5 6\n", r"d.txt:4: rectangles .* and ellipses .* mixed"),
        ("a\n1\n1 2 -3 4 5\n", r"d.txt:1: a face has a width, height or radius below zero"),
        ("a\n1\n0 2 0 4 5 1\n", r"d.txt:1: a face has .* no radius"),
    ],
)
def test_a_file_that_breaks_the_format_is_refused_by_line(text, message, tmp_path):
    (tmp_path / "d.txt").write_text(text)
    with pytest.raises(BadFile, match=message):
        read_detections(tmp_path / "d.txt")


def test_a_folder_without_ellipses_is_refused(tmp_path):
    with pytest.raises(NotFound, match="holds no FDDB-fold-01-ellipseList"):
        read_ellipses(tmp_path)
