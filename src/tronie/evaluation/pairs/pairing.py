"""Which pairs of N rows are compared, and which of them are genuine.

    a group against itself     every unordered pair once, none with itself
    a group against another    every row of one with every row of the other (masked with not
                               masked); the groups share no row

    genuine     both rows of one person
    impostor    of two people; a distractor (label -1) is nobody's row: it is an impostor to
                every person and is never compared with another distractor

Rows in no group are ignored. Single pairs can be left out: they count on neither side.

Letters: N rows, M impostor pairs, P genuine pairs. "Place" is where a row stands on its side;
people come first on each side and distractors last, so that blocks of distractors only are
never visited.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput, NotEnoughData

DISTRACTOR = -1
GENUINE_CHUNK = 1 << 16


@dataclass(frozen=True, eq=False, kw_only=True)
class Pairing:
    """The pairs to be compared. Made by `pairing`."""

    people: NDArray[np.int32]
    """Whose each row is, (N,): from 0, or DISTRACTOR."""
    left: NDArray[np.int64]
    """Rows of the left side, by place."""
    right: NDArray[np.int64]
    """Rows of the right side; the same array where a group meets itself."""
    left_out: NDArray[np.int64]
    """Pairs not to be compared, sorted, each as smaller row * N + larger row."""
    impostor_pairs: int
    """M."""
    genuine_pairs: int
    """P."""

    @property
    def itself(self) -> bool:
        """Whether a group meets itself."""
        return self.left is self.right

    @property
    def left_people(self) -> int:
        """How many rows of the left side are no distractors; they stand first."""
        return int(np.count_nonzero(self.people[self.left] != DISTRACTOR))

    def visited(self, left: int, right: int) -> int:
        """How many left places, from the first, a panel of places [left, right) must meet."""
        end = right if self.itself else len(self.left)
        knows = self.people[self.right[left]] != DISTRACTOR
        return end if knows else min(end, self.left_people)

    def are_impostors(self, i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the pairs (left place, right place) count as impostor pairs, each once."""
        first, second = self.left[i], self.right[j]
        counts: NDArray[np.bool_] = self.people[first] != self.people[second]
        if self.itself:
            counts &= i < j
        if len(self.left_out):
            counts &= ~self._is_left_out(first, second)
        return counts

    def impostor_tile(self, top: int, bottom: int, left: int, right: int) -> NDArray[np.bool_]:
        """The same as a mask over left places [top, bottom) and right places [left, right)."""
        rows, columns = self.left[top:bottom], self.right[left:right]
        mask: NDArray[np.bool_] = self.people[rows][:, None] != self.people[columns][None, :]
        if self.itself and bottom > left:
            mask &= np.arange(top, bottom)[:, None] < np.arange(left, right)[None, :]
        if len(self.left_out):
            i, j = np.nonzero(mask)
            gone = self._is_left_out(rows[i], columns[j])
            mask[i[gone], j[gone]] = False
        return mask

    def genuine(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Both rows of every genuine pair, in pieces of bounded size."""
        for first, second in self._genuine_or_left_out():
            if len(self.left_out):
                stay = ~self._is_left_out(first, second)
                first, second = first[stay], second[stay]
            yield first, second

    def pairs_of_rows(self) -> NDArray[np.int64]:
        """How many impostor pairs each row takes part in, (N,); those left out not deducted."""
        pairs = np.zeros(len(self.people), np.int64)
        sides = [(self.left, self.right)]
        if not self.itself:
            sides.append((self.right, self.left))
        for here, there in sides:
            sizes = np.bincount(self.people[there] + 1, minlength=int(self.people.max()) + 2)
            pairs[here] += len(there) - sizes[self.people[here] + 1]
        return pairs

    def _is_left_out(
        self, first: NDArray[np.int64], second: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        codes = _codes(first, second, len(self.people))
        at = np.minimum(np.searchsorted(self.left_out, codes), len(self.left_out) - 1)
        found: NDArray[np.bool_] = self.left_out[at] == codes
        return found

    def _genuine_or_left_out(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        here = _by_person(self.people, self.left)
        there = here if self.itself else _by_person(self.people, self.right)
        _, at, to = np.intersect1d(here.names, there.names, return_indices=True)
        sizes = np.stack([here.sizes[at], there.sizes[to]], axis=1)
        for a, b in np.unique(sizes, axis=0).tolist():  # all people of one size at once
            those = np.flatnonzero((sizes == (a, b)).all(axis=1))
            step = max(1, GENUINE_CHUNK // b)
            for top in range(0, a, step):
                rows = np.arange(top, min(top + step, a))
                i, j = np.repeat(rows, b), np.tile(np.arange(b), len(rows))
                if self.itself:
                    once = i < j  # rows of a person ascend
                    i, j = i[once], j[once]
                several = max(1, GENUINE_CHUNK // max(1, len(i)))
                for start in range(0, len(those) if len(i) else 0, several):
                    some = those[start : start + several]
                    first = here.rows[here.starts[at[some]][:, None] + i]
                    second = there.rows[there.starts[to[some]][:, None] + j]
                    yield first.ravel(), second.ravel()


def pairing(
    people: NDArray[np.integer],
    *,
    group: NDArray[np.bool_] | None = None,
    against: NDArray[np.bool_] | None = None,
    left_out: Sequence[tuple[int, int]] | NDArray[np.integer] = (),
) -> Pairing:
    """Choose the pairs.

    Args:
        people: Whose each row is, shape (N,): 0 or more, or -1 for a distractor.
        group: Which rows take part, (N,); all if None.
        against: The other side, (N,), sharing no row with `group`; None: the group itself.
        left_out: Pairs of rows (X, 2) that count neither as genuine nor as impostor.

    Raises:
        BadArray: shapes do not fit, a label is below -1, or a pair to be left out names a
            row that is not there.
        BadInput: the two groups share a row.
        NotEnoughData: there is no genuine pair, or no impostor pair.
    """
    whose = np.asarray(people)
    if whose.ndim != 1 or (len(whose) and int(whose.min()) < DISTRACTOR):
        raise BadArray(
            f"labels must have shape (N,) and be -1 (distractor) or more; got shape {whose.shape}"
        )
    n = len(whose)
    whose = whose.astype(np.int32)
    left = _side("group", group, whose)
    right = left if against is None else _side("against", against, whose)
    if against is not None and len(shared := np.intersect1d(left, right)):
        raise BadInput(
            f"the two groups share {len(shared)} rows, the first of them {shared[0]}; "
            "compare a group with itself, or with one that shares no row"
        )
    codes = _left_out_codes(left_out, n)
    chosen = Pairing(
        people=whose, left=left, right=right, left_out=codes, impostor_pairs=0, genuine_pairs=0
    )
    return _counted(chosen)


def counts_within(chosen: Pairing, rows: NDArray[np.bool_]) -> tuple[int, int]:
    """Impostor and genuine pairs of which both rows are among `rows` (N,); may be none."""
    left = chosen.left[rows[chosen.left]]
    right = left if chosen.itself else chosen.right[rows[chosen.right]]
    return _numbers(replace(chosen, left=left, right=right))


def _counted(chosen: Pairing) -> Pairing:
    """The same with its numbers of pairs."""
    impostors, genuine = _numbers(chosen)
    if genuine == 0 or impostors == 0:
        known = len(np.unique(chosen.people[np.union1d(chosen.left, chosen.right)]))
        raise NotEnoughData(
            "a rate needs pairs of one person and pairs of two; these labels give "
            f"{genuine} genuine and {impostors} impostor pairs ({known} identities)"
        )
    return replace(chosen, impostor_pairs=impostors, genuine_pairs=genuine)


def _numbers(chosen: Pairing) -> tuple[int, int]:
    """Impostor and genuine pairs."""
    whose, n = chosen.people, len(chosen.people)
    wide = int(whose.max()) + 2 if n else 1
    a = np.bincount(whose[chosen.left] + 1, minlength=wide).astype(np.int64)
    if chosen.itself:
        size = len(chosen.left)
        same = int((a * (a - 1) // 2).sum())
        every, none = size * (size - 1) // 2, int(a[0]) * (int(a[0]) - 1) // 2
    else:
        b = np.bincount(whose[chosen.right] + 1, minlength=wide).astype(np.int64)
        same = int((a * b).sum())
        every, none = len(chosen.left) * len(chosen.right), int(a[0]) * int(b[0])
    impostors, genuine = every - same, same - none
    first, second = np.divmod(chosen.left_out, max(1, n))
    gone = _meet(chosen, first, second)
    same_person = whose[first] == whose[second]
    impostors -= int((gone & ~same_person).sum())
    genuine -= int((gone & same_person & (whose[first] != DISTRACTOR)).sum())
    return impostors, genuine


def _meet(
    chosen: Pairing, first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether rows are compared at all, not asking whose they are."""
    on_left, on_right = np.zeros((2, len(chosen.people)), np.bool_)
    on_left[chosen.left] = True
    on_right[chosen.right] = True
    meet: NDArray[np.bool_] = (on_left[first] & on_right[second]) | (
        on_left[second] & on_right[first]
    )
    return meet


def _side(
    name: str, chosen: NDArray[np.bool_] | None, people: NDArray[np.int32]
) -> NDArray[np.int64]:
    if chosen is None:
        rows = np.arange(len(people))
    else:
        mask = np.asarray(chosen)
        if mask.shape != people.shape or mask.dtype != np.bool_:
            raise BadArray(
                f"{name} must be true or false for each of the {len(people)} rows; "
                f"got {mask.dtype} of shape {mask.shape}"
            )
        rows = np.flatnonzero(mask)
    distracts = people[rows] == DISTRACTOR
    return np.concatenate([rows[~distracts], rows[distracts]]).astype(np.int64)


def _left_out_codes(
    pairs: Sequence[tuple[int, int]] | NDArray[np.integer], rows: int
) -> NDArray[np.int64]:
    given = np.asarray(pairs if len(pairs) else np.zeros((0, 2), np.int64))
    if given.ndim != 2 or given.shape[1] != 2 or given.dtype.kind not in "iu":
        raise BadArray(
            "pairs to be left out must be whole numbers of shape (X, 2), two rows each; got "
            f"{given.dtype} of shape {given.shape}"
        )
    given = given.astype(np.int64)
    if len(given) and (int(given.min()) < 0 or int(given.max()) >= rows):
        raise BadArray(f"a pair to be left out names a row outside 0 to {rows - 1}")
    given = given[given[:, 0] != given[:, 1]]
    return np.unique(_codes(given[:, 0], given[:, 1], rows))


def _codes(first: NDArray[np.int64], second: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    return np.minimum(first, second) * rows + np.maximum(first, second)


@dataclass(frozen=True, eq=False)
class _People:
    """The people of one side: person k has `sizes[k]` of `rows` from `starts[k]` on."""

    names: NDArray[np.int32]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    rows: NDArray[np.int64]


def _by_person(people: NDArray[np.int32], side: NDArray[np.int64]) -> _People:
    known = side[people[side] != DISTRACTOR]
    rows = known[np.lexsort((known, people[known]))]
    names, starts, sizes = np.unique(people[rows], return_index=True, return_counts=True)
    return _People(names, starts, sizes, rows)
