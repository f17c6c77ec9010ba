"""Pages of a team: what it handed in, what became of it, what is left today, its tokens.

A submission of another team is answered as one that is not there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from tronie.errors import BadInput, NotFound
from tronie.server.challenge import intake
from tronie.server.challenge.quota import next_day
from tronie.server.challenge.submission import Organization, State, Submission
from tronie.server.sites.challenge.forms import FIELD, Fields, expect_own_form
from tronie.server.sites.challenge.report_shown import report_shown
from tronie.server.sites.challenge.results import signed_result as sign_result
from tronie.server.sites.challenge.site import TeamVisit, Visit
from tronie.server.sites.challenge.uploads import take_in

router = APIRouter(include_in_schema=False)
SHOWN = 100
"""Submissions on the team's page; the API lists all."""


@router.get("/team")
def team(visit: TeamVisit) -> Response:
    """Everything of the team."""
    return _team_page(visit)


@router.post("/team/hidden")
def set_hidden(fields: Fields, visit: TeamVisit) -> Response:
    """Show or hide the name on the board."""
    hidden = fields.get("hidden") == "yes"
    visit.site.store.set_hidden(visit.me.organization_id, hidden, visit.now)
    visit.site.boards.forget()
    return visit.to("/team", done="hidden" if hidden else "named")


@router.post("/team/tokens")
def new_token(fields: Fields, visit: TeamVisit) -> Response:
    """Make a token for the API and show it, once."""
    try:
        token = visit.site.store.new_token(
            visit.me.id, label=fields.get("label", ""), now=visit.now
        )
    except BadInput as fault:
        return _team_page(visit, fault=str(fault), status=400)
    return _team_page(visit, token=token, status=201)


@router.post("/team/tokens/{id}/end")
def end_token(id: str, fields: Fields, visit: TeamVisit) -> Response:
    """Whoever holds it is refused from now on."""
    visit.site.store.end_token(visit.me.id, id, visit.now)
    return visit.to("/team", done="token-ended")


@router.get("/tracks/{name}/submit")
def submit_page(name: str, visit: TeamVisit) -> Response:
    """The form to hand something in with, or why it cannot be now."""
    return visit.page("submit.html", _submit_told(visit, name))


@router.post("/tracks/{name}/submit")
async def submit(name: str, request: Request, visit: TeamVisit) -> Response:
    """Take a file in. Who asks for JSON is told where to go on; a form is sent there."""

    def check(fields: Mapping[str, str]) -> None:
        expect_own_form(visit, fields.get(FIELD, ""))

    made = await take_in(visit.site, visit.me, name, request, check=check)
    place = f"/submissions/{made.id}?done=submitted"
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"location": place}, 201)
    return visit.to(f"/submissions/{made.id}", done="submitted")


@router.get("/submissions/{id}")
def submission(id: str, visit: TeamVisit) -> Response:
    """One submission: where it stands, its checks, its Report."""
    found, owner = _own(visit, id)
    site = visit.site
    track = site.tracks.get(found.track)
    is_shown = visit.site.shows_report(visit.me, found)
    return visit.page(
        "submission.html",
        {
            "submission": found,
            "owner": owner,
            "track": track,
            "position": site.store.position(found.id),
            "report": report_shown(found.report) if found.report and is_shown else None,
            "is_withheld": found.report is not None and not is_shown,
            "is_mine": found.organization_id == visit.me.organization_id,
        },
    )


@router.get("/submissions/{id}/state")
def submission_state(id: str, visit: TeamVisit) -> Response:
    """For the page's script, which opens the page anew when this changes."""
    found, _ = _own(visit, id)
    return JSONResponse(
        {"state": found.state, "position": visit.site.store.position(found.id)},
        headers={"cache-control": "no-store"},
    )


@router.get("/submissions/{id}/result.json")
def signed_result(id: str, visit: TeamVisit) -> Response:
    """The Report with the challenge's signature."""
    found, owner = _own(visit, id)
    if found.state != State.SCORED or not visit.site.shows_report(visit.me, found):
        raise NotFound("this submission has no result that is shown; look at its page")
    signed = sign_result(visit.site, found, owner)
    return Response(
        json.dumps(signed, indent=2, ensure_ascii=False) + "\n",
        media_type="application/json",
        headers={
            "content-disposition": f'attachment; filename="{found.track}-{found.id}.json"',
            "cache-control": "no-store",
        },
    )


@router.post("/submissions/{id}/public")
def set_public(id: str, fields: Fields, visit: TeamVisit) -> Response:
    """Put it on the board, or take it off."""
    found, _ = _own(visit, id, mine=True)
    public = fields.get("public") == "yes"
    visit.site.publish(visit.me, found, public=public)
    return visit.to(f"/submissions/{id}", done="public" if public else "private")


def _own(visit: Visit, id: str, *, mine: bool = False) -> tuple[Submission, Organization]:
    """A submission of the visitor's team, or any for the organizer.

    Raises:
        NotFound: there is none, or it is another team's.
    """
    store = visit.site.store
    found = store.submission(id)
    may = found is not None and (
        found.organization_id == visit.me.organization_id
        or (visit.me.role == "organizer" and not mine)
    )
    owner = store.organization(found.organization_id) if found is not None and may else None
    if found is None or owner is None:
        raise NotFound("there is no such submission of yours; the team's page lists all")
    return found, owner


def _team_page(visit: Visit, *, token: str = "", fault: str = "", status: int = 200) -> Response:
    site, own = visit.site, visit.me.organization_id
    submissions = site.store.submissions(organization_id=own, limit=SHOWN)
    return visit.page(
        "team.html",
        {
            "submissions": submissions,
            "positions": _positions(visit, submissions),
            "slots": {
                name: site.store.slots_left(own, name, per_day=track.per_day, now=visit.now)
                for name, track in site.tracks.items()
            },
            "next_day": next_day(visit.now),
            "tokens": site.store.tokens(visit.me.id),
            "token": token,
            "fault": fault,
        },
        status=status,
    )


def _positions(visit: Visit, submissions: Sequence[Submission]) -> dict[str, int | None]:
    waiting = (s for s in submissions if s.state in (State.RECEIVED, State.QUEUED))
    return {one.id: visit.site.store.position(one.id) for one in waiting}


def _submit_told(visit: Visit, name: str) -> dict[str, Any]:
    site, track = visit.site, visit.site.track(name)
    try:
        intake.expect_open(site.store, name, track, visit.me, visit.now)
        refusal = ""
    except BadInput as fault:
        refusal = str(fault)
    left = site.store.slots_left(
        visit.me.organization_id, name, per_day=track.per_day, now=visit.now
    )
    return {"name": name, "track": track, "refusal": refusal, "left": left}
