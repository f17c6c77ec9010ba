"""What every page and every answer of the site stands on: the site itself, and a visit to it.

A visit is one request with who makes it. It renders pages; a page that holds a form is tied to
the visitor's cookie, and is kept by no cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Any

from fastapi import Depends, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tronie.errors import NotFound
from tronie.server.challenge import intake
from tronie.server.challenge.accounts import Passwords
from tronie.server.challenge.mail import Mailer
from tronie.server.challenge.settings import Settings
from tronie.server.challenge.signing import Signer
from tronie.server.challenge.storage import Storage
from tronie.server.challenge.store import Store
from tronie.server.challenge.submission import Organization, Submission, User
from tronie.server.challenge.track import Phase, Track
from tronie.server.http import (
    Clock,
    Cookies,
    Refused,
    address_of,
    form_token,
    new_token,
    not_modified,
    too_often,
)
from tronie.server.rate_limits import Rate, RateLimits, address_key
from tronie.server.sites.challenge import words
from tronie.server.sites.challenge.boards import Boards
from tronie.server.sites.challenge.upload_room import UploadRoom

VISITOR_LIFETIME = timedelta(days=1)
RATES = {
    "sign-in": Rate(most=30, per=timedelta(minutes=10)),
    "sign-in-failed": Rate(most=10, per=timedelta(minutes=10)),
    "sign-up": Rate(most=10, per=timedelta(hours=1)),
    "mail": Rate(most=3, per=timedelta(hours=1)),
    "wrong-token": Rate(most=30, per=timedelta(minutes=10)),
    "upload": Rate(most=20, per=timedelta(hours=1)),
}
"""By address: sign-in, sign-up, wrong-token. By account: sign-in-failed, mail, upload."""


@cache
def page_templates() -> Environment:
    """The pages; every text on them is escaped."""
    made = Environment(
        loader=PackageLoader("tronie.server.sites.challenge"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= words.FILTERS
    made.globals |= words.GLOBALS
    return made


@dataclass(frozen=True, kw_only=True)
class Site:
    """One challenge, as it is served."""

    settings: Settings
    store: Store
    storage: Storage
    tracks: Mapping[str, Track]
    clock: Clock
    signer: Signer
    passwords: Passwords
    mailer: Mailer | None
    boards: Boards
    cookies: Cookies
    room: UploadRoom
    limits: RateLimits = field(default_factory=lambda: RateLimits(RATES))
    templates: Environment = field(default_factory=page_templates)

    def track(self, name: str) -> Track:
        """The track of that name.

        Raises:
            NotFound: it is none of this challenge.
        """
        found = self.tracks.get(name)
        if found is None:
            raise NotFound("there is no such track here; the first page lists all")
        return found

    def phases(self, name: str) -> tuple[Phase, ...]:
        """Its phases, as the organizer may have moved them."""
        return intake.phases_of(self.store, name, self.track(name))

    def expect_rate(self, what: str, who: str, now: datetime) -> None:
        """Count one more.

        Raises:
            Refused: it was too often.
        """
        until = self.limits.take(what, who, now)
        if until is not None:
            raise too_often(until, now)

    def publish(self, user: User, found: Submission, *, public: bool) -> None:
        """Put a team's own submission on the board, or take it off.

        Raises:
            NotAllowed: the team is banned and may only take it off.
        """
        if public:
            intake.expect_allowed(self.store, user)
        self.store.set_public(
            found.id, public, organization_id=user.organization_id, now=self.clock()
        )
        self.boards.forget()

    def shows_report(self, user: User, found: Submission) -> bool:
        """Whether somebody may see the exact numbers of a submission that is theirs.

        On a board with a Ladder a team sees only what the board shows: exact answers to every
        try are what the Ladder is there to withhold.
        """
        track = self.tracks.get(found.track)
        return user.role == "organizer" or track is None or track.ladder == 0


class _FormToken:
    """What a form carries; knows whether the page that was rendered holds one."""

    def __init__(self, secret: bytes, cookie: str) -> None:
        self._secret = secret
        self.cookie = cookie
        self.used = False

    def __call__(self) -> str:
        self.used = True
        self.cookie = self.cookie or new_token()
        return form_token(self._secret, self.cookie)


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One request: who makes it, and when."""

    site: Site
    request: Request
    now: datetime
    user: User | None
    organization: Organization | None
    session: str
    """Token of the session; empty where nobody is signed in."""
    visitor: str
    """Token of the visitor's cookie; empty where there is none."""

    @property
    def form_cookie(self) -> str:
        """The cookie that forms of this visit are tied to."""
        return self.session or self.visitor

    @property
    def me(self) -> User:
        """Who is signed in; of a visit that went through `signed_in`."""
        assert self.user is not None, "asked before it was known"
        return self.user

    @property
    def address(self) -> str:
        """Whom rate limits count this as."""
        return address_key(address_of(self.request))

    def page(
        self, template: str, told: Mapping[str, Any] | None = None, *, status: int = 200
    ) -> Response:
        """A page; what is in `told` is escaped."""
        token = _FormToken(self.site.settings.secret, self.form_cookie)
        text = self.site.templates.get_template(template).render(
            visit=self,
            user=self.user,
            organization=self.organization,
            settings=self.site.settings,
            tracks=self.site.tracks,
            form_token=token,
            now=self.now,
            done=words.DONE.get(self.request.query_params.get("done", ""), ""),
            **(told or {}),
        )
        response = HTMLResponse(text, status)
        response.headers["vary"] = "Cookie"
        response.headers["cache-control"] = "no-store" if token.used else "no-cache"
        if token.used and not self.form_cookie:
            cookies = self.site.cookies
            cookies.write(response, cookies.visitor, token.cookie, lifetime=VISITOR_LIFETIME)
        if token.used or status != 200:
            return response
        return not_modified(self.request, response)

    def to(self, path: str, *, done: str = "") -> RedirectResponse:
        """On to another page of this site, which says what was done."""
        return RedirectResponse(f"{path}?done={done}" if done else path, 303)


def site_of(request: Request) -> Site:
    """The site that the application was made for."""
    site: Site = request.app.state.site
    return site


def visit_of(request: Request) -> Visit:
    """Who makes this request."""
    site, now = site_of(request), site_of(request).clock()
    session = site.cookies.read(request, site.cookies.session)
    user = site.store.session_user(session, now) if session else None
    organization = None if user is None else site.store.organization(user.organization_id)
    if user is None or organization is None:
        user, organization, session = None, None, ""
    return Visit(
        site=site,
        request=request,
        now=now,
        user=user,
        organization=organization,
        session=session,
        visitor=site.cookies.read(request, site.cookies.visitor),
    )


AnyVisit = Annotated[Visit, Depends(visit_of)]


class SignInFirst(Exception):
    """The page is for who is signed in."""


def signed_in(visit: AnyVisit) -> Visit:
    """A visit of somebody.

    Raises:
        SignInFirst: nobody is signed in.
    """
    if visit.user is None:
        raise SignInFirst
    return visit


TeamVisit = Annotated[Visit, Depends(signed_in)]


def organizing(visit: TeamVisit) -> Visit:
    """A visit of the organizer.

    Raises:
        Refused: somebody else is signed in.
    """
    if visit.user is None or visit.user.role != "organizer":
        raise Refused(403, "not_allowed", "this page is for the organizer; sign in as such")
    return visit


OrganizerVisit = Annotated[Visit, Depends(organizing)]
