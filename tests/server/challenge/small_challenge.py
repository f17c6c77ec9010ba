"""A challenge of a few teams, whose clock the test holds."""

from __future__ import annotations

import hashlib
import unicodedata
from datetime import UTC, datetime, timedelta

from tronie.server.challenge.checks import Check, Verdict
from tronie.server.challenge.store import Store
from tronie.server.challenge.submission import Lease, State, Submission, User

NOW = datetime(2030, 6, 15, 12, 0, 0, 250, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TRACK = "mfr21-a"
GOOD = Verdict(
    track=TRACK,
    checks=(Check(rule="limits.flops", passed=True, reason="kept", measured=1.5, limit=2.0),),
    facts={"parameters": 12},
)
BAD = Verdict(track=TRACK, checks=(Check(rule="graph.operators", passed=False, reason="Loop"),))
REPORT = {"values": {"tar": {"value": 0.93, "unit": "fraction"}}}

# What breaks SQL that is glued together, and what breaks text on its way.
NASTY = (
    "Robert'); DROP TABLE users;--",
    '" OR ""="',
    "100% _ \\ \\' \\u0000 \\x00",
    ":name %(name)s %s ? $1 {0} $$",
    "/* */ ; COMMIT",
    "日本語 Ω ñ é 🦊 مرحبا",
)

# Two spellings of one name.
SAME = [
    ("Acme Corp", "ACME  corp"),
    ("Acme Corp", " Acme\N{NO-BREAK SPACE}Corp "),
    ("Zürich", unicodedata.normalize("NFD", "ZÜRICH")),
    ("Team 1", "Ｔｅａｍ １"),
    ("Straße", "STRASSE"),
    ("ﬁne", "FINE"),
    ("Acme", "Ac\N{VARIATION SELECTOR-16}me"),
    ("Acme", "Acme\N{HANGUL FILLER}"),
    ("ΣΊΣΥΦΟΣ", "σίσυφος"),
]


def team(store: Store, number: int = 0, *, now: datetime = NOW) -> User:
    """Sign a team up."""
    return store.create_account(
        organization=f"Team {number}", email=f"{number}@example.org", password_hash="h", now=now
    )


def send(
    store: Store,
    user: User,
    *,
    now: datetime = NOW,
    track: str = TRACK,
    per_day: int = 3,
    file_name: str = "model.onnx",
    note: str = "",
    upload: str = "uploads/1",
) -> Submission:
    """Submit a file."""
    return store.submit(
        organization_id=user.organization_id,
        user_id=user.id,
        track=track,
        per_day=per_day,
        now=now,
        file_name=file_name,
        note=note,
        upload=upload,
        sha256=hashlib.sha256(upload.encode()).hexdigest(),
        size_bytes=5_000_000_000,
    )


def take(store: Store, *, now: datetime = NOW, worker: str = "w1") -> Lease:
    """Lease what must be there."""
    lease = store.lease(worker, now=now, lifetime=MINUTE)
    assert lease is not None
    return lease


def queued(store: Store, user: User, *, now: datetime = NOW) -> Submission:
    """Submit a file that is accepted; nothing else may wait."""
    one = send(store, user, now=now, per_day=1000)
    lease = take(store, now=now)
    assert lease.submission.id == one.id
    store.accept(lease.token, GOOD, now)
    return found(store, one)


def left(store: Store, user: User, *, now: datetime = NOW, per_day: int = 3) -> int:
    """Slots of the day."""
    return store.slots_left(user.organization_id, TRACK, per_day=per_day, now=now)


def found(store: Store, one: Submission) -> Submission:
    """As it is now."""
    again = store.submission(one.id)
    assert again is not None
    return again


def state(store: Store, one: Submission) -> State:
    """As it is now."""
    return found(store, one).state
