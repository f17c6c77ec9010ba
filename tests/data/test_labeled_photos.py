"""Photographs and labels of one folder: found unpacked and packed, and all of them there."""

from __future__ import annotations

import zipfile
from contextlib import ExitStack

import pytest

from tronie.data.readers.labeled_photos import open_labeled_photos
from tronie.errors import BadFile, NotFound

TEXT = "# a/one.jpg 9 9\n1 1 5 5\n# two.jpg\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images/a").mkdir(parents=True)
    (tmp_path / "images/a/one.jpg").write_bytes(b"one")
    with zipfile.ZipFile(tmp_path / "rest.zip", "w") as pack:
        pack.writestr("two.jpg", b"two")
    (tmp_path / "labels.txt").write_text(TEXT)
    return tmp_path


def test_a_photograph_is_where_a_path_ends_in_its_name(folder):
    with ExitStack() as closing:
        found = open_labeled_photos(folder, closing=closing)
        assert found.labels == folder / "labels.txt"
        assert [photo.name for photo in found.photos] == ["a/one.jpg", "two.jpg"]
        assert [found.files.read(photo.name) for photo in found.photos] == [b"one", b"two"]


def test_labels_have_one_of_three_names(folder):
    (folder / "labels.txt").rename(folder / "label.txt")
    with ExitStack() as closing:
        assert open_labeled_photos(folder, closing=closing).labels.name == "label.txt"


def test_a_folder_without_labels_is_told(tmp_path):
    with ExitStack() as closing, pytest.raises(NotFound, match=r"holds no labels of faces; looked"):
        open_labeled_photos(tmp_path, closing=closing)


def test_a_photograph_that_is_not_there_is_told(folder):
    (folder / "images/a/one.jpg").unlink()
    told = r"labels.txt names 2 photographs, and 1 of them are not in .*; the first is a/one.jpg"
    with ExitStack() as closing, pytest.raises(NotFound, match=told):
        open_labeled_photos(folder, closing=closing)


def test_a_label_that_breaks_the_form_is_told_with_its_line(folder):
    (folder / "labels.txt").write_text("# two.jpg\n1 2 3\n")
    with ExitStack() as closing, pytest.raises(BadFile, match=r"labels.txt:2: a face has 4 numb"):
        open_labeled_photos(folder, closing=closing)
