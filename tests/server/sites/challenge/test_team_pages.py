"""A team's pages: a submission from its form to the board, and nothing of it for anybody else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from server.sites.challenge.visiting import LIMIT, NOW, TRACK, VERDICT
from tronie.server.challenge.checks import Check, Verdict
from tronie.server.challenge.signing import verify
from tronie.server.challenge.submission import State

pytestmark = pytest.mark.server
MODEL = b"\x08\x07onnx" * 100


@pytest.fixture
def team(challenge):
    challenge.account("one")
    return challenge.browser("one@example.org")


def only(challenge):
    (found,) = challenge.store.submissions()
    return found


def test_a_file_is_handed_in_and_waits_in_the_queue(challenge, team):
    done = team.upload(MODEL, name="C:\\our model.onnx", note="the first")
    made = only(challenge)
    assert done.headers["location"] == f"/submissions/{made.id}?done=submitted"
    assert (made.file_name, made.note, made.track) == ("our model.onnx", "the first", "small")
    with challenge.storage.local(made.upload) as path:
        assert path.read_bytes() == MODEL
    page = team.get(f"/submissions/{made.id}").text
    assert "<b>1st in the queue</b>" in page
    assert "our model.onnx" in page
    assert "2 of 3" in team.get("/team").text
    state = team.get(f"/submissions/{made.id}/state").json()
    assert state == {"state": "received", "position": 1}


def test_a_script_is_told_where_to_go_on(challenge, team):
    token = {"form_token": team.form_token("/team")}
    answer = team.ask(
        "POST",
        "/tracks/small/submit",
        data=token,
        files={"file": ("a.onnx", MODEL)},
        headers={"accept": "application/json"},
    )
    assert answer.status_code == 201
    assert answer.json() == {"location": f"/submissions/{only(challenge).id}?done=submitted"}
    refused = team.ask(
        "POST",
        "/tracks/small/submit",
        data=token,
        files={"file": ("a.onnx", b"x" * (LIMIT + 1))},
        headers={"accept": "application/json"},
    )
    assert refused.json()["error"] == {
        "code": "too_large",
        "message": "the file is larger than the 64 KiB that this track takes; send a smaller one",
    }


def test_the_fourth_of_a_day_is_refused_with_the_time_of_the_next(challenge, team):
    for _ in range(3):
        assert team.upload(MODEL).status_code == 303
    refused = team.upload(MODEL)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == str(12 * 3600 + 1)
    assert "the next is possible at 2030-06-16 00:00 UTC, in 12 h 0 min" in refused.text
    assert "2030-06-16 00:00 UTC" in team.get("/tracks/small/submit").text
    assert len(list(challenge.storage._files.find(challenge.storage._root))) == 3
    challenge.clock.now = NOW + timedelta(hours=12)
    assert team.upload(MODEL).status_code == 303


def test_what_is_refused_at_the_checks_shows_each_rule_and_its_reason(challenge, team):
    team.upload(MODEL)
    made = only(challenge)
    lease = challenge.store.lease("w", now=challenge.clock(), lifetime=timedelta(minutes=1))
    flops = Check(
        rule="limits.flops",
        passed=False,
        reason="1.07 GFLOPs is over this track's 1.00",
        measured=1_070_000_000,
        limit=1_000_000_000,
        unit="FLOPs",
    )
    verdict = Verdict(track="small", checks=(*VERDICT.checks, flops))
    challenge.store.refuse(lease.token, verdict, f"{flops.reason}.", challenge.clock())
    page = team.get(f"/submissions/{made.id}").text
    assert "1.07 GFLOPs is over this track&#39;s 1.00." in page
    assert page.index("limits.flops") < page.index("limits.model"), "what is broken comes first"
    assert "1.07\u202fG" in page
    assert "3 of 3" in team.get("/team").text, "the slot was given back"
    assert "The file itself was removed" not in page
    challenge.store.upload_removed(made.id, "w", challenge.clock())
    page = team.get(f"/submissions/{made.id}").text
    assert "The file itself was removed 7 days after it was refused" in page


def test_a_result_is_shown_signed_and_set_public(challenge, team):
    user = challenge.store.user_by_email("one@example.org")
    made = challenge.scored(user, 0.91)
    page = team.get(f"/submissions/{made.id}").text
    assert "91.00\u202f%" in page
    assert "calibration_factor" in page
    assert "Nobody has a public result yet" in team.get("/tracks/small/board").text
    done = team.post(f"/submissions/{made.id}/public", {"public": "yes"}, page="/team")
    assert done.headers["location"].endswith("?done=public")
    assert "Institute one" in challenge.browser().get("/tracks/small/board").text
    signed = json.loads(team.get(f"/submissions/{made.id}/result.json").content)
    assert verify(signed, public_key=challenge.signer.public_key)
    assert signed["document"]["report"]["values"]["accuracy"]["value"] == 0.91
    team.post(f"/submissions/{made.id}/public", {"public": "no"}, page="/team")
    assert "Institute one" not in challenge.browser().get("/tracks/small/board").text


def test_a_hidden_name_is_shown_to_its_team_only(challenge, team):
    user = challenge.store.user_by_email("one@example.org")
    challenge.scored(user, public=True)
    assert team.post("/team/hidden", {"hidden": "yes"}, page="/team").status_code == 303
    mine = team.get("/tracks/small/board").text
    others = challenge.browser().get("/tracks/small/board").text
    assert "others see no name" in mine
    assert "Institute one" in mine
    assert "Institute one" not in others
    assert "name hidden" in others
    assert user.organization_id not in others
    team.post("/team/hidden", {"hidden": "no"}, page="/team")
    assert "Institute one" in challenge.browser().get("/tracks/small/board").text


def test_a_banned_team_reads_why_and_leaves_the_board(challenge, team):
    user = challenge.store.user_by_email("one@example.org")
    made = challenge.scored(user, public=True)
    challenge.store.ban(user.organization_id, "two accounts", user.id, challenge.clock())
    assert "two accounts" in team.get("/team").text
    refused = team.upload(MODEL)
    assert (refused.status_code, "two accounts" in refused.text) == (403, True)
    assert "Nobody has a public result yet" in team.get("/tracks/small/board").text
    publish = f"/submissions/{made.id}/public"
    assert team.post(publish, {"public": "yes"}, page="/team").status_code == 403
    assert team.post(publish, {"public": "no"}, page="/team").status_code == 303


def test_a_token_is_shown_once_and_ended(challenge, team):
    page = team.post("/team/tokens", {"label": "laptop"}, page="/team")
    token = page.text.split('class="secret">')[1].split("<")[0]
    assert challenge.store.token_user(token) is not None
    assert token not in team.get("/team").text
    user = challenge.store.user_by_email("one@example.org")
    (record,) = challenge.store.tokens(user.id)
    done = team.post(f"/team/tokens/{record.id}/end", page="/team")
    assert done.headers["location"] == "/team?done=token-ended"
    assert challenge.store.token_user(token) is None
    bad = team.post("/team/tokens", {"label": ""}, page="/team")
    assert bad.status_code == 400


def test_with_a_ladder_exact_numbers_are_the_organizers(make_challenge):
    challenge = make_challenge(tracks={"small": replace(TRACK, ladder=0.01)})
    user = challenge.account("one")
    challenge.account("boss", role="organizer")
    made = challenge.scored(user, 0.91)
    page = challenge.browser("one@example.org").get(f"/submissions/{made.id}")
    assert "This board is a Ladder" in page.text
    assert "91.00\u202f%" not in page.text
    result = challenge.browser("one@example.org").get(f"/submissions/{made.id}/result.json")
    assert result.status_code == 404
    boss = challenge.browser("boss@example.org").get(f"/submissions/{made.id}")
    assert "91.00\u202f%" in boss.text


@pytest.mark.parametrize("id", ["0" * 32, "none", "%00", "..%2f..", "1' OR '1'='1", "Ω" * 32])
def test_an_identifier_of_nothing_is_not_there(challenge, team, id):
    for path in (f"/submissions/{id}", f"/submissions/{id}/state"):
        assert team.get(path).status_code == 404
    assert team.post(f"/submissions/{id}/public", {"public": "yes"}).status_code in (403, 404)


def test_a_submission_that_failed_by_us_says_so(challenge, team):
    made = challenge.failed(challenge.store.user_by_email("one@example.org"))
    assert challenge.store.submission(made.id).state == State.FAILED
    page = team.get(f"/submissions/{made.id}").text
    assert "and not by your fault" in page
    assert "A disk was full" in page
