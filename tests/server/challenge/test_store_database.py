"""What happens when the database fails: once more where that is harmless, else a plain word."""

from __future__ import annotations

import random
import sqlite3
import threading
import time

import pytest
import sqlalchemy as sql

from server.challenge.small_challenge import (
    GOOD,
    MINUTE,
    NOW,
    REPORT,
    found,
    left,
    queued,
    send,
    state,
    take,
    team,
)
from tronie.errors import BadInput, EngineUnavailable
from tronie.server.challenge.store import LeaseLost, Store, StoreUnavailable
from tronie.server.challenge.store_database import Database
from tronie.server.challenge.submission import State

pytest.importorskip("alembic", reason="alembic is not installed, which makes the tables")
pytestmark = pytest.mark.server


class LostAnswers:
    """Commits that are made, and whose answer never comes: what a dropped connection looks like."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, times: int = 1) -> None:
        self.left = times
        commit = Database._commit

        def lose_answer(database: Database, connection: sql.Connection) -> None:
            commit(database, connection)
            if self.left:
                self.left -= 1
                raise sql.exc.OperationalError(
                    "COMMIT", {}, Exception("server closed"), connection_invalidated=True
                )

        monkeypatch.setattr(Database, "_commit", lose_answer)


def test_a_lease_whose_answer_was_lost_is_given_all_the_same(store, monkeypatch):
    one = send(store, team(store))
    LostAnswers(monkeypatch)
    lease = take(store)
    assert lease.submission == found(store, one)
    assert (lease.until, lease.submission.attempts) == (NOW + MINUTE, 0)
    assert [entry.action for entry in store.audit()].count("submission.checking") == 1
    store.accept(lease.token, GOOD, NOW)


def test_a_result_whose_answer_was_lost_is_written_once(store, monkeypatch):
    one = queued(store, team(store))
    lease = take(store)
    LostAnswers(monkeypatch)
    store.scored(lease.token, REPORT, "1", NOW)
    assert state(store, one) is State.SCORED
    assert [entry.action for entry in store.audit()].count("submission.scored") == 1
    assert store.audit_break() is None


def test_a_submission_whose_answer_was_lost_takes_one_slot(store, monkeypatch):
    user = team(store)
    LostAnswers(monkeypatch)
    one = send(store, user)
    assert store.submissions() == (one,)
    assert left(store, user) == 2


def test_where_repeating_would_harm_the_caller_is_told(store, monkeypatch):
    LostAnswers(monkeypatch)
    with pytest.raises(StoreUnavailable, match="whether it was written is not known; try") as lost:
        store.note("a", "b", "c", {}, NOW)
    assert lost.value.unknown
    assert len(store.audit()) == 1


def test_answers_that_are_lost_twice_are_told_and_may_be_asked_for_again(store, monkeypatch):
    one = queued(store, team(store))
    lease = take(store)
    LostAnswers(monkeypatch, times=2)
    with pytest.raises(
        StoreUnavailable, match="server closed; whether it was written is not known"
    ):
        store.scored(lease.token, REPORT, "1", NOW)
    store.scored(lease.token, REPORT, "1", NOW)
    assert state(store, one) is State.SCORED
    with pytest.raises(LeaseLost, match="it was ended: scored"):
        store.fail(lease.token, "late", NOW)


def test_a_failure_before_the_commit_leaves_nothing_and_is_tried_again(store, monkeypatch):
    user = team(store)
    failures = [1]
    commit = Database._commit

    def fail_first(database, connection):
        if failures:
            failures.pop()
            connection.exec_driver_sql("SELECT 1 / 0 FROM no_such_table")
        commit(database, connection)

    monkeypatch.setattr(Database, "_commit", fail_first)
    with pytest.raises((StoreUnavailable, sql.exc.ProgrammingError), match="no_such_table"):
        send(store, user)
    assert left(store, user) == 3
    send(store, user)
    assert left(store, user) == 2
    assert store.audit_break() is None


def test_what_goes_wrong_in_the_middle_leaves_nothing(store):
    user = team(store)

    class Crash(BaseException):
        """Stands for a process that is told to stop."""

    def crash(change):
        change.log("a", "b", subject="c")
        raise Crash("now")

    with pytest.raises(Crash, match="now"):
        store._database.change(crash, now=NOW)
    assert len(store.audit()) == 1
    assert store.audit_break() is None
    send(store, user)


def test_a_sqlite_that_somebody_holds_is_waited_for_and_then_told(sqlite_url):
    path = sqlite_url.removeprefix("sqlite:///")
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with Store.open(sqlite_url, busy_timeout_s=0.05) as hasty:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="did not answer: database is locked; try") as no:
            team(hasty)
        assert not no.value.unknown
        assert hasty.users() == (), "whoever reads is not held up"
        holder.execute("COMMIT")
        team(hasty, 1)
    with Store.open(sqlite_url) as patient:
        holder.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.2, holder.execute, ["COMMIT"])
        release.start()
        team(patient, 2)
        release.join()
        assert len(patient.users()) == 2
    holder.close()


def test_a_file_that_is_no_database_is_told(tmp_path):
    (tmp_path / "c.db").write_bytes(b"what is this?" * 1000)
    with pytest.raises(StoreUnavailable, match="did not answer: file is not a database"):
        Store.open(f"sqlite:///{tmp_path}/c.db")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "c.db",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://root:secret@host/x",
        "://",
        "postgresql",
    ],
)
def test_a_url_of_no_database_we_know_is_refused_without_its_password(url):
    with pytest.raises(BadInput, match="a challenge's database is sqlite:///FILE or postg") as no:
        Database(url)
    assert "secret" not in str(no.value)


def test_without_its_driver_postgresql_is_refused(monkeypatch):
    def create_engine(*_, **__):
        raise ImportError("no module named psycopg")

    monkeypatch.setattr(sql, "create_engine", create_engine)
    with pytest.raises(
        EngineUnavailable, match=r"psycopg, which is not installed; run: .*\[postgres\]"
    ):
        Database("postgresql://host/x")


def test_a_password_is_in_no_message():
    pytest.importorskip("psycopg")
    database = Database("postgres://me:secret@localhost:1/x")
    with pytest.raises(
        StoreUnavailable, match=r"postgresql\+psycopg://me:\*\*\*@localhost:1/x"
    ) as no:
        database.read(lambda run: run.scalar(sql.text("SELECT 1")))
    assert "secret" not in str(no.value)
    database.close()


@pytest.fixture
def postgres_store(request, tmp_path):
    from server.conftest import new_url

    with Store.open(new_url(request, "postgresql", tmp_path), migrate=False) as opened:
        yield opened


def test_connections_that_were_dropped_are_made_again(postgres_store, postgres):
    name = postgres_store._database.path
    user = team(postgres_store)
    for _ in range(3):
        assert postgres.drop_connections(name)
        assert postgres_store.user(user.id) == user
        assert postgres.drop_connections(name)
        send(postgres_store, user)
    assert left(postgres_store, user) == 0


def test_a_connection_that_drops_in_the_middle_is_tried_once_more(postgres_store):
    asked = []

    def suicide(run: sql.Connection) -> int:
        asked.append(1)
        if len(asked) == 1:
            run.execute(sql.text("SELECT pg_terminate_backend(pg_backend_pid())")).scalar()
        return run.execute(sql.text("SELECT 7")).scalar_one()

    assert postgres_store._database.read(suicide) == 7
    asked.clear()
    assert postgres_store._database.write(suicide) == 7
    assert len(asked) == 2


def test_a_connection_that_drops_at_every_try_is_told(postgres_store):
    def suicide(run: sql.Connection) -> None:
        run.execute(sql.text("SELECT pg_terminate_backend(pg_backend_pid())")).scalar()

    for do in (postgres_store._database.read, postgres_store._database.write):
        with pytest.raises(StoreUnavailable, match="terminating connection due to") as no:
            do(suicide)
        assert not no.value.unknown


@pytest.mark.slow
def test_a_server_that_is_away_is_told_and_one_that_is_back_is_used(postgres_store, postgres):
    user = team(postgres_store)
    postgres.stop()
    try:
        with pytest.raises(StoreUnavailable, match=r"did not answer: connection (is bad|failed): "):
            postgres_store.user(user.id)
        with pytest.raises(
            StoreUnavailable, match=r"did not answer: connection (is bad|failed): "
        ) as no:
            send(postgres_store, user)
        assert not no.value.unknown
    finally:
        postgres.start()
    assert postgres_store.user(user.id) == user
    send(postgres_store, user)
    assert left(postgres_store, user) == 2


@pytest.mark.slow
def test_workers_whose_connections_drop_all_the_time_score_everything_once(
    postgres_store, postgres
):
    """Workers repeat what they were not answered, as `worker` does."""
    user = team(postgres_store)
    sent = [send(postgres_store, user, per_day=99) for _ in range(40)]
    done = threading.Event()

    def drop() -> None:
        chance = random.Random(5)
        while not done.wait(chance.uniform(0.02, 0.15)):
            postgres.drop_connections(postgres_store._database.path)

    def insist(call):
        for _ in range(50):
            try:
                return call()
            except StoreUnavailable:
                time.sleep(0.01)
        raise AssertionError("never answered")

    def work(name: str) -> None:
        store = postgres_store
        while any(s.state in (State.RECEIVED, State.QUEUED) for s in insist(store.submissions)):
            if lease := insist(lambda: store.lease(name, now=NOW, lifetime=MINUTE)):
                if lease.submission.state is State.CHECKING:
                    insist(lambda token=lease.token: store.accept(token, GOOD, NOW))
                else:
                    insist(lambda token=lease.token: store.scored(token, REPORT, "1", NOW))

    dropper = threading.Thread(target=drop)
    dropper.start()
    crowd = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(3)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(120)
    done.set()
    dropper.join()
    ends = [
        entry.subject for entry in postgres_store.audit() if entry.action == "submission.scored"
    ]
    leaked = [one for one in sent if state(postgres_store, one) is not State.SCORED]
    assert len(leaked) <= 3, "a lease whose answer was lost twice waits for its time to run out"
    assert sorted(ends) == sorted(one.id for one in sent if one not in leaked)
    assert left(postgres_store, user, per_day=99) == 59
    assert postgres_store.audit_break() is None
