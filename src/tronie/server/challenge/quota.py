"""How many submissions an organization has left today, and when it may send the next.

    day      of UTC, for everybody
    slots    0 ... per_day - 1, of one organization in one track on one day; a submission takes
             the lowest free one and gives it back if it is refused at the checks or fails by us
    uploads  every file that was sent, whatever became of it: at most UPLOADS_PER_DAY, so that
             checks that cost no slot cannot be used without end

Pure: the database (`store`) asks here inside the transaction that takes the slot.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta

from tronie.errors import BadInput

UPLOADS_PER_DAY = 30
"""Of one organization to one track; a track that allows more slots a day allows as many."""


def in_utc(moment: datetime) -> datetime:
    """The same moment in UTC.

    Raises:
        BadInput: it has no time zone.
    """
    if moment.tzinfo is None:
        raise BadInput(f"a moment needs a time zone; got {moment}; hand in datetime.now(UTC)")
    return moment.astimezone(UTC)


def day_of(now: datetime) -> date:
    """The day of UTC that `now` lies in."""
    return in_utc(now).date()


def next_day(now: datetime) -> datetime:
    """The midnight of UTC after `now`, when slots are new; at midnight, the one a day later."""
    return datetime.combine(day_of(now) + timedelta(days=1), time(), tzinfo=UTC)


def free_slot(taken: Collection[int], *, per_day: int) -> int | None:
    """The lowest slot that is not taken; None where `per_day` are.

    Slots above `per_day` count too: they are left from before a limit was lowered.
    """
    if len(taken) >= per_day:
        return None
    return next(slot for slot in range(per_day) if slot not in taken)


def left(*, taken: int, uploads: int, per_day: int) -> int:
    """How many submissions may still be sent today."""
    return max(0, min(per_day - taken, most_uploads(per_day) - uploads))


def most_uploads(per_day: int) -> int:
    """How many files may be sent in a day, whatever becomes of them."""
    return max(UPLOADS_PER_DAY, per_day)


def slots_are_taken(track: str, *, per_day: int, now: datetime) -> str:
    """The sentence that refuses one submission too many."""
    return (
        f"{track} takes {_counted(per_day, 'submission')} of an organization in a day of UTC, and "
        f"{'it is' if per_day == 1 else 'all are'} used; the next is possible {when_again(now)}"
    )


def too_many_uploads(track: str, *, per_day: int, now: datetime) -> str:
    """The sentence that refuses one file too many, where refused files cost no slot."""
    return (
        f"{track} takes {_counted(most_uploads(per_day), 'file')} of an organization in a day of "
        "UTC, refused ones among them, and that many were sent; check the next with `tronie "
        f"challenge validate` and send it {when_again(now)}"
    )


def when_again(now: datetime) -> str:
    """As in "at 2030-01-02 00:00 UTC, in 3 h 5 min"; rounded up, so that it is never too early."""
    again = next_day(now)
    hours, minutes = divmod(-((in_utc(now) - again) // timedelta(minutes=1)), 60)
    return f"at {again:%Y-%m-%d %H:%M} UTC, in {hours} h {minutes} min"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
