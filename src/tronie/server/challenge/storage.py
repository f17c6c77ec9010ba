"""Where uploads lie: a folder, or any place that fsspec knows by its URL.

    storage = Storage("/srv/challenge/uploads")            # or s3://bucket/uploads, gs://...
    stored = storage.put(source, limit=1 << 30)            # read in pieces, refused when over
    with storage.local(stored.key) as path: ...            # a file on this machine, to be read

A key is 32 hexadecimal digits that the storage draws itself; no name of a stranger ever becomes
part of a path. A file is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import fsspec

from tronie.errors import BadInput, NotFound, TronieError

PIECE = 1 << 20
KEPT_FREE = 1 << 28
"""Bytes of a disk that no upload takes."""
_KEY = re.compile(r"[0-9a-f]{32}")


class StorageUnavailable(TronieError):
    """The place of the uploads cannot be reached or written now; no submission is at fault."""


class TooLarge(BadInput):
    """A file has more bytes than the track takes."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A file as it was stored."""

    key: str
    sha256: str
    size_bytes: int


class Storage:
    """Files by key. Safe for any number of threads and processes.

    Args:
        url: A folder, or a URL of fsspec; its credentials come from where its driver takes them.

    Raises:
        BadInput: no driver knows the URL.
        StorageUnavailable: the folder cannot be made.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self._files, self._root = fsspec.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise BadInput(
                f"uploads cannot be stored at {url!r}: {error}; give a folder or a URL that fsspec "
                "knows"
            ) from error
        with _told(f"uploads cannot be stored at {url}"):
            self._files.makedirs(self._root, exist_ok=True)

    def put(self, source: BinaryIO, *, limit: int) -> Stored:
        """Store what is read from `source` to its end.

        Args:
            source: Read in pieces of a mebibyte.
            limit: Most bytes.

        Raises:
            TooLarge: there is more; nothing is kept.
            StorageUnavailable: it cannot be written now; nothing is kept.
        """
        self._expect_room(limit)
        key = secrets.token_hex(16)
        digest, size = hashlib.sha256(), 0
        with self._written(key) as write:
            while piece := source.read(PIECE):
                size += len(piece)
                if size > limit:
                    raise TooLarge(
                        f"the file has more than the {limit} bytes ({limit / 2**20:.0f} MiB) that "
                        "this track takes; send a smaller one"
                    )
                digest.update(piece)
                write(piece)
        return Stored(key=key, sha256=digest.hexdigest(), size_bytes=size)

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        """The file of that key on this machine, for reading; gone afterwards if it is a copy.

        Raises:
            NotFound: no file has that key.
            StorageUnavailable: it cannot be read now.
        """
        place = self._place(key)
        if self._is_folder():
            if not Path(place).is_file():
                raise NotFound(f"there is no upload {key}")
            yield Path(place)
            return
        with tempfile.TemporaryDirectory(prefix="tronie-upload-") as folder:
            copy = Path(folder) / "upload"
            try:
                with (
                    _told(f"upload {key} cannot be read"),
                    self._files.open(place, "rb") as found,
                    copy.open("wb") as out,
                ):
                    shutil.copyfileobj(found, out, PIECE)
            except FileNotFoundError as error:
                raise NotFound(f"there is no upload {key}") from error
            yield copy

    def delete(self, key: str) -> None:
        """Remove the file of that key; nothing happens where there is none.

        Raises:
            StorageUnavailable: it cannot be removed now.
        """
        place = self._place(key)
        with _told(f"upload {key} cannot be removed"):
            if self._files.exists(place):
                self._files.rm_file(place)

    @contextmanager
    def _written(self, key: str) -> Iterator[Callable[[bytes], None]]:
        """What writes the file of that key, which has its name from the end of the block on."""
        place, part = self._place(key), self._place(key) + ".part"
        fault = f"the upload cannot be stored at {self.url}"
        with _told(fault):
            self._files.makedirs(place.rpartition("/")[0], exist_ok=True)
            out = self._files.open(part, "wb")

        def write(piece: bytes) -> None:
            with _told(fault):
                out.write(piece)

        try:
            yield write
            with _told(fault):
                out.close()
                self._files.mv(part, place)
        except BaseException:
            with suppress(Exception):  # what went wrong first is what is told
                out.close()
            with suppress(Exception):
                self._files.rm_file(part)
            raise

    def _expect_room(self, size: int) -> None:
        """Uploads never take the last of a disk: the database and the log may lie on it too."""
        if self._is_folder():
            with _told(f"the room left at {self.url} cannot be told"):
                free = shutil.disk_usage(self._root).free
            if free < size + KEPT_FREE:
                raise StorageUnavailable(
                    f"{self.url} has {free} bytes left; an upload of up to {size} is taken where "
                    f"{KEPT_FREE} stay free. Remove uploads that are not needed, or add room"
                )

    def _is_folder(self) -> bool:
        return isinstance(self._files, fsspec.get_filesystem_class("file"))

    def _place(self, key: str) -> str:
        if not _KEY.fullmatch(key):
            raise NotFound(f"there is no upload {key!r}: a key has 32 hexadecimal digits")
        return f"{self._root}/{key[:2]}/{key}"


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn what a driver raises into our sentence; a missing file stays one."""
    try:
        yield
    except (FileNotFoundError, TronieError):
        raise
    except Exception as error:  # every driver has errors of its own
        name = type(error).__name__
        raise StorageUnavailable(f"{what}: {name}: {error}; try again") from error
