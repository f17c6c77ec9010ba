"""The aligned crops of an organizer, read one at a time: packed shards, or files by a list.

    crops/        as `tronie pack` makes it; or
    images.txt    one path a line, below the folder that it lies in

Crop n belongs to line n of META, from 0. A crop is 112 x 112 pixels; any other is refused, since
resizing would change every number. Sentences name a crop by its number and never by its file,
because a team may read them.

Letters: N crops.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.lists import read_image_list
from tronie.data.readers.shards import Shards
from tronie.errors import BadFile, BadInput, NotFound
from tronie.images.io import decode_image

SIDE = 112
MAX_PIXELS = 1024 * 1024
"""Of a crop before it is refused for its size; a few bytes can ask for a hundred million."""
PACKED, LIST = "crops", "images.txt"


@dataclass(frozen=True, eq=False, kw_only=True)
class Crops:
    """N crops, and what tells them from others."""

    count: int
    sha256: str
    """Changes where a crop or their order does: of packed ones by their bytes, of files by their
    names, sizes and times of change."""
    read: Callable[[int], bytes]
    """The encoded bytes of crop n, from 0."""

    def crop(self, n: int) -> NDArray[np.uint8]:
        """Crop n as (112, 112, 3) RGB.

        Raises:
            NotFound: there is no such crop.
            BadFile: it is no picture, or of another size.
            BadInput: it cannot be read.
        """
        try:
            pixels = decode_image(self.read(n), name=f"crop {n}", max_pixels=MAX_PIXELS)
        except BadInput as fault:
            raise BadFile(f"crop {n} of {self.count} cannot be read: {fault}") from fault
        if pixels.shape != (SIDE, SIDE, 3):
            raise BadFile(
                f"crop {n} of {self.count} must have {SIDE} x {SIDE} pixels; got "
                f"{pixels.shape[1]} x {pixels.shape[0]}. Align the photographs first"
            )
        return pixels

    def batch(self, first: int, last: int) -> NDArray[np.uint8]:
        """Crops first, ..., last - 1 as (last - first, 112, 112, 3); errors as `crop`."""
        return np.stack([self.crop(n) for n in range(first, last)])

    def sample(self, size: int) -> NDArray[np.uint8]:
        """At most `size` crops, evenly spread, (M, 112, 112, 3); errors as `crop`."""
        places = np.unique(np.linspace(0, self.count - 1, min(size, self.count)).round())
        return np.stack([self.crop(int(n)) for n in places])


def open_crops(folder: Path) -> Crops:
    """The crops that lie in a folder, in one of both forms.

    Raises:
        NotFound: neither form is there, or a file of the list is not.
        BadFile: the shards or the list are damaged.
        BadInput: both forms are there, or a file cannot be read.
    """
    packed, listed = folder / PACKED, folder / LIST
    if packed.is_dir() and listed.is_file():
        raise BadInput(
            f"{folder} holds {PACKED} and {LIST}; keep the one that META has lines for, and remove "
            "the other"
        )
    if packed.is_dir():
        shards = Shards(packed)
        return Crops(count=len(shards), sha256=shards.sha256, read=shards.read)
    if not listed.is_file():
        raise NotFound(
            f"{folder} holds no crops: put a folder {PACKED} there, as `tronie pack` makes it, or "
            f"a file {LIST} of one path a line"
        )
    files = [folder / name for name in read_image_list(listed)]
    digest = hashlib.sha256()
    for number, file in enumerate(files, start=1):
        try:
            told = file.stat()
        except OSError as fault:
            raise NotFound(f"{listed}:{number}: {file} cannot be read: {fault.strerror}") from fault
        digest.update(f"{file.name!r} {told.st_size} {told.st_mtime_ns}\n".encode())
    return Crops(count=len(files), sha256=digest.hexdigest(), read=lambda n: _bytes_of(files, n))


def _bytes_of(files: list[Path], n: int) -> bytes:
    if not 0 <= n < len(files):
        raise NotFound(f"there is no crop {n}; there are {len(files)}")
    try:
        return files[n].read_bytes()
    except OSError as fault:
        raise BadInput(f"its file is gone: {fault.strerror}") from fault
