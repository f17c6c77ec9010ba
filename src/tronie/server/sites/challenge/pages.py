"""Pages that everybody may read: the tracks, their rules, their boards, the API's description."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from tronie.evaluation.charts.frame import STYLE
from tronie.server.challenge.intake import moment_text, open_phase
from tronie.server.challenge.leaderboard import BoardRow
from tronie.server.http import not_modified
from tronie.server.sites.challenge.boards import ShownBoard
from tronie.server.sites.challenge.openapi_page import fields_of, operations_of
from tronie.server.sites.challenge.site import AnyVisit, Visit, site_of, visit_of

router = APIRouter(include_in_schema=False)
ROBOTS = "User-agent: *\nDisallow: /team\nDisallow: /organizer\nDisallow: /submissions\n"


@router.get("/")
def landing(visit: AnyVisit) -> Response:
    """What this challenge is, and its tracks."""
    site = visit.site
    phases = {name: site.phases(name) for name in site.tracks}
    return visit.page(
        "landing.html",
        {
            "phases": phases,
            "is_taking": {
                name: open_phase(own, visit.now) is not None for name, own in phases.items()
            },
        },
    )


@router.get("/tracks")
def all_tracks() -> Response:
    """The first page lists them."""
    return RedirectResponse("/", 308)


@router.get("/tracks/{name}")
def track(name: str, visit: AnyVisit) -> Response:
    """Rules, limits, phases and prizes of one track."""
    found = visit.site.track(name)
    phases = visit.site.phases(name)
    return visit.page(
        "track.html",
        {
            "name": name,
            "track": found,
            "phases": phases,
            "taking": open_phase(phases, visit.now),
        },
    )


@router.get("/tracks/{name}/board")
async def board(name: str, request: Request) -> Response:
    """The leaderboard of one track; the page that most read is made once for all of them."""
    site, now = site_of(request), site_of(request).clock()
    is_anybody = not request.url.query and not site.cookies.read(request, site.cookies.session)
    shown = site.boards.at_hand(name, now) if is_anybody else None
    body = None if shown is None else shown.kept.get(_page_key(now))
    if body is None:
        return await run_in_threadpool(_board, name, request, is_anybody)
    return _page(request, body)


def _board(name: str, request: Request, is_anybody: bool) -> Response:
    visit = visit_of(request)
    found = visit.site.track(name)
    viewer = None if visit.organization is None else visit.organization.id
    shown = visit.site.boards.shown(name, visit.now, viewer=viewer)
    row = visit.site.templates.get_template("board_row.html")

    def drawn(one: BoardRow) -> Markup:
        """A row, of which most are the same for all; escaped by its own template."""
        known = None if one.mine else shown.kept.get(_row_key(one))
        return known or Markup(row.render({"track": found, "row": one, "board": shown}))

    told = {"name": name, "track": found, "board": shown, "drawn": drawn}
    with shown.making:  # one makes what many wait for
        for one in shown.rows:
            if not one.mine and _row_key(one) not in shown.kept:
                shown.kept[_row_key(one)] = drawn(one)
        if is_anybody:
            return _kept_page(visit, shown, told)
    return visit.page("board.html", told)


def _kept_page(visit: Visit, shown: ShownBoard, told: Mapping[str, Any]) -> Response:
    body = shown.kept.get(_page_key(visit.now))
    if body is not None:
        return _page(visit.request, body)
    response = visit.page("board.html", told)
    if response.status_code == 200:
        for key in [key for key in shown.kept if key[0] == "page"]:  # of minutes that are over
            del shown.kept[key]
        shown.kept[_page_key(visit.now)] = bytes(response.body)
    return response


def _page(request: Request, body: bytes) -> Response:
    headers = {"vary": "Cookie", "cache-control": "no-cache"}
    return not_modified(request, HTMLResponse(body, headers=headers))


def _row_key(row: BoardRow) -> tuple[object, ...]:
    return "row", row.submission_id, row.name, row.mark, row.source


def _page_key(now: datetime) -> tuple[str, str]:
    """A page tells the minute at its foot."""
    return "page", moment_text(now)


@router.get("/docs")
def docs(visit: AnyVisit) -> Response:
    """The API, as a page without scripts."""
    schema = visit.request.app.openapi()
    return visit.page(
        "docs.html", {"operations": operations_of(schema), "forms": fields_of(schema)}
    )


@router.get("/charts.css")
def charts(visit: AnyVisit) -> Response:
    """The style sheet of all charts."""
    response = Response(STYLE, media_type="text/css")
    response.headers["cache-control"] = "public, max-age=3600"
    return not_modified(visit.request, response)


@router.get("/robots.txt")
def robots() -> Response:
    """What search engines should leave alone."""
    return PlainTextResponse(ROBOTS)
