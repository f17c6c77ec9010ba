"""What the organizer sets: one TOML file, checked whole, every fault listed at once.

    public_url = "https://challenge.example.org"    as teams reach it; https makes cookies Secure
    title = "Masked faces 2026"
    contact = "challenge@example.org"
    database = "postgresql+psycopg://challenge@db/challenge"
    storage = "s3://bucket/uploads"
    tracks = ["mfr21-a", "mfr21-b"]
    secret_file = "form.secret"                     or TRONIE_CHALLENGE_SECRET

    [data]
    mfr21-a = "/srv/mfr21"

    [smtp]                                          without it no address is verified
    host = "mail.example.org"
    sender = "challenge@example.org"
    user = "challenge"
    password_file = "mail.secret"                   or TRONIE_CHALLENGE_SMTP_PASSWORD

A password or secret never stands in the file itself. Paths are taken from the folder of the file.
"""

from __future__ import annotations

import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from tronie.errors import BadFile, BadInput, NotFound

SECRET_VARIABLE = "TRONIE_CHALLENGE_SECRET"
SMTP_VARIABLE = "TRONIE_CHALLENGE_SMTP_PASSWORD"
DATABASE_VARIABLE = "TRONIE_CHALLENGE_DATABASE"
SHORTEST_SECRET = 32
_ADDRESS = re.compile(r"https?://(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?/?")
_HOST = re.compile(r"[a-z0-9.-]+|\[[0-9a-f:.]+\]|\*")
_HERE = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, kw_only=True)
class Smtp:
    """A mail server."""

    host: str
    sender: str
    """From whom messages are."""
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    """Empty to send without signing in."""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All of it.

    Raises:
        BadInput: fields that cannot be used, all in one sentence.
    """

    public_url: str = "http://127.0.0.1:8000"
    """As teams reach the site; every link in a message begins with it."""
    title: str = "Face recognition challenge"
    contact: str = ""
    """Whom teams may ask; shown on every page."""
    database: str = "sqlite:///challenge.db"
    storage: str = "uploads"
    tracks: tuple[str, ...] = ()
    data: Mapping[str, Path] = field(default_factory=dict)
    """Track to the folder of the organizer's data."""
    hosts: tuple[str, ...] = ()
    """Host names besides that of `public_url`; "*" for all."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses whose word on who a visitor is counts."""
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    """Ties forms to browsers; the same for all web processes of one challenge."""
    sign_up_open: bool = True
    session_days: int = 14
    upload_seconds: float = 3600.0
    """An upload that takes longer is ended."""
    uploads_at_once: int = 8
    """Of all teams; one team has at most two."""
    board_seconds: float = 2.0
    """For so long a board is shown as it was computed."""
    smtp: Smtp | None = None

    def __post_init__(self) -> None:
        if faults := list(_faults(self)):
            raise BadInput("; ".join(faults))

    @property
    def secure(self) -> bool:
        """The site is reached by https."""
        return self.public_url.startswith("https://")

    @property
    def known_hosts(self) -> tuple[str, ...]:
        """Values of the Host header that are answered."""
        found = _ADDRESS.fullmatch(self.public_url)
        own = found["host"].lower() if found else ""
        return tuple(dict.fromkeys((own, *self.hosts, *_HERE)))

    @property
    def session_lifetime(self) -> timedelta:
        """After which somebody signs in again."""
        return timedelta(days=self.session_days)

    def link(self, path: str) -> str:
        """An address to be sent to somebody."""
        return self.public_url.rstrip("/") + path


def read_settings(
    file: Path, *, environment: Mapping[str, str], beside: Settings | None = None
) -> Settings:
    """The settings of that file, with secrets from files and the environment.

    What neither says is as in `beside`, or as it is by itself.

    Raises:
        NotFound: there is no such file.
        BadFile: it is no TOML, or holds what cannot be used; every fault is named.
    """
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(f"there are no settings {file}; write them, or name another file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise BadFile(f"the settings {file} cannot be read: {fault}") from fault
    faults: list[str] = []
    reader = _Reader(file.parent, environment, faults)
    kept = reader.table(told, Settings, name="", also=("secret_file",), without=("secret",))
    secret = reader.secret(told.get("secret_file"), SECRET_VARIABLE, "secret_file")
    if secret:
        kept["secret"] = secret.encode()
    if DATABASE_VARIABLE in environment:
        kept["database"] = environment[DATABASE_VARIABLE]
    if isinstance(told.get("smtp"), dict):
        kept["smtp"] = reader.smtp(told["smtp"])
    kept["data"] = reader.folders(told.get("data", {}))
    settings = _built(kept, faults, beside)
    if settings is None or faults:
        raise BadFile(f"{file}: {'; '.join(dict.fromkeys(faults))}")
    return settings


@dataclass(frozen=True)
class _Reader:
    """Reads tables, and collects what is wrong with them."""

    folder: Path
    environment: Mapping[str, str]
    faults: list[str]

    def table(
        self,
        told: Mapping[str, Any],
        form: type[Settings] | type[Smtp],
        *,
        name: str,
        also: tuple[str, ...] = (),
        without: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """What a table says of the fields of `form`, each of its type."""
        known = {one.name: one for one in fields(form) if one.name not in without}
        kept: dict[str, Any] = {}
        for key, value in told.items():
            if key in known:
                kept |= self._field(name + key, key, value, str(known[key].type))
            elif key not in also:
                self.faults.append(f"{name + key} is no setting; there are: {', '.join(known)}")
        for key, one in known.items():
            if key not in kept and one.default is MISSING and one.default_factory is MISSING:
                self.faults.append(f"{name + key} is missing")
        return kept

    def _field(self, shown: str, key: str, value: Any, kind: str) -> dict[str, Any]:
        if kind.startswith(("Smtp", "Mapping")):
            if not isinstance(value, dict):
                self.faults.append(f"{shown} must be a table; got {value!r:.60}")
            return {}
        if kind.startswith("tuple"):
            if isinstance(value, list) and all(isinstance(one, str) for one in value):
                return {key: tuple(value)}
            self.faults.append(f"{shown} must be a list of texts; got {value!r:.60}")
            return {}
        wanted = _TYPES.get(kind, (str,))
        if isinstance(value, wanted) and isinstance(value, bool) == (kind == "bool"):
            return {key: value}
        self.faults.append(f"{shown} must be {_WORDS.get(kind, 'a text')}; got {value!r:.60}")
        return {}

    def smtp(self, told: Mapping[str, Any]) -> Smtp | None:
        """The mail server, with its password."""
        before = len(self.faults)
        kept = self.table(told, Smtp, name="smtp.", also=("password_file",), without=("password",))
        kept["password"] = self.secret(told.get("password_file"), SMTP_VARIABLE, "password_file")
        return Smtp(**kept) if len(self.faults) == before else None

    def folders(self, told: Any) -> dict[str, Path]:
        """Tracks and the folders of their data."""
        found = {}
        for name, place in told.items() if isinstance(told, dict) else ():
            if isinstance(place, str):
                found[name] = self.folder / place
            else:
                self.faults.append(f"data.{name} must be the path of a folder; got {place!r:.60}")
        return found

    def secret(self, file: Any, variable: str, shown: str) -> str:
        """From the environment, else from a file; empty where neither is named."""
        if variable in self.environment:
            return self.environment[variable].strip()
        if file is None:
            return ""
        try:
            return (self.folder / str(file)).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as fault:
            self.faults.append(f"{shown} {file!r:.60} cannot be read: {type(fault).__name__}")
            return ""


_TYPES: Mapping[str, tuple[type, ...]] = {"bool": (bool,), "int": (int,), "float": (int, float)}
_WORDS = {"bool": "true or false", "int": "a whole number", "float": "a number"}


def _built(kept: dict[str, Any], faults: list[str], beside: Settings | None) -> Settings | None:
    try:
        return Settings(**kept) if beside is None else replace(beside, **kept)
    except BadInput as fault:
        faults.append(str(fault))
        return None


def _faults(settings: Settings) -> Any:
    found = _ADDRESS.fullmatch(settings.public_url)
    if found is None:
        yield (
            "public_url must be http:// or https://, a host and at most a port; got "
            f"{settings.public_url!r:.80}"
        )
    for host in settings.hosts:
        if not _HOST.fullmatch(host):
            yield f"hosts must be names in lower case without a port; got {host!r:.60}"
    if not 0 < len(settings.title) <= 80 or not settings.title.isprintable():
        yield f"title must have 1 to 80 characters; got {settings.title!r:.90}"
    if len(settings.secret) < SHORTEST_SECRET:
        yield (f"the secret must have {SHORTEST_SECRET} bytes or more; got {len(settings.secret)}")
    if strange := sorted(set(settings.data) - set(settings.tracks)):
        yield f"data.{strange[0]} is of no track of this challenge; tracks has {settings.tracks}"
    least = {"session_days": 1, "upload_seconds": 1, "uploads_at_once": 1, "board_seconds": 0}
    for name, bound in least.items():
        if getattr(settings, name) < bound:
            yield f"{name} must be {bound} or more; got {getattr(settings, name)}"
    smtp = settings.smtp
    if smtp is not None and smtp.security not in ("starttls", "tls", "none"):
        yield f"smtp.security must be starttls, tls or none; got {smtp.security!r:.40}"
    if smtp is not None and smtp.user and not smtp.password:
        yield f"smtp.user needs a password; set password_file or {SMTP_VARIABLE}"
