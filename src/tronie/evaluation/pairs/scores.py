r"""The score of a pair, to the bit; and the contract of whoever looks for high ones faster.

    score(a, b) = fold(a_1 b_1, ..., a_D b_D)        rows a, b stored as float32

Products are taken in float64, where a product of two float32 numbers is exact. `fold` adds
the upper half of the numbers onto the lower half, in float64, until one is left; where the
number is no power of two, the half is the largest power of two below it. So every addition
and its order is stated, and the bits are the same on every machine that keeps IEEE 754.

Rows are unit vectors that were rounded once: whoever normalizes does so in float64 and
stores float32, and the stored row is the datum. Its length is then 1 to about 1e-7, and the
score is the cosine to that. Nothing is divided by the lengths again.

A *screen* finds the pairs of two sets of rows that may reach a score, with a proven error
and much faster. What it finds is scored here again, so no screen can change a result.

Letters: N rows, D numbers, L left rows, R right rows.

Source: Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1 (gamma).
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray

Rows = NDArray[np.float32]
Places = NDArray[np.int64]

UNIT_WITHIN = 1e-4
"""How far the length of a row may be from 1; rounding to float32 is a thousand times less."""
LENGTH = 1 + UNIT_WITHIN
SUM_ERROR = 1e-14
"""More than `exact_scores` can be away from the real sum: 20 additions of numbers below 1."""

_RESCORE_ROWS = 256
_CHECKED_ROWS = 4096


class Panel(Protocol):
    """Right rows made ready, to be searched with many sets of left rows."""

    def hits(self, left: Any, floor: float) -> tuple[Places, Places]:
        """Row and column of every pair that may score `floor` or more: none is missing.

        `left` is what the screen's `left` returned. Rows ascend.
        """
        ...


class ProductPanel(Panel, Protocol):
    """A panel that also gives every score, off by at most `error`."""

    error: float

    def product(self, left: Any) -> NDArray[np.float32]:
        """All scores (L, R), each within `error` of the exact one."""
        ...


class Screen(Protocol):
    """Searches blocks of pairs. Its methods may be called from `workers` threads at once."""

    name: str
    """What ran, for a Report."""
    workers: int
    """How many calls may usefully run beside each other."""
    tile_rows: int
    """Left rows of one call."""
    panel_rows: int
    """Right rows of one panel."""
    keeps_left: bool
    """What `left` returns is small and dear to make: keep it for the next panel."""
    pairs_per_s: float
    """Measured on this machine, all workers together."""

    def typical_error(self, rows: Rows) -> float:
        """How far below a floor a pair of such rows may look and still be found."""
        ...

    def left(self, rows: Rows) -> Any:
        """Rows (L, D) as `hits` and `product` take them."""
        ...

    def panel(self, rows: Rows) -> Panel:
        """Rows (R, D) made ready as the right side."""
        ...


@runtime_checkable
class ProductScreen(Screen, Protocol):
    """A screen whose panels give every score: what counting needs."""

    def products(self, rows: Rows) -> ProductPanel:
        """Rows (R, D) made ready as the right side, for `product`."""
        ...


class NumpyScreen:
    """The float32 product of NumPy: every machine has it. It uses the threads of its BLAS."""

    name = "float32, numpy"
    workers = 1
    tile_rows = 1024
    panel_rows = 2048
    keeps_left = False

    def __init__(self, *, pairs_per_s: float = 5e7) -> None:
        self.pairs_per_s = pairs_per_s

    def typical_error(self, rows: Rows) -> float:
        """See `Screen`."""
        return screen_error(rows.shape[1])

    def left(self, rows: Rows) -> Rows:
        """See `Screen`."""
        return rows

    def panel(self, rows: Rows) -> NumpyPanel:
        """See `Screen`."""
        return NumpyPanel(rows)

    def products(self, rows: Rows) -> NumpyPanel:
        """See `ProductScreen`."""
        return NumpyPanel(rows)


class NumpyPanel:
    """See `ProductPanel`."""

    def __init__(self, rows: Rows) -> None:
        self._right = np.ascontiguousarray(rows).T
        self.error = screen_error(rows.shape[1])

    def product(self, left: Rows) -> NDArray[np.float32]:
        """See `ProductPanel`."""
        product: NDArray[np.float32] = left @ self._right
        return product

    def hits(self, left: Rows, floor: float) -> tuple[Places, Places]:
        """See `Panel`."""
        return hits_of(self.product(left), floor - self.error)


def screen_error(dimension: int) -> float:
    """How far a float32 product of two unit rows can lie from the real one, in any order.

    gamma(D + 4) with u = 2^-24, since sum |a_i b_i| <= |a| |b|. The 4 pays for lengths within
    UNIT_WITHIN of 1 (as long as D < 20000) and for rounding what the bound is compared with.
    """
    n = (dimension + 4) * 2.0**-24
    return n / (1 - n)


def hits_of(product: NDArray[np.float32], floor: float) -> tuple[Places, Places]:
    """Row and column of every entry at or above `floor`, compared without rounding it up."""
    limit = at_most_float32(floor)
    rows = np.flatnonzero(product.max(axis=1) >= limit)
    if len(rows) == 0:
        return rows, rows
    # Ten times faster on a flat view than by rows and columns.
    i, j = np.divmod(np.flatnonzero(product[rows] >= limit), product.shape[1])
    return rows[i], j


def at_most_float32(value: float) -> np.float32:
    """The largest float32 that is not above `value`."""
    near = np.float32(value)
    return np.nextafter(near, np.float32(-np.inf)) if float(near) > value else near


def exact_scores(
    unit: Rows, first: NDArray[np.integer], second: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Scores (P,) float64 of rows `first` with rows `second` of `unit`: the definition above."""
    scores = np.empty(len(first))
    for start in range(0, len(first), _RESCORE_ROWS):
        part = slice(start, start + _RESCORE_ROWS)
        products = unit[first[part]].astype(np.float64)
        products *= unit[second[part]]
        scores[part] = fold(products)
    return scores


def scores_from(
    unit: Rows, first: NDArray[np.integer], second: NDArray[np.integer], floor: float
) -> tuple[Places, NDArray[np.float64]]:
    """Which of the pairs score `floor` or more, and their exact scores.

    Most proposals of a coarse screen are far below: a float32 sum, with its proven error,
    spares them the float64 one.
    """
    limit = at_most_float32(floor - screen_error(unit.shape[1]))
    which, scores = [], []
    for start in range(0, len(first), _RESCORE_ROWS):
        part = slice(start, start + _RESCORE_ROWS)
        a, b = unit[first[part]], unit[second[part]]
        near = np.flatnonzero(np.einsum("pd,pd->p", a, b) >= limit)
        products = a[near].astype(np.float64)
        products *= b[near]
        exact = fold(products)
        enough = exact >= floor
        which.append(near[enough] + start)
        scores.append(exact[enough])
    if not which:
        return np.empty(0, np.int64), np.empty(0)
    return np.concatenate(which), np.concatenate(scores)


def fold(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of each row of (P, D), in the order that this file states."""
    while (width := numbers.shape[1]) > 32:
        half = 1 << ((width - 1).bit_length() - 1)
        lower = numbers[:, :half].copy()
        lower[:, : width - half] += numbers[:, half:]
        numbers = lower
    rows = np.array(numbers.T, order="C")  # few numbers each: now add along whole pairs
    while (width := len(rows)) > 1:
        half = 1 << ((width - 1).bit_length() - 1)
        rows[: width - half] += rows[half:width]
        rows = rows[:half]
    total: NDArray[np.float64] = rows[0]
    return total


def check_rows(unit: NDArray[Any]) -> None:
    """Refuse a matrix whose rows are no stored unit vectors.

    Raises:
        BadArray: not (N, D) float32; or a row that is not finite, is zero, or is not of
            length 1, named by its number.
    """
    if unit.ndim != 2 or unit.shape[1] == 0 or unit.dtype != np.float32:
        raise BadArray(
            f"features must be float32 of shape (N, D); got {unit.dtype} of shape {unit.shape}"
        )
    for top in range(0, len(unit), _CHECKED_ROWS):
        rows = unit[top : top + _CHECKED_ROWS].astype(np.float64)
        lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))
        odd = np.flatnonzero(~(np.abs(lengths - 1) <= UNIT_WITHIN))
        if len(odd):
            row, length = top + int(odd[0]), float(lengths[odd[0]])
            raise BadArray(f"row {row} of {len(unit)} features {_fault(length)}")


def _fault(length: float) -> str:
    if not np.isfinite(length):
        return "holds NaN or infinity; leave photographs without a face out"
    if length == 0:
        return "is all zeros and has no direction; leave it out"
    return (
        f"has length {length:.6g}, and scores are of rows of length 1; "
        "normalize the matrix, or ask for that to be done"
    )
