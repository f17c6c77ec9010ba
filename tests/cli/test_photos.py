"""What words stand for, and what files made from photographs are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from tronie.cli.photos import Photo, Targets, fault_sentence, photographs
from tronie.errors import BadImage, BadInput


def photo(path: str) -> Photo:
    return Photo(path, Path(path))


def test_files_keep_their_order_and_may_be_named_twice(toy):
    words = [str(toy.photo(2)), str(toy.photo(1)), str(toy.photo(2))]
    assert [one.label for one in photographs(words)] == words


def test_standard_input_is_read_once(standard_input):
    standard_input(b"bytes")
    assert photographs(["-"]) == [Photo("-", b"bytes")]
    with pytest.raises(BadInput, match="standard input can be read once; - was given twice"):
        photographs(["-", "-"])


def test_what_came_from_standard_input_has_a_name_for_files(tmp_path):
    targets = Targets(tmp_path, [])
    assert targets.stem(Photo("-", b"")) == "stdin"


def test_stems_are_never_alike(tmp_path):
    targets = Targets(tmp_path, [])
    names = ["a/x.jpg", "b/x.png", "c/x-2.jpg", "d/x.jpg"]
    assert [targets.stem(photo(name)) for name in names] == ["x", "x-2", "x-2-2", "x-3"]


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/..png", "..", "a/...jpg"])
def test_a_stem_never_leads_out_of_the_folder(tmp_path, name):
    target = Targets(tmp_path, []).file(f"{photo(name).stem}_0.png")
    assert target.parent == tmp_path
    assert target.resolve().parent == tmp_path.resolve()


def test_a_stem_leaves_room_for_what_is_added(tmp_path):
    for name in ("x" * 251 + ".png", "ж" * 120 + ".png"):
        (tmp_path / f"{photo(name).stem}-123_45.faces.jpg").write_text("")


def test_a_photograph_is_never_a_target_however_its_folder_is_written(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    targets = Targets(tmp_path / "sub" / "..", [photo(str(tmp_path / "link" / "a.png"))])
    with pytest.raises(BadInput, match=r"a\.png is one of the photographs"):
        targets.file("a.png")
    assert targets.file("b.png") == tmp_path / "sub" / ".." / "b.png"


def test_a_fault_names_the_photograph_once():
    assert fault_sentence(photo("a.jpg"), BadImage("'a.jpg' is odd")) == "'a.jpg' is odd"
    assert fault_sentence(photo("a.jpg"), BadImage("it is odd")) == "a.jpg: it is odd"
    assert (
        fault_sentence(Photo("-", b""), BadImage("'image' is empty")) == "standard input is empty"
    )
    assert fault_sentence(Photo("a.jpg", b""), BadImage("'image' is empty")) == "a.jpg is empty"
