r"""Labeled Faces in the Wild: pairs and people files, and photographs from folders or their zip.

    10 <tab> 300                    folds, and pairs of each kind in a fold
    Ada <tab> 1 <tab> 4             300 lines: two photographs of one person
    Ada <tab> 2 <tab> Bo <tab> 1    300 lines: photographs of two people
    ...                             the next fold

A file whose first line holds one number (pairsDevTest.txt) is a single fold. Photograph 4
of Ada is `Ada/Ada_0004.jpg`, below any folder of the data folder or of a zip in it. The
people files have folds too, but each states its own number of people:

    10                              folds, left out where there is only one
    601                             people in the first fold
    Ada <tab> 5                     how many photographs there are of her

Source: Huang et al., "Labeled Faces in the Wild", UMass Amherst TR 07-49, 2007, README 3c.
"""

from __future__ import annotations

import re
import threading
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import NamedTuple, TypeVar

from tronie.errors import BadFile, BadInput, NotFound

MAX_PHOTO_BYTES = 64 << 20
"""A larger member of a zip is refused before it is unpacked. LFW's own are below 20 kB."""

PathT = TypeVar("PathT", Path, PurePosixPath)

_PHOTO = re.compile(r"(?P<name>.+)_(?P<number>\d{4})\.jpg")


class Photo(NamedTuple):
    """One photograph: the person's name as LFW writes it, and its number, from 1."""

    name: str
    number: int

    def __str__(self) -> str:
        return f"{self.name}/{self.name}_{self.number:04d}.jpg"


class Pair(NamedTuple):
    """Two photographs, and whether they show one person."""

    first: Photo
    second: Photo
    same: bool


Fold = tuple[Pair, ...]


def read_pairs(path: str | Path) -> tuple[Fold, ...]:
    """The pairs of `path`, fold by fold, in the order of the file.

    Returns:
        Ten folds for pairs.txt, one for pairsDevTrain.txt and pairsDevTest.txt. All folds
        are of one size, half of each same and half different.

    Raises:
        NotFound: there is no such file.
        BadFile: it breaks the format; the message names the line.
    """
    lines = _lines(Path(path), "pairs")
    folds, per_kind = _header(lines[0] if lines else "", where=f"{path}:1")
    asked, found = 2 * folds * per_kind, len(lines) - 1
    if found != asked:
        raise BadFile(
            f"{path}:1: announces {folds} x 2 x {per_kind} = {asked} pairs; {found} lines follow"
        )
    pairs = [
        _pair(line, same=n // per_kind % 2 == 0, where=f"{path}:{n + 2}")
        for n, line in enumerate(lines[1:])
    ]
    size = 2 * per_kind
    return tuple(tuple(pairs[start : start + size]) for start in range(0, asked, size))


def read_people(path: str | Path) -> dict[str, int]:
    """The people of `path`, all folds together, and how many photographs LFW has of each.

    Raises:
        NotFound: there is no such file.
        BadFile: it breaks the format, or names somebody twice; the message names the line.
    """
    lines = _lines(Path(path), "people")
    found: dict[str, int] = {}
    at = 1 if len(lines) > 1 and _is_count(lines[0].strip()) and _is_count(lines[1].strip()) else 0
    while at < len(lines):
        count = lines[at].strip()
        if not _is_count(count):
            raise BadFile(f"{path}:{at + 1}: must hold the number of people; got {lines[at]!r}")
        if at + int(count) >= len(lines):
            raise BadFile(
                f"{path}:{at + 1}: announces {count} people; {len(lines) - at - 1} lines follow"
            )
        for n in range(at + 1, at + 1 + int(count)):
            fields = lines[n].split()
            if len(fields) != 2 or not _is_count(fields[1]):
                raise BadFile(f"{path}:{n + 1}: must read 'NAME 5'; got {lines[n]!r}")
            _check_name(fields[0], BadFile, where=f"{path}:{n + 1}")
            if fields[0] in found:
                raise BadFile(f"{path}:{n + 1}: {fields[0]} is there twice")
            found[fields[0]] = int(fields[1])
        at += 1 + int(count)
    if not found:
        raise BadFile(f"{path} names nobody")
    return found


class LfwPhotos:
    """The photographs below a folder, unpacked or in zip files lying in it.

    A photograph that is there both unpacked and zipped is read unpacked. One that is there
    twice in the same way is refused: LFW comes in several alignments, and mixing them
    changes the numbers. Reading from several threads is safe. Use as a context manager, or
    call `close`.

    Raises:
        NotFound: the folder is not there, or holds no photograph in this form.
        BadFile: a zip file is damaged.
        BadInput: a photograph is there twice.
    """

    def __init__(self, data_dir: str | Path) -> None:
        self._folder = Path(data_dir)
        if not self._folder.is_dir():
            raise NotFound(f"the LFW folder {data_dir} is not there")
        self._lock = threading.Lock()
        self._files = _index(self._folder.rglob("*.jpg"))
        self._members: dict[Photo, tuple[zipfile.ZipFile, zipfile.ZipInfo]] = {}
        self._archives: list[zipfile.ZipFile] = []
        try:
            for path in sorted(self._folder.glob("*.zip")):
                self._open(path)
            if not self._files and not self._members:
                raise NotFound(
                    f"{data_dir} holds no photograph NAME/NAME_0001.jpg, unpacked or in a *.zip"
                )
        except BaseException:
            self.close()
            raise

    def all(self) -> tuple[Photo, ...]:
        """Every photograph there is, sorted by name and number."""
        return tuple(sorted(self._files.keys() | self._members.keys()))

    def read(self, name: str, number: int) -> bytes:
        """The bytes of one JPEG file, not decoded.

        Raises:
            NotFound: this photograph is not there.
            BadInput: `name` is a path, or the file may not be read.
            BadFile: its zip file is damaged.
        """
        _check_name(name, BadInput, where=str(self._folder))
        photo = Photo(name, number)
        if photo in self._files:
            if not self._files[photo].is_file():  # opening a pipe would wait for its writer
                raise BadInput(f"{self._files[photo]} is no plain file; move it away")
            try:
                return self._files[photo].read_bytes()
            except OSError as error:
                raise BadInput(f"cannot read {self._files[photo]}: {error.strerror}") from error
        if photo in self._members:
            return self._unpack(photo)
        raise NotFound(f"{self._folder} has no photograph {photo}, neither unpacked nor in a *.zip")

    def close(self) -> None:
        """Close the zip files. Nothing can be read from them afterwards."""
        for archive in self._archives:
            archive.close()

    def __enter__(self) -> LfwPhotos:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self, path: Path) -> None:
        try:
            archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise BadFile(f"{path} cannot be read as a zip file: {error}") from error
        self._archives.append(archive)
        members = _index(PurePosixPath(name) for name in archive.namelist())
        for photo, member in members.items():
            if photo in self._members:
                other = self._members[photo][0].filename
                raise BadInput(f"{photo} is there twice, in {other} and in {path}; keep one")
            self._members[photo] = (archive, archive.getinfo(str(member)))

    def _unpack(self, photo: Photo) -> bytes:
        archive, member = self._members[photo]
        if member.file_size > MAX_PHOTO_BYTES:
            raise BadFile(
                f"{archive.filename}: {member.filename} unpacks to {member.file_size} bytes; "
                f"the limit is {MAX_PHOTO_BYTES}"
            )
        try:
            with self._lock:
                return archive.read(member)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as error:
            raise BadFile(
                f"{archive.filename}: cannot unpack {member.filename}: {error}"
            ) from error


def _index(paths: Iterable[PathT]) -> dict[Photo, PathT]:
    found: dict[Photo, PathT] = {}
    for path in paths:
        match = _PHOTO.fullmatch(path.name)
        if match is None or match["name"] != path.parent.name:
            continue
        photo = Photo(match["name"], int(match["number"]))
        if photo in found:
            raise BadInput(f"{photo} is there twice, as {found[photo]} and {path}; keep one")
        found[photo] = path
    return found


def _lines(path: Path, kind: str) -> list[str]:
    if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
        raise BadInput(f"the {kind} file {path} is no plain file; name another")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFound(f"there is no {kind} file {path}") from None
    except UnicodeDecodeError as error:
        raise BadFile(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    return text.rstrip().split("\n") if text.strip() else []


def _header(line: str, *, where: str) -> tuple[int, int]:
    fields = line.split()
    if len(fields) not in (1, 2) or not all(_is_count(field) for field in fields):
        raise BadFile(
            f"{where}: must be '10 300' (folds, pairs of each kind) or one number; got {line!r}"
        )
    folds, per_kind = [int(field) for field in ["1", *fields][-2:]]
    return folds, per_kind


def _pair(line: str, *, same: bool, where: str) -> Pair:
    fields = line.split()
    form = "NAME 1 2" if same else "NAME 1 NAME 2"
    if same and len(fields) == 3:
        fields.insert(2, fields[0])
    elif same or len(fields) != 4:
        fields = []
    if not fields or not all(_is_count(field) for field in fields[1::2]):
        raise BadFile(f"{where}: must read '{form}', photographs counted from 1; got {line!r}")
    pair = Pair(Photo(fields[0], int(fields[1])), Photo(fields[2], int(fields[3])), same)
    for photo in pair[:2]:
        _check_name(photo.name, BadFile, where=where)
    if same and pair.first == pair.second:
        raise BadFile(f"{where}: a photograph is paired with itself: {line!r}")
    if not same and pair.first.name == pair.second.name:
        raise BadFile(f"{where}: pairs of this half must be of two people; got {line!r}")
    return pair


def _is_count(field: str) -> bool:
    return field.isascii() and field.isdecimal() and 0 < int(field) < 1_000_000


def _check_name(name: str, error: type[BadInput], *, where: str) -> None:
    if name in ("", ".", "..") or any(mark in name for mark in "/\\\0"):
        raise error(f"{where}: a person's name must not be a path; got {name!r}")
