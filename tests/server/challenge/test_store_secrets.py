"""Sessions, tokens and codes: good for one user, for a time, and codes once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sql

from server.challenge.small_challenge import MINUTE, NOW, team
from tronie.errors import BadInput, NotFound
from tronie.server.challenge import schema
from tronie.server.challenge.store import TokenRecord

pytest.importorskip("alembic", reason="alembic is not installed, which makes the tables")
pytestmark = pytest.mark.server


def count(store, table: sql.Table) -> int:
    query = sql.select(sql.func.count()).select_from(table)
    return store._database.read(lambda run: run.scalar(query))


def test_a_session_is_its_user_s_until_it_is_over(store):
    ada, bo = team(store, 1), team(store, 2)
    one = store.new_session(ada.id, now=NOW, lifetime=MINUTE)
    other = store.new_session(bo.id, now=NOW, lifetime=MINUTE)
    assert store.session_user(one, NOW) == ada
    assert store.session_user(other, NOW) == bo
    assert store.session_user(one, NOW + MINUTE - timedelta(microseconds=1)) == ada
    assert store.session_user(one, NOW + MINUTE) is None


def test_a_session_ends_alone_or_with_all_of_its_user(store):
    ada, bo = team(store, 1), team(store, 2)
    first, second = (store.new_session(ada.id, now=NOW, lifetime=MINUTE) for _ in range(2))
    of_bo = store.new_session(bo.id, now=NOW, lifetime=MINUTE)
    store.end_session(first)
    store.end_session(first)
    assert store.session_user(first, NOW) is None
    assert store.session_user(second, NOW) == ada
    store.end_sessions(ada.id)
    assert store.session_user(second, NOW) is None
    assert store.session_user(of_bo, NOW) == bo


def test_sessions_that_are_over_are_forgotten(store):
    user = team(store)
    for hour in range(4):
        store.new_session(user.id, now=NOW + timedelta(hours=hour), lifetime=MINUTE)
    assert count(store, schema.sessions) == 1


def test_a_token_is_listed_without_itself_and_notes_when_it_was_used(store):
    user = team(store)
    token = store.new_token(user.id, label=" my  laptop", now=NOW)
    (record,) = store.tokens(user.id)
    assert record == TokenRecord(id=record.id, label="my laptop", created=NOW, last_used=None)
    assert store.token_user(token) == user
    assert store.tokens(user.id)[0].last_used is None
    for seconds, noted in ((5, 5), (64, 5), (65, 65)):
        assert store.token_user(token, NOW + timedelta(seconds=seconds)) == user
        assert store.tokens(user.id)[0].last_used == NOW + timedelta(seconds=noted)


def test_a_token_is_ended_by_its_user_alone(store):
    ada, bo = team(store, 1), team(store, 2)
    token = store.new_token(ada.id, label="x", now=NOW)
    (record,) = store.tokens(ada.id)
    with pytest.raises(NotFound, match=r"there is no token '[0-9a-f]{32}'; look for its id"):
        store.end_token(bo.id, record.id)
    assert store.token_user(token) == ada
    store.end_token(ada.id, record.id)
    assert store.token_user(token) is None
    assert store.tokens(ada.id) == ()
    assert [entry.action for entry in store.audit()[2:]] == ["token.made", "token.ended"]


def test_all_tokens_of_a_user_end_together_and_each_has_its_line(store):
    ada, bo = team(store, 1), team(store, 2)
    of_ada = [store.new_token(ada.id, label=str(n), now=NOW) for n in range(3)]
    of_bo = store.new_token(bo.id, label="x", now=NOW)
    ids = sorted(record.id for record in store.tokens(ada.id))
    store.end_tokens(ada.id, NOW)
    store.end_tokens(ada.id)
    assert [store.token_user(token) for token in of_ada] == [None] * 3
    assert store.token_user(of_bo) == bo
    ended = [entry.subject for entry in store.audit() if entry.action == "token.ended"]
    assert ended == ids
    assert store.audit_break() is None


def test_a_token_too_many_is_refused(sqlite_store):
    user = team(sqlite_store)
    for number in range(20):
        sqlite_store.new_token(user.id, label=str(number), now=NOW)
    with pytest.raises(BadInput, match="a user has at most 20 tokens; end one of them first"):
        sqlite_store.new_token(user.id, label="20", now=NOW)
    with pytest.raises(BadInput, match="a token's label must have 1 to 100 printable characters"):
        sqlite_store.new_token(user.id, label="", now=NOW)


def test_a_code_is_good_once_for_its_purpose_and_in_time(store):
    user = team(store)
    code = store.new_mail_code(user.id, "verify", NOW, MINUTE)
    assert store.use_mail_code(code, "reset", NOW) is None
    assert store.use_mail_code(code, "verify", NOW + MINUTE) is None
    assert store.use_mail_code(code, "verify", NOW) == user
    assert store.use_mail_code(code, "verify", NOW) is None


def test_a_new_code_makes_the_one_before_it_worthless(store):
    user = team(store)
    old = store.new_mail_code(user.id, "reset", NOW, MINUTE)
    verify = store.new_mail_code(user.id, "verify", NOW, MINUTE)
    new = store.new_mail_code(user.id, "reset", NOW, MINUTE)
    assert store.use_mail_code(old, "reset", NOW) is None
    assert store.use_mail_code(new, "reset", NOW) == user
    assert store.use_mail_code(verify, "verify", NOW) == user


def test_of_many_who_use_a_code_at_once_one_does(store):
    user = team(store)
    code = store.new_mail_code(user.id, "verify", NOW, MINUTE)
    with ThreadPoolExecutor(12) as pool:
        used = list(pool.map(lambda _: store.use_mail_code(code, "verify", NOW), range(12)))
    assert [u for u in used if u] == [user]
