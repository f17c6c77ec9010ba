"""Visits: who makes them, what a page of theirs may be kept by, and rates by address."""

from __future__ import annotations

from datetime import timedelta

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from tronie.errors import NotFound
from tronie.server.http import Refused

pytestmark = pytest.mark.server


def test_a_session_is_over_after_its_lifetime(challenge):
    challenge.account("one")
    browser = challenge.browser("one@example.org")
    challenge.clock.now += challenge.settings.session_lifetime - timedelta(seconds=1)
    assert browser.get("/team").status_code == 200
    challenge.clock.now += timedelta(seconds=1)
    assert browser.get("/team").status_code == 303


@pytest.mark.parametrize("cookie", ["short", "x" * 300, "a b" * 20, "'; DROP TABLE users;--x"])
def test_a_cookie_of_no_known_form_is_no_session(challenge, cookie):
    browser = challenge.browser()
    answer = browser.get("/team", cookie=f"tronie-session={cookie}")
    assert answer.status_code == 303


def test_a_page_of_somebody_is_kept_by_no_cache(challenge):
    challenge.account("one")
    page = challenge.browser("one@example.org").get("/")
    assert page.headers["cache-control"] == "no-store"
    assert "etag" not in page.headers


def test_an_unknown_track_and_too_many_tries_are_refused(challenge):
    site = challenge.app.state.site
    with pytest.raises(NotFound, match="there is no such track here; the first page lists all"):
        site.track("none")
    for _ in range(3):
        site.expect_rate("mail", "a", challenge.clock())
    with pytest.raises(Refused, match="tried too often; it is possible again in 3601 seconds"):
        site.expect_rate("mail", "a", challenge.clock())


def test_what_was_done_is_said_from_a_fixed_list_only(challenge):
    browser = challenge.browser()
    assert "You are signed out." in browser.get("/?done=signed-out").text
    assert "evil" not in browser.get("/?done=evil").text
