"""The outermost layer: bounds in bytes and seconds, hosts, HEAD, form tokens, local paths."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tronie.server import http
from tronie.server.http import Guard, Refused, allow_body

pytestmark = pytest.mark.server


async def show(request: Request) -> Response:
    return PlainTextResponse("as it is")


async def length(request: Request) -> Response:
    allow = request.query_params.get("allow")
    if allow:
        allow_body(request, most_bytes=int(allow), seconds=0.2)
    return JSONResponse(len(await request.body()))


def refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return PlainTextResponse(error.detail, error.status_code)


def fault(request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"our {type(error).__name__}", 500)


async def broken(request: Request) -> Response:
    raise RuntimeError("a secret detail")


def ask(method: str, path: str, *, secure: bool = False, **told: object) -> httpx.Response:
    app = Starlette(
        routes=[
            Route("/show", show),
            Route("/length", length, methods=["POST"]),
            Route("/broken", broken),
        ],
        exception_handlers={Refused: refused},
        middleware=[Middleware(Guard, hosts=["faces.example.org"], secure=secure, fault=fault)],
    )

    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://faces.example.org"
        ) as client:
            return await client.request(method, path, **told)

    return asyncio.run(once())


def in_parts(*parts: bytes, pause_s: float = 0.0) -> AsyncIterator[bytes]:
    async def run() -> AsyncIterator[bytes]:
        for part in parts:
            await asyncio.sleep(pause_s)
            yield part

    return run()


def test_every_answer_tells_browsers_what_they_must_not_do():
    answer = ask("GET", "/nothing")
    assert answer.status_code == 404
    told = answer.headers["content-security-policy"]
    assert "script-src 'self'" in told
    assert "frame-ancestors 'none'" in told
    assert "unsafe" not in told
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "strict-transport-security" not in answer.headers
    assert "strict-transport-security" in ask("GET", "/show", secure=True).headers


def test_what_nobody_expected_is_answered_under_the_same_headers():
    answer = ask("GET", "/broken")
    assert (answer.status_code, answer.text) == (500, "our RuntimeError")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_head_is_get_without_its_body():
    answer = ask("HEAD", "/show")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "8"
    assert ask("HEAD", "/length").status_code == 405


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "faces.example.org.evil.example",
        "",
        "faces.example.org@evil",
        "faces.example.org:evil.example/path",
        "[faces.example.org]",
    ],
)
def test_another_host_is_refused(host):
    answer = ask("GET", "/show", headers={"host": host})
    assert answer.status_code == 400
    assert "this host name is not served here" in answer.text


@pytest.mark.parametrize("host", ["faces.example.org", "FACES.example.org:8443"])
def test_our_host_is_answered_on_any_port(host):
    assert ask("GET", "/show", headers={"host": host}).status_code == 200


def test_a_body_of_the_bound_is_read_and_one_byte_more_is_not():
    assert ask("POST", "/length", content=b"x" * http.BODY_BYTES).json() == http.BODY_BYTES
    for content in (b"x" * (http.BODY_BYTES + 1), in_parts(*[b"x" * 1000] * 66)):
        answer = ask("POST", "/length", content=content)
        assert answer.status_code == 413
        assert answer.text == "the request is larger than 64 KiB; send less"
        assert answer.headers["connection"] == "close", "nothing more of it is taken"


def test_a_handler_allows_more_and_no_more():
    assert ask("POST", "/length?allow=100000", content=b"x" * 100_000).json() == 100_000
    answer = ask("POST", "/length?allow=100000", content=in_parts(*[b"x" * 50_000] * 3))
    assert (answer.status_code, "larger than 97.66 KiB" in answer.text) == (413, True)


def test_a_slow_body_is_ended(monkeypatch):
    monkeypatch.setattr(http, "LINGER_SECONDS", 0.01)
    answer = ask("POST", "/length?allow=9", content=in_parts(*[b"x"] * 9, pause_s=0.05))
    assert answer.status_code == 408
    assert "took more than 0.2 seconds to arrive, or paused" in answer.text


def test_a_body_that_crawls_is_ended_though_it_never_pauses(monkeypatch):
    """Else a few could hold all the room for uploads for an hour, by a byte now and then."""
    monkeypatch.setattr(http, "LINGER_SECONDS", 0.01)
    monkeypatch.setattr(http, "PATIENT_SECONDS", 0.1)
    answer = ask("POST", "/length", content=in_parts(*[b"x"] * 40, pause_s=0.02))
    assert answer.status_code == 408
    assert "or crawled along at less than 8 KiB a second" in answer.text
    steady = in_parts(*[b"x" * 4096] * 12, pause_s=0.02)
    assert ask("POST", "/length", content=steady).json() == 12 * 4096


def test_the_log_holds_one_line_for_a_request_whatever_its_path(caplog):
    caplog.set_level(logging.INFO, logger="tronie.server")
    ask("GET", "/a%0aforged%1b[31m line?secret=1")
    (record,) = caplog.records
    assert "\n" not in record.getMessage()
    assert "/a\\nforged\\x1b[31m line 404" in record.getMessage()
    assert "secret" not in record.getMessage()


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "http:evil",
        "javascript:alert(1)",
        "/a\nb",
        "/a b",
        "/\t/evil.example",
        "",
        "team",
        "/" + "a" * 600,
    ],
)
def test_what_leads_elsewhere_is_no_local_path(path):
    assert http.local_path(path, otherwise="/") == "/"


@pytest.mark.parametrize("path", ["/", "/team", "/tracks/a-b/submit", "/submissions/0?done=x"])
def test_a_local_path_is_kept(path):
    assert http.local_path(path, otherwise="/no") == path


def request_of(**headers: str) -> Request:
    raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    return Request({"type": "http", "headers": raw})


def test_a_form_token_fits_its_cookie_and_no_other():
    token = http.form_token(b"secret", "cookie")
    http.expect_form_token(request_of(), b"secret", cookie="cookie", told=token)
    same = request_of(sec_fetch_site="same-origin")
    http.expect_form_token(same, b"secret", cookie="cookie", told=token)
    wrong = [
        (request_of(), "other", token),
        (request_of(), "cookie", ""),
        (request_of(), "cookie", "\u00e9" * 64),
        (request_of(), "cookie", http.form_token(b"another secret", "cookie")),
        (request_of(), "", http.form_token(b"secret", "")),
        (request_of(sec_fetch_site="cross-site"), "cookie", token),
        (request_of(sec_fetch_site="same-site"), "cookie", token),
    ]
    for request, cookie, told in wrong:
        with pytest.raises(Refused, match="this form was not made for you or is too old"):
            http.expect_form_token(request, b"secret", cookie=cookie, told=told)


def test_a_reader_who_has_it_already_is_told_so():
    def answer(tag: str) -> Response:
        return http.not_modified(request_of(if_none_match=tag), PlainTextResponse("the same"))

    tag = answer("").headers["etag"]
    assert answer(tag).status_code == 304
    assert answer(f'"other", W/{tag}').status_code == 304
    assert answer('"other"').status_code == 200
    assert answer(tag).body == b""


def test_sizes_and_lines_as_they_are_shown():
    assert [http.size_text(n) for n in (0, 1023, 1024, 5 * 2**20, 2**30 + 2**24)] == [
        "0 bytes",
        "1023 bytes",
        "1 KiB",
        "5 MiB",
        "1.016 GiB",
    ]
    assert http.one_line("a\r\n\u202eb\x00") == "a\\r\\n\\u202eb\\x00"
    assert http.host_name("[::1]:80") == "[::1]"
