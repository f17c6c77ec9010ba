"""Feature matrices on disk: float32, one row an image, memory-mapped and never loaded.

    .npy        as numpy.save writes it: float32, C order, two dimensions
    OpenCV      four int32: rows, columns, 4 * columns, 5; then the rows

All little-endian. 4 * columns is the length of a row in bytes, and 5 is OpenCV's code for
float32. Which of the two a file is, its first bytes say, whatever it is called. MegaFace keeps
each image's row in a file of its own and writes it as a column, (columns, 1, 4, 5): that is
read as one row.

Letters: N rows, D numbers in each.
Source: the submission form of the ICCV 2019 Lightweight Face Recognition challenge, and the
feature files of MegaFace's development kit; both are raw dumps of OpenCV's matrix.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.npy import NPY, read_npy_header
from tronie.errors import BadArray, BadFile, BadInput, NotFound

Features = NDArray[np.float32]

_HEAD = struct.Struct("<4i")
_FLOAT32 = 5
_OPENCV_TYPES = {0: "uint8", 1: "int8", 2: "uint16", 3: "int16", 4: "int32", 6: "float64"}
_INT32 = 2**31 - 1
_MOST_HEADER_BYTES = 1 << 17
_ROWS_AT_ONCE = 8192


def open_features(path: str | Path) -> Features:
    """The matrix of a file, (N, D), mapped and read-only: only what is looked at is read.

    Its values are not looked at: NaN and rows that are not of length 1 pass.

    Raises:
        NotFound: there is no such file.
        BadFile: it is of another form, type or order, or is cut off.
        BadInput: it may not be read.
    """
    file = Path(path)
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            head = opened.read(_MOST_HEADER_BYTES)
    except FileNotFoundError:
        raise NotFound(f"there is no feature file {path}") from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    read = _npy_shape if head.startswith(NPY) else _opencv_shape
    shape, start = read(head, size=size, path=file)
    found = start + 4 * shape[0] * shape[1]
    if found != size:
        raise BadFile(
            f"{path} announces {shape[0]} rows of {shape[1]} float32, {found} bytes in all; "
            f"it has {size}"
        )
    try:
        mapped = np.memmap(file, np.dtype("<f4"), mode="r", offset=start, shape=shape)
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot map {path} into memory: {error}") from error
    # A plain view of the mapping, since slices of memmap objects are slow to make.
    return np.asarray(mapped)


def write_features(path: str | Path, rows: Features) -> None:
    """Write a matrix: an .npy by that suffix, OpenCV's form by any other (.bin, .fea).

    Args:
        rows: float32 (N, D), both at least 1; OpenCV's form also needs D > 1 or N = 1, since
            a single column is how MegaFace writes a row.

    Raises:
        BadArray: another type or shape.
        BadInput: the file cannot be written; nothing stands at `path` then that was not there.
    """
    file = Path(path)
    if rows.dtype != np.float32 or rows.ndim != 2 or rows.size == 0:
        raise BadArray(
            f"features to be written must be float32 (N, D), neither 0; "
            f"got {rows.dtype} of shape {rows.shape}"
        )
    head = _npy_head(rows.shape) if file.suffix == ".npy" else _opencv_head(rows.shape)
    part = file.with_name(file.name + ".part")
    try:
        try:
            with part.open("wb") as opened:
                opened.write(head)
                for top in range(0, len(rows), _ROWS_AT_ONCE):
                    opened.write(rows[top : top + _ROWS_AT_ONCE].astype("<f4").tobytes())
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error


def _npy_shape(head: bytes, *, size: int, path: Path) -> tuple[tuple[int, int], int]:
    """Rows and columns, and where the numbers begin."""
    shape, fortran, dtype, start = read_npy_header(io.BytesIO(head), name=str(path))
    if dtype != np.dtype("<f4"):
        raise BadFile(
            f"{path} holds {_type_name(dtype)}; features are little-endian float32: save "
            "M.astype('<f4')"
        )
    if len(shape) != 2:
        raise BadFile(f"{path} has the shape {shape}; features have the shape (N, D)")
    if 0 in shape:
        raise BadFile(f"{path} has the shape {shape}: there is no number in it")
    if fortran and 1 not in shape:
        raise BadFile(
            f"{path} lies column by column (Fortran order); save numpy.ascontiguousarray(M)"
        )
    return (shape[0], shape[1]), start


def _opencv_shape(head: bytes, *, size: int, path: Path) -> tuple[tuple[int, int], int]:
    if len(head) < _HEAD.size:
        raise BadFile(f"{path} has {size} bytes, too few for a feature matrix of any form")
    rows, columns, stride, code = _HEAD.unpack_from(head)
    whole = rows > 0 and columns > 0 and stride > 0
    if whole and code in _OPENCV_TYPES:
        raise BadFile(f"{path} holds {_OPENCV_TYPES[code]} (type {code}); features are float32 (5)")
    if not whole or code != _FLOAT32 or stride != 4 * columns:
        raise BadFile(
            f"{path} is neither an .npy nor OpenCV's matrix, whose first four int32 are rows, "
            f"columns, 4 * columns and 5; got {rows}, {columns}, {stride} and {code}"
        )
    return ((1, rows) if columns == 1 else (rows, columns)), _HEAD.size


def _npy_head(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    told: dict[str, Any] = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, told)
    return stream.getvalue()


def _opencv_head(shape: tuple[int, ...]) -> bytes:
    rows, columns = shape
    if columns == 1 and rows > 1:
        raise BadArray(
            f"a matrix of one column and {rows} rows cannot be told from a single row in OpenCV's "
            "form; write an .npy"
        )
    if max(rows, 4 * columns) > _INT32:
        raise BadArray(f"the shape {shape} does not fit into OpenCV's int32; write an .npy")
    return _HEAD.pack(rows, columns, 4 * columns, _FLOAT32)


def _type_name(dtype: np.dtype[Any]) -> str:
    if dtype.hasobject:
        return "Python objects"
    return f"big-endian {dtype.name}" if dtype.str.startswith(">") else dtype.name
