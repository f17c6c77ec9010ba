"""Accounts by the pages: a whole trip, fixation, enumeration, open redirects, lost passwords."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from server.sites.challenge.visiting import PASSWORD
from tronie.server.challenge.accounts import Passwords

pytestmark = pytest.mark.server
SIGN_UP = {"organization": "Institute One", "email": "one@example.org", "password": PASSWORD}


def test_somebody_signs_up_signs_in_and_out(challenge):
    browser = challenge.browser()
    done = browser.post("/sign-up", SIGN_UP)
    assert (done.status_code, done.headers["location"]) == (303, "/sign-in?done=signed-up")
    assert browser.get("/team").headers["location"] == "/sign-in?next=/team"
    done = browser.sign_in("ONE@example.org ")
    assert (done.status_code, done.headers["location"]) == (303, "/team")
    page = browser.get("/team")
    assert page.status_code == 200
    assert "Institute One" in page.text
    old = browser.cookies
    assert browser.post("/sign-out", page="/team").headers["location"] == "/?done=signed-out"
    assert browser.get("/team").status_code == 303
    browser.client.cookies.update(old)
    assert browser.get("/team").status_code == 303, "the session is over, not only the cookie"


def test_the_session_is_a_new_token_whatever_cookie_was_planted(challenge):
    challenge.account("one")
    other = challenge.browser("one@example.org")
    planted = other.client.cookies["tronie-session"]
    browser = challenge.browser()
    browser.client.cookies.set("tronie-session", "planted-by-somebody-else-0000")
    assert browser.sign_in("one@example.org").status_code == 303
    mine = browser.client.cookies.get("tronie-session", domain="127.0.0.1")
    assert mine not in (None, planted, "planted-by-somebody-else-0000")
    again = challenge.browser("one@example.org")
    first = again.client.cookies["tronie-session"]
    again.post("/sign-in", {"email": "one@example.org", "password": PASSWORD}, page="/team")
    second = again.client.cookies["tronie-session"]
    assert first != second
    again.client.cookies.set("tronie-session", first, domain="127.0.0.1")
    assert again.get("/team").status_code == 303, "signing in again ends the session before"


def test_cookies_are_kept_from_scripts_and_other_sites(make_challenge):
    plain = make_challenge()
    plain.account("one")
    set_cookie = plain.browser().sign_in("one@example.org").headers["set-cookie"]
    assert "HttpOnly" in set_cookie
    assert "SameSite=lax" in set_cookie
    assert "Secure" not in set_cookie
    secure = make_challenge(settings={"public_url": "https://faces.example.org"})
    answer = secure.browser().sign_in("one@example.org")
    assert answer.headers["set-cookie"].startswith("__Host-tronie-session=")
    assert "Secure" in answer.headers["set-cookie"]
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("email", "password"),
    [("one@example.org", "wrong password"), ("nobody@example.org", PASSWORD), ("no address", "x")],
)
def test_a_wrong_sign_in_says_the_same_and_does_the_same_work(
    challenge, monkeypatch, email, password
):
    challenge.account("one")
    checked = []
    fits = Passwords.fits
    monkeypatch.setattr(
        Passwords, "fits", lambda self, *told: checked.append(told) or fits(self, *told)
    )
    done = challenge.browser().sign_in(email, password)
    assert done.status_code == 401
    assert "The address or the password is wrong; type both anew." in done.text
    assert len(checked) == 1, "argon2 ran once, for a known and for an unknown address"


def test_signing_up_with_a_name_or_an_address_in_use_says_what_success_says(challenge):
    browser = challenge.browser()
    answers = [
        browser.post("/sign-up", SIGN_UP),
        browser.post("/sign-up", SIGN_UP | {"email": "two@example.org"}),
        browser.post("/sign-up", SIGN_UP | {"organization": "Institute Two"}),
    ]
    assert {(a.status_code, a.headers["location"], a.text) for a in answers} == {
        (303, "/sign-in?done=signed-up", "")
    }
    assert len(challenge.store.users()) == 1


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("organization", "x", "The organization&#39;s name must have 3 to 100 characters; got 1."),
        ("organization", "Evil\u202eInc", "holds a character that cannot be seen (U+202E)"),
        ("email", "nowhere", "The e-mail address must be one, as in name@example.org."),
        ("password", "short", "The password must have 10 to 200 characters; got 5."),
        ("password", "password1234", "The password is one of the first that would be tried"),
    ],
)
def test_a_field_that_cannot_be_taken_is_named_and_the_others_are_kept(
    challenge, field, value, sentence
):
    done = challenge.browser().post("/sign-up", SIGN_UP | {field: value})
    assert done.status_code == 400
    assert sentence in done.text
    assert PASSWORD not in done.text
    assert challenge.store.users() == ()


def test_control_characters_in_a_field_are_refused(challenge):
    done = challenge.browser().post("/sign-up", SIGN_UP | {"organization": "Nul\x00l Institute"})
    assert done.status_code == 400
    assert "a field holds a control character" in done.text.lower()


@pytest.mark.parametrize(
    ("following", "place"),
    [
        ("/tracks/small/submit", "/tracks/small/submit"),
        ("//evil.example", "/team"),
        ("/\\evil.example", "/team"),
        ("https://evil.example", "/team"),
        ("javascript:alert(1)", "/team"),
        ("/a\r\nset-cookie: x=1", "/team"),
        ("", "/team"),
    ],
)
def test_signing_in_leads_on_inside_this_site_only(challenge, following, place):
    challenge.account("one")
    done = challenge.browser().sign_in("one@example.org", next=following)
    assert (done.status_code, done.headers["location"]) == (303, place)


def test_too_many_wrong_passwords_close_an_account_for_a_while_known_or_not(challenge):
    challenge.account("one")
    for email in ("one@example.org", "nobody@example.org"):
        browser = challenge.browser()
        for _ in range(10):
            assert browser.sign_in(email, "wrong password").status_code == 401
        refused = browser.sign_in(email)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "601"
        assert "possible again in 601 seconds" in refused.text
        challenge.clock.forward(601)
    assert challenge.browser("one@example.org").get("/team").status_code == 200


def test_too_many_sign_ins_from_one_address_are_refused(challenge):
    browser = challenge.browser()
    for n in range(30):
        assert browser.sign_in(f"{n}@example.org", "wrong password").status_code == 401
    assert browser.sign_in("31@example.org").status_code == 429


def test_too_many_sign_ups_from_one_address_are_refused(challenge):
    browser = challenge.browser()
    for _ in range(10):
        browser.post("/sign-up", SIGN_UP | {"password": "short"})
    assert browser.post("/sign-up", SIGN_UP).status_code == 429


def test_an_address_is_verified_by_a_click_on_the_page_of_the_link(make_challenge):
    challenge = make_challenge(mail=True)
    browser = challenge.browser()
    assert browser.post("/sign-up", SIGN_UP).headers["location"] == "/sign-in?done=mail-sent"
    to, _, text = challenge.letters.sent[-1]
    assert (to, "http://127.0.0.1:8000/verify?code=" in text) == ("one@example.org", True)
    code = challenge.letters.code()
    signed_in = challenge.browser("one@example.org")
    assert "Your address is not verified yet." in signed_in.get("/team").text
    refused = signed_in.upload(b"x" * 100)
    assert refused.status_code == 403
    assert "Your address one@example.org is not verified yet" in refused.text
    assert browser.get(f"/verify?code={code}").status_code == 200
    assert not challenge.store.user_by_email("one@example.org").verified, "looking is no click"
    assert browser.post("/verify", {"code": code}).headers["location"] == "/sign-in?done=verified"
    assert challenge.store.user_by_email("one@example.org").verified
    again = browser.post("/verify", {"code": code})
    assert again.status_code == 400
    assert "This link was used already or is too old" in again.text


def test_signing_up_again_tells_by_mail_only(make_challenge):
    challenge = make_challenge(mail=True)
    challenge.account("one")
    done = challenge.browser().post("/sign-up", SIGN_UP)
    assert done.headers["location"] == "/sign-in?done=mail-sent"
    assert "has an account already" in challenge.letters.sent[-1][2]


def test_one_address_is_sent_few_messages_in_an_hour(make_challenge):
    challenge = make_challenge(mail=True)
    answers = [challenge.browser().post("/sign-up", SIGN_UP).status_code for _ in range(4)]
    assert answers == [303, 303, 303, 429]
    assert len(challenge.letters.sent) == 3


def test_a_lost_password_is_replaced_by_mail_and_ends_every_session(make_challenge):
    challenge = make_challenge(mail=True)
    user = challenge.account("one")
    old, program = challenge.browser("one@example.org"), challenge.program(user)
    browser = challenge.browser()
    for email in ("one@example.org", "nobody@example.org", "no address"):
        done = browser.post("/forgot", {"email": email})
        assert done.headers["location"] == "/sign-in?done=mail-sent"
    assert [to for to, _, _ in challenge.letters.sent] == ["one@example.org"]
    code = challenge.letters.code()
    short = browser.post("/reset", {"code": code, "password": "short"})
    assert (short.status_code, "10 to 200 characters" in short.text) == (400, True)
    done = browser.post("/reset", {"code": code, "password": "another five words here"})
    assert done.headers["location"] == "/sign-in?done=password-set"
    assert old.get("/team").status_code == 303
    assert program.get("/api/v1/me").status_code == 401
    assert browser.sign_in("one@example.org").status_code == 401
    assert browser.sign_in("one@example.org", "another five words here").status_code == 303


def test_without_mail_the_organizer_is_named(challenge):
    assert "This challenge sends no mail" in challenge.browser().get("/forgot").text
    refused = challenge.browser().post("/forgot", {"email": "one@example.org"})
    assert (refused.status_code, "sends no mail" in refused.text) == (404, True)


def test_a_password_is_changed_by_whoever_knows_the_old_one(challenge):
    program = challenge.program(challenge.account("one"))
    browser = challenge.browser("one@example.org")
    assert "and every API token of yours" in browser.get("/account").text
    new = {"old": PASSWORD, "password": "another five words here"}
    wrong = browser.post("/account/password", new | {"old": "x"}, page="/account")
    assert (wrong.status_code, "The old password is wrong." in wrong.text) == (400, True)
    bad = browser.post("/account/password", new | {"password": "x"}, page="/account")
    assert (bad.status_code, "10 to 200 characters" in bad.text) == (400, True)
    assert program.get("/api/v1/me").status_code == 200, "nothing was changed so far"
    done = browser.post("/account/password", new, page="/account")
    assert "every API token of the account was ended" in browser.get(done.headers["location"]).text
    assert program.get("/api/v1/me").status_code == 401
    assert browser.get("/account").status_code == 303
    assert browser.sign_in("one@example.org", "another five words here").status_code == 303


def test_nobody_signs_up_where_that_is_closed(make_challenge):
    challenge = make_challenge(settings={"sign_up_open": False})
    assert "Nobody may sign up here now" in challenge.browser().get("/sign-up").text
    refused = challenge.browser().post("/sign-up", SIGN_UP)
    assert (refused.status_code, challenge.store.users()) == (403, ())
