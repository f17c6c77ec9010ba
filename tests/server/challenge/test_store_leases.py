"""Leases: one holder each, late ones change nothing, lost ones come back, repeats are harmless."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from server.challenge.small_challenge import (
    BAD,
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
from tronie.errors import BadInput
from tronie.server.challenge.checks import Check, Verdict
from tronie.server.challenge.store import LeaseLost
from tronie.server.challenge.submission import State

pytest.importorskip("alembic", reason="alembic is not installed, which makes the tables")
pytestmark = pytest.mark.server

TICK = timedelta(microseconds=1)
WRITES = {
    "accept": lambda store, token, now: store.accept(token, GOOD, now),
    "refuse": lambda store, token, now: store.refuse(token, BAD, "no", now),
    "scored": lambda store, token, now: store.scored(token, REPORT, "1", now),
    "fail": lambda store, token, now: store.fail(token, "ours", now),
    "release": lambda store, token, now: store.release(token, now),
    "lose": lambda store, token, now: store.lose(token, "ours", now),
    "heartbeat": lambda store, token, now: store.heartbeat(token, now=now, lifetime=MINUTE),
}


def test_a_submission_is_checked_then_scored(store):
    user = team(store)
    one = send(store, user)
    lease = take(store, worker="first")
    assert (lease.submission.id, lease.submission.state) == (one.id, State.CHECKING)
    assert lease.until == NOW + MINUTE
    assert lease.submission == found(store, one)
    later = NOW + 30 * TICK
    store.accept(lease.token, GOOD, later)
    assert found(store, one).verdict == GOOD
    assert (state(store, one), found(store, one).changed) == (State.QUEUED, later)
    lease = take(store, worker="second")
    assert lease.submission.state is State.RUNNING
    store.scored(lease.token, REPORT, "2.1", NOW)
    scored = found(store, one)
    assert (scored.state, scored.report, scored.protocol_version) == (State.SCORED, REPORT, "2.1")
    assert (scored.verdict, scored.received) == (GOOD, NOW)
    assert store.lease("w", now=NOW, lifetime=MINUTE) is None
    assert left(store, user) == 2


def test_a_refusal_at_the_checks_costs_nothing_and_one_while_running_costs_its_slot(store):
    user = team(store)
    at_checks = send(store, user)
    store.refuse(take(store).token, BAD, "Loop is\nnot allowed", NOW)
    refused = found(store, at_checks)
    assert (refused.state, refused.verdict) == (State.REFUSED, BAD)
    assert (refused.reason, left(store, user)) == ("Loop is not allowed", 3)
    running = queued(store, user)
    store.refuse(take(store).token, None, "it took 9 ms", NOW)
    assert (state(store, running), found(store, running).verdict) == (State.REFUSED, GOOD)
    assert left(store, user) == 2


def test_what_fails_by_us_costs_nothing(store):
    user = team(store)
    send(store, user)
    store.fail(take(store).token, "disk full", NOW)
    one = queued(store, user)
    store.fail(take(store).token, "disk full", NOW)
    assert (state(store, one), found(store, one).reason) == (State.FAILED, "disk full")
    assert left(store, user) == 3


def test_a_worker_that_stops_in_order_is_not_counted(store):
    user = team(store)
    one = send(store, user)
    for _ in range(5):
        store.release(take(store).token, NOW)
    assert (state(store, one), found(store, one).attempts) == (State.RECEIVED, 0)
    store.accept(take(store).token, GOOD, NOW)
    store.release(take(store).token, NOW)
    assert state(store, one) is State.QUEUED


@pytest.mark.parametrize("is_running", [False, True], ids=["checking", "running"])
def test_a_lease_that_runs_out_comes_back_three_times_and_then_has_failed(store, is_running):
    user = team(store)
    one = queued(store, user) if is_running else send(store, user)
    now = NOW
    for attempt in range(3):
        lease = take(store, now=now)
        assert (lease.submission.id, lease.submission.attempts) == (one.id, attempt)
        now += MINUTE
    assert left(store, user) == 2
    assert store.lease("w", now=now, lifetime=MINUTE) is None
    failed = found(store, one)
    assert (failed.state, failed.attempts) == (State.FAILED, 3)
    during = "running" if is_running else "checking"
    assert f"it was lost 3 times while {during}, the last time because its worker" in failed.reason
    assert left(store, user) == 3


def test_attempts_are_counted_for_each_state_alone(store):
    one = send(store, team(store))
    take(store)
    lease = take(store, now=NOW + MINUTE)
    assert lease.submission.attempts == 1
    store.accept(lease.token, GOOD, NOW + MINUTE)
    assert take(store, now=NOW + MINUTE).submission.attempts == 0
    assert take(store, now=NOW + 2 * MINUTE).submission.attempts == 1
    assert take(store, now=NOW + 3 * MINUTE).submission.attempts == 2
    assert state(store, one) is State.RUNNING


def test_giving_up_counts_as_a_loss(store):
    user = team(store)
    one = send(store, user)
    for attempt in (1, 2):
        store.lose(take(store).token, "the disk is full", NOW)
        assert (state(store, one), found(store, one).attempts) == (State.RECEIVED, attempt)
    store.lose(take(store).token, "the disk is full", NOW)
    assert state(store, one) is State.FAILED
    assert "because the disk is full; it uses up no submission" in found(store, one).reason
    assert left(store, user) == 3


def test_a_lease_lives_as_long_as_its_heart_beats(store):
    one = send(store, team(store))
    lease = take(store)
    for n in range(1, 5):
        now = NOW + n * (MINUTE - TICK)
        assert store.lease("other", now=now, lifetime=MINUTE) is None
        store.heartbeat(lease.token, now=now, lifetime=MINUTE)
    store.accept(lease.token, GOOD, now)
    assert state(store, one) is State.QUEUED


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("is_taken", [False, True], ids=["nobody has it", "somebody has it"])
def test_a_late_worker_changes_nothing(store, write, is_taken):
    user = team(store)
    one = send(store, user)
    late = take(store)
    now = NOW + MINUTE
    if is_taken:
        other = take(store, now=now, worker="other")
    before = (found(store, one), left(store, user), store.audit())
    with pytest.raises(LeaseLost, match=r"this lease is lost: .* nothing was written, ask for the"):
        WRITES[write](store, late.token, now)
    assert (found(store, one), left(store, user), store.audit()) == before
    if is_taken:
        store.accept(other.token, GOOD, now)


@pytest.mark.parametrize("write", [name for name in WRITES if name != "heartbeat"])
def test_saying_it_twice_is_harmless(store, write):
    user = team(store)
    one = queued(store, user) if write == "scored" else send(store, user)
    lease = take(store)
    WRITES[write](store, lease.token, NOW)
    before = (found(store, one), left(store, user), store.audit())
    WRITES[write](store, lease.token, NOW + 10 * MINUTE)
    assert (found(store, one), left(store, user), store.audit()) == before


def test_a_repeat_is_harmless_while_another_worker_has_it(store):
    user = team(store)
    one = send(store, user)
    first = take(store)
    store.accept(first.token, GOOD, NOW)
    second = take(store, worker="second")
    store.accept(first.token, GOOD, NOW)
    assert state(store, one) is State.RUNNING
    store.scored(second.token, REPORT, "1", NOW)
    store.rescore(one.track, protocol_version="2", actor="organizer", now=NOW)
    store.scored(second.token, {"other": 1}, "1", NOW)
    assert (state(store, one), found(store, one).report) == (State.QUEUED, REPORT)


@pytest.mark.parametrize("other", ["refuse", "fail", "release", "lose", "heartbeat", "scored"])
def test_a_lease_ends_in_one_way(store, other):
    one = send(store, team(store))
    lease = take(store)
    store.accept(lease.token, GOOD, NOW)
    with pytest.raises(
        LeaseLost, match=r"this lease is lost: it (was ended: accepted|has run out)"
    ):
        WRITES[other](store, lease.token, NOW)
    assert state(store, one) is State.QUEUED


@pytest.mark.parametrize("token", ["", "x", "'; DROP TABLE leases; --", "a\0", "\ud800"], ids=ascii)
@pytest.mark.parametrize("write", WRITES)
def test_a_token_that_nobody_has_is_no_lease(sqlite_store, write, token):
    send(sqlite_store, team(sqlite_store))
    take(sqlite_store)
    with pytest.raises(LeaseLost, match="this lease is lost: "):
        WRITES[write](sqlite_store, token, NOW)


def test_what_is_checked_is_not_scored_and_what_runs_is_not_accepted(store):
    user = team(store)
    one = send(store, user)
    lease = take(store)
    with pytest.raises(BadInput, match="is checking; to become scored it must be running"):
        store.scored(lease.token, REPORT, "1", NOW)
    store.accept(lease.token, GOOD, NOW)
    lease = take(store)
    with pytest.raises(BadInput, match="is running; to become queued it must be checking"):
        store.accept(lease.token, BAD, NOW)
    assert (state(store, one), found(store, one).verdict) == (State.RUNNING, GOOD)
    store.scored(lease.token, REPORT, "1", NOW)


def test_a_report_that_is_no_plain_json_is_refused_and_the_lease_still_held(store):
    one = queued(store, team(store))
    lease = take(store)
    for report in ({"tar": float("nan")}, {"tar": object()}):
        with pytest.raises(BadInput, match="must be plain JSON with finite numbers; "):
            store.scored(lease.token, report, "1", NOW)
    store.scored(lease.token, REPORT, "1", NOW)
    assert state(store, one) is State.SCORED


def test_a_verdict_comes_back_as_it_was(store):
    checks = (
        Check(rule="a.b", passed=True, reason="ünï\n", measured=1.25, limit=10**15, unit="FLOPs"),
        Check(rule="a.c", passed=False, reason="x", measured="Loop", limit=None),
    )
    verdict = Verdict(track="t", checks=checks, facts={"deep": {"list": [1, None, "\0"]}})
    one = send(store, team(store))
    store.refuse(take(store).token, verdict, "x", NOW)
    assert found(store, one).verdict == verdict


@pytest.mark.parametrize(
    ("workers", "waiting"), [(8, 24), pytest.param(20, 200, marks=pytest.mark.slow)]
)
def test_no_two_workers_get_the_same(store, workers, waiting):
    user = team(store)
    sent = [send(store, user, per_day=waiting).id for _ in range(waiting)]
    ready = threading.Barrier(workers)

    def work(number: int) -> list[str]:
        ready.wait()
        taken = []
        while lease := store.lease(f"w{number}", now=NOW, lifetime=MINUTE):
            taken.append(lease.submission.id)
            if len(taken) % 2:
                store.refuse(lease.token, BAD, "", NOW)
        return taken

    with ThreadPoolExecutor(workers) as pool:
        taken = [id for ids in pool.map(work, range(workers)) for id in ids]
    assert sorted(taken) == sorted(sent)
    assert store.audit_break() is None


def test_of_many_who_take_what_was_lost_one_gets_it(store):
    one = send(store, team(store))
    take(store)
    ready = threading.Barrier(12)

    def work(number: int) -> bool:
        ready.wait()
        return store.lease(f"w{number}", now=NOW + MINUTE, lifetime=MINUTE) is not None

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(work, range(12))) == 1
    assert found(store, one).attempts == 1


def test_asking_while_nothing_waits_writes_nothing(store):
    assert store.lease("w", now=NOW, lifetime=MINUTE) is None
    assert store.audit() == ()
    with pytest.raises(BadInput, match="a worker's name must have 1 to 200 printable characters"):
        store.lease("\n", now=NOW, lifetime=MINUTE)
