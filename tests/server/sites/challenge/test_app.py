"""Every endpoint by every role; forms without their token; what is typed comes back escaped."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from server.sites.challenge.visiting import PASSWORD, Browser
from tronie.server.http import form_token, new_token

pytestmark = pytest.mark.server
ROLES = ("nobody", "other", "own", "banned", "organizer")
ALL = 200, 200, 200, 200, 200
SIGNED_IN = 303, 200, 200, 200, 200
OWN = 303, 404, 200, 404, 200
ORGANIZER = 303, 403, 403, 403, 200
ORGANIZER_DOES = 303, 403, 403, 403, 303
TOKEN = 401, 200, 200, 200, 200
OWN_TOKEN = 401, 404, 200, 404, 404
UP = {"organization": "Institute New", "email": "new@example.org", "password": PASSWORD}
NEW = "another five words here"

PAGES = {
    ("GET", "/"): ALL,
    ("GET", "/tracks"): (308, 308, 308, 308, 308),
    ("GET", "/tracks/{name}"): ALL,
    ("GET", "/tracks/{name}/board"): ALL,
    ("GET", "/docs"): ALL,
    ("GET", "/openapi.json"): ALL,
    ("GET", "/charts.css"): ALL,
    ("GET", "/robots.txt"): ALL,
    ("GET", "/sign-up"): ALL,
    ("GET", "/sign-in"): ALL,
    ("GET", "/verify"): ALL,
    ("GET", "/forgot"): ALL,
    ("GET", "/reset"): ALL,
    ("GET", "/account"): SIGNED_IN,
    ("GET", "/team"): SIGNED_IN,
    ("GET", "/tracks/{name}/submit"): SIGNED_IN,
    ("GET", "/submissions/{id}"): OWN,
    ("GET", "/submissions/{id}/state"): OWN,
    ("GET", "/submissions/{id}/result.json"): OWN,
    ("GET", "/organizer"): ORGANIZER,
    ("GET", "/organizer/audit"): ORGANIZER,
    ("GET", "/organizer/export.json"): ORGANIZER,
}
FORMS = {
    "/sign-up": (UP, (303, 303, 303, 303, 303)),
    "/verify": ({"code": "x" * 43}, (400, 400, 400, 400, 400)),
    "/sign-in": ({"email": "x@example.org", "password": "wrong"}, (401, 401, 401, 401, 401)),
    "/forgot": ({"email": "x@example.org"}, (404, 404, 404, 404, 404)),
    "/reset": ({"code": "x" * 43, "password": NEW}, (400, 400, 400, 400, 400)),
    "/account/password": ({"old": "wrong", "password": NEW}, (303, 400, 400, 400, 400)),
    "/team/hidden": ({"hidden": "yes"}, (303, 303, 303, 303, 303)),
    "/team/tokens": ({"label": "laptop"}, (303, 201, 201, 201, 201)),
    "/team/tokens/{token}/end": ({}, (303, 404, 303, 404, 404)),
    "/submissions/{id}/public": ({"public": "yes"}, (303, 404, 303, 404, 404)),
    "/organizer/phases/{name}": ({"name-0": "open"}, ORGANIZER_DOES),
    "/organizer/rescore/{name}": ({}, ORGANIZER_DOES),
    "/organizer/organizations/{team}/ban": ({"reason": "spam"}, ORGANIZER_DOES),
    "/organizer/submissions/{failed}/retry": ({}, ORGANIZER_DOES),
    "/organizer/users/{user}/password": ({}, ORGANIZER),
    "/tracks/{name}/submit": (None, (303, 303, 303, 403, 303)),
    "/sign-out": ({}, (303, 303, 303, 303, 303)),
}
PROGRAMS = {
    ("GET", "/api/v1/health"): ALL,
    ("GET", "/api/v1/key"): ALL,
    ("GET", "/api/v1/tracks"): ALL,
    ("GET", "/api/v1/tracks/{name}"): ALL,
    ("GET", "/api/v1/tracks/{name}/board"): ALL,
    ("GET", "/api/v1/me"): TOKEN,
    ("GET", "/api/v1/submissions"): TOKEN,
    ("GET", "/api/v1/submissions/{id}"): OWN_TOKEN,
    ("GET", "/api/v1/submissions/{id}/result"): OWN_TOKEN,
    ("POST", "/api/v1/submissions/{id}/public"): OWN_TOKEN,
    ("POST", "/api/v1/tracks/{name}/submissions"): (401, 201, 201, 403, 201),
}


class World:
    """The site with one of each role, and objects of "own"."""

    def __init__(self, challenge):
        self.challenge = challenge
        self.users = {name: challenge.account(name) for name in ("other", "own", "banned")}
        self.users["organizer"] = challenge.account("organizer", role="organizer")
        own, store = self.users["own"], challenge.store
        store.new_token(own.id, label="own", now=challenge.clock())
        self.places = {
            "name": "small",
            "id": challenge.scored(own).id,
            "failed": challenge.failed(own).id,
            "token": store.tokens(own.id)[0].id,
            "team": self.users["other"].organization_id,
            "user": self.users["other"].id,
        }
        banned = self.users["banned"].organization_id
        store.ban(banned, "two accounts", own.id, challenge.clock())

    def path(self, template):
        return template.format(**self.places)

    def browser(self, role):
        """One with a session, or with what a visitor has, and the token of its forms."""
        settings, store = self.challenge.settings, self.challenge.store
        browser = Browser(self.challenge.app)
        name, cookie = "tronie-visitor", new_token()
        if role != "nobody":
            name = "tronie-session"
            lifetime = settings.session_lifetime
            user = self.users[role]
            cookie = store.new_session(user.id, now=self.challenge.clock(), lifetime=lifetime)
        browser.client.cookies.set(name, cookie, domain="127.0.0.1")
        return browser, form_token(settings.secret, cookie)

    def send(self, browser, template, fields, token):
        """A form, or the one with a file where there are no fields."""
        told = {} if token is None else {"form_token": token}
        if fields is not None:
            kind = {"content-type": "application/x-www-form-urlencoded"}
            return browser.ask("POST", self.path(template), data=told | fields, headers=kind)
        files = {"file": ("a.onnx", b"x" * 100, "application/octet-stream")}
        return browser.ask("POST", self.path(template), data=told, files=files)


@pytest.fixture
def world(challenge):
    return World(challenge)


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_every_page_answers_each_role_as_it_should(world, role):
    n = ROLES.index(role)
    for (method, template), expected in PAGES.items():
        browser, _ = world.browser(role)
        answer = browser.ask(method, world.path(template))
        assert answer.status_code == expected[n], template
        if expected is not ALL and expected[n] == 303:
            assert answer.headers["location"].startswith("/sign-in"), template


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_every_form_answers_each_role_as_it_should(world, role):
    n = ROLES.index(role)
    for template, (fields, expected) in FORMS.items():
        browser, token = world.browser(role)
        answer = world.send(browser, template, fields, token)
        assert answer.status_code == expected[n], (template, answer.text[-800:])
        open_to_all = ("/sign-up", "/sign-out")
        if role == "nobody" and expected[n] == 303 and template not in open_to_all:
            assert answer.headers["location"] == "/sign-in", template


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_every_call_answers_each_role_as_it_should(world, role):
    n = ROLES.index(role)
    user = world.users.get(role)
    program = world.challenge.program(user) if user else Browser(world.challenge.app)
    for (method, template), expected in PROGRAMS.items():
        path, told = world.path(template), {}
        if path.endswith("/public"):
            told = {"json": {"public": True}}
        elif method == "POST":
            path += "?file_name=a.onnx"
            told = {"content": b"x", "headers": {"content-type": "application/octet-stream"}}
        answer = program.ask(method, path, **told)
        assert answer.status_code == expected[n], (template, answer.text)
        if expected[n] >= 400:
            assert set(answer.json()["error"]) == {"code", "message"}


def test_the_matrix_holds_every_endpoint(challenge):
    def routes(holder):
        for route in holder.routes:
            if hasattr(route, "methods"):
                yield from ((method, route.path) for method in route.methods - {"HEAD"})
            elif hasattr(route, "original_router"):
                yield from routes(route.original_router)

    told = {*PAGES, *PROGRAMS, *(("POST", path) for path in FORMS)}
    plain = {(m, re.sub("{(token|team|failed|user)}", "{id}", path)) for m, path in told}
    assert set(routes(challenge.app)) == plain


@pytest.mark.slow
@pytest.mark.parametrize("role", ["nobody", "own", "organizer"])
def test_a_form_without_its_token_or_with_a_wrong_one_does_nothing(world, role):
    for template, (fields, _) in FORMS.items():
        browser, token = world.browser(role)
        _, of_another = world.browser("other")
        if role == "nobody" and fields is None:
            continue  # is sent to sign in before anything of it is read
        for wrong in (None, "", of_another, token[::-1], "é"):
            answer = world.send(browser, template, fields, wrong)
            assert answer.status_code == 403, (template, wrong)
            assert "This form was not made for you or is too old" in answer.text
    assert world.challenge.store.organization(world.places["team"]).banned == ""
    assert len(world.challenge.store.users()) == 4


def test_a_form_that_another_site_sends_is_refused(world):
    browser, token = world.browser("own")
    browser.client.headers["sec-fetch-site"] = "cross-site"
    assert world.send(browser, "/team/hidden", {"hidden": "yes"}, token).status_code == 403


def test_the_api_reads_no_cookie(world):
    browser, _ = world.browser("own")
    assert browser.get("/api/v1/me").status_code == 401


NASTY = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>'",
    "Robert'); DROP TABLE users;--",
    "{{ 7*7 }} {% raw %} ${7*7}",
    "' OR 1=1 --",
)


@pytest.mark.slow
@pytest.mark.parametrize("nasty", NASTY)
def test_what_is_typed_anywhere_comes_back_as_text(challenge, nasty):
    from markupsafe import escape

    name = f"Institute {nasty}"
    anybody = challenge.browser()
    told = {"organization": name, "email": f"{nasty}@", "password": PASSWORD}
    again = anybody.post("/sign-up", told).text
    assert nasty not in again.replace(str(escape(nasty)), "")
    assert str(escape(nasty)) in again
    anybody.post("/sign-up", {**told, "email": "one@example.org"})
    browser = challenge.browser("one@example.org")
    assert browser.post("/team/tokens", {"label": nasty}, page="/team").status_code == 201
    organizer = challenge.account("organizer", role="organizer")
    boss = challenge.browser("organizer@example.org")
    user = challenge.store.user_by_email("one@example.org")
    challenge.scored(user, public=True)
    assert browser.upload(b"x" * 10, name=nasty.replace('"', "'"), note=nasty).status_code == 303
    phases = {"name-0": nasty[:40]}
    assert boss.post("/organizer/phases/small", phases, page="/organizer").status_code == 303
    ban = f"/organizer/organizations/{user.organization_id}/ban"
    seen = [browser.get("/tracks/small/board")]
    assert boss.post(ban, {"reason": nasty}, page="/organizer").status_code == 303
    submission = challenge.store.submissions(organization_id=user.organization_id)[0]
    pages = ("/team", "/account", f"/submissions/{submission.id}", "/tracks/small")
    seen += [browser.get(page) for page in pages]
    seen += [boss.get(page) for page in ("/organizer", "/organizer/audit")]
    for page in seen:
        assert page.status_code == 200
        assert nasty not in page.text or str(escape(nasty)) == nasty
        assert "<script>alert" not in page.text
        assert "Institute 49" not in page.text
    assert str(escape(nasty)) in seen[0].text, "the name on the board, as text"
    assert organizer.id in {one.id for one in challenge.store.users()}, "no table was dropped"


def test_no_page_holds_a_script_or_a_style_of_its_own(world):
    for (method, template), _ in PAGES.items():
        browser, _token = world.browser("organizer")
        text = browser.ask(method, world.path(template)).text
        if text.startswith("<!doctype html>"):
            assert " style=" not in text, template
            assert "<style" not in text, template
            assert text.count("<script") == 1, template
            assert " onclick" not in text
            for label in ('lang="en"', 'name="viewport"', 'class="skip"', '<main id="main"'):
                assert label in text, template


def test_head_options_and_what_is_not_there(challenge):
    browser = challenge.browser()
    for path in ("/", "/api/v1/tracks", "/tracks/small/board", "/static/site.css"):
        full, head = browser.get(path), browser.ask("HEAD", path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(full.content))
    for path in ("/", "/team", "/api/v1/tracks", "/sign-in"):
        answer = browser.ask("OPTIONS", path)
        assert answer.status_code == 405
        assert "access-control-allow-origin" not in answer.headers
    for path in ("/nothing", "/static/../app.py", "/static/%2e%2e/app.py", "/tracks/none"):
        assert browser.get(path).status_code == 404, path
    missing = browser.get("/api/v1/nothing")
    assert missing.json()["error"]["code"] == "not_found"


def test_another_host_name_is_refused_and_never_in_a_link(make_challenge):
    challenge = make_challenge(mail=True)
    challenge.account("one")
    browser = challenge.browser()
    assert browser.get("/", host="evil.example").status_code == 400
    browser.post("/forgot", {"email": "one@example.org"})
    assert challenge.settings.public_url in challenge.letters.sent[-1][2]
