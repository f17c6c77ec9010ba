"""Unit vectors: embeddings compared by the angle between them, not by their length.

    cosine(a, b) = sum(a * b)           for vectors of length 1

Lengths are taken and sums are made in float64, so that a score does not depend on the
order of the numbers by more than 1e-15, and a product of two float32 is exact.

Letters: N and M embeddings, D numbers in each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray

Floats = NDArray[np.floating[Any]]

_UNIT_WITHIN = 1e-4  # float32 rounding is 1000 times smaller; a forgotten normalize is not


def normalize(x: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Each row at length 1, and the lengths the rows had.

    Args:
        x: Shape (N, D), as a network gives them.

    Returns:
        Unit rows (N, D) and norms (N,), both float32, computed in float64.

    Raises:
        BadArray: another shape, a value that is not finite, or a row of zeros, which has
            no direction.

    Example:
        >>> unit, norms = normalize(np.array([[3.0, 4.0]]))
        >>> unit.tolist(), norms.tolist()
        ([[0.6000000238418579, 0.800000011920929]], [5.0])
    """
    _expect_rows("embeddings", x)
    exact = x.astype(np.float64)
    norms = np.sqrt((exact * exact).sum(axis=1))
    if not np.isfinite(norms).all():
        row = int(np.argmax(~np.isfinite(norms)))
        raise BadArray(f"embeddings must be finite; row {row} of {len(x)} holds NaN or infinity")
    if not norms.all():
        row = int(np.argmax(norms == 0))
        raise BadArray(f"row {row} of {len(x)} embeddings is all zeros and has no direction")
    return (exact / norms[:, None]).astype(np.float32), norms.astype(np.float32)


def cosine_scores(a: Floats, b: Floats) -> NDArray[np.float64]:
    """Cosine of every row of `a` (N, D) with every row of `b` (M, D): shape (N, M).

    In [-1, 1] up to rounding; the decision is `score >= threshold`.

    Raises:
        BadArray: the shapes do not fit, or a row is not of length 1: call `normalize` first.
    """
    for name, rows in (("a", a), ("b", b)):
        _expect_rows(name, rows)
    if a.shape[1] != b.shape[1]:
        raise BadArray(
            "embeddings of one model are compared with their own kind;"
            f" got {a.shape[1]} and {b.shape[1]} numbers a row"
        )
    exact_a, exact_b = a.astype(np.float64, copy=False), b.astype(np.float64, copy=False)
    _expect_unit("a", exact_a)
    _expect_unit("b", exact_b)
    return exact_a @ exact_b.T


def _expect_rows(name: str, rows: Floats) -> None:
    if rows.ndim != 2:
        raise BadArray(f"{name} must have shape (N, D), one row a face; got shape {rows.shape}")


def _expect_unit(name: str, rows: NDArray[np.float64]) -> None:
    squared = np.einsum("nd,nd->n", rows, rows)
    strays = ~(np.abs(squared - 1.0) <= 2 * _UNIT_WITHIN)
    if strays.any():
        row = int(np.argmax(strays))
        raise BadArray(
            f"rows of {name} must have length 1; row {row} has {np.sqrt(squared[row]):.6g}."
            " Call normalize first"
        )
