"""The JSON of the API, as programs are promised it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import Strict

from tronie.server.challenge.checks import Check
from tronie.server.challenge.submission import State, Submission
from tronie.server.challenge.track import Phase, Track
from tronie.server.sites.challenge.boards import ShownBoard


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong."""

    code: str
    """Stable, for programs."""
    message: str
    """One sentence, for people."""


@dataclass(frozen=True, kw_only=True)
class ErrorAnswer:
    """Every answer that is no."""

    error: Fault


@dataclass(frozen=True, kw_only=True)
class PhaseRecord:
    """A stretch of time in which a track takes submissions."""

    name: str
    opens: datetime | None
    closes: datetime | None
    hidden: bool


@dataclass(frozen=True, kw_only=True)
class TrackRecord:
    """A track: what it takes and allows."""

    name: str
    title: str
    summary: str
    rules: tuple[str, ...]
    protocol: str
    takes: str
    per_day: int
    upload_bytes: int
    model_bytes: int | None
    flops_lfr: int | None
    dimension: int
    latency_ms: float | None
    columns: tuple[str, ...]
    phases: tuple[PhaseRecord, ...]


@dataclass(frozen=True, kw_only=True)
class BoardRecord:
    """A row of a board."""

    rank: int | None
    """None for a published baseline."""
    organization: str
    """ "hidden" where the organization wants that."""
    is_baseline: bool
    """Published by others, not reproduced here."""
    remark: str
    """What to know of a baseline."""
    received: datetime | None
    values: Mapping[str, float | None]
    """By column."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """A leaderboard."""

    track: str
    hidden_until: datetime | None
    """Scores are shown to nobody before; None where they are shown."""
    rows: tuple[BoardRecord, ...]


@dataclass(frozen=True, kw_only=True)
class CheckRecord:
    """One rule, and whether it was kept."""

    rule: str
    passed: bool
    measured: int | float | str | None
    limit: int | float | str | None
    unit: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class SubmissionRecord:
    """A submission of one's own."""

    id: str
    track: str
    state: State
    position: int | None
    """Place in the queue, 1 for the next; null where it does not wait."""
    file_name: str
    note: str
    sha256: str
    size_bytes: int
    received: datetime
    changed: datetime
    public: bool
    reason: str
    checks: tuple[CheckRecord, ...]
    protocol_version: str
    report: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Slots:
    """What is left of a day of UTC in one track."""

    track: str
    per_day: int
    left: int
    next_day: datetime


@dataclass(frozen=True, kw_only=True)
class Me:
    """Whose token it is."""

    organization: str
    role: str
    hidden: bool
    banned: str
    slots: tuple[Slots, ...]


@dataclass(frozen=True, kw_only=True)
class PublicWish:
    """Whether a submission is to be on the board."""

    public: Annotated[bool, Strict()]


@dataclass(frozen=True, kw_only=True)
class Key:
    """What signed results are checked with."""

    algorithm: str
    public_key: str


def track_record(name: str, track: Track, phases: tuple[Phase, ...]) -> TrackRecord:
    """A track as the API tells it."""
    limits = track.limits
    return TrackRecord(
        name=name,
        title=track.title,
        summary=track.summary,
        rules=track.rules,
        protocol=track.protocol,
        takes=track.takes,
        per_day=track.per_day,
        upload_bytes=limits.upload_bytes,
        model_bytes=limits.model_bytes,
        flops_lfr=limits.flops_lfr,
        dimension=limits.dimension,
        latency_ms=limits.latency_ms,
        columns=tuple(column.key for column in track.columns),
        phases=tuple(
            PhaseRecord(name=p.name, opens=p.opens, closes=p.closes, hidden=p.hidden)
            for p in phases
        ),
    )


def board_record(name: str, shown: ShownBoard) -> dict[str, Any]:
    """A board as the API tells it to anybody, in plain JSON."""
    until = shown.hidden_until
    return {
        "track": name,
        "hidden_until": None if until is None else until.isoformat(),
        "rows": [
            {
                "rank": row.rank,
                "organization": row.name,
                "is_baseline": row.baseline,
                "remark": row.mark,
                "received": None if row.received is None else row.received.isoformat(),
                "values": dict(row.values),
            }
            for row in shown.rows
        ],
    }


def submission_record(
    one: Submission, *, position: int | None, report: dict[str, Any] | None
) -> SubmissionRecord:
    """A submission as the API tells its team."""
    return SubmissionRecord(
        id=one.id,
        track=one.track,
        state=one.state,
        position=position,
        file_name=one.file_name,
        note=one.note,
        sha256=one.sha256,
        size_bytes=one.size_bytes,
        received=one.received,
        changed=one.changed,
        public=one.public,
        reason=one.reason,
        checks=tuple(_check(check) for check in (one.verdict.checks if one.verdict else ())),
        protocol_version=one.protocol_version,
        report=report,
    )


def _check(check: Check) -> CheckRecord:
    return CheckRecord(
        rule=check.rule,
        passed=check.passed,
        measured=check.measured,
        limit=check.limit,
        unit=check.unit,
        reason=check.reason,
    )
