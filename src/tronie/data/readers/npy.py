"""An .npy from a stranger: its header is read without trust, and nothing larger than its file.

The header is a Python literal, and says how many bytes follow. NumPy's reader believes it: 100
bytes can ask for terabytes, or nest so deeply that the parser gives up. Here each of these is
one refusal, and the numbers are read only where the header and the size agree to the byte.

Source: NumPy, `numpy.lib.format` (NEP 1), versions 1.0 and 2.0.
"""

from __future__ import annotations

import math
import tokenize
from typing import IO, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadFile

NPY = b"\x93NUMPY"
"""What an .npy begins with."""

_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# All that literals have been seen to raise in NumPy's reader; two are what deep nesting does.
_HEADER_FAULTS = (
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    SyntaxError,
    OverflowError,
    MemoryError,
    RecursionError,
    tokenize.TokenError,
)


class NpyHeader(NamedTuple):
    """What a file announces."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    start: int
    """Bytes before the numbers."""

    @property
    def size_bytes(self) -> int:
        """Of the whole file."""
        return self.start + math.prod(self.shape) * self.dtype.itemsize


def read_npy_header(file: IO[bytes], *, name: str) -> NpyHeader:
    """The header of an .npy, its size not compared with anything.

    Args:
        file: At its beginning; where the numbers begin afterwards.
        name: What to call it in an error.

    Raises:
        BadFile: it cannot be read, is of another version, or announces no array.
    """
    try:
        version = np.lib.format.read_magic(file)
        if version not in _READERS:
            raise BadFile(f"{name} is an .npy of the unknown version {version}; save it again")
        shape, fortran, dtype = _READERS[version](file)
    except _HEADER_FAULTS as error:
        raise BadFile(f"{name} begins as an .npy, but its header cannot be read") from error
    if any(side < 0 for side in shape):
        raise BadFile(f"{name} announces the shape {shape}; no side of an array is below 0")
    return NpyHeader(tuple(map(int, shape)), bool(fortran), dtype, file.tell())


def read_npy(file: IO[bytes], *, size: int, name: str) -> NDArray[Any]:
    """The array of an .npy, in memory.

    Args:
        file: At its beginning.
        size: Of the whole file, in bytes.
        name: What to call it in an error.

    Raises:
        BadFile: it is no .npy, holds Python objects or strings that are none, or the size is not
            the one that its header announces.
    """
    head = read_npy_header(file, name=name)
    if head.dtype.hasobject or head.dtype.itemsize == 0:
        what = "Python objects" if head.dtype.hasobject else "entries of no bytes"
        raise BadFile(f"{name} holds {what}; save an array of numbers, or of strings")
    if head.size_bytes != size:
        raise BadFile(
            f"{name} announces {head.dtype} of shape {head.shape}, {head.size_bytes} bytes in all; "
            f"it has {size}"
        )
    held = np.empty(size - head.start, np.uint8)
    if file.readinto(held) != len(held):  # type: ignore[attr-defined]
        raise BadFile(f"{name} was cut off while it was read")
    if head.dtype.kind == "U":
        codes = held.view(np.dtype(np.uint32).newbyteorder(head.dtype.byteorder))
        if ((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))).any():
            raise BadFile(f"{name} holds strings with codes that are no characters; save it again")
    order: Literal["F", "C"] = "F" if head.fortran else "C"
    array: NDArray[Any] = np.ndarray(head.shape, head.dtype, held, order=order)
    return array
