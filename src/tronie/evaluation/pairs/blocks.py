"""All unordered pairs of N rows, as blocks of the upper triangle; and which are genuine.

        columns ->
    rows  [d][ ][ ]     d: on the diagonal, where only column > row counts
       |     [d][ ]
       v        [d]     every pair once, none with itself

Letters: N rows, M impostor pairs, S people.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Block(NamedTuple):
    """Rows [top, bottom) against columns [left, right), with left >= top."""

    top: int
    bottom: int
    left: int
    right: int


def upper_blocks(rows: int, *, size: int) -> Iterator[Block]:
    """Blocks of at most `size` by `size` that hold each pair i < j of `rows` rows once."""
    for top in range(0, rows, size):
        for left in range(top, rows, size):
            yield Block(top, min(top + size, rows), left, min(left + size, rows))


def impostor_mask(block: Block, people: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which pairs of a block are i < j and of two people; `people` (N,) says whose each row is."""
    mask: NDArray[np.bool_] = (
        people[block.top : block.bottom, None] != people[None, block.left : block.right]
    )
    if block.left == block.top:
        mask &= ~np.tri(*mask.shape, dtype=np.bool_)
    return mask


def genuine_pairs(people: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both rows (i, j) of every pair of one person, i before j in a stable sort by person."""
    order = np.argsort(people, kind="stable")
    starts = np.flatnonzero(np.diff(people[order], prepend=-1))
    first, second = [], []
    for rows in np.split(order, starts[1:]):
        i, j = np.triu_indices(len(rows), k=1)
        first.append(rows[i])
        second.append(rows[j])
    return np.concatenate(first), np.concatenate(second)


def impostor_count(people: NDArray[np.integer]) -> int:
    """M: pairs of rows of two different people."""
    sizes = np.bincount(people).astype(object)  # Python integers: no overflow at any size
    n = int(sizes.sum())
    return (n * n - int((sizes * sizes).sum())) // 2
