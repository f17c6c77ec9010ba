"""Pages of the organizer: phases, scoring again, bans, another try, the log, everything as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from tronie.errors import BadInput, NotFound
from tronie.server.challenge import accounts
from tronie.server.challenge.accounts import plain_text
from tronie.server.challenge.scoring import protocol_version
from tronie.server.challenge.submission import State, User
from tronie.server.challenge.track import Phase
from tronie.server.sites.challenge.forms import Fields
from tronie.server.sites.challenge.site import OrganizerVisit, Visit

router = APIRouter(prefix="/organizer", include_in_schema=False)
SHOWN = 200
"""Submissions, and lines of the log, on one page."""
MOST_PHASES = 8
LONGEST_REASON = 500


@router.get("")
def overview(visit: OrganizerVisit) -> Response:
    """Everything there is to do."""
    return _overview(visit)


@router.post("/phases/{name}")
def set_phases(name: str, fields: Fields, visit: OrganizerVisit) -> Response:
    """Move the phases of a track; rows without a name are left out."""
    visit.site.track(name)
    try:
        phases = read_phases(fields)
    except BadInput as fault:
        return _overview(visit, fault=str(fault), status=400)
    visit.site.store.set_phases(name, phases, visit.me.id, visit.now)
    visit.site.boards.forget()
    return visit.to("/organizer", done="phases-set")


@router.post("/rescore/{name}")
def rescore(name: str, fields: Fields, visit: OrganizerVisit) -> Response:
    """Score again what an older version of the protocol scored."""
    version = protocol_version(visit.site.track(name))
    visit.site.store.rescore(name, protocol_version=version, actor=visit.me.id, now=visit.now)
    visit.site.boards.forget()
    return visit.to("/organizer", done="rescored")


@router.post("/organizations/{id}/ban")
def ban(id: str, fields: Fields, visit: OrganizerVisit) -> Response:
    """Ban an organization, with a reason it is shown; an empty one lifts the ban."""
    try:
        reason = plain_text(fields.get("reason", ""), "the reason", most=LONGEST_REASON).strip()
        if id == visit.me.organization_id:
            raise BadInput("the organizer cannot be banned")
    except BadInput as fault:
        return _overview(visit, fault=str(fault), status=400)
    visit.site.store.ban(id, reason, visit.me.id, visit.now)
    visit.site.boards.forget()
    return visit.to("/organizer", done="banned" if reason else "ban-lifted")


@router.post("/users/{id}/password")
def replace_password(id: str, fields: Fields, visit: OrganizerVisit) -> Response:
    """Draw a new password for somebody who lost theirs, and show it, once."""
    site, user = visit.site, visit.site.store.user(id)
    if user is None:
        raise NotFound("there is no such user; the organizer's page lists all")
    password = accounts.replace_password(
        site.store, site.passwords, user, actor=visit.me.id, now=visit.now
    )
    return _overview(visit, drawn=(user.email, password))


@router.post("/submissions/{id}/retry")
def retry(id: str, fields: Fields, visit: OrganizerVisit) -> Response:
    """Judge again what failed by us."""
    visit.site.store.retry(id, visit.me.id, visit.now)
    return visit.to("/organizer", done="retried")


@router.get("/audit")
def audit(visit: OrganizerVisit) -> Response:
    """The log of what was done, whether its chain holds, and whether results are as it tells."""
    entries = visit.site.store.audit(limit=SHOWN)
    return visit.page(
        "audit.html",
        {
            "entries": list(reversed(entries)),
            "broken_at": visit.site.store.audit_break(),
            "other_result": visit.site.store.result_break(),
        },
    )


@router.get("/export.json")
def export(visit: OrganizerVisit) -> Response:
    """Everything but secrets, one row a line."""
    return StreamingResponse(
        _export_lines(visit.site.store.export_rows()),
        media_type="application/json",
        headers={
            "content-disposition": 'attachment; filename="challenge.json"',
            "cache-control": "no-store",
        },
    )


def read_phases(fields: Mapping[str, str]) -> tuple[Phase, ...]:
    """The phases of a form: name-0, opens-0, closes-0, hidden-0 and so on; moments in UTC.

    Raises:
        BadInput: there is none, two share a name, or a moment cannot be read.
    """
    phases = []
    for n in range(MOST_PHASES):
        name = plain_text(fields.get(f"name-{n}", ""), "a phase's name", most=40).strip()
        if name:
            phases.append(
                Phase(
                    name=name,
                    opens=_moment(fields.get(f"opens-{n}", "")),
                    closes=_moment(fields.get(f"closes-{n}", "")),
                    hidden=fields.get(f"hidden-{n}") == "yes",
                )
            )
    if not phases or len({phase.name for phase in phases}) != len(phases):
        raise BadInput(f"a track has one phase or more, each of its own name; got {len(phases)}")
    return tuple(phases)


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise BadInput(
            f"a moment is written as 2026-12-31T23:59, in UTC; got {text!r:.40}"
        ) from None


def _overview(
    visit: Visit, *, fault: str = "", drawn: tuple[str, str] | None = None, status: int = 200
) -> Response:
    site = visit.site
    organizations = site.store.organizations()
    users: dict[str, list[User]] = {}
    for user in site.store.users():
        users.setdefault(user.organization_id, []).append(user)
    submissions = site.store.submissions(limit=SHOWN)
    return visit.page(
        "organizer.html",
        {
            "phases": {name: _rows(site.phases(name)) for name in site.tracks},
            "organizations": organizations,
            "names": {one.id: one.name for one in organizations},
            "users": users,
            "drawn": drawn,
            "submissions": submissions,
            "failed": State.FAILED,
            "most_phases": MOST_PHASES,
            "fault": fault,
        },
        status=status,
    )


def _rows(phases: Sequence[Phase]) -> list[Phase | None]:
    """The phases, and an empty row for one more."""
    return [*phases, None][:MOST_PHASES]


def _export_lines(rows: Iterator[Mapping[str, Any]]) -> Iterator[str]:
    yield "[\n"
    for n, row in enumerate(rows):
        yield (",\n" if n else "") + json.dumps(row, ensure_ascii=False)
    yield "\n]\n"
