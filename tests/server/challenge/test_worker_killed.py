"""Workers that are killed, and databases and uploads that are away: nothing is lost by it."""

import io
import threading
from datetime import timedelta

import pytest

pytest.importorskip("fsspec")
pytest.importorskip("alembic")

from server.challenge.fixed_judge import (
    Faulty,
    FixedJudge,
    Killed,
    away,
    endings,
    work_off,
    worker,
)
from server.challenge.small_challenge import BAD, GOOD, MINUTE, NOW, found, left, send, state, team
from tronie.server.challenge import worker as worker_file
from tronie.server.challenge.storage import StorageUnavailable
from tronie.server.challenge.store import StoreUnavailable
from tronie.server.challenge.submission import State
from tronie.server.challenge.worker import BrokeRule, Worker

pytestmark = pytest.mark.server


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize("method", ["lease", "accept", "scored"])
def test_a_worker_that_is_killed_around_a_commit_loses_nothing_and_ends_nothing_twice(
    store, storage, clock, method, after
):
    user = team(store)
    one = send(store, user, upload=storage.put(io.BytesIO(b"a model"), limit=100).key)
    dying = worker(Faulty(store, method, Killed("now"), after=after), storage, FixedJudge(), clock)
    with pytest.raises(Killed, match="now"):
        work_off(dying)
    clock.now += 2 * MINUTE  # its lease, if it was live, has run out
    judge = FixedJudge()
    other = Worker(store, storage, judge, name="w2", lifetime=MINUTE, now=clock)
    work_off(other)
    assert state(store, one) is State.SCORED
    told = endings(store)
    assert (told["scored"], told["refused"], told["failed"]) == (1, 0, 0)
    # What was written is not judged again; what was not, is.
    whole = {("accept", True): ["score"], ("scored", False): ["score"], ("scored", True): []}
    assert [what for what, _, _ in judge.seen] == whole.get((method, after), ["check", "score"])
    assert left(store, user) == 2


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize(("score", "slots"), [(None, 3), (BrokeRule("too large", BAD), 2)])
def test_a_worker_that_is_killed_around_a_refusal_charges_once(
    store, storage, clock, after, score, slots
):
    user = team(store)
    one = send(store, user, upload=storage.put(io.BytesIO(b"a model"), limit=100).key)

    def judge():
        return FixedJudge(check=GOOD if score else BAD, score=score)

    dying = worker(Faulty(store, "refuse", Killed("now"), after=after), storage, judge(), clock)
    with pytest.raises(Killed, match="now"):
        work_off(dying)
    clock.now += 2 * MINUTE
    other = worker(store, storage, judge(), clock)
    work_off(other)
    assert state(store, one) is State.REFUSED
    assert endings(store)["refused"] == 1
    assert left(store, user) == slots


@pytest.mark.parametrize("after", [False, True], ids=["not written", "written, answer lost"])
@pytest.mark.parametrize("method", ["accept", "scored"])
def test_a_judgement_is_not_thrown_away_where_the_database_is_away_for_a_while(
    sqlite_store, storage, sent, clock, monkeypatch, method, after
):
    monkeypatch.setattr(worker_file, "POLL_S", 0.001)
    judge = FixedJudge()
    faulty = Faulty(sqlite_store, method, away(unknown=after), after=after, times=3)
    one = worker(faulty, storage, judge, clock)
    assert [one.run_once(), one.run_once()] == [True, True]
    assert [what for what, _, _ in judge.seen] == ["check", "score"]
    ended = found(sqlite_store, sent[1])
    assert (ended.state, ended.attempts) == (State.SCORED, 0)
    assert endings(sqlite_store)["scored"] == 1


def test_a_judgement_waits_no_longer_than_its_lease(
    sqlite_store, storage, sent, clock, monkeypatch
):
    monkeypatch.setattr(worker_file, "POLL_S", 0.001)

    class Away(Faulty):
        """Time goes by."""

        def _failing(self, done):
            clock.now += MINUTE / 4
            return super()._failing(done)

    one = worker(Away(sqlite_store, "accept", away(), times=100), storage, FixedJudge(), clock)
    with pytest.raises(StoreUnavailable, match="the database does not answer"):
        one.run_once()
    worker(sqlite_store, storage, FixedJudge(), clock).run_once()
    ended = found(sqlite_store, sent[1])
    assert (ended.state, ended.attempts) == (State.QUEUED, 0), "another checked it"


def test_a_heartbeat_that_gets_no_answer_is_tried_again_until_the_lease_is_over(
    sqlite_store, storage, sent, monkeypatch
):
    monkeypatch.setattr(worker_file, "POLL_S", 0.02)
    beats, begun = [], threading.Event()

    class Away(Faulty):
        """Counts."""

        def _failing(self, done):
            beats.append(1)
            return super()._failing(done)

    def long(alive):
        begun.set()
        for _ in range(1000):
            threading.Event().wait(0.01)
            alive()
        raise AssertionError("nobody told it that its lease was lost")

    store = Away(sqlite_store, "heartbeat", away(), times=10_000)
    judge = FixedJudge(check=long)
    lifetime = timedelta(seconds=0.6)
    one = Worker(store, storage, judge, name="w1", lifetime=lifetime)
    assert one.run_once()
    assert begun.is_set()
    assert len(beats) >= 3
    assert state(sqlite_store, sent[1]) is State.CHECKING, "it runs out, nobody wrote anything"


def test_uploads_that_are_away_are_waited_for_and_no_attempt_is_lost(
    sqlite_store, storage, sent, clock, monkeypatch, caplog
):
    monkeypatch.setattr(worker_file, "POLL_S", 0.001)
    judge = FixedJudge()
    faulty = Faulty(storage, "local", StorageUnavailable("the bucket is away"), times=3)
    worker(sqlite_store, faulty, judge, clock).run_once()
    ended = found(sqlite_store, sent[1])
    assert (ended.state, ended.attempts) == (State.QUEUED, 0)
    assert caplog.text.count("waits for the upload of") == 3


def test_uploads_that_stay_away_cost_an_attempt_in_the_end(
    sqlite_store, storage, sent, clock, monkeypatch
):
    monkeypatch.setattr(worker_file, "POLL_S", 0.001)

    class Away(Faulty):
        """A minute goes by each time, in which the lease is renewed."""

        def _failing(self, done):
            clock.now += MINUTE
            lease = sqlite_store.submission(sent[1].id)
            assert lease.state is State.CHECKING
            return super()._failing(done)

    faulty = Away(storage, "local", StorageUnavailable("the bucket is away"), times=100)
    lifetime = 60 * MINUTE
    one = Worker(sqlite_store, faulty, FixedJudge(), name="w1", lifetime=lifetime, now=clock)
    one.run_once()
    ended = found(sqlite_store, sent[1])
    assert (ended.state, ended.attempts) == (State.RECEIVED, 1)
    assert clock.now - NOW == 10 * MINUTE


def test_a_worker_that_fails_by_us_pauses_longer_each_time_until_it_is_well(
    sqlite_store, storage, clock, monkeypatch
):
    user = team(sqlite_store)
    for n in range(5):
        key = storage.put(io.BytesIO(b"a model"), limit=100).key
        send(sqlite_store, user, upload=key, per_day=9, now=clock.now + n * MINUTE / 60)
    clock.now += MINUTE
    judge, pauses = FixedJudge(check=OSError(28, "no space left")), []
    one = worker(sqlite_store, storage, judge, clock)

    def wait(seconds):
        pauses.append(seconds)
        if len(pauses) == 9:
            judge.answers["check"] = GOOD
        if len(pauses) == 11:
            one.stop()

    monkeypatch.setattr(one._stop, "wait", wait)
    one.run(poll_s=1.0)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 1.0, 1.0], "then it judged, and waits"


def test_a_database_that_is_away_is_waited_for(sqlite_store, storage, sent, clock, caplog):
    class Away:
        """A store that does not answer at first."""

        left = 3

        def __getattr__(self, name):
            return getattr(sqlite_store, name)

        def lease(self, *args, **given):
            self.left -= 1
            if self.left >= 0:
                raise StoreUnavailable("the database does not answer")
            if state(sqlite_store, sent[1]) is State.SCORED:
                one.stop()
            return sqlite_store.lease(*args, **given)

    one = worker(Away(), storage, FixedJudge(), clock)
    one.run(poll_s=0.01)
    assert state(sqlite_store, sent[1]) is State.SCORED
    assert caplog.text.count("w1 waits: the database does not answer") == 3
