"""A small challenge and those who visit its site: browsers with cookies of their own."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tronie.evaluation.report import Report, Value
from tronie.server.challenge.accounts import Passwords
from tronie.server.challenge.checks import Check, Verdict
from tronie.server.challenge.scoring import protocol_version
from tronie.server.challenge.settings import Settings, Smtp
from tronie.server.challenge.signing import Signer
from tronie.server.challenge.storage import Storage
from tronie.server.challenge.store import Store
from tronie.server.challenge.submission import State, Submission, User
from tronie.server.challenge.track import Column, Limits, Phase, Track
from tronie.server.sites.challenge.app import create_app

NOW = datetime(2030, 6, 15, 12, 0, tzinfo=UTC)
PASSWORD = "four unrelated words"
ADDRESS = "http://127.0.0.1:8000"
LIMIT = 64 * 1024
TRACK = Track(
    title="Small faces",
    summary="A track for tests.",
    rules=("Be honest.",),
    protocol="lfw-all",
    takes="model",
    limits=Limits(upload_bytes=LIMIT, model_bytes=LIMIT, latency_ms=10.0),
    columns=(
        Column(key="accuracy", title="Accuracy"),
        Column(key="model_mib", title="Size", form="number", larger_is_better=False),
    ),
    phases=(Phase(name="open"),),
    prizes={1: "a cup"},
    source="nobody",
)
VERDICT = Verdict(
    track="small",
    checks=(
        Check(
            rule="limits.model_bytes",
            passed=True,
            reason="the model has 1 MiB of at most 2",
            measured=2**20,
            limit=2**21,
            unit="bytes",
        ),
    ),
    facts={"model_mib": 1.0, "calibration_factor": 1.25},
)
_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]{64})"')


@dataclass
class Clock:
    """Says what the test wants."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Letters:
    """Keeps messages instead of sending them."""

    sent: list[tuple[str, str, str]] = field(default_factory=list)

    def send(self, to: str, subject: str, text: str) -> None:
        self.sent.append((to, subject, text))

    def code(self) -> str:
        """The code in the newest message."""
        found = re.search(r"code=(\S+)", self.sent[-1][2])
        assert found, self.sent[-1]
        return found[1]


class Browser:
    """Keeps cookies, and sends forms with the token of a page it has seen."""

    def __init__(self, app: Any, *, address: str = ADDRESS, token: str = "") -> None:
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(
                app, raise_app_exceptions=False, client=("192.0.2.1", 1234)
            ),
            base_url=address,
            headers={"authorization": f"Bearer {token}"} if token else {},
        )

    @property
    def cookies(self) -> dict[str, str]:
        return dict(self.client.cookies)

    def ask(self, method: str, path: str, **told: Any) -> httpx.Response:
        return asyncio.run(self.client.request(method, path, **told))

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.ask("GET", path, headers=headers)

    def form_token(self, page: str = "/sign-in") -> str:
        found = _TOKEN.search(self.get(page).text)
        assert found, f"{page} holds no form"
        return found[1]

    def post(
        self, path: str, fields: Mapping[str, str] | None = None, *, page: str = "/sign-in"
    ) -> httpx.Response:
        """A form, with the token of `page`."""
        token = {"form_token": self.form_token(page)}
        return self.ask("POST", path, data={**token, **(fields or {})})

    def sign_in(self, email: str, password: str = PASSWORD, **fields: str) -> httpx.Response:
        return self.post("/sign-in", {"email": email, "password": password, **fields})

    def upload(
        self, data: bytes, *, track: str = "small", name: str = "model.onnx", note: str = ""
    ) -> httpx.Response:
        return self.ask(
            "POST",
            f"/tracks/{track}/submit",
            data={"form_token": self.form_token(), "note": note},
            files={"file": (name, data, "application/octet-stream")},
        )


class Challenge:
    """One site, its database, its clock and its visitors."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        *,
        settings: Mapping[str, Any] | None = None,
        tracks: Mapping[str, Track] | None = None,
        mail: bool = False,
    ) -> None:
        self.store, self.clock, self.letters = store, Clock(), Letters()
        self.storage = Storage(str(folder / "uploads"))
        self.passwords = Passwords(memory_kib=64, rounds=1)
        smtp = {"smtp": Smtp(host="mail.invalid", sender="we@example.org")} if mail else {}
        told = {"public_url": ADDRESS, "board_seconds": 0.0, "title": "Faces 2030"}
        self.settings = Settings(**{**told, **smtp, **(settings or {})})
        self.signer = Signer(bytes(range(32)))
        self.app = create_app(
            self.settings,
            store,
            self.storage,
            tracks or {"small": TRACK},
            keys=self.signer,
            clock=self.clock,
            passwords=self.passwords,
            mailer=self.letters if mail else None,
        )

    def browser(self, email: str = "") -> Browser:
        """Somebody's; of nobody without an address."""
        made = Browser(self.app, address=self.settings.public_url)
        if email:
            assert made.sign_in(email).status_code == 303
        return made

    def program(self, user: User) -> Browser:
        """Something that asks with a token."""
        token = self.store.new_token(user.id, label="test", now=self.clock())
        return Browser(self.app, token=token)

    def account(self, name: str, *, role: Any = "team", verified: bool = True) -> User:
        """name@example.org, of the organization Institute NAME."""
        return self.store.create_account(
            organization=f"Institute {name}",
            email=f"{name}@example.org",
            password_hash=self.passwords.hash(PASSWORD),
            now=self.clock(),
            role=role,
            verified=verified,
        )

    def submission(self, user: User, *, track: str = "small", name: str = "a.onnx") -> Submission:
        """Received, nothing more."""
        return self.store.submit(
            organization_id=user.organization_id,
            user_id=user.id,
            track=track,
            per_day=9,
            now=self.clock(),
            file_name=name,
            note="",
            upload="0" * 32,
            sha256="0" * 64,
            size_bytes=7,
        )

    def scored(self, user: User, accuracy: float = 0.9, *, public: bool = False) -> Submission:
        """Checked and scored, and public if wanted."""
        made = self.submission(user)
        now, minute = self.clock(), timedelta(minutes=1)
        lease = self.store.lease("w", now=now, lifetime=minute)
        assert lease
        assert lease.submission.id == made.id
        self.store.accept(lease.token, VERDICT, now)
        lease = self.store.lease("w", now=now, lifetime=minute)
        assert lease
        assert lease.submission.id == made.id
        self.store.scored(lease.token, plain_report(accuracy), protocol_version(TRACK), now)
        if public:
            self.store.set_public(made.id, True, organization_id=user.organization_id, now=now)
        found = self.store.submission(made.id)
        assert found
        assert found.state == State.SCORED
        return found

    def failed(self, user: User) -> Submission:
        """Failed by us."""
        made = self.submission(user)
        lease = self.store.lease("w", now=self.clock(), lifetime=timedelta(minutes=1))
        assert lease
        assert lease.submission.id == made.id
        self.store.fail(lease.token, "a disk was full", self.clock())
        return made


def plain_report(accuracy: float) -> dict[str, Any]:
    """As a worker stores it."""
    report = Report(
        name="lfw-all",
        version="1",
        values={"accuracy": Value(value=accuracy, unit="fraction")},
        notes=("A toy.",),
    )
    plain: dict[str, Any] = json.loads(report.to_json())
    return plain
