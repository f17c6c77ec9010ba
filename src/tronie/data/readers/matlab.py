"""MAT files of version 5, as far as lists of numbers and names need it.

    number arrays    an array of the file's dimensions, first index fastest as in the file
    characters       a str
    cells            a tuple, first index fastest; cells may hold cells

Anything else (structures, objects, sparse and complex arrays, functions, version 7.3 which
is HDF5) is refused by name. Nothing in such a file can run, and no length it states is
believed before as many bytes were found: at most `MAX_BYTES` are unpacked, cells nest at
most `MAX_DEPTH` deep.

Source: MathWorks, "MAT-File Format", level 5.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadFile, BadInput, NotFound

MAX_BYTES = 32 << 20
"""Of the file and all its variables together, unpacked. WIDER FACE's need 3 MB."""
MAX_DEPTH = 8

Value: TypeAlias = "str | NDArray[np.generic] | tuple[Value, ...]"

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_CELL, _CHARACTERS = 1, 4
_STORAGE = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
    16: "u1", 17: "u2", 18: "u4",
}  # fmt: skip
"""Element type to how its numbers are stored; the last three are UTF-8, UTF-16, UTF-32."""
_NUMBERS = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
"""Array class to the type it has in MATLAB; the file may store smaller ones."""
_REFUSED = {
    2: "a structure",
    3: "an object",
    5: "a sparse array",
    16: "a function",
    17: "an object",
}
_COMPLEX_FLAG = 0x0800


def read_mat(path: str | Path, names: Collection[str]) -> dict[str, Value]:
    """The variables `names` of a MAT file; the others are not looked into.

    Raises:
        NotFound: there is no such file, or it lacks a variable.
        BadFile: it is no MAT file of version 5, is damaged, is over the bounds, or a variable
            asked for is of a kind that is not read.
        BadInput: it may not be read.
    """
    data = _bytes(Path(path))
    order = _byte_order(data, path)
    found: dict[str, Value] = {}
    budget = MAX_BYTES
    try:
        for kind, body in _elements(memoryview(data)[_HEADER_BYTES:], order):
            budget -= len(body)
            variable = body
            if kind == _COMPRESSED:
                inner = _unpacked(body, limit=budget)
                budget -= len(inner)
                kind, variable = next(_elements(memoryview(inner), order))
            if kind == _MATRIX and (name := _name(variable, order)) in names:
                found[name] = _matrix(variable, order, depth=0)
    except (ValueError, StopIteration, struct.error, zlib.error, UnicodeDecodeError) as error:
        raise BadFile(f"{path} is damaged, or no MAT file that is read here: {error}") from error
    missing = sorted(set(names) - found.keys())
    if missing:
        raise NotFound(f"{path} has no variable {', '.join(missing)}")
    return found


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadFile(f"{path} is over the limit of {MAX_BYTES} bytes")
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"there is no MAT file {path}") from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def _byte_order(data: bytes, path: str | Path) -> str:
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise BadFile(f"{path} is no MAT file of version 5: its header lacks the mark IM or MI")
    version = struct.unpack(order + "H", data[124:126])[0]
    if version != 0x0100:
        raise BadFile(f"{path} is a MAT file of another version ({version:#06x}); save it with -v7")
    return order


def _unpacked(body: memoryview, *, limit: int) -> bytes:
    stream = zlib.decompressobj()
    inner = stream.decompress(body, max(1, limit))
    if stream.unconsumed_tail:
        raise ValueError(f"it unpacks to more than {MAX_BYTES} bytes")
    if not stream.eof:
        raise ValueError("a compressed variable is cut off")
    return inner


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and bytes of each element that lies in `data`, one after the other."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from(order + "II", data, at)
        start, step = at + 8, 8 + size
        if kind >> 16:  # a small element has its size and at most four bytes in the tag
            kind, size, start, step = kind & 0xFFFF, kind >> 16, at + 4, 8
        elif kind != _COMPRESSED:
            step += -size % 8
        if start + size > len(data) or (step == 8 and size > 4 and start == at + 4):
            raise ValueError(f"an element of {size} bytes is cut off")
        yield kind, data[start : start + size]
        at += step


def _name(variable: memoryview, order: str) -> str:
    parts = _elements(variable, order)
    next(parts), next(parts)
    return bytes(next(parts)[1]).decode("ascii")


def _matrix(matrix: memoryview, order: str, *, depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise ValueError(f"its cells nest more than {MAX_DEPTH} deep")
    if len(matrix) == 0:
        return np.zeros((0, 0))
    parts = _elements(matrix, order)
    flags = struct.unpack_from(order + "I", next(parts)[1])[0]
    shape = [int(n) for n in _numbers(*next(parts), order)]
    if len(shape) < 2 or min(shape) < 0:
        raise ValueError(f"an array has the dimensions {shape}")
    next(parts)  # the name
    kind, count = flags & 0xFF, math.prod(shape)
    if kind in _REFUSED or flags & _COMPLEX_FLAG:
        raise ValueError(f"it holds {_REFUSED.get(kind, 'complex numbers')}, which is not read")
    if kind == _CELL:
        cells = tuple(_cell(*part, order, depth=depth + 1) for part in parts)
        if len(cells) != count:
            raise ValueError(f"{count} cells are announced, {len(cells)} follow")
        return cells
    if kind != _CHARACTERS and kind not in _NUMBERS:
        raise ValueError(f"it holds an array of class {kind}, which is not read")
    stored, body = next(parts)
    if kind == _CHARACTERS:
        return _text(stored, body, order, shape)
    values = _numbers(stored, body, order)
    if len(values) != count:
        raise ValueError(f"{count} numbers are announced, {len(values)} follow")
    return values.astype(_NUMBERS[kind]).reshape(shape, order="F")


def _cell(kind: int, body: memoryview, order: str, *, depth: int) -> Value:
    if kind != _MATRIX:
        raise ValueError(f"a cell holds an element of type {kind} instead of an array")
    return _matrix(body, order, depth=depth)


def _numbers(stored: int, body: memoryview, order: str) -> NDArray[np.generic]:
    if stored not in _STORAGE:
        raise ValueError(f"numbers are stored as type {stored}, which is not read")
    return np.frombuffer(body, np.dtype(order + _STORAGE[stored]))


def _text(stored: int, body: memoryview, order: str, shape: list[int]) -> str:
    if shape[0] > 1 or len(shape) > 2:
        raise ValueError(f"characters of the dimensions {shape} are no single line")
    if stored in (1, 2, 16):
        return bytes(body).decode("utf-8")
    if stored in (4, 17):
        return bytes(body).decode("utf-16-le" if order == "<" else "utf-16-be")
    raise ValueError(f"characters are stored as type {stored}, which is not read")
