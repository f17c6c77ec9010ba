"""The organizer's page: phases, scoring again, bans, another try, the log, the export."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from datetime import UTC, datetime, timedelta

from server.sites.challenge.visiting import NOW
from tronie.errors import BadInput
from tronie.server.challenge.submission import State
from tronie.server.challenge.track import Phase
from tronie.server.sites.challenge.organizer_pages import read_phases

pytestmark = pytest.mark.server


@pytest.fixture
def boss(challenge):
    challenge.account("boss", role="organizer")
    return challenge.browser("boss@example.org")


def test_phases_are_set_and_hide_scores_until_they_close(challenge, boss):
    user = challenge.account("one")
    challenge.scored(user, public=True)
    told = {"name-0": "main", "closes-0": "2030-06-20T18:00", "hidden-0": "yes", "name-1": ""}
    done = boss.post("/organizer/phases/small", told, page="/organizer")
    assert done.headers["location"] == "/organizer?done=phases-set"
    page = challenge.browser().get("/tracks/small/board").text
    assert "Scores of the phase “main” are hidden." in page
    assert "They are shown at 2030-06-20 18:00 UTC." in page
    assert "Institute one" not in page
    challenge.clock.now = datetime(2030, 6, 20, 18, tzinfo=UTC)
    assert "Institute one" in challenge.browser().get("/tracks/small/board").text


def test_phases_are_read_in_utc():
    told = {"name-0": "a", "opens-0": "2030-01-01T00:00", "name-2": "b", "hidden-2": "yes"}
    assert read_phases(told) == (
        Phase(name="a", opens=datetime(2030, 1, 1, tzinfo=UTC)),
        Phase(name="b", hidden=True),
    )


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({}, "a track has one phase or more, each of its own name; got 0"),
        ({"name-0": "a", "name-1": "a"}, "each of its own name; got 2"),
        (
            {"name-0": "a", "opens-0": "tomorrow"},
            "is written as 2026-12-31T23:59, in UTC; got 'tom",
        ),
        ({"name-0": "a", "opens-0": "2030-01-02", "closes-0": "2030-01-01"}, "must open before it"),
        ({"name-0": "a\nb"}, r"cannot be seen \(U\+000A\)"),
    ],
)
def test_phases_that_cannot_be_are_refused(told, sentence):
    with pytest.raises(BadInput, match=sentence):
        read_phases(told)


def test_a_refused_change_of_phases_is_told_on_the_page(challenge, boss):
    refused = boss.post("/organizer/phases/small", {"name-0": ""}, page="/organizer")
    assert refused.status_code == 400
    assert "A track has one phase or more" in refused.text
    assert challenge.store.phases("small") is None


def test_what_an_older_protocol_scored_is_scored_again(challenge, boss):
    made = challenge.submission(challenge.account("one"))
    now, minute = NOW, timedelta(minutes=1)
    from server.sites.challenge.visiting import VERDICT, plain_report

    lease = challenge.store.lease("w", now=now, lifetime=minute)
    challenge.store.accept(lease.token, VERDICT, now)
    lease = challenge.store.lease("w", now=now, lifetime=minute)
    challenge.store.scored(lease.token, plain_report(0.5), "0 (old)", now)
    done = boss.post("/organizer/rescore/small", page="/organizer")
    assert done.headers["location"] == "/organizer?done=rescored"
    assert challenge.store.submission(made.id).state == State.QUEUED


def test_a_ban_has_a_reason_and_is_lifted_by_none(challenge, boss):
    user = challenge.account("one")
    path = f"/organizer/organizations/{user.organization_id}/ban"
    assert (
        boss.post(path, {"reason": "spam"}, page="/organizer")
        .headers["location"]
        .endswith("done=banned")
    )
    assert challenge.store.organization(user.organization_id).banned == "spam"
    assert (
        boss.post(path, {"reason": ""}, page="/organizer")
        .headers["location"]
        .endswith("done=ban-lifted")
    )
    own = challenge.store.user_by_email("boss@example.org").organization_id
    refused = boss.post(f"/organizer/organizations/{own}/ban", {"reason": "x"}, page="/organizer")
    assert (refused.status_code, "The organizer cannot be banned" in refused.text) == (400, True)
    nobody = boss.post("/organizer/organizations/none/ban", {"reason": "x"}, page="/organizer")
    assert nobody.status_code == 404


def test_a_lost_password_is_drawn_anew_and_shown_once(challenge, boss):
    user = challenge.account("one")
    old = challenge.browser("one@example.org")
    page = boss.post(f"/organizer/users/{user.id}/password", page="/organizer").text
    password = page.split('class="secret">')[1].split("<")[0]
    assert password not in boss.get("/organizer").text
    assert old.get("/team").status_code == 303
    assert challenge.browser().sign_in("one@example.org", password).status_code == 303
    assert challenge.store.audit()[-1].action == "user.password_replaced"
    nobody = boss.post("/organizer/users/none/password", page="/organizer")
    assert nobody.status_code == 404


def test_what_failed_by_us_is_tried_again(challenge, boss):
    made = challenge.failed(challenge.account("one"))
    path = f"/organizer/submissions/{made.id}/retry"
    assert "Try again" in boss.get("/organizer").text
    assert boss.post(path, page="/organizer").headers["location"] == "/organizer?done=retried"
    assert challenge.store.submission(made.id).state == State.RECEIVED
    again = boss.post(path, page="/organizer")
    assert (again.status_code, made.id in again.text) == (400, True)


def test_the_log_says_whether_its_chain_holds(challenge, boss):
    import sqlalchemy as sql

    challenge.account("one")
    assert "The chain holds." in boss.get("/organizer/audit").text
    forged = sql.text("UPDATE audit SET line = replace(line, 'Institute one', 'Institute two')")
    challenge.store._database.write(lambda run: run.execute(forged).rowcount)
    page = boss.get("/organizer/audit").text
    assert "The chain breaks at line 2." in page


def test_the_log_s_page_says_whether_results_are_what_it_tells(challenge, boss):
    import sqlalchemy as sql

    made = challenge.scored(challenge.account("one"), 0.75)
    assert "Results are as they were written." in boss.get("/organizer/audit").text
    forged = sql.text("UPDATE submissions SET report = replace(report, '0.75', '0.99')")
    challenge.store._database.write(lambda run: run.execute(forged).rowcount)
    page = boss.get("/organizer/audit").text
    assert f'<a href="/submissions/{made.id}">{made.id[:8]}</a> is not what the log tells' in page
    assert "The chain holds." in page


def test_the_export_holds_everything_but_secrets(challenge, boss):
    user = challenge.account("one")
    challenge.scored(user)
    token = challenge.store.new_token(user.id, label="t", now=NOW)
    text = boss.get("/organizer/export.json").text
    rows = json.loads(text)
    assert {"organizations", "users", "submissions", "audit"} <= {row["table"] for row in rows}
    assert token not in text
    assert "$argon2id$" not in text
