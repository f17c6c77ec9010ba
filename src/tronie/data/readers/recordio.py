"""RecordIO archives: the .rec file of face images that MXNet trained from, and its .idx.

    .idx        KEY <tab> BYTE                  a line a record: where it begins
    .rec        magic, length, payload, 0...    all little-endian, records begin at multiples of 4
    payload     flag u32, label f32, id u64, id2 u64, then `flag` labels f32, then the image

The upper 3 bits of a length tell 0, a whole record, from 1, 2, 3, the first, a middle and the
last part of one: where the magic number itself stands in a payload at a multiple of 4, a
writer parts the payload there and leaves the four bytes out; a reader puts them back.

Of InsightFace's archives record 0 holds no image but two labels, a and b: images have the keys
1 to a - 1, and records a to b - 1 one identity each: the first of its images and one past the
last. In any other archive all records are images.

Source: dmlc-core, recordio.h, and MXNet's recordio.py and image headers; the use of record 0
is InsightFace's. Differs from them: nothing is read past a record's end, whatever it states.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.whole_numbers import read_whole_numbers
from tronie.errors import BadFile, BadInput, NotFound

MAGIC = struct.pack("<I", 0xCED7230A)
MAX_PAYLOAD_BYTES = (1 << 29) - 1
"""As much as the 29 bits of a length can say; a record in parts may hold no more."""

_PART = struct.Struct("<4sI")
_HEADER = struct.Struct("<IfQQ")
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_EXACT = 1 << 24
"""Labels are float32, which tells whole numbers apart below this and not beyond."""
_READ_AHEAD_BYTES = 16 << 10  # more than most aligned faces need: one read then fetches a record


class Record(NamedTuple):
    """One record. `id2`, which nobody uses, is passed over."""

    label: tuple[float, ...]
    """One number, or the `flag` numbers that stand behind the header. Whose face an image
    shows is the first."""
    id: int
    payload: bytes
    """What follows the labels: an encoded image, empty in a record of labels alone."""


class RecordArchive:
    """The records of one archive, read as they are asked for, from any number of threads.

    Opening it reads the .idx alone. Where there is none the .rec is walked through once, from
    head to head, and keys are counted from 0. Use as a context manager, or call `close`.

    Args:
        rec_path: The .rec file.
        idx_path: The .idx file; None: the one beside the .rec of the same name, if it is there.

    Raises:
        NotFound: a file is not there.
        BadFile: a line of the .idx breaks its form, states a byte beyond the .rec or a key that
            was there, or, without it, the .rec is damaged.
        BadInput: a file may not be read.
    """

    def __init__(self, rec_path: str | Path, idx_path: str | Path | None = None) -> None:
        self._path = Path(rec_path)
        beside = self._path.with_suffix(".idx")
        index = Path(idx_path) if idx_path is not None else beside if beside.is_file() else None
        try:
            self._file = self._path.open("rb", buffering=0)
        except FileNotFoundError:
            raise NotFound(f"there is no archive {rec_path}") from None
        except OSError as error:
            raise BadInput(f"cannot read {rec_path}: {error.strerror}") from error
        try:
            self._size = os.fstat(self._file.fileno()).st_size
            if index is None:
                offsets = self._walk()
                keys = np.arange(len(offsets), dtype=np.int64)
            else:
                keys, offsets = _read_index(index, self._size, self._path)
            self._sort(keys, offsets, index)
        except BaseException:
            self.close()
            raise

    @property
    def keys(self) -> NDArray[np.int64]:
        """The keys of all records, (R,), in the order of the index; read-only."""
        return self._keys

    def read(self, key: int) -> Record:
        """One record.

        Raises:
            NotFound: there is no record of this key.
            BadFile: it is damaged; the message names the byte where it begins.
            BadInput: the file cannot be read.
        """
        at = self._offset(key)
        return _parse(self._bytes_at(at), where=f"{self._path}: the record at byte {at}")

    def images(self) -> NDArray[np.int64]:
        """The keys of the images, (M,): of InsightFace's archives 1 to a - 1, else all.

        Raises:
            BadFile: record 0 cannot be read, or counts records that are not there.
        """
        counts = self._counts()
        return self._keys if counts is None else self._between(1, counts[0], "images")

    def identities(self) -> NDArray[np.int64]:
        """The first key of each identity's images and one past the last, (I, 2).

        No rows where the archive says nothing of identities; then the first label of an image
        is all that tells whose it is. Reads one record an identity.

        Raises:
            BadFile: a record cannot be read, or names images that are not there.
        """
        counts = self._counts()
        if counts is None:
            return np.zeros((0, 2), np.int64)
        images_end = counts[0]
        keys = self._between(images_end, counts[1], "identities")
        found = np.zeros((len(keys), 2), np.int64)
        for n, key in enumerate(keys.tolist()):
            first, end = self._two_numbers(key, self.read(key).label)
            if not 1 <= first <= end <= images_end:
                raise BadFile(
                    f"{self._path}: record {key} gives an identity the images {first} to "
                    f"{end - 1}; the archive has 1 to {images_end - 1}"
                )
            found[n] = first, end
        return found

    def close(self) -> None:
        """Close the file. Nothing can be read from it afterwards."""
        self._file.close()

    def __enter__(self) -> RecordArchive:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _sort(
        self, keys: NDArray[np.int64], offsets: NDArray[np.int64], index: Path | None
    ) -> None:
        """Keep the records for look-up by key."""
        order = np.argsort(keys, kind="stable")
        self._sorted, self._offsets = keys[order], offsets[order]
        again = np.flatnonzero(self._sorted[1:] == self._sorted[:-1])
        if len(again):
            line = int(order[again + 1].min())
            raise BadFile(f"{index}:{line + 1}: the key {keys[line]} is there twice")
        self._keys = keys
        for shared in (self._keys, self._sorted):
            shared.setflags(write=False)

    def _offset(self, key: int) -> int:
        at = int(np.searchsorted(self._sorted, key))
        if at == len(self._sorted) or self._sorted[at] != key:
            raise NotFound(
                f"{self._path} has no record {key}; it has {len(self._sorted)}, with keys from "
                f"{self._sorted[0]} to {self._sorted[-1]}"
            )
        return int(self._offsets[at])

    def _counts(self) -> tuple[int, int] | None:
        """One past the last image and one past the last identity, as record 0 counts them."""
        if self._sorted[0] != 0:
            return None
        record = self.read(0)
        if len(record.label) != 2 or record.payload:
            return None
        images_end, end = self._two_numbers(0, record.label)
        if not 1 <= images_end <= end:
            raise BadFile(f"{self._path}: record 0 counts images to {images_end}, all to {end}")
        return images_end, end

    def _two_numbers(self, key: int, label: tuple[float, ...]) -> tuple[int, int]:
        if len(label) != 2 or not all(x.is_integer() and 0 <= x < _EXACT for x in label):
            raise BadFile(
                f"{self._path}: record {key} must hold two whole numbers below {_EXACT}, as far "
                f"as float32 tells them apart; got {label[:4]}"
            )
        return int(label[0]), int(label[1])

    def _between(self, first: int, end: int, what: str) -> NDArray[np.int64]:
        low, high = np.searchsorted(self._sorted, (first, end)).tolist()
        if high - low != end - first:
            raise BadFile(
                f"{self._path}: record 0 counts {end - first} {what}, keys {first} to {end - 1}; "
                f"{high - low} of them are there"
            )
        return self._sorted[low:high]

    def _bytes_at(self, at: int) -> bytes:
        """The payload of the record at byte `at`, its parts joined."""
        size = _READ_AHEAD_BYTES
        while True:
            window = self._pread(size, at)
            try:
                payload = _joined(window)
            except ValueError as error:
                raise BadFile(f"{self._path}: the record at byte {at} {error}") from error
            if isinstance(payload, bytes):
                return payload
            if at + len(window) >= self._size:
                raise BadFile(
                    f"{self._path}: the record at byte {at} is cut off; the file ends "
                    f"{len(window)} bytes later"
                )
            size = max(payload, 2 * size)

    def _pread(self, size: int, at: int) -> bytes:
        size = min(size, self._size - at)
        try:
            found = os.pread(self._file.fileno(), size, at)
            while len(found) < size:
                more = os.pread(self._file.fileno(), size - len(found), at + len(found))
                if not more:
                    raise BadFile(f"{self._path} has become shorter while it was read")
                found += more
        except OSError as error:
            raise BadInput(f"cannot read {self._path}: {error.strerror}") from error
        return found

    def _walk(self) -> NDArray[np.int64]:
        """Where each record begins, from head to head."""
        found: list[int] = []
        at = 0
        within = False
        while at < self._size:
            try:
                kind, length = _part(self._pread(_PART.size, at), 0)
                _expect_kind(kind, within=within)
            except ValueError as error:
                raise BadFile(f"{self._path}: the record at byte {at} {error}") from error
            if not within:
                found.append(at)
            within = kind in (_FIRST, _MIDDLE)
            at += _PART.size + length
            if at > self._size:
                raise BadFile(f"{self._path}: the record at byte {found[-1]} is cut off")
            at += -at % 4
        if within or not found:
            what = f"the record at byte {found[-1]} lacks its last part" if found else "is empty"
            raise BadFile(f"{self._path}: {what}")
        return np.array(found, np.int64)


def _read_index(
    path: Path, size: int, archive: Path
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    blocks = list(read_whole_numbers(path, form="KEY BYTE"))
    if not blocks:
        raise BadFile(f"{path} holds no record")
    rows = np.concatenate(blocks)
    outside = rows[:, 1] >= size
    if outside.any():
        line = int(np.argmax(outside))
        raise BadFile(
            f"{path}:{line + 1}: record {rows[line, 0]} begins at byte {rows[line, 1]}; "
            f"{archive} has {size} bytes"
        )
    return rows[:, 0].copy(), rows[:, 1].copy()


def _part(window: bytes, at: int) -> tuple[int, int]:
    """Kind and length of the part whose head is at `at`."""
    if len(window) < at + _PART.size:
        raise ValueError("is cut off in its head")
    magic, field = _PART.unpack_from(window, at)
    if magic != MAGIC:
        raise ValueError(
            f"begins with {magic.hex()} instead of the magic number {MAGIC.hex()}; is this the "
            ".idx of another .rec?"
        )
    return field >> 29, field & MAX_PAYLOAD_BYTES


def _expect_kind(kind: int, *, within: bool) -> None:
    if kind > _LAST or within != (kind in (_MIDDLE, _LAST)):
        place = "inside a record" if within else "at a record's beginning"
        raise ValueError(f"has a part of kind {kind} {place}")


def _joined(window: bytes) -> bytes | int:
    """The payload of the record that `window` begins with, or how many bytes that needs."""
    parts: list[bytes] = []
    at = total = 0
    while True:
        if at + _PART.size > len(window):
            return at + _PART.size
        kind, length = _part(window, at)
        _expect_kind(kind, within=bool(parts))
        total += length + (len(MAGIC) if parts else 0)
        if total > MAX_PAYLOAD_BYTES:
            raise ValueError(f"is longer than the {MAX_PAYLOAD_BYTES} bytes that a record may have")
        start, at = at + _PART.size, at + _PART.size + length
        if at > len(window):
            return at
        parts.append(window[start:at])
        if kind in (_WHOLE, _LAST):
            return parts[0] if kind == _WHOLE else MAGIC.join(parts)
        at += -at % 4


def _parse(payload: bytes, *, where: str) -> Record:
    if len(payload) < _HEADER.size:
        raise BadFile(f"{where} has {len(payload)} bytes, too few for its header of {_HEADER.size}")
    flag, label, number, _ = _HEADER.unpack_from(payload)
    if flag == 0:
        return Record((label,), number, payload[_HEADER.size :])
    end = _HEADER.size + 4 * flag
    if end > len(payload):
        raise BadFile(f"{where} announces {flag} labels, {end} bytes in all; it has {len(payload)}")
    return Record(struct.unpack_from(f"<{flag}f", payload, _HEADER.size), number, payload[end:])
