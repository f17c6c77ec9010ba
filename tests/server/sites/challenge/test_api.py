"""The API: hand in, ask, publish; errors in one form; the description fits the answers."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from server.sites.challenge.visiting import LIMIT, Browser
from tronie.server.challenge.signing import verify

pytestmark = pytest.mark.server
SUBMIT = "/api/v1/tracks/small/submissions"
FILE = {"content-type": "application/octet-stream"}


@pytest.fixture
def user(challenge):
    return challenge.account("one")


@pytest.fixture
def program(challenge, user):
    return challenge.program(user)


def test_a_program_hands_in_asks_and_publishes(challenge, user, program):
    sent = program.ask("POST", f"{SUBMIT}?file_name=a.onnx&note=hi", content=b"x", headers=FILE)
    assert sent.status_code == 201
    told = sent.json()
    assert (told["state"], told["position"], told["note"]) == ("received", 1, "hi")
    assert program.get(f"/api/v1/submissions/{told['id']}").json() == told
    challenge.clock.forward(1)
    challenge.store.lease("w", now=challenge.clock(), lifetime=challenge.settings.session_lifetime)
    made = challenge.scored(user)
    shown = program.get(f"/api/v1/submissions/{made.id}").json()
    assert shown["report"]["values"]["accuracy"]["value"] == 0.9
    assert shown["checks"][0]["rule"] == "limits.model_bytes"
    wish = program.ask("POST", f"/api/v1/submissions/{made.id}/public", json={"public": True})
    assert wish.json()["public"] is True
    board = challenge.browser().get("/api/v1/tracks/small/board").json()
    assert board["rows"] == [
        {
            "rank": 1,
            "organization": "Institute one",
            "is_baseline": False,
            "remark": "",
            "received": made.received.isoformat(),
            "values": {"accuracy": 0.9, "model_mib": 1.0},
        }
    ]
    listed = program.get("/api/v1/submissions?track=small&limit=1").json()
    assert [one["id"] for one in listed] == [made.id]
    assert listed[0]["report"] is None
    signed = program.get(f"/api/v1/submissions/{made.id}/result").json()
    key = program.get("/api/v1/key").json()
    assert verify(signed, public_key=key["public_key"])


def test_what_is_left_of_the_day_is_told(challenge, user, program):
    challenge.submission(user)
    told = program.get("/api/v1/me").json()
    assert told["organization"] == "Institute one"
    assert told["slots"] == [
        {"track": "small", "per_day": 3, "left": 2, "next_day": "2030-06-16T00:00:00Z"}
    ]


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer x", "Basic eDp5", "Bearer é", "x" * 999])
def test_without_a_known_token_nothing_is_told(challenge, header):
    browser = Browser(challenge.app)
    answer = browser.ask("GET", "/api/v1/me", headers={"authorization": header.encode()})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "token"


def test_many_wrong_tokens_are_slowed_down(challenge):
    browser = Browser(challenge.app, token="wrong" * 8)
    answers = [browser.get("/api/v1/me").status_code for _ in range(31)]
    assert answers == [401] * 30 + [429]


@pytest.mark.parametrize(
    ("path", "told", "status", "code"),
    [
        (SUBMIT, {"content": b"x", "headers": FILE}, 422, "bad_input"),
        (f"{SUBMIT}?file_name=a", {"content": b"x"}, 415, "wrong_type"),
        (f"{SUBMIT}?file_name=a", {"content": b"", "headers": FILE}, 400, "bad_input"),
        (f"{SUBMIT}?file_name=%00", {"content": b"x", "headers": FILE}, 400, "bad_input"),
        (f"{SUBMIT}?file_name=a&note=%1b", {"content": b"x", "headers": FILE}, 400, "bad_input"),
        (
            f"{SUBMIT}?file_name=a",
            {"content": b"x" * (LIMIT + 1), "headers": FILE},
            413,
            "too_large",
        ),
        (
            "/api/v1/tracks/none/submissions?file_name=a",
            {"content": b"x", "headers": FILE},
            404,
            "not_found",
        ),
        ("/api/v1/submissions/%00/public", {"json": {"public": True}}, 404, "not_found"),
        ("/api/v1/submissions/a/public", {"json": {"public": "\ud800"}}, 422, "bad_input"),
        ("/api/v1/submissions/a/public", {"content": b"{"}, 422, "bad_input"),
        ("/api/v1/submissions/a/public", {"content": b"[" * 60_000}, 400, "bad_input"),
        ("/api/v1/submissions/a/public", {"content": b" " * 70_000}, 413, "too_large"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_one_form(challenge, program, path, told, status, code):
    if "json" in told:
        told = {"content": json.dumps(told["json"]).encode()}
    headers = {"content-type": "application/json", **told.get("headers", {})}
    answer = program.ask("POST", path, content=told["content"], headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert challenge.store.submissions() == ()


def test_the_fourth_of_a_day_is_refused_with_its_time(challenge, user, program):
    for _ in range(3):
        challenge.submission(user)
    answer = program.ask("POST", f"{SUBMIT}?file_name=a", content=b"x", headers=FILE)
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "quota_exceeded"
    assert "the next is possible at 2030-06-16 00:00 UTC" in answer.json()["error"]["message"]
    assert answer.headers["retry-after"] == "43201"


def test_a_board_that_is_known_is_not_sent_again(challenge):
    browser = challenge.browser()
    for path in ("/api/v1/tracks/small/board", "/tracks/small/board"):
        tag = browser.get(path).headers["etag"]
        again = browser.get(path, **{"if-none-match": tag})
        assert (again.status_code, again.content) == (304, b"")
    challenge.scored(challenge.account("one"), public=True)
    changed = browser.get(path, **{"if-none-match": tag})
    assert changed.status_code == 200


def test_answers_are_as_the_description_promises(challenge, user, program):
    made = challenge.scored(user, public=True)
    schema = program.get("/openapi.json").json()
    forms = schema["components"]["schemas"]
    for path, form, pick in (
        ("/api/v1/tracks", "TrackRecord", lambda told: told[0]),
        ("/api/v1/tracks/small/board", "Board", lambda told: told),
        ("/api/v1/tracks/small/board", "BoardRecord", lambda told: told["rows"][0]),
        (f"/api/v1/submissions/{made.id}", "SubmissionRecord", lambda told: told),
        ("/api/v1/me", "Me", lambda told: told),
        ("/api/v1/nothing", "ErrorAnswer", lambda told: told),
    ):
        assert set(pick(program.get(path).json())) == set(forms[form]["properties"]), path
