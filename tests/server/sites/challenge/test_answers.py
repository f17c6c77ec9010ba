"""Every answer that is no, for programs and for people; our own faults tell nothing."""

from __future__ import annotations

import asyncio
import logging

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from tronie.server.challenge.store import StoreUnavailable

pytestmark = pytest.mark.server


def test_people_get_a_page_and_programs_get_json(challenge):
    browser = challenge.browser()
    page = browser.get("/tracks/none")
    assert (page.status_code, "<h1>Not here</h1>" in page.text) == (404, True)
    told = browser.get("/tracks/none", accept="application/json").json()
    assert told == {
        "error": {
            "code": "not_found",
            "message": "there is no such track here; the first page lists all",
        }
    }
    assert browser.get("/api/v1/tracks/none").json() == told


def test_who_has_to_sign_in_comes_back_to_where_they_went(challenge):
    browser = challenge.browser()
    assert browser.get("/tracks/small/submit").headers["location"] == (
        "/sign-in?next=/tracks/small/submit"
    )
    assert browser.get("/submissions/%C3%A9").headers["location"] == "/sign-in"
    told = browser.get("/team", accept="application/json")
    assert (told.status_code, told.json()["error"]["code"]) == (401, "sign_in")


def test_our_own_fault_is_told_to_the_log_only(challenge, monkeypatch, caplog):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(challenge.app.state.site.boards, "shown", broken)
    caplog.set_level(logging.ERROR, logger="tronie.server")
    for path in ("/tracks/small/board", "/api/v1/tracks/small/board"):
        answer = challenge.browser().get(path)
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert "on our side" in answer.text
        reference = answer.text.split("with the reference ")[1][:8]
        assert reference in caplog.text
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "a secret detail" in caplog.text


def test_whoever_hangs_up_in_the_middle_of_a_form_is_no_fault_of_ours(challenge, caplog):
    async def gone() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def nobody_listens(_: object) -> None:
        pass

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/sign-in",
        "raw_path": b"/sign-in",
        "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1"),
            (b"content-type", b"application/x-www-form-urlencoded"),
            (b"content-length", b"999"),
        ],
        "client": ("192.0.2.1", 1),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "http_version": "1.1",
    }
    caplog.set_level(logging.ERROR)
    asyncio.run(challenge.app(scope, gone, nobody_listens))
    assert caplog.records == []


def test_a_database_that_is_away_is_told_as_such(challenge, monkeypatch):
    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("postgresql://user:password@host is away")

    monkeypatch.setattr(challenge.store, "on_board", away)
    answer = challenge.browser().get("/api/v1/tracks/small/board")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert "password" not in answer.text
    page = challenge.browser().get("/tracks/small/board")
    assert (page.status_code, "<h1>Busy</h1>" in page.text) == (503, True)
