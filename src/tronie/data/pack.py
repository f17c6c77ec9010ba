"""Packing: encoded images, wherever they come from, to the folder that `Shards` reads.

    source      (class name, picture file) for each image, in any order
    out.part    is filled while it goes on, and takes the name `out` at the very end

So `out` is whole or not there, whenever the run is stopped. What a stopped run left behind
is cleared by the next one; two at a time are refused.

Classes are numbered by their names: as numbers where all are, else as text. A class none of
whose images could be used is left out and named, so that labels have no holes. Images that
are there twice, byte for byte, are kept and counted: within a class they only weigh more, in
two classes one of the labels is wrong.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.shards import ABOUT, CLASSES, INDEX, INDEX_TYPE, SUMS, VERSION, shard_name
from tronie.errors import BadImage, BadInput, NoFace, NotFound, TronieError
from tronie.images.io import image_size

SHARD_BYTES = 256 << 20
_LOCK = "lock"
_MOST_IMAGE_BYTES = 1 << 30
_TOLD = 5  # of many files or classes, how many are named


class Encoded(NamedTuple):
    """One image to be packed."""

    person: str
    """The name of its class."""
    name: str
    """What a sentence about it calls it: its file, or its record."""
    data: bytes | TronieError
    """A picture file's bytes; or why there are none. `NoFace` is no fault, and only counted."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """What a run of `write_shards` came to."""

    images: int
    classes: int
    shards: int
    bytes: int
    duplicates: int
    """Images whose very bytes were there before, in the same class or another."""
    duplicates_across: int
    """Those of them that were there before in another class."""
    examples_across: tuple[str, ...]
    """Of a few of them, which classes."""
    unreadable: tuple[str, ...]
    """A sentence for each picture that was skipped."""
    without_face: int
    empty_classes: tuple[str, ...]
    """Classes none of whose images could be used; they have no label."""
    sizes: dict[tuple[int, int], int]
    """How many images have each width and height."""


def write_shards(
    source: Iterable[Encoded],
    out: str | Path,
    *,
    shard_bytes: int = SHARD_BYTES,
    skip_unreadable: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Packed:
    """Pack images into a new folder of shards.

    Args:
        source: The images; each is looked at once, in order, and one at a time is in memory.
        out: The folder to be made. It must not be there, or be empty.
        shard_bytes: About how large a file becomes: the next begins where this is passed.
        skip_unreadable: Leave out pictures that cannot be read; else the first one refuses all.
        progress: Called with 1 for each image looked at.

    Raises:
        BadImage: a picture that cannot be read, unless they are skipped; its name is told.
        BadInput: `out` is there or cannot be written, another run is filling it, a class name
            has a line break, or nothing was left to be packed.
    """
    if shard_bytes < 1:
        raise BadInput(f"a shard holds at least one byte; asked for {shard_bytes}")
    with _claimed(Path(out)) as part:
        writer = _Writer(part, shard_bytes)
        try:
            for image in source:
                _take(writer, image, skip_unreadable=skip_unreadable)
                if progress is not None:
                    progress(1)
            packed = writer.finish(Path(out))
        finally:
            writer.close()
    return packed


def _take(writer: _Writer, image: Encoded, *, skip_unreadable: bool) -> None:
    """Check one image and write it."""
    broken = any("\ud800" <= letter <= "\udfff" for letter in image.person)  # no UTF-8 on disk
    if broken or image.person.splitlines() != [image.person]:
        raise BadInput(f"{image.name}: a class needs a name of one line; got {image.person!r}")
    label = writer.label_of(image.person)
    if isinstance(image.data, NoFace):
        writer.without_face += 1
        return
    try:
        if isinstance(image.data, TronieError):
            raise image.data
        if len(image.data) > _MOST_IMAGE_BYTES:
            raise BadImage(f"{image.name!r} has {len(image.data)} bytes; a photograph has fewer")
        size = image_size(image.data, name=image.name)
    except TronieError as fault:
        text = str(fault) if image.name in str(fault) else f"{image.name}: {fault}"
        if not skip_unreadable:
            raise type(fault)(
                f"{text}; mend or remove it, or skip such pictures (--skip-unreadable)"
            ) from fault
        writer.unreadable.append(text)
        return
    writer.sizes[size] += 1
    writer.add(label, image.data)


@dataclass
class _Entries:
    """The columns of the index while it grows: 32 bytes an image."""

    shard: array[int] = field(default_factory=lambda: array("I"))
    length: array[int] = field(default_factory=lambda: array("I"))
    offset: array[int] = field(default_factory=lambda: array("Q"))
    crc32: array[int] = field(default_factory=lambda: array("I"))
    label: array[int] = field(default_factory=lambda: array("I"))
    digest: array[int] = field(default_factory=lambda: array("Q"))
    """64 bits of BLAKE2b: equal for two images by chance once in 20 000 sets of 42 million."""


class _Writer:
    """Writes shards into a folder, then the index and the other files."""

    def __init__(self, folder: Path, shard_bytes: int) -> None:
        self._folder, self._shard_bytes = folder, shard_bytes
        self._labels: dict[str, int] = {}
        self._entries = _Entries()
        self._sizes: list[int] = []
        self._sums: dict[str, str] = {}
        self._file: BinaryIO | None = None
        self._hash = hashlib.sha256()
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.unreadable: list[str] = []
        self.without_face = 0

    def label_of(self, person: str) -> int:
        """A number for the class, in order of appearance, until `finish` sorts them."""
        return self._labels.setdefault(person, len(self._labels))

    def add(self, label: int, data: bytes) -> None:
        """Append an image to the shard at hand, or to a new one if that is full."""
        if self._file is None or self._sizes[-1] >= self._shard_bytes:
            self._close_shard()
            self._file = (self._folder / shard_name(len(self._sizes))).open("xb")
            self._sizes.append(0)
        entries = self._entries
        entries.shard.append(len(self._sizes) - 1)
        entries.length.append(len(data))
        entries.offset.append(self._sizes[-1])
        entries.crc32.append(zlib.crc32(data))
        entries.label.append(label)
        digest = hashlib.blake2b(data, digest_size=8).digest()
        entries.digest.append(int.from_bytes(digest, "little"))
        self._file.write(data)
        self._hash.update(data)
        self._sizes[-1] += len(data)

    def finish(self, out: Path) -> Packed:
        """Write everything but the shards, and tell what there is."""
        if not self._sizes:
            raise BadInput(
                f"nothing to pack into {out}: of {len(self.unreadable) + self.without_face} "
                f"pictures {len(self.unreadable)} could not be read and {self.without_face} show "
                "no face"
            )
        self._close_shard()
        names, rank, empty = self._classes()
        label = rank[np.array(self._entries.label, np.int64)]
        self._write(CLASSES, "".join(f"{name}\n" for name in names).encode("utf-8"))
        self._write_index(label)
        told = {
            "format": "tronie shards",
            "version": VERSION,
            "images": len(label),
            "classes": len(names),
            "shard_bytes": self._sizes,
        }
        self._write(ABOUT, (json.dumps(told, indent=1) + "\n").encode("ascii"))
        self._write(SUMS, "".join(f"{s}  {n}\n" for n, s in self._sums.items()).encode("ascii"))
        digest = np.array(self._entries.digest, np.uint64)
        duplicates, across = _duplicates(digest, label)
        return Packed(
            images=len(label),
            classes=len(names),
            shards=len(self._sizes),
            bytes=sum(self._sizes),
            duplicates=duplicates,
            duplicates_across=len(across),
            examples_across=tuple(f"{names[a]} and {names[b]}" for a, b in across[:_TOLD]),
            unreadable=tuple(self.unreadable),
            without_face=self.without_face,
            empty_classes=tuple(empty),
            sizes=dict(self.sizes.most_common()),
        )

    def close(self) -> None:
        """Close the shard at hand, if one is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _classes(self) -> tuple[list[str], NDArray[np.int64], list[str]]:
        """Names in order, the label for each number that `label_of` gave, and empty classes."""
        used = set(self._entries.label)
        names = [name for name, number in self._labels.items() if number in used]
        numbers = all(name.isascii() and name.isdecimal() for name in names)
        names.sort(key=(lambda name: (int(name), name)) if numbers else None)
        rank = np.full(len(self._labels), -1, np.int64)
        rank[[self._labels[name] for name in names]] = np.arange(len(names))
        return names, rank, [n for n, number in self._labels.items() if number not in used]

    def _write_index(self, label: NDArray[np.int64]) -> None:
        index = np.empty(len(label), INDEX_TYPE)
        for column in ("shard", "length", "offset", "crc32"):
            index[column] = np.array(getattr(self._entries, column), np.uint64)
        index["label"] = label
        path = self._folder / INDEX
        with path.open("xb") as file:
            np.save(file, index, allow_pickle=False)
            _to_disk(file)
        with path.open("rb") as file:
            self._sums[INDEX] = hashlib.file_digest(file, "sha256").hexdigest()

    def _write(self, name: str, data: bytes) -> None:
        with (self._folder / name).open("xb") as file:
            file.write(data)
            _to_disk(file)
        self._sums[name] = hashlib.sha256(data).hexdigest()

    def _close_shard(self) -> None:
        if self._file is None:
            return
        _to_disk(self._file)
        self.close()
        self._sums[shard_name(len(self._sizes) - 1)] = self._hash.hexdigest()
        self._hash = hashlib.sha256()


@contextmanager
def _claimed(out: Path) -> Iterator[Path]:
    """A folder `out.part` for this process alone, which takes the name `out` if all goes well.

    A lock on a file in it tells a run that goes on from one that was stopped: the system gives
    it back when a process ends, however it ends.
    """
    part = out.with_name(out.name + ".part")
    try:
        _refuse_taken(out)
        part.mkdir(exist_ok=True)
        with (part / _LOCK).open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadInput(f"another run is filling {part}; wait for it") from None
            _clear(part)
            try:
                yield part
                (part / _LOCK).unlink()
                part.rename(out)
            except BaseException:
                shutil.rmtree(part, ignore_errors=True)
                raise
    except OSError as fault:
        raise BadInput(f"cannot write {out}: {fault.strerror or fault}") from fault


def _refuse_taken(out: Path) -> None:
    if not out.parent.is_dir():
        raise NotFound(f"cannot write {out}: there is no folder {out.parent}; make it first")
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists() or out.is_symlink():
        raise BadInput(f"{out} is there already and is not written over; name a new folder")


def _clear(part: Path) -> None:
    """Remove what a stopped run left; a file that no run writes is somebody's, and is kept."""
    ours = {_LOCK, INDEX, CLASSES, ABOUT, SUMS}
    for file in sorted(part.iterdir()):
        if file.name not in ours and not (file.name.startswith("shard-") and file.suffix == ".bin"):
            raise BadInput(f"{file} was not left by a stopped run; move it, or name another folder")
        if file.name != _LOCK:
            file.unlink()


def _duplicates(
    digest: NDArray[np.uint64], label: NDArray[np.int64]
) -> tuple[int, list[tuple[int, int]]]:
    """How many images were there before, and the two classes of those that change class."""
    order = np.lexsort((label, digest))
    again = digest[order[1:]] == digest[order[:-1]]
    before, after = label[order[:-1]], label[order[1:]]
    across = np.flatnonzero(again & (before != after))
    pairs = list(zip(before[across].tolist(), after[across].tolist(), strict=True))
    return int(again.sum()), pairs


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
