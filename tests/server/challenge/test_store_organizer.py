"""Phases, the log in the database, and an export without secrets."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import sqlalchemy as sql

from server.challenge.small_challenge import GOOD, MINUTE, NOW, REPORT, TRACK, send, take, team
from tronie.errors import BadInput, NotFound
from tronie.server.challenge import audit, schema, store_organizer
from tronie.server.challenge.track import Phase

pytest.importorskip("alembic", reason="alembic is not installed, which makes the tables")
pytestmark = pytest.mark.server


def busy(store):
    """A challenge in which some things have happened."""
    user = team(store)
    store.new_session(user.id, now=NOW, lifetime=MINUTE)
    store.new_token(user.id, label="laptop", now=NOW)
    store.new_mail_code(user.id, "verify", NOW, MINUTE)
    one = send(store, user)
    store.accept(take(store).token, GOOD, NOW)
    store.scored(take(store).token, REPORT, "1", NOW)
    store.set_phases(TRACK, [Phase(name="open")], user.id, NOW)
    return user, one


def spoil(store, statement) -> None:
    store._database.write(lambda run: run.execute(statement).rowcount)


def test_phases_are_the_track_s_own_until_they_are_set(store):
    assert store.phases(TRACK) is None
    moved = (
        Phase(name="développement", opens=NOW, closes=NOW + timedelta(days=9)),
        Phase(name="final", opens=NOW + timedelta(days=9), hidden=True),
    )
    store.set_phases(TRACK, moved, "organizer", NOW)
    assert store.phases(TRACK) == moved
    assert store.phases("other") is None
    store.set_phases(TRACK, [], "organizer", NOW)
    assert store.phases(TRACK) == ()
    store.set_phases(TRACK, None, "organizer", NOW)
    assert store.phases(TRACK) is None
    assert [entry.action for entry in store.audit()] == ["track.phases"] * 3
    assert store.audit()[0].details["phases"][1]["hidden"] is True


def test_every_change_has_its_line_and_the_log_is_whole(store):
    user, one = busy(store)
    log = store.audit()
    assert [(entry.number, entry.action, entry.actor) for entry in log] == [
        (1, "account.created", user.id),
        (2, "token.made", user.id),
        (3, "submission.received", user.id),
        (4, "submission.checking", "w1"),
        (5, "submission.queued", "w1"),
        (6, "submission.running", "w1"),
        (7, "submission.scored", "w1"),
        (8, "track.phases", user.id),
    ]
    assert {entry.subject for entry in log[2:7]} == {one.id}
    assert {entry.moment for entry in log} == {NOW}
    assert log[2].details["sha256"] == one.sha256
    sealed = audit.plain_json(REPORT)
    assert log[6].details["report_sha256"] == audit.hashlib.sha256(sealed.encode()).hexdigest()
    assert audit.first_break(log) is None
    assert store.audit_break() is None
    assert store.audit(3) == log[-3:]
    assert audit.first_break(store.audit(3), after=log[4]) is None


def test_a_change_that_is_refused_has_no_line(store):
    team(store)
    with pytest.raises(BadInput, match="what is kept must be plain JSON"):
        store.note("a", "b", "c", {"x": float("nan")}, NOW)
    assert len(store.audit()) == 1
    assert store.audit_break() is None


def test_what_is_changed_in_the_database_is_found(store):
    busy(store)
    table, its = schema.audit, schema.audit.c.number
    line = store._database.read(lambda run: run.scalar(sql.select(table.c.line).where(its == 4)))
    for place in range(0, len(line), 7):
        other = "0" if line[place] != "0" else "1"
        changed = line[:place] + other + line[place + 1 :]
        spoil(store, table.update().where(its == 4).values(line=changed))
        assert store.audit_break() == 4
        assert len(store.audit()) == 8, "a log that was spoiled can still be read"
    spoil(store, table.update().where(its == 4).values(line=line))
    assert store.audit_break() is None


def edited(part, value):
    its = schema.submissions.c
    return schema.submissions.update().where(its.state == "scored").values({its[part]: value})


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("report", {"values": {"tar": {"value": 0.94, "unit": "fraction"}}}),
        ("report", None),
        ("verdict", GOOD.to_dict() | {"facts": {}}),
        ("verdict", GOOD.to_dict() | {"more": 1}),
        ("protocol_version", "2"),
        ("sha256", "0" * 64),
        ("track", "mfr21-b"),
    ],
)
def test_a_result_that_is_edited_in_the_database_is_found(store, part, value):
    _, one = busy(store)
    assert store.result_break() is None
    assert store.logged_result(one.id) == store.submission(one.id)
    before = getattr(store.submission(one.id), part)
    plain = before.to_dict() if part == "verdict" else before
    spoil(store, edited(part, value))
    assert store.result_break() == one.id
    assert store.logged_result(one.id) is None
    assert store.audit_break() is None, "the log is whole; what it tells of is not"
    spoil(store, edited(part, plain))
    assert store.result_break() is None


def test_a_result_that_no_line_tells_of_is_found(store):
    one = send(store, team(store))
    made_up = {"state": "scored", "report": REPORT, "verdict": GOOD.to_dict()}
    spoil(store, schema.submissions.update().values(made_up))
    assert store.result_break() == one.id
    assert store.logged_result(one.id) is None


def test_the_first_of_many_that_is_edited_is_named_on_any_page(store, monkeypatch):
    monkeypatch.setattr(store_organizer, "_PAGE", 3)
    monkeypatch.setattr(store_organizer, "_FEW", 2)
    user, made = team(store), []
    for n in range(5):
        made.append(send(store, user, per_day=9))
        store.accept(take(store).token, GOOD, NOW)
        store.scored(take(store).token, {"values": {"n": n}}, "1", NOW)
    assert store.result_break() is None
    for n in (4, 2):
        its = schema.submissions.c.id == made[n].id
        spoil(store, schema.submissions.update().where(its).values(report={"values": {"n": 9}}))
        assert store.result_break() == made[n].id


def test_the_last_score_of_a_submission_counts(store):
    _, one = busy(store)
    store.rescore(TRACK, protocol_version="2", actor="organizer", now=NOW)
    assert store.result_break() is None, "it is not scored now"
    with pytest.raises(NotFound, match="there is no scored submission"):
        store.logged_result(one.id)
    store.scored(take(store).token, {"values": {}}, "2", NOW)
    assert store.result_break() is None
    spoil(store, edited("report", REPORT))
    assert store.result_break() == one.id, "its own former Report is not its Report"


def test_a_report_that_is_stored_in_another_spelling_is_the_same(sqlite_store):
    _, one = busy(sqlite_store)
    spaced = json.dumps(REPORT, indent=1)
    spoil(sqlite_store, sql.text("UPDATE submissions SET report = :t").bindparams(t=spaced))
    assert sqlite_store.result_break() is None
    spoil(sqlite_store, sql.text("UPDATE submissions SET report = :t").bindparams(t="{"))
    assert sqlite_store.result_break() == one.id


def test_what_is_scored_while_results_are_looked_at_is_no_break(sqlite_store, monkeypatch):
    user, _ = busy(sqlite_store)
    other = send(sqlite_store, user)
    pages = type(sqlite_store)._pages

    def slow(self, table, *given, **more):
        if table is schema.submissions:
            sqlite_store.accept(take(sqlite_store).token, GOOD, NOW)
            sqlite_store.scored(take(sqlite_store).token, REPORT, "1", NOW)
        yield from pages(self, table, *given, **more)

    monkeypatch.setattr(type(sqlite_store), "_pages", slow)
    assert sqlite_store.result_break() is None
    assert sqlite_store.submission(other.id).report == REPORT


@pytest.mark.parametrize(("gone", "broken"), [({1}, 1), ({5}, 5), ({8}, 8), ({7, 8}, 7)])
def test_lines_that_are_taken_away_are_found(store, gone, broken):
    busy(store)
    spoil(store, schema.audit.delete().where(schema.audit.c.number.in_(gone)))
    assert store.audit_break() == broken


def test_a_line_that_is_written_past_the_end_is_found(store):
    busy(store)
    last = store.audit(1)[0]
    line = audit.line_of(number=9, moment=NOW, actor="x", action="y", subject="z", details={})
    row = {"number": 9, "line": line, "digest": audit.seal(last.digest, line)}
    spoil(store, schema.audit.insert().values(row))
    assert store.audit_break() == 10


def test_an_export_holds_all_rows_and_no_secret_as_plain_json(store, monkeypatch):
    monkeypatch.setattr(store_organizer, "_PAGE", 2)
    user, one = busy(store)
    rows = [json.loads(json.dumps(row)) for row in store.export_rows()]
    counts = {name: sum(row["table"] == name for row in rows) for name in schema.tables.tables}
    assert counts == {
        "organizations": 1,
        "users": 1,
        "sessions": 1,
        "tokens": 1,
        "mail_codes": 1,
        "submissions": 1,
        "slots": 1,
        "leases": 2,
        "phases": 1,
        "audit": 8,
        "audit_head": 1,
    }
    (submission,) = (row for row in rows if row["table"] == "submissions")
    assert (submission["id"], submission["report"]) == (one.id, REPORT)
    assert submission["received"] == NOW.isoformat()
    names = {name for row in rows for name in row}
    assert {"password_hash", "session_sha256", "token_sha256", "lease_sha256", "code_sha256"} & (
        names
    ) == set()
    assert user.email in repr(rows)


def test_an_export_goes_on_while_things_change(store):
    busy(store)
    rows = store.export_rows()
    next(rows)
    team(store, 7)
    assert sum(row["table"] == "users" for row in rows) in (1, 2)
