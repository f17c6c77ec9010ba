"""From a folder of photographs to the data of a demonstration track."""

from __future__ import annotations

import numpy as np
import pytest

from toys import toy_face
from tronie.errors import BadArray, BadImage, BadInput, NotEnoughData, NotFound
from tronie.images.io import decode_image, write_image
from tronie.server.challenge.demonstration import make_demonstration


def write_faces(folder, *, people=10, shots=5, side=112):
    for person in range(people):
        home = folder / f"Person {person:02d}"
        home.mkdir(parents=True)
        for shot in range(shots):
            write_image(home / f"{shot}.png", toy_face(person, shot=shot)[24 : 24 + side, :side])
    return folder


def test_aligned_crops_are_kept_as_they_are(tmp_path):
    photos = write_faces(tmp_path / "in")
    data = make_demonstration(photos, tmp_path / "out")
    assert data.rows == data.crops.count == 50
    lines = (tmp_path / "out" / "META.csv").read_text().splitlines()
    assert lines[:2] == ["name,subject", "000000,Person 00"]
    assert lines[6] == "000005,Person 01"
    first = (photos / "Person 01" / "0.png").read_bytes()
    assert data.crops.read(5) == first
    assert not (tmp_path / "out.part").exists()


def test_photographs_are_aligned_and_those_without_a_face_left_out(tmp_path):
    photos = write_faces(tmp_path / "in", side=120)
    seen = []

    def align(photo):
        seen.append(photo)
        return None if len(seen) == 3 else decode_image(photo)[:112, :112]

    data = make_demonstration(photos, tmp_path / "out", align=align)
    assert len(seen) == 50
    assert data.rows == 49
    assert "000002" not in (tmp_path / "out" / "META.csv").read_text()
    np.testing.assert_array_equal(data.crops.crop(0), toy_face(0)[24:136, :112])


def test_a_photograph_that_is_no_crop_is_refused_without_align(tmp_path):
    photos = write_faces(tmp_path / "in", people=2, side=120)
    with pytest.raises(BadInput, match=r"0.png has 120 x 120 pixels and is no aligned crop of 112"):
        make_demonstration(photos, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_too_few_pictures_are_refused_and_leave_nothing(tmp_path):
    photos = write_faces(tmp_path / "in", people=4, shots=3)
    with pytest.raises(NotEnoughData, match=r"^12 of 12 pictures in .* about fifty, .* FAR 0.001"):
        make_demonstration(photos, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_people_with_one_picture_each_are_refused(tmp_path):
    photos = write_faces(tmp_path / "in", people=46, shots=1)
    with pytest.raises(NotEnoughData, match=r"about fifty, some of the same people: .*genuine"):
        make_demonstration(photos, tmp_path / "out")


def test_a_damaged_picture_is_named(tmp_path):
    photos = write_faces(tmp_path / "in", people=2, shots=2)
    (photos / "Person 00" / "1.png").write_bytes(b"nothing")
    with pytest.raises(BadImage, match=r"Person 00/1.png' begins with"):
        make_demonstration(photos, tmp_path / "out")


def test_an_align_that_gives_something_else_is_refused(tmp_path):
    photos = write_faces(tmp_path / "in", people=2, shots=2)
    with pytest.raises(BadArray, match=r"align must return uint8 \(112, 112, 3\) or None; for"):
        make_demonstration(photos, tmp_path / "out", align=lambda photo: np.zeros((3, 3, 3)))


def test_a_folder_that_is_taken_is_left_alone(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    with pytest.raises(BadInput, match=r"out is there; name another folder"):
        make_demonstration(tmp_path, out)
    assert (out / "mine.txt").read_text() == "keep"


def test_a_folder_of_photographs_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(NotFound, match="is not there; give a photograph, a folder"):
        make_demonstration(tmp_path / "none", tmp_path / "out")
