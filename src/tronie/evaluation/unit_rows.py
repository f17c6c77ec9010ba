"""A matrix of features as unit rows: as it is, or normalized, and which of both is said.

Where every row has length 1, the matrix stays where it is, memory-mapped or not, and those are
the rows that are compared. Otherwise each row is divided by its length in float64 and rounded
to float32 once, and the result is held in memory.

Letters: N rows, D numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray
from tronie.evaluation.pairs.scores import UNIT_WITHIN, Rows
from tronie.geometry.hypersphere import normalize

_ROWS_AT_ONCE = 8192


class UnitRows(NamedTuple):
    """Rows of length 1, and what was done to them."""

    rows: Rows
    """(N, D)."""
    notes: tuple[str, ...]
    """A sentence where rows were normalized."""


def unit_rows(features: NDArray[np.float32]) -> UnitRows:
    """The rows at length 1.

    Raises:
        BadArray: not (N, D) float32; or a row is not finite or is zero, named by its number.
    """
    if features.ndim != 2 or 0 in features.shape or features.dtype != np.float32:
        raise BadArray(
            f"features must be float32 of shape (N, D); got {features.dtype} "
            f"of shape {features.shape}"
        )
    lengths = np.empty(len(features))
    for top in range(0, len(features), _ROWS_AT_ONCE):
        rows = features[top : top + _ROWS_AT_ONCE].astype(np.float64)
        lengths[top : top + _ROWS_AT_ONCE] = np.sqrt((rows * rows).sum(axis=1))
    odd = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if len(odd):
        row = int(odd[0])
        fault = (
            "is all zeros and has no direction" if lengths[row] == 0 else "holds NaN or infinity"
        )
        raise BadArray(f"row {row} of {len(features)} features {fault}; leave it out")
    others = int(np.count_nonzero(np.abs(lengths - 1) > UNIT_WITHIN))
    if not others:
        return UnitRows(features, ())
    unit = np.empty(features.shape, np.float32)
    for top in range(0, len(features), _ROWS_AT_ONCE):
        part = slice(top, top + _ROWS_AT_ONCE)
        unit[part] = normalize(features[part])[0]
    note = f"{others} of {len(features)} rows were not of length 1, and all were normalized"
    return UnitRows(unit, (note,))
