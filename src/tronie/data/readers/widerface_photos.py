"""Photographs of WIDER FACE: EVENT/PHOTO.jpg below a folder, or in *.zip and *.tar files there.

A photograph that is there both unpacked and packed is read unpacked; one that several
packed files hold is read from the first, by name. Nothing is unpacked to disk.

Every original is 1,024 pixels wide, and the ground truth is in its pixels: a photograph of
another width was resized, and its faces lie elsewhere. `is_original` tells.
"""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Container
from functools import partial
from pathlib import Path, PurePosixPath
from types import TracebackType

from tronie.errors import BadFile, BadInput, NotFound

MAX_PHOTO_BYTES = 64 << 20
"""A larger packed photograph is refused before it is unpacked."""

SUFFIX = ".jpg"
ORIGINAL_WIDTH = 1024


class WiderPhotos:
    """The photographs that are there, of those that are wanted.

    Use as a context manager, or call `close`.

    Raises:
        NotFound: the folder is not there, or holds none of the photographs.
        BadFile: a packed file is damaged.
    """

    def __init__(self, data_dir: str | Path, wanted: Container[str]) -> None:
        self._folder = Path(data_dir)
        if not self._folder.is_dir():
            raise NotFound(f"the WIDER FACE folder {data_dir} is not there")
        self._readers: dict[str, Callable[[], bytes]] = {}
        self._archives: list[zipfile.ZipFile | tarfile.TarFile] = []
        try:
            for path in sorted(self._folder.rglob(f"*{SUFFIX}")):
                self._offer(path, partial(_read_file, path), wanted)
            for path in sorted(self._folder.glob("*.zip")):
                self._index_zip(path, wanted)
            for path in sorted(self._folder.glob("*.tar")):
                self._index_tar(path, wanted)
        except BaseException:
            self.close()
            raise
        if not self._readers:
            raise NotFound(
                f"{data_dir} holds no photograph EVENT/PHOTO.jpg of the ground truth, neither"
                " unpacked nor in a *.zip or *.tar"
            )

    def names(self) -> tuple[str, ...]:
        """EVENT/PHOTO of each photograph that is there, sorted."""
        return tuple(sorted(self._readers))

    def read(self, name: str) -> bytes:
        """The bytes of one photograph, not decoded.

        Raises:
            NotFound: it is not there.
            BadFile: its packed file is damaged, or it is over the limit.
            BadInput: it may not be read.
        """
        if name not in self._readers:
            raise NotFound(f"{self._folder} has no photograph {name}{SUFFIX}")
        return self._readers[name]()

    def close(self) -> None:
        """Close the packed files. Nothing can be read from them afterwards."""
        for archive in self._archives:
            archive.close()

    def __enter__(self) -> WiderPhotos:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _offer(
        self, path: Path | PurePosixPath, read: Callable[[], bytes], wanted: Container[str]
    ) -> None:
        name = f"{path.parent.name}/{path.stem}"
        if path.suffix == SUFFIX and name in wanted:
            self._readers.setdefault(name, read)

    def _index_zip(self, path: Path, wanted: Container[str]) -> None:
        try:
            archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise BadFile(f"{path} cannot be read as a zip file: {error}") from error
        self._archives.append(archive)
        for member in archive.infolist():
            read = partial(_read_zipped, archive, member)
            self._offer(PurePosixPath(member.filename), read, wanted)

    def _index_tar(self, path: Path, wanted: Container[str]) -> None:
        try:
            archive = tarfile.open(path, "r:")  # noqa: SIM115 - closed by close()
            self._archives.append(archive)
            members = [member for member in archive.getmembers() if member.isfile()]
        except (OSError, EOFError, tarfile.TarError) as error:
            raise BadFile(f"{path} cannot be read as a tar file: {error}") from error
        for member in members:
            read = partial(_read_tarred, archive, member, path)
            self._offer(PurePosixPath(member.name), read, wanted)


def is_original(photo: bytes) -> bool:
    """Whether an encoded JPEG is as wide as the originals; False for what is no JPEG."""
    at = 2
    while photo[:2] == b"\xff\xd8" and photo[at : at + 1] == b"\xff":
        marker, length = photo[at + 1], int.from_bytes(photo[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(photo[at + 7 : at + 9], "big") == ORIGINAL_WIDTH
        at += 1 if marker == 0xFF else 2 + length
    return False


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def _read_zipped(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    where = f"{archive.filename}: {member.filename}"
    _expect_small(member.file_size, where)
    try:
        return archive.read(member)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as error:
        raise BadFile(f"{where} cannot be unpacked: {error}") from error


def _read_tarred(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bytes:
    where = f"{path}: {member.name}"
    _expect_small(member.size, where)
    try:
        file = archive.extractfile(member)
        data = b"" if file is None else file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadFile(f"{where} cannot be unpacked: {error}") from error
    if len(data) != member.size:
        raise BadFile(f"{where} is cut off after {len(data)} of {member.size} bytes")
    return data


def _expect_small(size: int, where: str) -> None:
    if size > MAX_PHOTO_BYTES:
        raise BadFile(f"{where} unpacks to {size} bytes; the limit is {MAX_PHOTO_BYTES}")
