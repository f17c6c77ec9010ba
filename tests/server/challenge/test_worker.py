"""A worker: everything ends once, faults of ours cost nobody anything, late ones write nothing."""

import io
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("fsspec")
pytest.importorskip("alembic")

from server.challenge.fixed_judge import Faulty, FixedJudge, worker
from server.challenge.small_challenge import (
    BAD,
    GOOD,
    MINUTE,
    REPORT,
    found,
    left,
    send,
    state,
    team,
)
from tronie.errors import NotFound
from tronie.server.challenge.storage import StorageUnavailable
from tronie.server.challenge.store import LeaseLost
from tronie.server.challenge.submission import REFUSED_KEPT, State
from tronie.server.challenge.worker import BrokeRule, Worker

pytestmark = pytest.mark.server


def test_a_submission_is_checked_then_scored_from_the_file_that_was_sent(
    sqlite_store, storage, sent, clock
):
    judge = FixedJudge()
    one = worker(sqlite_store, storage, judge, clock)
    assert [one.run_once(), one.run_once(), one.run_once()] == [True, True, False]
    assert [(what, data) for what, _, data in judge.seen] == [
        ("check", b"a model"),
        ("score", b"a model"),
    ]
    ended = found(sqlite_store, sent[1])
    assert (ended.state, ended.report, ended.verdict) == (State.SCORED, REPORT, GOOD)
    assert ended.protocol_version == "1"


def test_a_broken_rule_is_told_and_gives_the_slot_back(sqlite_store, storage, sent, clock):
    worker(sqlite_store, storage, FixedJudge(check=BAD), clock).run_once()
    ended = found(sqlite_store, sent[1])
    assert (ended.state, ended.reason) == (State.REFUSED, "Loop.")
    assert left(sqlite_store, sent[0]) == 3


def test_a_rule_that_is_broken_while_running_uses_the_slot_up(sqlite_store, storage, sent, clock):
    judge = FixedJudge(score=BrokeRule("it took 5 GiB of 4", BAD))
    one = worker(sqlite_store, storage, judge, clock)
    one.run_once()
    one.run_once()
    ended = found(sqlite_store, sent[1])
    assert (ended.state, ended.reason, ended.verdict) == (State.REFUSED, "it took 5 GiB of 4", BAD)
    assert left(sqlite_store, sent[0]) == 2


@pytest.mark.parametrize("fault", [ZeroDivisionError("ours"), OSError(28, "no space left")])
def test_a_fault_of_ours_is_tried_again_and_in_the_end_costs_the_team_nothing(
    sqlite_store, storage, sent, clock, fault, caplog
):
    one = worker(sqlite_store, storage, FixedJudge(check=fault), clock)
    states = []
    for _ in range(3):
        one.run_once()
        states.append(state(sqlite_store, sent[1]))
    assert states == [State.RECEIVED, State.RECEIVED, State.FAILED]
    assert left(sqlite_store, sent[0]) == 3
    told = found(sqlite_store, sent[1]).reason
    assert "a reason on our side" in told
    assert str(fault) not in told, "what went wrong here is the organizers' business"
    assert str(fault) in caplog.text


def test_an_upload_that_is_gone_is_our_fault(sqlite_store, storage, sent, clock):
    storage.delete(sent[1].upload)
    one = worker(sqlite_store, storage, FixedJudge(), clock)
    one.run_once()
    assert found(sqlite_store, sent[1]).attempts == 1
    one.run_once()
    one.run_once()
    told = found(sqlite_store, sent[1])
    assert told.state is State.FAILED
    assert "its file is no longer among the uploads; hand it in anew" in told.reason


def is_there(storage, key):
    try:
        with storage.local(key):
            return True
    except NotFound:
        return False


def ended_a_while_ago(store, storage, judge, clock):
    """A submission that this judge has ended, as old as can be and still kept; and its worker."""
    upload = storage.put(io.BytesIO(b"a model"), limit=100).key
    made = send(store, team(store, 7), upload=upload)
    one = worker(store, storage, judge, clock)
    while one.run_once():
        pass
    clock.now += REFUSED_KEPT - timedelta(microseconds=1)
    one.run_once()
    assert is_there(storage, upload)
    clock.now += timedelta(hours=2)
    return made, one


def test_the_file_of_what_was_refused_is_removed_after_a_week_and_its_row_kept(
    store, storage, clock
):
    made, one = ended_a_while_ago(store, storage, FixedJudge(check=BAD), clock)
    before = found(store, made)
    one.run_once()
    assert not is_there(storage, before.upload)
    assert found(store, made) == replace(before, upload="")
    clock.now += timedelta(hours=2)
    one.run_once()
    lines = [e for e in store.audit() if e.action == "submission.upload_removed"]
    assert [(line.subject, line.actor) for line in lines] == [(made.id, "w1")]
    assert store.audit_break() is None


def test_what_failed_keeps_its_file_and_may_be_tried_again(sqlite_store, storage, clock):
    judge = FixedJudge(check=ZeroDivisionError("ours"))
    made, one = ended_a_while_ago(sqlite_store, storage, judge, clock)
    one.run_once()
    assert is_there(storage, made.upload)
    sqlite_store.retry(made.id, "organizer", clock.now)
    judge.answers["check"] = GOOD
    one.run_once()
    one.run_once()
    assert state(sqlite_store, made) is State.SCORED
    clock.now += 2 * REFUSED_KEPT
    one.run_once()
    assert is_there(storage, made.upload), "it may be scored again"


def test_files_that_cannot_be_removed_now_are_removed_later(
    sqlite_store, storage, clock, caplog, monkeypatch
):
    made, one = ended_a_while_ago(sqlite_store, storage, FixedJudge(check=BAD), clock)

    def refuse(key):
        raise StorageUnavailable("the bucket does not answer")

    with monkeypatch.context() as away:
        away.setattr(storage, "delete", refuse)
        one.run_once()
    assert "cannot remove the upload" in caplog.text
    assert found(sqlite_store, made).upload == made.upload
    storage.delete(made.upload)  # as by a worker that was killed before it could note it
    clock.now += timedelta(hours=2)
    one.run_once()
    assert found(sqlite_store, made).upload == ""


def test_a_worker_that_comes_late_changes_nothing(sqlite_store, storage, sent, clock, caplog):
    def slow(alive):
        clock.now += 2 * MINUTE
        other.run_once()
        return BAD

    other = worker(sqlite_store, storage, FixedJudge(), clock)
    worker(sqlite_store, storage, FixedJudge(check=slow), clock).run_once()
    assert state(sqlite_store, sent[1]) is State.QUEUED, "the second worker's word counts"
    assert "lease is lost" in caplog.text


def test_a_worker_that_is_stopped_lets_go_and_no_attempt_is_counted(
    sqlite_store, storage, sent, clock
):
    def stopped(alive):
        one.stop()
        alive()
        raise AssertionError("it went on")

    one = worker(sqlite_store, storage, FixedJudge(check=stopped), clock)
    one.run(poll_s=0.01)
    ended = found(sqlite_store, sent[1])
    assert (ended.state, ended.attempts) == (State.RECEIVED, 0)


def test_a_lease_is_renewed_as_long_as_the_judge_needs(sqlite_store, storage, sent):
    begun, end = threading.Event(), threading.Event()

    def long(alive):
        begun.set()
        end.wait(10)
        alive()
        return GOOD

    lifetime = timedelta(seconds=0.9)
    now = lambda: datetime.now(UTC)  # noqa: E731 - a clock
    judge = FixedJudge(check=long)
    one = Worker(sqlite_store, storage, judge, name="w1", lifetime=lifetime, now=now)
    thread = threading.Thread(target=one.run_once)
    thread.start()
    assert begun.wait(10)
    for _ in range(3):
        threading.Event().wait(0.6)
        taken = sqlite_store.lease("w2", now=now(), lifetime=lifetime)
        assert taken is None, "the lease of the first ran out while it worked"
    end.set()
    thread.join(10)
    assert state(sqlite_store, sent[1]) is State.QUEUED


def test_a_worker_that_is_stopped_charges_nobody_for_a_sandbox_that_was_ended_with_it(
    sqlite_store, storage, sent, clock
):
    def ended_with_it(alive):
        one.stop()
        raise BrokeRule("it ended its process (SIGTERM)", BAD)

    one = worker(sqlite_store, storage, FixedJudge(score=ended_with_it), clock)
    one.run_once()
    one.run_once()
    ended = found(sqlite_store, sent[1])
    assert (ended.state, ended.attempts) == (State.QUEUED, 0)


def test_a_worker_that_is_stopped_when_its_lease_is_lost_ends_in_order(
    sqlite_store, storage, sent, clock, caplog
):
    def stopped(alive):
        one.stop()
        alive()

    lost = LeaseLost("this lease is lost")
    one = worker(Faulty(sqlite_store, "release", lost), storage, FixedJudge(check=stopped), clock)
    one.run(poll_s=0.01)
    assert "this lease is lost" in caplog.text


def test_what_others_have_ended_is_forgotten_at_the_start_and_every_hour(
    sqlite_store, storage, sent, clock
):
    judge = FixedJudge()
    one = worker(sqlite_store, storage, judge, clock)
    one.run_once()
    has_ended = judge.forgets[0]
    assert [has_ended(sent[1].id), has_ended("0" * 32)] == [False, True]
    one.run_once()
    assert has_ended(sent[1].id), "it is scored"
    assert len(judge.forgets) == 1
    clock.now += 61 * MINUTE
    one.run_once()
    assert len(judge.forgets) == 2
    again = worker(sqlite_store, storage, judge, clock)
    again.run_once()
    assert len(judge.forgets) == 3


def test_a_worker_that_is_to_stop_takes_nothing_more(sqlite_store, storage, sent, clock):
    one = worker(sqlite_store, storage, FixedJudge(), clock)
    one.stop()
    assert not one.run_once()
    assert state(sqlite_store, sent[1]) is State.RECEIVED


def test_a_failed_submission_has_ended_until_it_is_tried_again(sqlite_store, storage, sent, clock):
    judge = FixedJudge(check=ZeroDivisionError("ours"))
    one = worker(sqlite_store, storage, judge, clock)
    for _ in range(3):
        one.run_once()
    has_ended = judge.forgets[0]
    assert has_ended(sent[1].id)
    sqlite_store.retry(sent[1].id, "organizer", clock.now)
    assert not has_ended(sent[1].id)
