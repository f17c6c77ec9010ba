"""Photographs of WIDER FACE, unpacked and packed."""

from __future__ import annotations

import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from tronie.data.readers.widerface_photos import WiderPhotos, is_original
from tronie.errors import BadFile, NotFound


def jpeg(width: int, *, progressive: bool = False) -> bytes:
    file = io.BytesIO()
    picture = Image.fromarray(np.zeros((8, width, 3), np.uint8))
    picture.save(file, "JPEG", progressive=progressive, comment=b"\xff\xc0 is no size")
    return file.getvalue()


def pack_tar(path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def test_all_three_places_are_found_and_unpacked_ones_win(tmp_path):
    (tmp_path / "images" / "e").mkdir(parents=True)
    (tmp_path / "images" / "e" / "a.jpg").write_bytes(b"folder")
    pack_tar(tmp_path / "x.tar", {"e/a.jpg": b"tar", "deep/e/b.jpg": b"tar", "e/note.txt": b""})
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("WIDER_val/images/e/c.jpg", b"zip")
        archive.writestr("WIDER_val/images/e/unwanted.jpg", b"zip")
    with WiderPhotos(tmp_path, {"e/a", "e/b", "e/c", "e/note"}) as photos:
        assert photos.names() == ("e/a", "e/b", "e/c")
        assert [photos.read(name) for name in photos.names()] == [b"folder", b"tar", b"zip"]


@pytest.mark.parametrize("progressive", [False, True])
def test_an_original_is_1024_pixels_wide(progressive):
    assert is_original(jpeg(1024, progressive=progressive))
    assert not is_original(jpeg(800, progressive=progressive))


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xc0\x00", b"PNG", b"\xff\xd8abc"]
)
def test_what_is_no_jpeg_is_no_original(data):
    assert not is_original(data)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"the WIDER FACE folder .* is not there"):
        WiderPhotos(tmp_path / "none", {"e/a"})


def test_a_folder_without_photographs_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"holds no photograph EVENT/PHOTO\.jpg"):
        WiderPhotos(tmp_path, {"e/a"})


def test_a_photograph_that_is_not_there_is_named(tmp_path):
    pack_tar(tmp_path / "x.tar", {"e/a.jpg": b"tar"})
    with (
        WiderPhotos(tmp_path, {"e/a"}) as photos,
        pytest.raises(NotFound, match=r"has no photograph e/b$"),
    ):
        photos.read("e/b")


def test_a_tar_that_is_cut_off_is_refused(tmp_path):
    pack_tar(tmp_path / "x.tar", {"e/a.jpg": bytes(100_000)})
    (tmp_path / "x.tar").write_bytes((tmp_path / "x.tar").read_bytes()[:50_000])
    with pytest.raises(BadFile, match=r"x\.tar.* (cut off|unexpected end|cannot be)"):
        WiderPhotos(tmp_path, {"e/a"}).read("e/a")
