"""Whether a team may hand something in now, and what is kept of what it says about it.

Asked twice: before a byte of the file is read, so that nobody waits for a refusal, and by the
database when the slot is taken, which alone is exact.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from tronie.errors import BadInput
from tronie.server.challenge.accounts import plain_text
from tronie.server.challenge.quota import next_day, when_again
from tronie.server.challenge.store import QuotaExceeded, Store
from tronie.server.challenge.submission import User
from tronie.server.challenge.track import Phase, Track

LONGEST_FILE_NAME = 120
LONGEST_NOTE = 500


class NotAllowed(BadInput):
    """Who asks may not do this: banned, or an address that is not verified."""


class NotNow(BadInput):
    """No phase of the track is open."""


def phases_of(store: Store, name: str, track: Track) -> tuple[Phase, ...]:
    """The phases of a track, as the organizer may have moved them."""
    moved = store.phases(name)
    return track.phases if moved is None else moved


def open_phase(phases: Sequence[Phase], now: datetime) -> Phase | None:
    """The phase that takes submissions now."""
    return next((phase for phase in phases if phase.is_open(now)), None)


def expect_allowed(store: Store, user: User) -> None:
    """The team may hand in and publish.

    Raises:
        NotAllowed: it is banned, or its address is not verified.
    """
    organization = store.organization(user.organization_id)
    if organization is None or organization.banned:
        why = f": {organization.banned}" if organization is not None else ""
        raise NotAllowed(f"your organization may not submit or publish{why}; ask the organizer")
    if not user.verified:
        raise NotAllowed(
            f"your address {user.email} is not verified yet; open the link that was sent to it"
        )


def expect_open(store: Store, name: str, track: Track, user: User, now: datetime) -> None:
    """The team may hand something in to this track now.

    Raises:
        NotAllowed: it may not at all.
        NotNow: no phase is open.
        QuotaExceeded: the day's slots are taken; it says when the next one is there.
    """
    expect_allowed(store, user)
    phases = phases_of(store, name, track)
    if open_phase(phases, now) is None:
        coming = sorted(p.opens for p in phases if p.opens is not None and p.opens > now)
        when = f"it opens at {moment_text(coming[0])}" if coming else "it is over"
        raise NotNow(f"{name} takes no submissions now: {when}")
    if store.slots_left(user.organization_id, name, per_day=track.per_day, now=now) < 1:
        raise QuotaExceeded(
            f"{name} takes {track.per_day} of an organization in a day of UTC, and none is left "
            f"today; the next is possible {when_again(now)}",
            next_at=next_day(now),
        )


def shown_file_name(text: str) -> str:
    """The name of a file as it is shown: its last part, never a path.

    Raises:
        BadInput: it is empty, too long, or holds what cannot be seen.
    """
    last = re.split(r"[/\\]", text)[-1].strip()
    name = plain_text(last, "the file's name", most=LONGEST_FILE_NAME)
    if not name.strip("."):
        raise BadInput("the upload has no file in it; choose one")
    return name


def shown_note(text: str) -> str:
    """The team's own words on a submission.

    Raises:
        BadInput: they are too long, or hold what cannot be seen.
    """
    return plain_text(text, "the note", most=LONGEST_NOTE, lines=True).strip()


def moment_text(moment: datetime) -> str:
    """A moment as a sentence holds it.

    Example:
        >>> from datetime import UTC
        >>> moment_text(datetime(2026, 11, 24, 9, 5, tzinfo=UTC))
        '2026-11-24 09:05 UTC'
    """
    return f"{moment:%Y-%m-%d %H:%M} UTC"
