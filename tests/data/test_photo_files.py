"""Photographs by name, wherever they are; what they are called is the caller's."""

from __future__ import annotations

import io
import os
import tarfile
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from tronie.data.readers import photo_files
from tronie.data.readers.photo_files import PhotoFiles
from tronie.errors import BadFile, BadInput, NotFound


def pack_tar(path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def by_last(path):
    return path.name if path.suffix == ".png" else None


def test_names_are_the_callers_and_unpacked_files_win(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "a.png").write_bytes(b"folder")
    (tmp_path / "deep" / "note.txt").write_bytes(b"")
    pack_tar(tmp_path / "x.tar", {"a.png": b"tar", "e/b.png": b"tar"})
    with zipfile.ZipFile(tmp_path / "y.zip", "w") as archive:
        archive.writestr("b.png", b"zip")
        archive.writestr("c.png", b"zip")
    with PhotoFiles(tmp_path, by_last) as files:
        assert files.names() == ("a.png", "b.png", "c.png")
        assert [files.read(name) for name in files.names()] == [b"folder", b"zip", b"zip"]


@pytest.mark.parametrize(
    ("there", "wins"),
    [
        (("0old/a.png", "a.png"), "a.png"),
        (("annotated/a.png", "images/a.png"), "images/a.png"),
        (("annotated/e/a.png", "images/e/a.png"), "images/e/a.png"),
        (("a.png/note.txt", "deep/a.png"), "deep/a.png"),  # a folder of that name is none
    ],
)
def test_of_copies_the_nearest_wins_and_images_before_its_neighbors(there, wins, tmp_path):
    for name in there:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    with PhotoFiles(tmp_path, by_last) as files:
        assert files.read("a.png") == wins.encode()


def test_a_file_over_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(photo_files, "MAX_FILE_BYTES", 10)
    (tmp_path / "a.png").write_bytes(bytes(10))
    (tmp_path / "b.png").write_bytes(bytes(11))
    with PhotoFiles(tmp_path, by_last) as files:
        assert len(files.read("a.png")) == 10
        with pytest.raises(BadFile, match=r"b.png has more than 10 bytes, which no photograph"):
            files.read("b.png")


def test_a_packed_photograph_with_a_false_size_is_refused_and_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(50_000_000))
    data = (tmp_path / "x.zip").read_bytes()
    size = (50_000_000).to_bytes(4, "little")
    (tmp_path / "x.zip").write_bytes(data.replace(size, (1000).to_bytes(4, "little")))
    tracemalloc.start()
    with PhotoFiles(tmp_path, by_last) as files, pytest.raises(BadFile, match="cannot be unpacked"):
        files.read("a.png")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 5_000_000


@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_a_packed_file_may_stand_for_the_folder(suffix, tmp_path):
    path = tmp_path / f"x.{suffix}"
    if suffix == "tar":
        pack_tar(path, {"a.png": b"1"})
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.png", b"1")
    with PhotoFiles(path, by_last) as files:
        assert files.read("a.png") == b"1"


@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_many_threads_read_what_one_reads(suffix, tmp_path):
    many = {f"{n}.png": bytes([n]) * (300_000 + n) for n in range(20)}
    if suffix == "tar":
        pack_tar(tmp_path / "x.tar", many)
    else:
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            for name, data in many.items():
                archive.writestr(name, data)
    with PhotoFiles(tmp_path, by_last) as files, ThreadPoolExecutor(8) as threads:
        names = list(many) * 10
        assert list(threads.map(files.read, names)) == [many[name] for name in names]


def test_a_folder_and_a_photograph_that_are_not_there_are_named(tmp_path):
    with pytest.raises(NotFound, match=r"the folder .*none is not there"):
        PhotoFiles(tmp_path / "none", by_last)
    with PhotoFiles(tmp_path, by_last) as files, pytest.raises(NotFound, match=r"no photograph b$"):
        files.read("b")


def test_what_is_no_plain_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with (
        PhotoFiles(tmp_path, by_last) as files,
        pytest.raises(BadInput, match=r"a\.png is no plain file, or is gone"),
    ):
        files.read("a.png")


@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_a_damaged_packed_file_is_named(suffix, tmp_path):
    (tmp_path / f"x.{suffix}").write_bytes(b"x" * 2000)
    with pytest.raises(BadFile, match=rf"x\.{suffix} cannot be read as a {suffix} file"):
        PhotoFiles(tmp_path, by_last)


def test_a_photograph_over_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(photo_files, "MAX_PHOTO_BYTES", 10)
    pack_tar(tmp_path / "x.tar", {"a.png": bytes(11)})
    with (
        PhotoFiles(tmp_path, by_last) as files,
        pytest.raises(BadFile, match="unpacks to 11 bytes; the limit is 10"),
    ):
        files.read("a.png")
