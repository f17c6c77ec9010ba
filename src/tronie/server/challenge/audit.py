"""A log in which every line seals the ones before it: what is changed later shows.

    line      one line of JSON in one form only: keys sorted, no spaces, ASCII
    digest    SHA-256 of: the digest before it (64 zeros for line 1), a line feed, the line

Whoever can write to the database can write a whole new log; whoever has noted a digest somewhere
else (a signed result holds one) can tell. Pure: the database (`store`) appends a line in the
transaction of the change it tells of, so there is no change without its line.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from tronie.errors import BadInput
from tronie.server.challenge.quota import in_utc
from tronie.server.challenge.submission import AuditEntry

BEGINNING = "0" * 64
"""The digest before the first line."""
UNREADABLE = "audit.unreadable"
"""Action of an entry whose line is not what was written."""

_FIELDS = ("number", "moment", "actor", "action", "subject", "details")


def plain_json(value: Any) -> str:
    """`value` in the one form that is hashed.

    Raises:
        BadInput: it is not plain JSON, or holds NaN or an infinity.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(
            f"what is kept must be plain JSON with finite numbers; {error}; leave it out or "
            "make it text"
        ) from error


def line_of(
    *,
    number: int,
    moment: datetime,
    actor: str,
    action: str,
    subject: str,
    details: Mapping[str, Any],
) -> str:
    """The line as it is stored and hashed."""
    when = in_utc(moment).isoformat(timespec="microseconds")
    values = (number, when, actor, action, subject, dict(details))
    return plain_json(dict(zip(_FIELDS, values, strict=True)))


def seal(previous: str, line: str) -> str:
    """The digest of `line` after `previous`."""
    text = f"{previous}\n{line}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def entry_of(number: int, line: object, digest: str) -> AuditEntry:
    """A stored line as a record; one that is not in its one form has the action UNREADABLE."""
    try:
        found = json.loads(str(line))
        moment = datetime.fromisoformat(found["moment"])
        entry = AuditEntry(**{**found, "moment": moment.astimezone(UTC), "digest": digest})
        same = entry.number == number and _line_of_entry(entry) == line
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        same = False
    if same:
        return entry
    return AuditEntry(
        number=number,
        moment=datetime.min.replace(tzinfo=UTC),
        actor="",
        action=UNREADABLE,
        subject="",
        details={"line": repr(line)},
        digest=digest,
    )


def first_break(entries: Iterable[AuditEntry], *, after: AuditEntry | None = None) -> int | None:
    """Number of the first line that is changed, missing, added or out of order; None: none is.

    Args:
        entries: Oldest first, from line 1 on, or from the line after `after`.
        after: A line that is known to be good, where `entries` are not the whole log.
    """
    previous, number = (after.digest, after.number) if after else (BEGINNING, 0)
    for entry in entries:
        number += 1
        sealed = seal(previous, _line_of_entry(entry))
        if entry.number != number or entry.action == UNREADABLE or entry.digest != sealed:
            return number
        previous = entry.digest
    return None


def _line_of_entry(entry: AuditEntry) -> str:
    return line_of(
        number=entry.number,
        moment=entry.moment,
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        details=entry.details,
    )
