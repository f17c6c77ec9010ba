"""Photographs on disk, and whose they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tronie.data.readers.image_folder import CAMERA_NAMES, identities, list_images
from tronie.errors import BadInput, NotFound


@pytest.fixture
def make(tmp_path):
    def make(*names: str) -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return make


def names(root: Path, found: list[Path]) -> list[str]:
    return [path.relative_to(root).as_posix() for path in found]


def people(root: Path, found: list[tuple[str, Path]]) -> list[tuple[str, str]]:
    return [(name, path.relative_to(root).as_posix()) for name, path in found]


def test_a_folder_is_read_to_the_bottom_in_the_order_of_names(make):
    root = make("b/2.jpg", "b/1.PNG", "a.jpeg", "b/c/3.jpg", "notes.txt")
    assert names(root, list_images([root])) == ["a.jpeg", "b/1.PNG", "b/2.jpg", "b/c/3.jpg"]


def test_hidden_files_and_folders_are_skipped(make):
    root = make("a.jpg", "._a.jpg", ".cache/b.jpg")
    assert names(root, list_images([root])) == ["a.jpg"]


def test_links_to_folders_are_not_followed(make):
    root = make("a/1.jpg")
    (root / "a" / "loop").symlink_to(root)
    assert names(root, list_images([root])) == ["a/1.jpg"]


def test_a_file_is_taken_whatever_it_is_called(make):
    root = make("photo.txt")
    assert names(root, list_images([str(root / "photo.txt")])) == ["photo.txt"]


def test_each_photograph_is_listed_once_in_the_order_asked_for(make):
    root = make("a/1.jpg", "a/2.jpg", "b.jpg")
    found = list_images([root / "b.jpg", root / "a", root / "a/1.jpg", root])
    assert names(root, found) == ["b.jpg", "a/1.jpg", "a/2.jpg"]


def test_patterns_match_photographs_at_any_depth(make):
    root = make("a/1.jpg", "b/2.jpg", "b/3.txt")
    assert names(root, list_images([f"{root}/**/*"])) == ["a/1.jpg", "b/2.jpg"]
    assert names(root, list_images([f"{root}/*"])) == ["a/1.jpg", "b/2.jpg"]
    assert names(root, list_images([f"{root}/b/?.jpg"])) == ["b/2.jpg"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(make):
    root = make("a[1].jpg", "a1.jpg")
    assert names(root, list_images([root / "a[1].jpg"])) == ["a[1].jpg"]


def test_a_missing_path_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"none\.jpg is not there; give a photograph, a folder"):
        list_images([tmp_path / "none.jpg"])


def test_a_pattern_without_a_match_is_refused(make):
    root = make("a.txt")
    with pytest.raises(NotFound, match=r"no photograph matches .*\*"):
        list_images([f"{root}/*"])


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"holds no photograph \(looked for .*\.jpg"):
        list_images([tmp_path])


def test_a_folder_that_may_not_be_read_is_refused(make, monkeypatch):
    root = make("a/1.jpg")
    scan = os.scandir

    def denied(path):
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(BadInput, match=r"cannot read the folder .*a: Permission denied"):
        list_images([root])


def test_the_folder_that_holds_a_photograph_names_the_person(make):
    root = make("set/Ada/x.jpg", "set/Ada/IMG_0001.jpg", "set/Bo/Bo_0001.jpg")
    assert people(root, identities([root])) == [
        ("Ada", "set/Ada/IMG_0001.jpg"),
        ("Ada", "set/Ada/x.jpg"),
        ("Bo", "set/Bo/Bo_0001.jpg"),
    ]


def test_files_called_name_0001_name_the_person(make):
    root = make("Ada_Lovelace_0001.jpg", "Ada_Lovelace_0002.jpg", "Bo_0001.png")
    expected = ["Ada_Lovelace", "Ada_Lovelace", "Bo"]
    assert [name for name, _ in identities([root])] == expected
    assert [name for name, _ in identities([f"{root}/*"])] == expected


def test_both_forms_may_be_mixed(make):
    root = make("Ada/x.jpg", "Bo_0001.jpg")
    assert people(root, identities([root])) == [("Ada", "Ada/x.jpg"), ("Bo", "Bo_0001.jpg")]


def test_a_folder_of_one_person_names_them(make):
    root = make("Ada/x.jpg", "Ada/IMG_0001.jpg")
    assert [name for name, _ in identities([root / "Ada"])] == ["Ada", "Ada"]


def test_folders_matched_by_a_pattern_are_people(make):
    root = make("Ada/x.jpg", "Bo/y.jpg")
    assert [name for name, _ in identities([root / "Ada", root / "Bo"])] == ["Ada", "Bo"]
    assert [name for name, _ in identities([f"{root}/*"])] == ["Ada", "Bo"]


def test_a_name_is_the_same_however_its_accents_were_typed(make):
    root = make("Rene\u0301/x.jpg")
    assert identities([root])[0][0] == "Ren\u00e9"


@pytest.mark.parametrize("stem", ["x", "IMG_0001", "dsc_0042", "Ada_1", "Ada_00001", "_0001"])
def test_a_photograph_by_itself_must_say_who_it_is(make, stem):
    root = make(f"{stem}.jpg")
    with pytest.raises(BadInput, match=rf"cannot tell who is on .*{stem}\.jpg: name it NAME_0001"):
        identities([root / f"{stem}.jpg"])


def test_camera_names_are_written_in_lower_case():
    assert all(name == name.lower() for name in CAMERA_NAMES)


def test_a_folder_with_and_without_names_is_refused(make):
    root = make("Ada_0001.jpg", "x.jpg")
    with pytest.raises(BadInput, match=r"cannot tell who is on .*x\.jpg"):
        identities([root])


def test_a_photograph_beside_the_folders_of_people_is_refused(make):
    root = make("Ada/1.jpg", "x.jpg")
    with pytest.raises(BadInput, match=r"cannot tell who is on .*x\.jpg"):
        identities([root])


def test_a_person_within_a_person_is_refused(make):
    root = make("Ada/1.jpg", "Ada/holidays/2.jpg")
    with pytest.raises(BadInput, match="Ada holds photographs and also the folder holidays"):
        identities([root])
