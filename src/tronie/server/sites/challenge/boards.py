"""The boards as they are shown, kept for a few seconds: most readers read the same one.

What a board needs of the database is read once for all readers, and of submissions only what is
new or was changed. While one reader's request computes it anew, the others are given the one
before. What is made of a board for all its readers, such as its page, is kept with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from tronie.server.challenge.baselines import Baseline
from tronie.server.challenge.intake import phases_of
from tronie.server.challenge.leaderboard import CHECKED, BoardRow, board
from tronie.server.challenge.scoring import protocol_version
from tronie.server.challenge.store import Store
from tronie.server.challenge.submission import Organization, Submission
from tronie.server.challenge.track import Phase, Track

Baselines = Callable[[], Mapping[str, Sequence[Baseline]]]
"""Published rows to be shown, by track; asked whenever a board is computed."""


@dataclass(frozen=True, kw_only=True)
class ShownBoard:
    """One board for one reader."""

    rows: tuple[BoardRow, ...]
    hidden: tuple[Phase, ...]
    """Phases under way whose scores nobody is shown yet."""
    kept: dict[tuple[object, ...], Any] = field(default_factory=dict, compare=False, repr=False)
    """What was made of it for all readers; may be used from several threads."""
    making: Any = field(default_factory=Lock, compare=False, repr=False)
    """Held by who makes something of it that is kept."""

    @property
    def hidden_until(self) -> datetime | None:
        """When the last of them is shown; None where none is hidden, or for no known time."""
        ends = [phase.closes for phase in self.hidden if phase.closes is not None]
        return max(ends, default=None)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What there is to know of the baselines, each once."""
        told = (_remark(row) for row in self.rows if row.baseline)
        return tuple(dict.fromkeys(told))

    def remark(self, row: BoardRow) -> int:
        """Number of the remark on a baseline, from 1."""
        return 1 + self.remarks.index(_remark(row))


@dataclass(frozen=True, kw_only=True)
class _Sources:
    """What the database said, of submissions those that are new or were changed."""

    submissions: Mapping[str, Submission]
    organizations: tuple[Organization, ...]
    phases: tuple[Phase, ...]
    baselines: tuple[Baseline, ...]
    version: str


@dataclass(frozen=True, kw_only=True)
class _Read:
    """A board as it was computed."""

    at: datetime
    sources: _Sources
    shown: ShownBoard
    """For anybody."""
    rows_of: Mapping[str, int]
    """Organization to its row."""


class Boards:
    """All boards of a challenge; may be used from several threads.

    Args:
        seconds: For so long a board is shown as it was read.
    """

    def __init__(
        self,
        store: Store,
        tracks: Mapping[str, Track],
        *,
        baselines: Baselines,
        seconds: float,
    ) -> None:
        self._store, self._tracks, self._baselines = store, tracks, baselines
        self._lifetime = timedelta(seconds=seconds)
        self._read: dict[str, _Read] = {}
        self._kept: dict[str, _Read] = {}
        """The last that was read, out of date or not."""
        self._locks = {name: Lock() for name in tracks}

    def shown(self, name: str, now: datetime, *, viewer: str | None = None) -> ShownBoard:
        """The board of a track, for an organization that looks or for anybody."""
        read = self._fresh(name, now)
        number = None if viewer is None else read.rows_of.get(viewer)
        if number is None:
            return read.shown
        rows = read.shown.rows
        own = next(one for one in read.sources.organizations if one.id == viewer)
        mine = replace(rows[number], mine=True, name=own.name)
        return replace(read.shown, rows=(*rows[:number], mine, *rows[number + 1 :]))

    def at_hand(self, name: str, now: datetime) -> ShownBoard | None:
        """The board for anybody, where nobody has to wait for it; None where it must be read."""
        known = self._read.get(name)
        if known is None:
            return None
        is_fresh = now - known.at < self._lifetime
        return known.shown if is_fresh or self._locks[name].locked() else None

    def forget(self) -> None:
        """Something was changed here; the next reader reads anew."""
        self._read.clear()

    def _fresh(self, name: str, now: datetime) -> _Read:
        known = self._read.get(name)
        if known is not None and now - known.at < self._lifetime:
            return known
        lock = self._locks[name]
        if not lock.acquire(blocking=known is None):
            assert known is not None
            return known
        try:
            again = self._read.get(name)
            if again is not None and now - again.at < self._lifetime:
                return again
            found = self._from_store(name, now)
            self._read[name] = self._kept[name] = found
            return found
        finally:
            lock.release()

    def _from_store(self, name: str, now: datetime) -> _Read:
        track, before = self._tracks[name], self._kept.get(name)
        sources = _Sources(
            submissions=self._submissions(
                name, {} if before is None else before.sources.submissions
            ),
            organizations=self._store.organizations(),
            phases=phases_of(self._store, name, track),
            baselines=tuple(self._baselines().get(name, ())),
            version=protocol_version(track),
        )
        # A phase that was hidden may have ended meanwhile.
        is_timed = any(phase.hidden for phase in sources.phases)
        if before is not None and before.sources == sources and not is_timed:
            return replace(before, at=now)
        return _computed(track, sources, now)

    def _submissions(self, name: str, before: Mapping[str, Submission]) -> Mapping[str, Submission]:
        """Those that may stand on the board, without what a board does not need."""
        entries = {}
        for id, changed in self._store.on_board(name).items():
            known = before.get(id)
            if known is None or known.changed != changed:
                read = self._store.submission(id)
                if read is None:
                    continue
                known = _light(read)
            entries[id] = known
        return entries


def _computed(track: Track, sources: _Sources, now: datetime) -> _Read:
    rows = board(
        track,
        tuple(sources.submissions.values()),
        sources.organizations,
        now=now,
        phases=sources.phases,
        baselines=sources.baselines,
        version=sources.version,
    )
    hidden = tuple(
        phase
        for phase in sources.phases
        if phase.hidden
        and (phase.opens is None or phase.opens <= now)
        and (phase.closes is None or now < phase.closes)
    )
    rows_of = {
        sources.submissions[row.submission_id].organization_id: number
        for number, row in enumerate(rows)
        if row.submission_id
    }
    return _Read(
        at=now, sources=sources, shown=ShownBoard(rows=rows, hidden=hidden), rows_of=rows_of
    )


def _light(one: Submission) -> Submission:
    """Without what a board does not need: curves of a Report, and most checks."""
    verdict = one.verdict
    if verdict is not None:
        needed = {rule for rule, _ in CHECKED.values()}
        checks = tuple(check for check in verdict.checks if check.rule in needed)
        verdict = replace(verdict, checks=checks, facts={})
    return replace(one, verdict=verdict, report={"values": (one.report or {}).get("values", {})})


def _remark(row: BoardRow) -> str:
    return f"{row.mark}: {row.source}" if row.source else row.mark
