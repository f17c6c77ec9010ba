"""Photographs by name: files below a folder, or in *.zip and *.tar files there.

A photograph that is there both unpacked and packed is read unpacked; one that several
packed files hold is read from the first, by name. Nothing is unpacked to disk. In place of a
folder a packed file may stand alone.

What a photograph is called is said by a function of its path; where that gives None, it is none.
"""

from __future__ import annotations

import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from types import TracebackType
from typing import Self

from tronie.errors import BadFile, BadInput, NotFound

MAX_PHOTO_BYTES = 64 << 20
"""A larger packed photograph is refused before it is unpacked."""
MAX_FILE_BYTES = 1 << 29
"""A larger file is no photograph, but a disk image or a video."""

Called = Callable[[PurePath], str | None]
"""The path of a file, or that within a packed file, to its name; None: not wanted."""


class PhotoFiles:
    """The photographs that are there; they may be read from many threads.

    Use as a context manager, or call `close`.

    Args:
        data_dir: A folder, or a packed file.
        called: What each file is called. Of several files with one name the first is read.

    Raises:
        NotFound: the folder is not there.
        BadFile: a packed file is damaged.
    """

    def __init__(self, data_dir: str | Path, called: Called) -> None:
        self._root = Path(data_dir)
        self._readers: dict[str, Callable[[], bytes]] = {}
        self._archives: list[zipfile.ZipFile | tarfile.TarFile] = []
        self._reading = threading.Lock()
        if not self._root.exists():
            raise NotFound(f"the folder {data_dir} is not there")
        try:
            if self._root.is_dir():
                for path in sorted(self._root.rglob("*"), key=self._nearness):
                    if not path.is_dir():
                        self._offer(called(path), partial(_read_file, path))
                packed = [*sorted(self._root.glob("*.zip")), *sorted(self._root.glob("*.tar"))]
            else:
                packed = [self._root]
            for path in packed:
                index = self._index_zip if path.suffix == ".zip" else self._index_tar
                index(path, called)
        except BaseException:
            self.close()
            raise

    def names(self) -> tuple[str, ...]:
        """Of each photograph that is there, sorted."""
        return tuple(sorted(self._readers))

    def read(self, name: str) -> bytes:
        """The bytes of one photograph, not decoded.

        Raises:
            NotFound: it is not there.
            BadFile: its packed file is damaged, or it is over the limit.
            BadInput: it may not be read.
        """
        if name not in self._readers:
            raise NotFound(f"{self._root} has no photograph {name}")
        return self._readers[name]()

    def close(self) -> None:
        """Close the packed files. Nothing can be read from them afterwards."""
        for archive in self._archives:
            archive.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _nearness(self, path: Path) -> tuple[int, bool, Path]:
        """Of two with one name the one less deep counts, and what lies below `images`."""
        parts = path.relative_to(self._root).parts
        return len(parts), "images" not in parts[:-1], path

    def _offer(self, name: str | None, read: Callable[[], bytes]) -> None:
        if name is not None:
            self._readers.setdefault(name, read)

    def _index_zip(self, path: Path, called: Called) -> None:
        try:
            archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise BadFile(f"{path} cannot be read as a zip file: {error}") from error
        self._archives.append(archive)
        for member in archive.infolist():
            if not member.is_dir():
                read = partial(_read_zipped, archive, member)
                self._offer(called(PurePosixPath(member.filename)), read)

    def _index_tar(self, path: Path, called: Called) -> None:
        try:
            archive = tarfile.open(path, "r:")  # noqa: SIM115 - closed by close()
            self._archives.append(archive)
            members = [member for member in archive.getmembers() if member.isfile()]
        except (OSError, EOFError, tarfile.TarError) as error:
            raise BadFile(f"{path} cannot be read as a tar file: {error}") from error
        for member in members:
            read = partial(_read_tarred, archive, member, path, self._reading)
            self._offer(called(PurePosixPath(member.name)), read)


def _read_file(path: Path) -> bytes:
    if not path.is_file():  # opening a pipe would wait for its writer
        raise BadInput(f"{path} is no plain file, or is gone")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise BadFile(f"{path} has more than {MAX_FILE_BYTES} bytes, which no photograph needs")
    return data


def _read_zipped(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    where = f"{archive.filename}: {member.filename}"
    _expect_small(member.file_size, where)
    try:
        with archive.open(member) as file:  # `archive.read` would unpack more than was told
            return file.read(member.file_size + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as error:
        raise BadFile(f"{where} cannot be unpacked: {error}") from error


def _read_tarred(
    archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, reading: threading.Lock
) -> bytes:
    """The one file behind a tar has one place to read from, so that readers take turns."""
    where = f"{path}: {member.name}"
    _expect_small(member.size, where)
    try:
        with reading:
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
