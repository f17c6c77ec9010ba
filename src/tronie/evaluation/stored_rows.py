"""A feature matrix on disk as the rows that all pairs are scored on.

Scores over all pairs are defined on rows as they are stored, to the bit, so it is never guessed
whether a matrix is normalized: rows that are said to have length 1 and do not are refused, and
rows that are said to have any length are normalized in float64 and rounded to float32, in
memory. (Protocols that score a few pairs use `unit_rows`, which normalizes where it must and
says so.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.features import open_features
from tronie.errors import BadInput
from tronie.evaluation.pairs.scores import Rows, check_rows
from tronie.geometry.hypersphere import normalize

_AT_ONCE = 8192
_NPY = b"\x93NUMPY"


def open_stored_rows(path: str | Path, *, lengths: str) -> Rows:
    """Rows (N, D) float32 of length 1, memory-mapped where they are stored so.

    Args:
        path: An .npy, or a matrix in the form of four int32 and its rows.
        lengths: "unit": rows are float32 of length 1, and others are refused. "any": each row is
            normalized first; the matrix is then held in memory, and an .npy may hold any floats.

    Raises:
        NotFound: there is no such file.
        BadFile: it is damaged, or of another kind.
        BadArray: a row is zero, not finite, or not of length 1 where it should be.
        BadInput: `lengths` is neither.
    """
    if lengths not in ("unit", "any"):
        raise BadInput(f'lengths of rows are "unit" or "any"; got {lengths!r}')
    if lengths == "unit":
        stored = np.asarray(open_features(path))  # a plain view: memmap objects are slow to slice
        check_rows(stored)
        return stored
    loose = _of_any_float(Path(path))
    unit = np.empty(loose.shape, np.float32)
    for top in range(0, len(loose), _AT_ONCE):
        part = slice(top, top + _AT_ONCE)
        unit[part] = normalize(np.asarray(loose[part]))[0]
    return unit


def _of_any_float(path: Path) -> NDArray[np.floating]:
    """A matrix whose numbers need not be float32, since they are to be normalized."""
    try:
        with path.open("rb") as file:
            is_npy = file.read(len(_NPY)) == _NPY
        if is_npy:
            array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
            if array.ndim == 2 and array.dtype.kind == "f" and array.dtype.itemsize != 4:
                return np.asarray(array)
    except (OSError, ValueError, EOFError):
        pass  # the reader of features says better what is wrong
    return np.asarray(open_features(path))
