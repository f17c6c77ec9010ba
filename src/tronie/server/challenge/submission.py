"""The life of a submission, and the records that the rules, the database and the site share.

    received ──> checking ──> queued ──> running ──> scored
        ^            │ │         ^          │ │         │
        │            │ └> refused│          │ └> refused└> queued    (scored again)
        └── lost <───┘           └── lost <─┘
                       checking or running, lost too often ──> failed

    received   the file is stored whole
    checking   a worker holds it under a lease and validates it
    refused    it breaks a rule; the checks say which. Refused at the checks it uses up no slot
               of the day, refused while running it does
    queued     accepted, waiting for a worker
    running    a worker holds it under a lease and scores it
    scored     it has a Report
    failed     we could not judge it; its slot is given back

What is refused keeps its file for REFUSED_KEPT, everything else for good.
A worker that dies lets its lease run out; the submission goes back to where it was leased from.
Moments are datetimes with a time zone, UTC. Identifiers are 128 random bits in hexadecimal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from tronie.server.challenge.checks import Verdict


class State(StrEnum):
    """Where a submission is."""

    RECEIVED = "received"
    CHECKING = "checking"
    QUEUED = "queued"
    RUNNING = "running"
    SCORED = "scored"
    REFUSED = "refused"
    FAILED = "failed"


NEXT: Mapping[State, frozenset[State]] = {
    State.RECEIVED: frozenset({State.CHECKING}),
    State.CHECKING: frozenset({State.QUEUED, State.REFUSED, State.RECEIVED, State.FAILED}),
    State.QUEUED: frozenset({State.RUNNING}),
    State.RUNNING: frozenset({State.SCORED, State.REFUSED, State.QUEUED, State.FAILED}),
    State.SCORED: frozenset({State.QUEUED}),
    State.REFUSED: frozenset(),
    State.FAILED: frozenset({State.RECEIVED}),
}
"""States that may follow each. FAILED to RECEIVED: the organizer tries again."""

WAITING = (State.RECEIVED, State.QUEUED)
"""What a worker may take; it leaves the first as CHECKING, the second as RUNNING."""
OPEN = (State.RECEIVED, State.CHECKING, State.QUEUED, State.RUNNING)
"""Not yet at an end."""

REFUSED_KEPT = timedelta(days=7)
"""So long after its refusal a submission keeps its file."""

Role = Literal["team", "organizer"]


@dataclass(frozen=True, kw_only=True)
class Organization:
    """A team, by the real name of whom it stands for."""

    id: str
    name: str
    hidden: bool
    """Shown on the board without its name."""
    banned: str
    """Why it may not submit; empty where it may."""
    created: datetime


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody who signs in."""

    id: str
    organization_id: str
    email: str
    password_hash: str
    role: Role
    verified: bool
    """The e-mail address is theirs, or nobody asks."""
    created: datetime


@dataclass(frozen=True, kw_only=True)
class Submission:
    """One file that was sent, and what became of it."""

    id: str
    organization_id: str
    user_id: str
    track: str
    state: State
    file_name: str
    """As the team called it; to be shown, never to be opened."""
    note: str
    """The team's own words."""
    upload: str
    """Key of the file in the storage; empty once it was removed."""
    sha256: str
    size_bytes: int
    received: datetime
    changed: datetime
    """When it came into its state."""
    attempts: int
    """Leases that were lost in this state."""
    public: bool
    """The team wants it on the board."""
    verdict: Verdict | None
    """The checks, once made."""
    report: Mapping[str, Any] | None
    """The protocol's Report as plain JSON, once scored."""
    protocol_version: str
    """Of the Report; empty before."""
    reason: str
    """Why it was refused or failed, one sentence; empty otherwise."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A worker's right to judge one submission until a moment; only its holder may write."""

    submission: Submission
    """As it was taken: CHECKING or RUNNING."""
    token: str
    until: datetime


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """A line of the log of what was done; see `audit`."""

    number: int
    moment: datetime
    actor: str
    """Id of a user, a worker's name, or "system"."""
    action: str
    """As in "submission.scored"."""
    subject: str
    """Id of what it was done to."""
    details: Mapping[str, Any]
    digest: str
    """SHA-256 over the digest before it and this line."""
