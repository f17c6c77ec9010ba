"""The best one-to-one assignment, kept best while rows are added one by one.

Rows (detections, by falling score) are matched with columns (faces) so that the sum of the
gains is the largest there is. Each new row enters along the cheapest augmenting path, which
keeps the assignment optimal for the rows so far: one pass gives the answer for every score
threshold. A row may stay alone; so may a column.

Letters: N rows, M columns.

Source: Kuhn, "The Hungarian method for the assignment problem", 1955, in the form of
shortest augmenting paths: Jonker and Volgenant, Computing 38, 1987.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray

ALONE = -1


def growing_assignment(gains: NDArray[np.floating]) -> NDArray[np.int64]:
    """Which row each column has, after each row has come in.

    Args:
        gains: Shape (N, M), finite, not below 0. A pair of gain 0 is never matched.

    Returns:
        Shape (N, M): entry [n, m] is the row matched with column m when rows 0 to n take
        part, -1 where there is none. Several assignments may be best; one of them is given.

    Raises:
        BadArray: another shape, or a gain that is negative or not finite.

    Example:
        >>> growing_assignment(np.array([[0.9, 0.8], [0.7, 0.0]])).tolist()
        [[0, -1], [1, 0]]
    """
    if gains.ndim != 2 or not (np.isfinite(gains).all() and (gains >= 0).all()):
        raise BadArray(f"gains must have shape (N, M), finite and >= 0; got {gains.shape}")
    rows, columns = gains.shape
    # One more column per row, of gain 0: the place of a row that stays alone.
    costs = np.zeros((rows, columns + rows))
    costs[:, :columns] = -gains
    owner = np.full(columns + rows, ALONE, np.int64)
    row_price, column_price = np.zeros(rows), np.zeros(columns + rows)
    history = np.full((rows, columns), ALONE, np.int64)
    for row in range(rows):
        _add(row, costs, owner, row_price, column_price)
        matched = owner[:columns]
        real = (matched >= 0) & (gains[matched, np.arange(columns)] > 0)
        history[row] = np.where(real, matched, ALONE)
    return history


def _add(
    row: int,
    costs: NDArray[np.float64],
    owner: NDArray[np.int64],
    row_price: NDArray[np.float64],
    column_price: NDArray[np.float64],
) -> None:
    """Let one row in, along the cheapest path to a free column; the three arrays change."""
    width = len(owner)
    distance = np.full(width, np.inf)
    came_from = np.full(width, ALONE, np.int64)
    done = np.zeros(width, np.bool_)
    at, here, walked = row, ALONE, 0.0
    while True:
        reduced = walked + costs[at] - row_price[at] - column_price
        nearer = ~done & (reduced < distance)
        distance[nearer], came_from[nearer] = reduced[nearer], here
        here = int(np.where(done, np.inf, distance).argmin())
        walked = float(distance[here])
        if owner[here] == ALONE:
            break
        done[here] = True
        at = int(owner[here])
    row_price[row] += walked
    row_price[owner[done]] += walked - distance[done]
    column_price[done] -= walked - distance[done]
    while here != ALONE:
        before = int(came_from[here])
        owner[here] = row if before == ALONE else owner[before]
        here = before
