"""The API: what the pages show, for programs. A token of the team's page says who asks.

Nothing here reads a cookie, so no page of another site can ask in somebody's name.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from tronie.errors import NotFound
from tronie.server.challenge import signing
from tronie.server.challenge.intake import LONGEST_FILE_NAME, LONGEST_NOTE
from tronie.server.challenge.quota import next_day
from tronie.server.challenge.submission import State, Submission, User
from tronie.server.http import Refused, address_of, not_modified
from tronie.server.rate_limits import address_key
from tronie.server.sites.challenge import api_records as records
from tronie.server.sites.challenge.report_shown import without_people
from tronie.server.sites.challenge.results import signed_result
from tronie.server.sites.challenge.site import Site, site_of
from tronie.server.sites.challenge.uploads import take_in

_bearer = HTTPBearer(auto_error=False, description="A token from the page of your team.")
_NO = {"model": records.ErrorAnswer}
_ASKED: dict[int | str, dict[str, Any]] = {
    401: _NO | {"description": "No token, or one that is not known."},
    404: _NO | {"description": "Not there, or not yours."},
    422: _NO | {"description": "A field cannot be read."},
    429: _NO | {"description": "Too often; see Retry-After."},
}
_SENT: dict[int | str, dict[str, Any]] = _ASKED | {
    400: _NO | {"description": "What was sent cannot be taken."},
    403: _NO | {"description": "Not allowed, or not now."},
    408: _NO | {"description": "It came too slowly."},
    413: _NO | {"description": "It is too large."},
    415: _NO | {"description": "It is not sent as asked for."},
    503: _NO | {"description": "Busy; try again."},
}
_SIGNED: dict[int | str, dict[str, Any]] = _ASKED | {
    409: _NO | {"description": "It is not what the log tells, and is not signed."}
}
_READ: dict[int | str, dict[str, Any]] = {404: _ASKED[404], 422: _ASKED[422]}

router = APIRouter(prefix="/api/v1")
TrackName = Annotated[str, Path(description="As in mfr21-a.", max_length=80)]
Id = Annotated[str, Path(description="32 hexadecimal digits.", max_length=80)]


def token_user(
    request: Request,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> User:
    """Whose token it is.

    Raises:
        Refused: there is none, it is not known, or too many wrong ones came from there.
    """
    site = site_of(request)
    now, address = site.clock(), address_key(address_of(request))
    token = "" if given is None else given.credentials
    user = None
    if token and len(token) <= 200 and token.isascii():
        user = site.store.token_user(token, now)
    if user is None:
        if token:
            site.expect_rate("wrong-token", address, now)
        raise Refused(
            401,
            "token",
            "this needs the header `Authorization: Bearer TOKEN` with a token of your team's page",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return user


TokenUser = Annotated[User, Depends(token_user)]
ThisSite = Annotated[Site, Depends(site_of)]


@router.get("/health", summary="Whether the challenge answers")
def health(site: ThisSite) -> dict[str, str]:
    """Reads from the database."""
    site.store.organization("0" * 32)
    return {"status": "ok"}


@router.get("/key", summary="The key of signed results")
def key(site: ThisSite) -> records.Key:
    """With it anybody can check a result file."""
    return records.Key(algorithm=signing.ALGORITHM, public_key=site.signer.public_key)


@router.get("/tracks", summary="All tracks")
def tracks(site: ThisSite) -> list[records.TrackRecord]:
    """With limits, rules and phases."""
    return [
        records.track_record(name, track, site.phases(name)) for name, track in site.tracks.items()
    ]


@router.get("/tracks/{name}", summary="One track", responses=_READ)
def track(name: TrackName, site: ThisSite) -> records.TrackRecord:
    """With limits, rules and phases."""
    return records.track_record(name, site.track(name), site.phases(name))


@router.get(
    "/tracks/{name}/board", summary="A leaderboard", responses=_READ, response_model=records.Board
)
async def board(name: TrackName, request: Request) -> Response:
    """As on its page; answers 304 to an If-None-Match that fits."""
    site, now = site_of(request), site_of(request).clock()
    site.track(name)
    shown = site.boards.at_hand(name, now)
    if shown is None:
        shown = await run_in_threadpool(site.boards.shown, name, now)
    if ("json",) not in shown.kept:
        shown.kept["json",] = JSONResponse(records.board_record(name, shown)).body
    headers = {"cache-control": "no-cache"}
    made = Response(shown.kept["json",], media_type="application/json", headers=headers)
    return not_modified(request, made)


@router.post(
    "/tracks/{name}/submissions",
    summary="Hand something in",
    status_code=201,
    responses=_SENT,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
)
async def submit(
    name: TrackName,
    request: Request,
    site: ThisSite,
    user: TokenUser,
    file_name: Annotated[
        str, Query(description="As your team calls it.", min_length=1, max_length=LONGEST_FILE_NAME)
    ],
    note: Annotated[str, Query(description="Your own words.", max_length=LONGEST_NOTE)] = "",
) -> records.SubmissionRecord:
    """The body is the file itself. Answers before it is checked; ask for its state."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/octet-stream":
        raise Refused(
            415, "wrong_type", "the file is sent as application/octet-stream; set Content-Type"
        )
    made = await take_in(site, user, name, request, bare_name=file_name, note=note)
    return await run_in_threadpool(_record, site, user, made)


@router.get("/submissions", summary="Your submissions", responses=_ASKED)
def submissions(
    site: ThisSite,
    user: TokenUser,
    track: Annotated[str | None, Query(description="Only of this track.", max_length=80)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[records.SubmissionRecord]:
    """Newest first; without their Reports, which each has at its own address."""
    if track is not None:
        site.track(track)
    found = site.store.submissions(organization_id=user.organization_id, track=track, limit=limit)
    return [_record(site, user, one, is_brief=True) for one in found]


@router.get("/submissions/{id}", summary="One of your submissions", responses=_ASKED)
def submission(id: Id, site: ThisSite, user: TokenUser) -> records.SubmissionRecord:
    """Its state, its checks with what was measured, and its Report."""
    return _record(site, user, _own(site, user, id))


@router.post("/submissions/{id}/public", summary="Show it on the board, or not", responses=_SENT)
def set_public(
    id: Id, wish: records.PublicWish, site: ThisSite, user: TokenUser
) -> records.SubmissionRecord:
    """The best of your public submissions is on the board."""
    found = _own(site, user, id)
    site.publish(user, found, public=wish.public)
    return _record(site, user, _own(site, user, id))


@router.get("/submissions/{id}/result", summary="A signed result", responses=_SIGNED)
def result(id: Id, site: ThisSite, user: TokenUser) -> dict[str, Any]:
    """The Report with the challenge's signature, once it is scored."""
    found = _own(site, user, id)
    owner = site.store.organization(found.organization_id)
    if found.state != State.SCORED or not site.shows_report(user, found) or owner is None:
        raise NotFound("this submission has no result that is shown; ask for its state")
    return signed_result(site, found, owner)


@router.get("/me", summary="Whose token it is", responses=_ASKED)
def me(site: ThisSite, user: TokenUser) -> records.Me:
    """Your organization, and what is left of today in every track."""
    now, own = site.clock(), site.store.organization(user.organization_id)
    if own is None:
        raise NotFound("this account has no organization; ask the organizer")
    return records.Me(
        organization=own.name,
        role=user.role,
        hidden=own.hidden,
        banned=own.banned,
        slots=tuple(
            records.Slots(
                track=name,
                per_day=one.per_day,
                left=site.store.slots_left(own.id, name, per_day=one.per_day, now=now),
                next_day=next_day(now),
            )
            for name, one in site.tracks.items()
        ),
    )


def _own(site: Site, user: User, id: str) -> Submission:
    found = site.store.submission(id)
    if found is None or found.organization_id != user.organization_id:
        raise NotFound("there is no such submission of yours; see /api/v1/submissions")
    return found


def _record(
    site: Site, user: User, one: Submission, *, is_brief: bool = False
) -> records.SubmissionRecord:
    is_told = one.report is not None and not is_brief and site.shows_report(user, one)
    return records.submission_record(
        one,
        position=site.store.position(one.id),
        report=without_people(one.report) if one.report is not None and is_told else None,
    )
