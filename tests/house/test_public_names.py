"""The names that `from tronie import ...` promises: at most ten, all there, all lazy."""

from __future__ import annotations

import importlib
import importlib.util
from importlib import metadata

import pytest

import tronie

PROMISED = {
    "FaceAnalyzer",
    "Faces",
    "Gallery",
    "TronieError",
    "Verification",
    "aligned_crops",
    "read_image",
    "verify",
}


def test_no_public_name_has_vanished_and_none_has_slipped_in():
    assert set(tronie.__all__) == PROMISED


def test_there_are_at_most_ten():
    assert len(tronie.__all__) <= 10


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_a_name_is_the_one_of_its_home(name):
    home = importlib.import_module(tronie._HOMES[name])
    assert getattr(tronie, name) is getattr(home, name)


def test_every_public_name_has_a_docstring():
    assert [n for n in tronie.__all__ if not (getattr(tronie, n).__doc__ or "").strip()] == []


def test_dir_shows_the_names_before_they_are_loaded():
    assert {*tronie.__all__, "__version__"} <= set(dir(tronie))


def test_an_unknown_name_is_refused_with_the_list():
    expected = "^tronie has no name 'FaceAnalyser'; it holds: FaceAnalyzer, Faces, Gallery, "
    with pytest.raises(AttributeError, match=expected):
        tronie.FaceAnalyser  # noqa: B018


def test_the_version_is_the_one_that_is_installed(monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda name: {"tronie": "9.8.7"}[name])
    assert tronie.__version__ == "9.8.7"
