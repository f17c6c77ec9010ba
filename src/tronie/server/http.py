"""What every request passes: bounds, hosts, cookies, forms that are ours, errors in one form.

    Guard       refuses strange hosts, bounds a body in bytes and seconds, answers HEAD, sets the
                headers that tell a browser what it must not do, writes one line to the log
    Cookies     a session in an HttpOnly SameSite=Lax cookie, __Host- and Secure under https
    form_token  ties a form to the cookie of who was given it; see `expect_form_token`
    Refused     an answer with a status, a code and a sentence, as JSON or as a page

A body is 64 KiB in 30 seconds unless a handler allows more before it reads.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES = 64 * 1024
BODY_SECONDS = 30.0
IDLE_SECONDS = 30.0
"""Between two parts of a body."""
PATIENT_SECONDS, LEAST_SPEED = 30.0, 8 * 1024
"""After so long, a body must have come by so many bytes a second: no few may hold all the room
that there is for uploads by sending next to nothing."""
LINGER_BYTES, LINGER_SECONDS = 4 * 2**20, 2.0
"""What is still read of a body that was refused, so that the answer arrives."""
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), browsing-topics=()",
}
_HSTS = "max-age=31536000"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,200}")
_LOCAL_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")
_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{0,5})?")
_BOUND = "tronie.bound"

log = logging.getLogger("tronie.server")

Clock = Callable[[], datetime]
"""The moment, with its time zone."""
Fault = Callable[[Request, Exception], Response]


class Refused(HTTPException):
    """An answer that is no: a status, a stable code and one sentence."""

    def __init__(
        self, status: int, code: str, sentence: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, sentence, headers)
        self.code = code


@dataclass
class Bound:
    """How much of a body is read, and in how long."""

    most_bytes: int = BODY_BYTES
    seconds: float = BODY_SECONDS
    idle_seconds: float = IDLE_SECONDS


def allow_body(request: Request, *, most_bytes: int, seconds: float) -> None:
    """Let this request's body be larger or slower; before anything of it is read."""
    bound: Bound = request.scope[_BOUND]
    bound.most_bytes, bound.seconds = most_bytes, seconds


class Guard:
    """The outermost layer.

    Args:
        hosts: Values of the Host header that are answered, without a port; "*" answers all.
        secure: The site is reached by https.
        fault: The answer where something raised what nobody expected.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], secure: bool, fault: Fault) -> None:
        self._app, self._fault = app, fault
        self._hosts = frozenset(host.lower() for host in hosts)
        self._headers = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
        if secure:
            self._headers.append((b"strict-transport-security", _HSTS.encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, method, status = time.monotonic(), scope["method"], 0
        body = _Body(scope, receive)
        inner: Scope = {
            **scope,
            _BOUND: body.bound,
            "method": "GET" if method == "HEAD" else method,
        }

        async def reply(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                closes = [] if body.ended else [(b"connection", b"close")]
                message = {**message, "headers": [*self._with_headers(message["headers"]), *closes]}
            elif method == "HEAD":
                message = {**message, "body": b""}
            is_last = message["type"] == "http.response.body" and not message.get("more_body")
            if is_last and not body.ended:
                await send({**message, "more_body": True})
                await body.linger()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        try:
            if self._knows(scope):
                await self._app(inner, body.receive, reply)
            else:
                told = "this host name is not served here; use the address you were given\n"
                await Response(told, 400, media_type="text/plain")(inner, receive, reply)
        except Exception as error:
            answer = self._fault(Request(inner), error)
            if status:  # the answer has begun, and can only be broken off
                raise
            await answer(inner, receive, reply)
        finally:
            _log_request(scope, status, time.monotonic() - started)

    def _knows(self, scope: Scope) -> bool:
        found = [v for k, v in scope["headers"] if k == b"host"]
        if "*" in self._hosts:
            return True
        return len(found) == 1 and host_name(found[0].decode("latin-1")) in self._hosts

    def _with_headers(self, own: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        taken = {name.lower() for name, _ in own}
        return [*own, *(pair for pair in self._headers if pair[0] not in taken)]


class _Body:
    """The body of one request as it comes in, held to its bound."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.bound = Bound()
        self._receive = receive
        told = next((v for k, v in scope["headers"] if k == b"content-length"), b"")
        self._told = int(told) if told.isdigit() and len(told) < 19 else 0
        self._expects = self._told > 0 or any(
            k == b"transfer-encoding" for k, _ in scope["headers"]
        )
        self._read = 0
        self._began: float | None = None
        self.ended = not self._expects
        """All of it was read, or there is none."""

    async def receive(self) -> Message:
        """The next message.

        Raises:
            Refused: the body is too large, or comes too slowly.
        """
        if self.ended:
            return await self._receive()
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        if self._told > self.bound.most_bytes:
            raise self._too_large()
        crawls = self._began + PATIENT_SECONDS + self._read / LEAST_SPEED
        left = min(self._began + self.bound.seconds, crawls, now + self.bound.idle_seconds) - now
        try:
            message = await asyncio.wait_for(self._receive(), max(left, 0.001))
        except TimeoutError:
            told = (
                f"the request took more than {self.bound.seconds:g} seconds to arrive, or paused "
                f"or crawled along at less than {size_text(LEAST_SPEED)} a second"
            )
            raise Refused(408, "too_slow", f"{told}; send it again over a faster line") from None
        self._take(message)
        if self._read > self.bound.most_bytes:
            raise self._too_large()
        return message

    async def linger(self) -> None:
        """Read on for a moment and forget it, so that who still sends hears the answer."""
        until, most = time.monotonic() + LINGER_SECONDS, self._read + LINGER_BYTES
        try:
            while not self.ended and self._read < most:
                left = until - time.monotonic()
                self._take(await asyncio.wait_for(self._receive(), max(left, 0.001)))
        except TimeoutError:
            return

    def _take(self, message: Message) -> None:
        self._read += len(message.get("body", b""))
        self.ended = message["type"] != "http.request" or not message.get("more_body", False)

    def _too_large(self) -> Refused:
        most = size_text(self.bound.most_bytes)
        return Refused(413, "too_large", f"the request is larger than {most}; send less")


@dataclass(frozen=True, kw_only=True)
class Cookies:
    """Names and settings of the two cookies: of a session, and of a visitor who has none."""

    secure: bool

    @property
    def session(self) -> str:
        """Name of the session's cookie."""
        return "__Host-tronie-session" if self.secure else "tronie-session"

    @property
    def visitor(self) -> str:
        """Name of the cookie that a form is tied to before anybody has signed in."""
        return "__Host-tronie-visitor" if self.secure else "tronie-visitor"

    def read(self, request: Request, name: str) -> str:
        """A token; empty where there is none, or none of the right form."""
        found = request.cookies.get(name, "")
        return found if _TOKEN.fullmatch(found) else ""

    def write(self, response: Response, name: str, token: str, *, lifetime: timedelta) -> None:
        """Give a token out."""
        response.set_cookie(
            name,
            token,
            max_age=int(lifetime.total_seconds()),
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )

    def clear(self, response: Response, name: str) -> None:
        """Take it back."""
        response.delete_cookie(name, path="/", secure=self.secure, httponly=True, samesite="lax")


def new_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def form_token(secret: bytes, cookie: str) -> str:
    """What a form carries: only this site can make it, and for this cookie alone."""
    return hmac.new(secret, b"form|" + cookie.encode(), hashlib.sha256).hexdigest()


def expect_form_token(request: Request, secret: bytes, *, cookie: str, told: str) -> None:
    """A form came from a page of ours, shown to the browser that sends it.

    Raises:
        Refused: the token is not that of the cookie, or the browser names another site.
    """
    mine = form_token(secret, cookie)
    same = bool(cookie) and hmac.compare_digest(mine.encode(), told.encode())
    site = request.headers.get("sec-fetch-site", "same-origin")
    if not same or site not in ("same-origin", "none"):
        raise Refused(
            403,
            "form_token",
            "this form was not made for you or is too old; open its page again and send it anew",
        )


def local_path(path: str, *, otherwise: str) -> str:
    """`path` where it leads to a page of this site, else `otherwise`."""
    return path if len(path) <= 500 and _LOCAL_PATH.fullmatch(path) else otherwise


def not_modified(request: Request, response: Response) -> Response:
    """`response` with an ETag, or 304 where the reader has it already."""
    tag = f'"{hashlib.sha256(bytes(response.body)).hexdigest()[:32]}"'
    response.headers["etag"] = tag
    asked = request.headers.get("if-none-match", "")
    if tag not in [known.strip().removeprefix("W/") for known in asked.split(",")]:
        return response
    kept = {k: v for k, v in response.headers.items() if k in ("etag", "cache-control", "vary")}
    return Response(status_code=304, headers=kept)


def too_often(until: datetime, now: datetime) -> Refused:
    """The answer where a rate limit is reached."""
    seconds = max(int((until - now).total_seconds()) + 1, 1)
    return Refused(
        429,
        "too_often",
        f"this was tried too often; it is possible again in {seconds} seconds",
        headers={"Retry-After": str(seconds)},
    )


def host_name(header: str) -> str:
    """The name in a Host header, without its port; empty where it is none."""
    found = _HOST.fullmatch(header.lower())
    return found["name"] if found else ""


def one_line(text: str, *, most: int = 300) -> str:
    """`text` as a line of a log can hold it: what is not plain ASCII is written as an escape."""
    return text[:most].encode("unicode_escape").decode("ascii")


def address_of(request: Request) -> str:
    """Where a request came from, as the server knows it."""
    return request.client.host if request.client else "nobody"


def size_text(size_bytes: int) -> str:
    """Bytes as a reader wants them."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size_bytes >= size:
            return f"{size_bytes / size:.4g} {unit}"
    return f"{size_bytes} bytes"


def _log_request(scope: Scope, status: int, seconds: float) -> None:
    client = scope["client"][0] if scope.get("client") else "-"
    log.info(
        "%s %s %s %d %.0f ms",
        one_line(client),
        one_line(scope["method"]),
        one_line(scope["path"]),
        status,
        1000 * seconds,
    )
