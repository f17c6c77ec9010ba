"""The list of pairs of videos, as it was published and corrected."""

from __future__ import annotations

import pytest

from tronie.data.readers.ytf import read_splits
from tronie.errors import BadFile, NotFound

HEAD = "split number, pair number, first name, second name, is same\n"


def write(tmp_path, text):
    path = tmp_path / "splits.txt"
    path.write_text(text)
    return path


def test_each_line_below_the_names_is_a_pair(tmp_path):
    text = HEAD + "1, 1, Ada_L/0, Ada_L/3, 1\n1,2,Ada_L/0,Bo_B/1,0\n2, 1, Bo_B/1, Bo_B/5, 1\n\n"
    pairs = read_splits(write(tmp_path, text))
    assert pairs.first == ("Ada_L/0", "Ada_L/0", "Bo_B/1")
    assert pairs.second == ("Ada_L/3", "Bo_B/1", "Bo_B/5")
    assert pairs.same.tolist() == [True, False, True]
    assert pairs.folds.tolist() == [1, 1, 2]


def test_of_six_fields_the_last_says_what_is_true(tmp_path):
    pairs = read_splits(write(tmp_path, HEAD + "1, 1, A/0, A/3, 1, 0\n1, 2, A/0, B/1, 0, 1\n"))
    assert pairs.same.tolist() == [False, True]


@pytest.mark.parametrize(
    "line",
    [
        "1, 1, A/0, A/3",
        "1, 1, A0, A/3, 1",
        "1, 1, A/0, A/3, 2",
        "x, 1, A/0, A/3, 1",
        "1 1 A/0 A/3 1",
        "1, 1, A/0, A/3, -1",
        "1, 1, A/0, A/3, 1, 0, 1",
    ],
)
def test_a_line_of_another_form_is_refused_by_its_number(tmp_path, line):
    path = write(tmp_path, HEAD + "1, 1, A/0, A/3, 1\n" + line + "\n")
    with pytest.raises(BadFile, match=r"splits\.txt:3: must read 'SPLIT, PAIR, FIRST/N"):
        read_splits(path)


@pytest.mark.parametrize("text", ["", HEAD])
def test_a_file_without_pairs_is_refused(tmp_path, text):
    with pytest.raises(BadFile, match=r"splits\.txt has no line 'SPLIT, PAIR"):
        read_splits(write(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"there is no file .*none\.txt"):
        read_splits(tmp_path / "none.txt")
