"""Build the challenge site: settings, database, uploads and tracks in, an application out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from tronie.server.challenge.accounts import Passwords
from tronie.server.challenge.mail import Mailer, SmtpMailer
from tronie.server.challenge.settings import Settings
from tronie.server.challenge.signing import Signer
from tronie.server.challenge.storage import Storage
from tronie.server.challenge.store import Store
from tronie.server.challenge.track import Track
from tronie.server.http import Clock, Cookies, Guard
from tronie.server.sites.challenge import (
    account_pages,
    answers,
    api,
    organizer_pages,
    pages,
    team_pages,
)
from tronie.server.sites.challenge.boards import Baselines, Boards
from tronie.server.sites.challenge.site import Site
from tronie.server.sites.challenge.upload_room import UploadRoom

API_VERSION = "1"


def utc_now() -> datetime:
    """The moment."""
    return datetime.now(UTC)


def create_app(
    settings: Settings,
    store: Store,
    storage: Storage,
    tracks: Mapping[str, Track],
    *,
    keys: Signer,
    clock: Clock = utc_now,
    baselines: Baselines = dict,
    passwords: Passwords | None = None,
    mailer: Mailer | None = None,
) -> FastAPI:
    """The site of a challenge, ready to be served; see `tronie.server.serve`.

    Args:
        storage: Where uploads are put.
        tracks: By name, in the order in which they are shown.
        keys: Signs results.
        clock: What time it is.
        baselines: Published rows to be shown, by track.
        passwords: How passwords are hashed; as `Passwords` does if None.
        mailer: Sends messages; by the settings' mail server if None.
    """
    if mailer is None and settings.smtp is not None:
        mailer = SmtpMailer(settings.smtp)
    app = FastAPI(
        title=settings.title,
        version=API_VERSION,
        description="What the pages show, for programs.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.state.site = Site(
        settings=settings,
        store=store,
        storage=storage,
        tracks=dict(tracks),
        clock=clock,
        signer=keys,
        passwords=passwords or Passwords(),
        mailer=mailer,
        boards=Boards(store, tracks, baselines=baselines, seconds=settings.board_seconds),
        cookies=Cookies(secure=settings.secure),
        room=UploadRoom(settings.uploads_at_once),
    )
    answers.install(app)
    for part in (pages, account_pages, team_pages, organizer_pages, api):
        app.include_router(part.router)
    static = resources.files("tronie.server.sites.challenge") / "static"
    app.mount("/static", StaticFiles(directory=str(static)), name="static")
    app.add_middleware(
        Guard, hosts=settings.known_hosts, secure=settings.secure, fault=answers.fault
    )
    return app
