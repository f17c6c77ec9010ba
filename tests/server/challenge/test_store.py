"""Opening a challenge, and what holds for all of it: any text, no secret in clear, many at once."""

from __future__ import annotations

import sqlite3
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sql

from server.challenge.small_challenge import (
    BAD,
    GOOD,
    MINUTE,
    NASTY,
    NOW,
    REPORT,
    TRACK,
    send,
    take,
    team,
)
from tronie.errors import BadInput, EngineUnavailable, NotFound
from tronie.server.challenge import schema
from tronie.server.challenge.store import VERSION_TABLE, Store
from tronie.server.challenge.submission import State
from tronie.server.challenge.track import Phase

pytest.importorskip("alembic", reason="alembic is not installed, which makes the tables")
pytestmark = pytest.mark.server


def everything(store) -> str:
    """All that is in the database, secrets too, as text."""

    def work(run):
        return [run.execute(sql.select(t)).all() for t in schema.tables.sorted_tables]

    return repr(store._database.read(work))


def test_what_was_written_is_there_after_reopening(database_url):
    with Store.open(database_url) as store:
        user = team(store)
        one = send(store, user)
    with Store.open(database_url, migrate=False) as store:
        assert store.user(user.id) == user
        assert store.submissions() == (one,)


def test_a_new_file_is_made_that_only_its_owner_may_read(tmp_path):
    path = tmp_path / "100% ours.db"
    with Store.open(f"sqlite:///{path}") as store:
        team(store)
        assert {stat.S_IMODE(f.stat().st_mode) for f in tmp_path.iterdir()} == {0o600}
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_an_empty_database_is_made_once_by_many_who_open_it_at_once(request, tmp_path, subtests):
    for kind in ("sqlite", "postgresql"):
        with subtests.test(kind):
            url = f"sqlite:///{tmp_path}/c.db"
            if kind == "postgresql":
                server = request.getfixturevalue("postgres")
                url = server.url(server.new_database())

            def opened(number: int, url: str = url) -> str:
                with Store.open(url) as store:
                    return team(store, number).id

            with ThreadPoolExecutor(6) as pool:
                users = set(pool.map(opened, range(6)))
            with Store.open(url, migrate=False) as store:
                assert {user.id for user in store.users()} == users
                assert store.audit_break() is None


@pytest.mark.parametrize("text", NASTY)
def test_any_text_is_kept_as_it_is_and_is_never_a_command(store, text):
    user = store.create_account(
        organization=text,
        email=f"{text.replace(' ', '').replace('@', '')}@x.org",
        password_hash=text,
        now=NOW,
    )
    other = team(store)
    assert store.user(user.id).password_hash == text
    assert store.organization(user.organization_id).name == " ".join(text.split())
    assert store.user_by_email(user.email) == user
    one = send(store, user, track=text, file_name=text, note=text, upload=text)
    assert (one.track, one.file_name, one.note, one.upload) == (text, text, text, text)
    assert store.submissions(track=text) == (one,)
    assert store.slots_left(user.organization_id, text, per_day=3, now=NOW) == 2
    lease = take(store, worker=text)
    store.accept(lease.token, GOOD, NOW)
    store.scored(take(store, worker=text).token, {text: [text]}, text, NOW)
    assert store.submission(one.id).report == {text: [text]}
    assert store.submission(one.id).protocol_version == text
    store.rescore(text, protocol_version="2", actor=text, now=NOW)
    store.refuse(take(store).token, BAD, text, NOW)
    assert store.submission(one.id).reason == text
    token = store.new_token(user.id, label=text, now=NOW)
    assert [record.label for record in store.tokens(user.id)] == [text]
    code = store.new_mail_code(user.id, text, NOW, MINUTE)
    assert store.use_mail_code(code, text, NOW) == user
    store.set_phases(text, [Phase(name=text)], text, NOW)
    assert store.phases(text) == (Phase(name=text),)
    store.ban(user.organization_id, text, text, NOW)
    assert store.organization(user.organization_id).banned == text
    store.note(text, text, text, {text: text}, NOW)
    last = store.audit(1)[0]
    assert (last.actor, last.action, last.subject, last.details) == (text, text, text, {text: text})
    assert store.token_user(token, NOW) == user
    assert store.users() == (user, other) or store.users() == (other, user)
    assert store.audit_break() is None


@pytest.mark.parametrize("text", [*NASTY, "a\0b", "\ud800", "", "0" * 32, "../../x", "x" * 100_000])
def test_asking_with_any_text_finds_nobody(store, text):
    user = team(store)
    one = send(store, user)
    assert store.user(text) is None
    assert store.organization(text) is None
    assert store.user_by_email(text) is None
    assert store.submission(text) is None
    assert store.position(text) is None
    assert store.session_user(text, NOW) is None
    assert store.token_user(text, NOW) is None
    assert store.use_mail_code(text, "verify", NOW) is None
    store.end_session(text)
    for change in (
        lambda: store.set_password(text, "h", NOW),
        lambda: store.ban(text, "", "me", NOW),
        lambda: store.retry(text, "me", NOW),
        lambda: store.set_public(text, True, organization_id=user.organization_id, now=NOW),
        lambda: store.new_session(text, now=NOW, lifetime=MINUTE),
        lambda: store.new_token(text, label="x", now=NOW),
        lambda: store.new_mail_code(text, "verify", NOW, MINUTE),
        lambda: store.end_token(user.id, text),
    ):
        with pytest.raises(NotFound, match=r"there is no [a-z ]+ .*; look for its id in the list"):
            change()
    assert store.submissions() == (one,)


def test_no_secret_is_kept_in_clear(store, database_url):
    user = team(store)
    session = store.new_session(user.id, now=NOW, lifetime=MINUTE)
    token = store.new_token(user.id, label="laptop", now=NOW)
    code = store.new_mail_code(user.id, "verify", NOW, MINUTE)
    send(store, user)
    lease = take(store).token
    kept = everything(store)
    if database_url.startswith("sqlite"):
        folder = Path(database_url.removeprefix("sqlite:///")).parent
        kept += repr([file.read_bytes() for file in folder.iterdir()])
    assert user.email in kept
    assert [secret for secret in (session, token, code, lease) if secret in kept] == []
    exported = repr(list(store.export_rows()))
    assert user.email in exported
    for row in store._database.read(lambda run: run.execute(sql.select(schema.sessions)).all()):
        assert row.session_sha256 not in exported


def test_every_promise_survives_a_reader_that_stays(sqlite_url):
    """A page that is being read does not stop a submission."""
    path = sqlite_url.removeprefix("sqlite:///")
    with Store.open(sqlite_url) as store:
        user = team(store)
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM submissions").fetchone()
        one = send(store, user)
        assert take(store).submission.id == one.id
        assert reader.execute("SELECT count(*) FROM submissions").fetchone() == (0,)
        reader.close()


def test_where_there_is_no_challenge_a_worker_is_told(tmp_path):
    with pytest.raises(NotFound, match=r"there is no challenge at .*c\.db; make one with `tronie"):
        Store.open(f"sqlite:///{tmp_path}/c.db", migrate=False)
    with pytest.raises(NotFound, match=r"there is no folder .*nowhere for the challenge's"):
        Store.open(f"sqlite:///{tmp_path}/nowhere/c.db")
    (tmp_path / "c.db").touch()
    with pytest.raises(NotFound, match=r"has the tables of revision none, and this tronie needs"):
        Store.open(f"sqlite:///{tmp_path}/c.db", migrate=False)


def test_tables_of_a_newer_tronie_are_left_alone(database_url):
    with Store.open(database_url) as store:
        newer = sql.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
        store._database.write(lambda run: run.execute(newer).rowcount)
    with pytest.raises(BadInput, match="of revision 9999, which this tronie does not know; "):
        Store.open(database_url)
    with pytest.raises(NotFound, match="of revision 9999, and this tronie needs 0001; open"):
        Store.open(database_url, migrate=False)


def test_somebody_else_s_database_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "g.db") as connection:
        connection.execute("CREATE TABLE people (name TEXT)")
    connection.close()
    with pytest.raises(BadInput, match="holds a table 'people' that is not of a challenge; name"):
        Store.open(f"sqlite:///{tmp_path}/g.db")


def test_a_postgresql_may_hold_more_but_no_table_of_our_names(postgres):
    name = postgres.new_database()
    postgres.execute("CREATE TABLE wiki (page TEXT)", name)
    Store.open(postgres.url(name)).close()
    other = postgres.new_database()
    postgres.execute("CREATE TABLE users (name TEXT)", other)
    with pytest.raises(BadInput, match="holds a table 'users' that is not of a challenge; name"):
        Store.open(postgres.url(other))


def test_without_alembic_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "alembic", None)
    with pytest.raises(EngineUnavailable, match=r"made by alembic, .* 'tronie\[serve\]'"):
        Store.open(f"sqlite:///{tmp_path}/c.db")


def test_states_are_asked_for_by_name_or_by_state(store):
    user = team(store)
    one = send(store, user)
    assert store.submissions(states=[State.RECEIVED], track=TRACK) == (one,)
    assert store.submissions(states=["received"]) == (one,)
    assert store.submissions(states=[]) == ()
    store.accept(take(store).token, GOOD, NOW)
    store.scored(take(store).token, REPORT, "1", NOW + timedelta(minutes=5) - MINUTE * 5)
    assert [s.id for s in store.submissions(states=(State.SCORED,))] == [one.id]
