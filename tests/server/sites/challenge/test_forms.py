"""Forms: their type, how many fields, and that each comes from a page shown to its sender."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

pytestmark = pytest.mark.server
FORM = {"content-type": "application/x-www-form-urlencoded"}


def test_a_form_of_another_type_is_refused(challenge):
    browser = challenge.browser()
    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x", ""):
        answer = browser.ask("POST", "/sign-in", content=b"email=a", headers={"content-type": kind})
        assert answer.status_code == 415
        assert "a form is sent as application/x-www-form-urlencoded" in answer.text.lower()


def test_too_many_fields_or_bytes_are_refused(challenge):
    browser = challenge.browser()
    many = "&".join(f"a{n}=b" for n in range(65)).encode()
    assert browser.ask("POST", "/sign-in", content=many, headers=FORM).status_code == 400
    huge = b"email=" + b"x" * 70_000
    assert browser.ask("POST", "/sign-in", content=huge, headers=FORM).status_code == 413


def test_a_visitors_token_is_tied_to_the_cookie_given_with_it(challenge):
    first, second = challenge.browser(), challenge.browser()
    page = first.get("/sign-in")
    assert page.headers["cache-control"] == "no-store"
    assert "tronie-visitor=" in page.headers["set-cookie"]
    token = first.form_token()
    second.get("/sign-in")
    told = {"form_token": token, "email": "a@example.org", "password": "x"}
    assert second.ask("POST", "/sign-in", data=told).status_code == 403
    assert first.ask("POST", "/sign-in", data=told).status_code == 401


def test_a_token_of_before_signing_in_is_worth_nothing_after(challenge):
    challenge.account("one")
    browser = challenge.browser()
    before = browser.form_token()
    browser.sign_in("one@example.org")
    answer = browser.ask("POST", "/team/hidden", data={"form_token": before, "hidden": "yes"})
    assert answer.status_code == 403


def test_a_page_without_a_form_gives_no_cookie_and_may_be_kept(challenge):
    page = challenge.browser().get("/tracks/small/board")
    assert "set-cookie" not in page.headers
    assert page.headers["cache-control"] == "no-cache"
    assert page.headers["vary"] == "Cookie"
