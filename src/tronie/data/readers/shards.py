r"""Shards: encoded images packed into a few large files, with an index that is memory-mapped.

    shard-00000.bin ...     encoded images, one after another, nothing between them
    index.npy               24 bytes an image: shard, length, offset, crc32, label
    classes.txt             line n (from 0) is the name of class n
    shards.json             version and counts
    SHA256SUMS              the SHA-256 of each of these: `sha256sum -c SHA256SUMS`

A million photographs as a million files are slow to copy and slow to list; an image here is
one read at a known place. Opening checks what is small (the index, the names, the counts,
every shard's size); reading checks the image's crc32. Labels have no holes: each class has
an image. The bytes are those of the picture files, whatever their format.

Letters: N images, C classes, S shards.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadFile, BadInput, NotFound

VERSION = 1
INDEX_TYPE = np.dtype(
    [("shard", "<u4"), ("length", "<u4"), ("offset", "<u8"), ("crc32", "<u4"), ("label", "<u4")]
)
INDEX, CLASSES, ABOUT, SUMS = "index.npy", "classes.txt", "shards.json", "SHA256SUMS"

_SUM_LINE = re.compile(r"(?P<sum>[0-9a-f]{64})  (?P<name>[\w.-]+)")
_MOST_ABOUT_BYTES = 1 << 24
_MOST_OPEN = 256  # files kept open; others are opened for each read
_ROWS_AT_ONCE = 1 << 20


def shard_name(number: int) -> str:
    """The file that holds a shard, counted from 0."""
    return f"shard-{number:05d}.bin"


class Shards:
    """Packed images, read one at a time, from any number of threads.

    Opening reads the index once, about 1 s for 40 million images, and keeps 8 bytes an image
    in memory. Use as a context manager, or call `close`.

    Raises:
        NotFound: there is no such folder, or a file of it is missing; a shard is named with
            its number.
        BadFile: a file is cut off, altered, or of another version, the index points outside
            a shard, or a class has no image.
        BadInput: a file may not be read.
    """

    def __init__(self, path: str | Path) -> None:
        self._folder = Path(path)
        if not self._folder.is_dir():
            raise NotFound(f"there is no folder of shards {path}; `tronie pack` makes one")
        sums = self._bytes_of(SUMS)
        self._sums = _checksums(sums, self._folder / SUMS)
        self.sha256 = hashlib.sha256(sums).hexdigest()
        """Names the whole: the SHA-256 of the list of all files' checksums."""
        images, sizes = _about(self._checked(ABOUT), self._folder / ABOUT)
        self.classes: tuple[str, ...] = _names(self._checked(CLASSES), self._folder / CLASSES)
        self._sizes = np.array(sizes, np.uint64)
        self._check_shards(sizes)
        self._index = self._open_index(images)
        self.labels: NDArray[np.int64] = self._index["label"].astype(np.int64)
        """The class of each image, (N,), from 0; read-only."""
        self.labels.setflags(write=False)
        self._check_index()
        self._files: dict[int, int] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._index)

    def read(self, n: int) -> bytes:
        """The encoded bytes of image n, from 0.

        Raises:
            NotFound: there is no image n.
            BadFile: its bytes are not those that were packed; the shard is named.
            BadInput: the file cannot be read.
        """
        if not 0 <= n < len(self):
            raise NotFound(f"{self._folder} has no image {n}; it has 0 to {len(self) - 1}")
        entry = self._index[n]
        shard, offset, length = int(entry["shard"]), int(entry["offset"]), int(entry["length"])
        data = self._read(shard, offset, length)
        if len(data) != length or zlib.crc32(data) != int(entry["crc32"]):
            found = "other bytes than were packed" if len(data) == length else "been cut off"
            raise BadFile(
                f"image {n} of {self._folder}: shard {shard} ({shard_name(shard)}) has {found} at "
                f"byte {offset}; copy it again, and check it with sha256sum -c {SUMS}"
            )
        return data

    def close(self) -> None:
        """Close the files. Nothing can be read from them afterwards."""
        with self._lock:
            while self._files:
                os.close(self._files.popitem()[1])
            self._index = np.zeros(0, INDEX_TYPE)

    def __enter__(self) -> Shards:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self, shard: int, offset: int, length: int) -> bytes:
        path = self._folder / shard_name(shard)
        try:
            file = self._files.get(shard)
            if file is not None:
                return os.pread(file, length, offset)
            with path.open("rb", buffering=0) as opened:
                data = os.pread(opened.fileno(), length, offset)
                with self._lock:
                    if shard not in self._files and len(self._files) < _MOST_OPEN:
                        self._files[shard] = os.dup(opened.fileno())
                return data
        except OSError as error:
            raise BadInput(f"cannot read shard {shard} ({path}): {error.strerror}") from error

    def _bytes_of(self, name: str) -> bytes:
        try:
            with (self._folder / name).open("rb") as file:
                return file.read()
        except FileNotFoundError:
            raise NotFound(
                f"{self._folder} has no {name}, and so is no whole folder of shards; was it copied "
                "to the end?"
            ) from None
        except OSError as error:
            raise BadInput(f"cannot read {self._folder / name}: {error.strerror}") from error

    def _checked(self, name: str) -> bytes:
        """The bytes of a small file, held to its checksum."""
        data = self._bytes_of(name)
        self._compare(name, hashlib.sha256(data).hexdigest())
        return data

    def _compare(self, name: str, found: str) -> None:
        if self._sums.get(name) != found:
            raise BadFile(
                f"{self._folder / name} has the SHA-256 {found[:12]}...; {SUMS} has "
                f"{self._sums.get(name, 'none')[:12]}...: it is cut off or was altered; copy it "
                "again"
            )

    def _check_shards(self, sizes: list[int]) -> None:
        """See that each shard is there, in its whole length; one `stat` each."""
        for number, size in enumerate(sizes):
            path = self._folder / shard_name(number)
            which = f"shard {number} of {len(sizes)} ({path})"
            try:
                found = path.stat().st_size
            except FileNotFoundError:
                raise NotFound(f"{which} is missing; copy it again") from None
            except OSError as error:
                raise BadInput(f"cannot read {which}: {error.strerror}") from error
            if found != size:
                what = "cut off" if found < size else "longer than it was"
                raise BadFile(f"{which} is {what}: {found} bytes of {size}; copy it again")

    def _open_index(self, images: int) -> NDArray[Any]:
        path = self._folder / INDEX
        try:
            with path.open("rb") as file:
                self._compare(INDEX, hashlib.file_digest(file, "sha256").hexdigest())
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            raise NotFound(f"{self._folder} has no {INDEX}; copy it again") from None
        except OSError as error:
            raise BadInput(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, EOFError) as error:
            raise BadFile(f"{path} is no index of shards: {error}") from error
        index = np.asarray(mapped)  # a plain view: elements of a memmap are slow to make
        if index.dtype != INDEX_TYPE or index.ndim != 1:
            raise BadFile(
                f"{path} is no index of shards: it holds {index.dtype} of shape {index.shape}"
            )
        if len(index) != images or images == 0:
            raise BadFile(f"{path} lists {len(index)} images; {ABOUT} states {images}")
        return index

    def _check_index(self) -> None:
        """See that each image lies within its shard and each class has one, in bounded memory."""
        seen = np.zeros(len(self.classes), np.bool_)
        for top in range(0, len(self), _ROWS_AT_ONCE):
            rows = self._index[top : top + _ROWS_AT_ONCE]
            known = (rows["shard"] < len(self._sizes)) & (rows["label"] < len(self.classes))
            sizes = self._sizes[np.where(known, rows["shard"], 0)] if len(self._sizes) else 0
            room = sizes - np.minimum(rows["offset"], sizes)  # not a sum, which could run over
            within = known & (rows["length"] > 0) & (rows["length"] <= room)
            if not within.all():
                n = int(np.argmin(within))
                raise BadFile(
                    f"{self._folder / INDEX}: image {top + n} is said to be of class "
                    f"{rows['label'][n]} at byte {rows['offset'][n]} of shard {rows['shard'][n]}, "
                    f"{rows['length'][n]} long; there are {len(self.classes)} classes and "
                    f"{len(self._sizes)} shards, and it is in none of them"
                )
            seen[rows["label"]] = True
        if not seen.all():
            n = int(np.argmin(seen))
            raise BadFile(
                f"{self._folder}: class {n} ({self.classes[n]!r}) has no image; labels must have "
                "no holes"
            )


def _checksums(data: bytes, path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(_text(data, path).splitlines(), 1):
        match = _SUM_LINE.fullmatch(line)
        if match is None:
            raise BadFile(f"{path}:{number}: must read as sha256sum writes it; got {line[:99]!r}")
        found[match["name"]] = match["sum"]
    return found


def _about(data: bytes, path: Path) -> tuple[int, list[int]]:
    """How many images there are, and the size of each shard in bytes."""
    try:
        if len(data) > _MOST_ABOUT_BYTES:
            raise ValueError(f"over {_MOST_ABOUT_BYTES} bytes")
        told = json.loads(data)
        version, images, sizes = told["version"], told["images"], told["shard_bytes"]
        whole = all(type(n) is int and 0 <= n < 1 << 63 for n in (version, images, *sizes))
        if not whole or not sizes:
            raise ValueError("its counts must be whole numbers, at least one shard")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadFile(f"{path} does not describe shards: {error}") from error
    if version != VERSION:
        raise BadFile(f"{path} is of version {version}; this package reads version {VERSION}")
    return images, sizes


def _names(data: bytes, path: Path) -> tuple[str, ...]:
    names = tuple(_text(data, path).splitlines())
    if len(set(names)) != len(names) or not all(names):
        raise BadFile(f"{path} must name each class once, one a line, and none may be empty")
    return names


def _text(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadFile(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
