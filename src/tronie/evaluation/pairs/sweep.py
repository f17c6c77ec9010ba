"""One pass over all pairs: panels of columns, spread over workers, resumable after a crash.

    panel        some columns, with every row before their end (or every row of the other side)
    part         what some panels give: the best pairs of them, and their counts

A part depends on nothing but its panels and on floors that are proven or stated, and joining
parts does not depend on their order; so neither threads nor machines nor a crash can change
the result. Who computes the parts is handed in: by default, the threads of this process.
Whatever a screen proposes is scored in float64 before it counts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.evaluation.pairs.bracket import Bracket
from tronie.evaluation.pairs.exact_threshold import TopPairs
from tronie.evaluation.pairs.pairing import Pairing
from tronie.evaluation.pairs.scores import (
    Panel,
    ProductPanel,
    ProductScreen,
    Rows,
    Screen,
    exact_scores,
    hits_of,
    scores_from,
)

CHECKPOINT_EVERY_S = 60.0

Progress = Callable[[int, int], None]
"""Called with (done, total) pairs visited."""

_PENDING = 4096


@dataclass(eq=False, kw_only=True)
class Pass:
    """What a pass looks for and what it found so far; all of it goes into a checkpoint."""

    floor: float
    """Pairs below are not looked for among the best."""
    panel_rows: int
    done: NDArray[np.bool_]
    """(panels,): which are joined."""
    top: TopPairs
    brackets: list[Bracket] = field(default_factory=list)


@dataclass(eq=False)
class Part:
    """What `panels` gave."""

    panels: list[int]
    visited: int
    """Places of the score matrix that were looked at."""
    top: TopPairs
    brackets: list[Bracket]


def new_pass(
    chosen: Pairing,
    *,
    panel_rows: int,
    keep: int,
    floor: float,
    brackets: list[tuple[float, float]],
) -> Pass:
    """A pass that has found nothing yet: the `keep` best at or above `floor`, and brackets."""
    n = len(chosen.people)
    return Pass(
        floor=floor,
        panel_rows=panel_rows,
        done=np.zeros(-(-len(chosen.right) // panel_rows), np.bool_),
        top=TopPairs(keep, floor=floor),
        brackets=[Bracket(low=a, high=b, rows=np.zeros(n, np.int64)) for a, b in brackets],
    )


def pairs_to_visit(chosen: Pairing, panel_rows: int) -> int:
    """How many places of the score matrix a pass looks at; more than there are pairs."""
    return sum(_visits(chosen, left, right) for left, right in _panels(chosen, panel_rows))


def run_pass(
    unit: Rows,
    chosen: Pairing,
    screen: Screen,
    state: Pass,
    *,
    save: Callable[[Pass], None] | None = None,
    save_every_s: float = CHECKPOINT_EVERY_S,
    progress: Progress | None = None,
    spread: Spread | None = None,
) -> None:
    """Finish `state`: visit the panels that are not done and join what they give.

    Args:
        unit: Stored unit rows (N, D), in memory or memory-mapped.
        save: Called with a consistent state about every `save_every_s` seconds.
        progress: Called after every part.
        spread: Who computes the parts; default: `on_threads`.
    """
    panels = list(_panels(chosen, state.panel_rows))
    total = pairs_to_visit(chosen, state.panel_rows)
    # Panels grow to the right: the largest first, so that the last to end is a small one.
    todo = [n for n in reversed(range(len(panels))) if not state.done[n]]
    done = sum(_visits(chosen, *panels[n]) for n in np.flatnonzero(state.done))
    if progress is not None:
        progress(done, total)
    saved_s = time.monotonic()
    with closing((spread or on_threads)(Sweeper(unit, chosen, screen, state), todo)) as parts:
        for part in parts:
            _join(state, part)
            done += part.visited
            if progress is not None:
                progress(done, total)
            if save is not None and time.monotonic() - saved_s >= save_every_s:
                save(state)
                saved_s = time.monotonic()
            if any(bracket.overflowed for bracket in state.brackets):
                return


def on_threads(sweeper: Sweeper, panels: Sequence[int]) -> Generator[Part, None, None]:
    """A part for each panel, by as many threads as the screen has workers."""
    workers = sweeper.screen.workers
    todo = iter(panels)
    sweeper.stop.clear()
    with ThreadPoolExecutor(max_workers=workers) as pool:
        running: set[Future[Part]] = set()
        try:
            while True:
                while len(running) < 2 * workers and (n := next(todo, None)) is not None:
                    running.add(pool.submit(sweeper.part, n))
                if not running:
                    return
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    yield future.result()
        finally:
            sweeper.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def joined_part(sweeper: Sweeper, panels: Sequence[int]) -> Part:
    """One part of several panels; `sweeper` has a state of its own, which becomes the part."""
    state = sweeper.state
    visited = 0
    with closing(on_threads(sweeper, panels)) as parts:
        for part in parts:
            _join(state, part)
            visited += part.visited
            if any(bracket.overflowed for bracket in state.brackets):
                break
    return Part(list(panels), visited, state.top, state.brackets)


def _join(state: Pass, part: Part) -> None:
    if state.top.keep:
        state.top.add(*part.top.best())
        state.top.tighten()
    for whole, piece in zip(state.brackets, part.brackets, strict=True):
        whole.merge(piece)
    state.done[part.panels] = True


class Sweeper:
    """Searches one panel at a time, in any number of threads.

    Attributes:
        state: Of the pass. Its floor rises while others search, and is heeded at every tile.
    """

    def __init__(self, unit: Rows, chosen: Pairing, screen: Screen, state: Pass) -> None:
        self.unit = unit
        self.chosen = chosen
        self.screen = screen
        self.state = state
        self.stop = threading.Event()
        self._kept: dict[int, Any] = {}
        self._in_order = [_in_order(side) for side in (chosen.left, chosen.right)]

    def visits(self, panel: int) -> int:
        """How many places of the score matrix a panel has."""
        return _visits(self.chosen, *self._ends(panel))

    def part(self, panel: int) -> Part:
        """What one panel gives."""
        left, right = self._ends(panel)
        top = TopPairs(self.state.top.keep, floor=self.state.top.floor)
        rows = np.zeros((len(self.state.brackets), len(self.unit)), np.int64)
        brackets = [
            Bracket(low=whole.low, high=whole.high, rows=mine)
            for whole, mine in zip(self.state.brackets, rows, strict=True)
        ]
        search = _Search(self, self._rows(1, left, right), left, right, top, brackets)
        height = self.chosen.visited(left, right)
        for start in range(0, height, self.screen.tile_rows):
            if self.stop.is_set() or any(bracket.overflowed for bracket in brackets):
                break
            search.tile(start, min(start + self.screen.tile_rows, height))
        search.settle()
        return Part([panel], height * (right - left), top, brackets)

    def left_tile(self, start: int, end: int) -> Any:
        """Left places [start, end) as the screen takes them."""
        kept = self._kept.get(start)
        # The last tile of a panel may be cut at the diagonal, and is not kept.
        if kept is not None and kept[0] == end:
            return kept[1]
        made = self.screen.left(self._rows(0, start, end))
        if self.screen.keeps_left and (
            end - start == self.screen.tile_rows or end == len(self.chosen.left)
        ):
            self._kept[start] = (end, made)
        return made

    def _ends(self, panel: int) -> tuple[int, int]:
        left = panel * self.state.panel_rows
        return left, min(left + self.state.panel_rows, len(self.chosen.right))

    def _rows(self, side: int, start: int, end: int) -> Rows:
        if self._in_order[side]:
            return np.asarray(self.unit[start:end])
        order = (self.chosen.left, self.chosen.right)[side]
        return np.asarray(self.unit[order[start:end]])


Spread = Callable[[Sweeper, Sequence[int]], Generator[Part, None, None]]
"""From what is searched, and numbers of panels, to parts, in any order, each panel in one."""


class _Search:
    """One panel: proposals are collected, filtered, scored exactly, and counted."""

    def __init__(
        self,
        owner: Sweeper,
        right_rows: Rows,
        left: int,
        right: int,
        top: TopPairs,
        brackets: list[Bracket],
    ) -> None:
        self.owner = owner
        screen = owner.screen
        self.panel: Panel | None = None
        self.products: ProductPanel | None = None
        if not brackets:
            self.panel = screen.panel(right_rows)
        else:
            assert isinstance(screen, ProductScreen)  # the plan saw to it
            self.products = screen.products(right_rows)
        self.left, self.right = left, right
        self.top = top
        self.brackets = brackets
        self._waiting: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._count = 0

    def tile(self, start: int, end: int) -> None:
        """Left places [start, end) against the panel."""
        rows = self.owner.left_tile(start, end)
        if self.panel is not None:
            floor = max(self.top.floor, self.owner.state.top.floor)
            self._propose(start, *self.panel.hits(rows, floor))
            return
        assert self.products is not None
        product, error = self.products.product(rows), self.products.error
        mask = self.owner.chosen.impostor_tile(start, end, self.left, self.right)
        for bracket in self.brackets:
            self._count_in(bracket, product, mask, error, start)
        if self.top.keep:
            floor = max(self.top.floor, self.owner.state.top.floor)
            self._propose(start, *hits_of(product, floor - error))

    def settle(self) -> None:
        """Score what is waiting."""
        if not self._waiting:
            return
        first = np.concatenate([i for i, _ in self._waiting])
        second = np.concatenate([j for _, j in self._waiting])
        self._waiting, self._count = [], 0
        self.top.floor = max(self.top.floor, self.owner.state.top.floor)
        for at in range(0, len(first), 16 * _PENDING):
            i, j = first[at : at + 16 * _PENDING], second[at : at + 16 * _PENDING]
            which, scores = scores_from(self.owner.unit, i, j, self.top.floor)
            self.top.add(scores, (i * len(self.owner.unit) + j)[which])

    def _propose(self, start: int, i: NDArray[np.int64], j: NDArray[np.int64]) -> None:
        if len(i) == 0:
            return
        i, j = i + start, j + self.left
        counts = self.owner.chosen.are_impostors(i, j)
        first, second = self._row_numbers(i[counts], j[counts])
        self._waiting.append((first, second))
        self._count += len(first)
        if self._count >= _PENDING:
            self.settle()

    def _count_in(
        self,
        bracket: Bracket,
        product: NDArray[np.float32],
        mask: NDArray[np.bool_],
        error: float,
        start: int,
    ) -> None:
        maybe, surely = bracket.limits(error)
        over = product >= surely
        over &= mask
        left, right = self.owner.chosen.left, self.owner.chosen.right
        bracket.add_sure(over, left[start : start + len(mask)], right[self.left : self.right])
        near = product >= maybe
        near &= mask
        near ^= over
        i, j = np.divmod(np.flatnonzero(near), product.shape[1])
        first, second = self._row_numbers(i + start, j + self.left)
        bracket.add_scored(exact_scores(self.owner.unit, first, second), first, second)

    def _row_numbers(
        self, i: NDArray[np.int64], j: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        first, second = self.owner.chosen.left[i], self.owner.chosen.right[j]
        if self.owner.chosen.itself:
            return np.minimum(first, second), np.maximum(first, second)
        return first, second


def _panels(chosen: Pairing, panel_rows: int) -> Iterator[tuple[int, int]]:
    for left in range(0, len(chosen.right), panel_rows):
        yield left, min(left + panel_rows, len(chosen.right))


def _visits(chosen: Pairing, left: int, right: int) -> int:
    return chosen.visited(left, right) * (right - left)


def _in_order(rows: NDArray[np.int64]) -> bool:
    return bool((rows == np.arange(len(rows))).all())
