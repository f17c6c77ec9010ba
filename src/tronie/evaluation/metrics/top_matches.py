r"""The best matches of every probe in a gallery of any size, exactly, in bounded memory.

A block of the gallery is multiplied with the probes in float32, whose error is proven
(`screen_error`). A row that may be among the K best of its probe, by that bound, is scored
again in float64 (`exact_scores`), and only exact scores are kept and compared. So the result
is a function of the rows alone: no block size, thread or matrix library changes it.

    best_others      the best K people who are not the probe; a person scores as the best of
                     their rows. What ranks and false positives are counted from.
    mate_scores      the probe's own person, the same way.
    best_rows        the best K rows, whoever they are of; what retrieval is judged by.
    best_of_cross    the best K pairs of a probe and a row, over all probes.

The matrix may be memory-mapped: a block of the gallery and a tile of probes are in memory,
K numbers for each probe, and no more. K is never more than the rows of the gallery.

Letters: N rows of the matrix, P probes, G rows of the gallery, D numbers, K matches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput
from tronie.evaluation.pairs.exact_threshold import TopPairs
from tronie.evaluation.pairs.scores import Places, Rows, exact_scores, hits_of, screen_error

NOBODY = -1
"""In `people`: a row of nobody known. No two such rows are of one person."""

Progress = Callable[[int, int], None]
"""Called with (done, total) comparisons of a probe with a row of the gallery."""

_BLOCK_ROWS = 4096
_TILE_ROWS = 1024


class RowMatches(NamedTuple):
    """The best rows of each probe, by falling score."""

    scores: NDArray[np.float64]
    """(P, K), exact; -inf where the gallery has fewer than K rows."""
    rows: Places
    """(P, K), rows of the matrix; -1 where there is none."""


def best_others(
    unit: Rows,
    people: NDArray[np.integer],
    *,
    probes: NDArray[np.integer],
    gallery: NDArray[np.integer],
    top: int = 1,
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """Scores of the `top` best people of the gallery who are not the probe's own person.

    Args:
        unit: Stored unit rows, shape (N, D).
        people: Whose each row is, shape (N,): 0 or more, or NOBODY.
        probes: Rows of the probes, shape (P,).
        gallery: Rows of the gallery, shape (G,).
        top: K; more than G rows there are not, and so K is G then.
        progress: Called with (done, total), a block of the gallery and a tile of probes at a time.

    Returns:
        Exact scores (P, K), falling; -inf where there are fewer than K other people.

    Raises:
        BadArray: labels do not fit, or a row is named that is not there.
        BadInput: `top` is below 1.
    """
    searched = _searched(unit, people, probes, gallery, top)
    order = np.argsort(searched.people[searched.gallery], kind="stable")
    rows = searched.gallery[order]
    whose = searched.people[rows]
    opens = (np.diff(whose, prepend=whose[:1] - 1) != 0) | (whose == NOBODY)
    groups = _Groups(rows, np.flatnonzero(opens), searched.people)
    return _stream(unit, searched, groups, own_left_out=True, progress=progress)[0]


def best_rows(
    unit: Rows,
    people: NDArray[np.integer],
    *,
    probes: NDArray[np.integer],
    gallery: NDArray[np.integer],
    top: int,
    progress: Progress | None = None,
) -> RowMatches:
    """The `top` best rows of the gallery for each probe.

    Where scores are equal, rows of the probe's own person come last, then the later row of
    the gallery: a tie is never decided in favor of what is judged.

    Args, Raises: as `best_others`.
    """
    searched = _searched(unit, people, probes, gallery, top)
    groups = _Groups(searched.gallery, np.arange(len(searched.gallery)), searched.people)
    scores, codes = _stream(unit, searched, groups, own_left_out=False, progress=progress)
    rows = np.append(searched.gallery, -1)[codes]
    return RowMatches(scores, rows)


def mate_scores(
    unit: Rows,
    people: NDArray[np.integer],
    *,
    probes: NDArray[np.integer],
    gallery: NDArray[np.integer],
) -> NDArray[np.float64]:
    """The best exact score (P,) of each probe with a gallery row of its own person.

    -inf where the gallery does not know the person: the probe is not mated.

    Args, Raises: as `best_others`.
    """
    searched = _searched(unit, people, probes, gallery, top=1)
    rows = searched.gallery[np.argsort(searched.people[searched.gallery], kind="stable")]
    whose, own = searched.people[rows], searched.people[searched.probes]
    first, stop = np.searchsorted(whose, own), np.searchsorted(whose, own, side="right")
    found = np.full(len(own), -np.inf)
    mated = np.flatnonzero((own != NOBODY) & (stop > first))
    for k in range(int((stop - first)[mated].max(initial=0))):
        those = mated[(stop - first)[mated] > k]
        scores = exact_scores(unit, searched.probes[those], rows[first[those] + k])
        found[those] = np.maximum(found[those], scores)
    return found


def best_of_cross(
    unit: Rows,
    *,
    probes: NDArray[np.integer],
    gallery: NDArray[np.integer],
    top: int,
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """The `top` largest exact scores of all pairs of a probe and a gallery row, falling.

    Args:
        unit: Stored unit rows, shape (N, D).
        probes: Rows, shape (P,).
        gallery: Rows, shape (G,), none of them a probe.
        top: How many; fewer are returned where there are fewer pairs.
        progress: As `best_others`.
    """
    nobody = np.full(len(unit), NOBODY)
    searched = _searched(unit, nobody, probes, gallery, top)
    error = screen_error(unit.shape[1])
    best = TopPairs(top)
    for start in range(0, len(searched.gallery), _BLOCK_ROWS):
        there = searched.gallery[start : start + _BLOCK_ROWS]
        right = unit[there].T
        met = 0
        for here in _tiles(searched.probes):
            product = unit[here] @ right
            floor = best.floor - error
            if np.isneginf(floor):  # fewer than `top` pairs are known yet
                floor = _worth(product.ravel(), top) - 2 * error
            i, j = hits_of(product, floor)
            best.add(exact_scores(unit, here[i], there[j]), here[i] * len(unit) + there[j])
            best.tighten()
            met += len(here)
            if progress is not None:
                done = start * len(searched.probes) + met * len(there)
                progress(done, len(searched.gallery) * len(searched.probes))
    return best.best()[0]


def part_of(progress: Progress | None, *, before: int, total: int) -> Progress | None:
    """What to hand to one of several searches, so that all of them together count once.

    Args:
        progress: To be called for all of them.
        before: Comparisons of the searches before this one.
        total: Of all of them.
    """
    if progress is None:
        return None
    return lambda done, _: progress(before + done, total)


class _Searched(NamedTuple):
    people: Places
    probes: Places
    gallery: Places
    top: int
    """At most as many as the gallery has rows, but 1 or more."""


class _Groups(NamedTuple):
    """Gallery rows in groups that score as the best of their rows: of a person, or single."""

    rows: Places
    starts: Places
    people: Places
    """Of all N rows."""


def _searched(
    unit: Rows,
    people: NDArray[np.integer],
    probes: NDArray[np.integer],
    gallery: NDArray[np.integer],
    top: int,
) -> _Searched:
    whose = np.asarray(people)
    if whose.shape != (len(unit),) or whose.dtype.kind not in "iu":
        raise BadArray(
            f"each of the {len(unit)} rows needs a whole number for its person; "
            f"got {whose.dtype} of shape {whose.shape}"
        )
    sides = []
    for name, rows in (("probes", probes), ("gallery", gallery)):
        side = np.asarray(rows)
        fits = side.ndim == 1 and side.dtype.kind in "iu"
        if not fits or (len(side) and not (side.min() >= 0 and side.max() < len(unit))):
            raise BadArray(
                f"{name} must be numbers of rows, 0 to {len(unit) - 1}; "
                f"got {side.dtype} of shape {side.shape}"
            )
        sides.append(side.astype(np.int64))
    if top < 1:
        raise BadInput(f"a search returns one match or more; got {top}")
    most = max(min(top, len(sides[1])), 1)
    return _Searched(whose.astype(np.int64), sides[0], sides[1], most)


def _stream(
    unit: Rows,
    searched: _Searched,
    groups: _Groups,
    *,
    own_left_out: bool,
    progress: Progress | None,
) -> tuple[NDArray[np.float64], Places]:
    """The `top` best groups of each probe: exact scores and numbers of the groups."""
    probes, top = searched.probes, searched.top
    kept = [_Kept(len(tile), top) for tile in _tiles(probes)]
    for block in _blocks(groups.starts, len(groups.rows)):
        first, stop = groups.starts[block], np.append(groups.starts, len(groups.rows))[block + 1]
        rows = groups.rows[first[0] : stop[-1]]
        right = unit[rows].T
        whose = groups.people[rows[first - first[0]]]
        met = 0
        for tile, best in zip(_tiles(probes), kept, strict=True):
            product = unit[tile] @ right
            if len(first) < len(rows):
                product = np.maximum.reduceat(product, first - first[0], axis=1)
            own = groups.people[tile]
            if own_left_out:
                _leave_out(product, own, whose)
            i, g = best.hits(product, screen_error(unit.shape[1]))
            scores = _group_scores(unit, tile[i], groups.rows, first[g], stop[g])
            mates = (own[i] == whose[g]) & (own[i] != NOBODY)
            best.add(_Found(i, scores, mates, block[g]))
            met += len(tile)
            if progress is not None:
                done = int(first[0]) * len(probes) + met * len(rows)
                progress(done, len(groups.rows) * len(probes))
    for best in kept:
        best.cut()
    none = _Kept(0, top)
    return (
        np.concatenate([none.scores, *(best.scores for best in kept)]),
        np.concatenate([none.codes, *(best.codes for best in kept)]),
    )


class _Found(NamedTuple):
    """Groups that may be among the best, one entry each."""

    probes: Places
    """Place in the tile."""
    scores: NDArray[np.float64]
    mates: NDArray[np.bool_]
    codes: Places
    """Number of the group."""


class _Kept:
    """The best groups of a tile of probes so far, and those not yet sorted in."""

    def __init__(self, probes: int, top: int) -> None:
        self.scores = np.full((probes, top), -np.inf)
        self.mates = np.zeros((probes, top), np.bool_)
        self.codes = np.full((probes, top), -1, np.int64)
        self._waiting: list[_Found] = []

    def hits(self, product: NDArray[np.float32], error: float) -> tuple[Places, Places]:
        """Probe and group of all that may be among the best, given scores within `error`."""
        floors = self.scores[:, -1] - error
        open_ = np.flatnonzero(np.isneginf(floors))
        top = self.scores.shape[1]
        if len(open_) and product.shape[1] > top:
            rank = product.shape[1] - top
            floors[open_] = np.partition(product[open_], rank, axis=1)[:, rank] - 2 * error
        limits = np.nextafter(floors.astype(np.float32), np.float32(-np.inf))
        i, g = np.nonzero((product >= limits[:, None]) & (product > -np.inf))
        return i, g

    def add(self, found: _Found) -> None:
        """Exact scores of groups that were not added before."""
        self._waiting.append(found)
        if sum(len(some.probes) for some in self._waiting) >= self.scores.size:
            self.cut()

    def cut(self) -> None:
        """Sort in what waits: falling scores, of equal ones mates last, then later groups."""
        top = self.scores.shape[1]
        there = np.flatnonzero(self.codes.ravel() >= 0)
        kept = (self.scores.ravel()[there], self.mates.ravel()[there], self.codes.ravel()[there])
        parts = [_Found(there // top, *kept), *self._waiting]
        probes, scores, mates, codes = (
            np.concatenate([part[k] for part in parts]) for k in range(4)
        )
        order = np.lexsort((codes, mates, -scores, probes))
        place = np.arange(len(order)) - np.searchsorted(probes[order], probes[order])
        order, place = order[place < top], place[place < top]
        at = probes[order], place
        self.scores[at], self.mates[at], self.codes[at] = scores[order], mates[order], codes[order]
        self._waiting = []


def _group_scores(
    unit: Rows, probes: Places, rows: Places, first: Places, stop: Places
) -> NDArray[np.float64]:
    """The best exact score of each probe with the rows [first, stop) of its group."""
    sizes = stop - first
    if (sizes == 1).all():
        return exact_scores(unit, probes, rows[first])
    opens = np.cumsum(sizes) - sizes
    within = np.arange(int(sizes.sum())) - np.repeat(opens, sizes)
    scores = exact_scores(unit, np.repeat(probes, sizes), rows[np.repeat(first, sizes) + within])
    best: NDArray[np.float64] = np.maximum.reduceat(scores, opens)
    return best


def _leave_out(product: NDArray[np.float32], own: Places, whose: Places) -> None:
    """-inf where the group is of the probe's own person; `whose` rises."""
    at = np.minimum(np.searchsorted(whose, own), len(whose) - 1)
    found = np.flatnonzero((whose[at] == own) & (own != NOBODY))
    product[found, at[found]] = -np.inf


def _worth(scores: NDArray[np.float32], top: int) -> float:
    """The `top`-th largest of a block: below it, less twice the error, nothing matters."""
    if len(scores) <= top:
        return -np.inf
    rank = len(scores) - top
    return float(np.partition(scores, rank)[rank])


def _tiles(probes: Places) -> Iterator[Places]:
    for top in range(0, len(probes), _TILE_ROWS):
        yield probes[top : top + _TILE_ROWS]


def _blocks(starts: Places, rows: int) -> Iterator[Places]:
    """Numbers of neighboring groups, together at most `_BLOCK_ROWS` rows; a larger one alone."""
    edges = np.append(starts, rows)
    at = 0
    while at < len(starts):
        end = int(np.searchsorted(edges, edges[at] + _BLOCK_ROWS, side="right")) - 1
        end = max(end, at + 1)
        yield np.arange(at, end)
        at = end
