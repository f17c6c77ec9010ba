"""A challenge that is simulated: after any order of events the store is what a plain model says.

The model is a list of submissions and a dictionary of leases, without SQL and without threads. It
says for every event what must come of it, and the log must show no step that `NEXT` does not allow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from server.challenge.small_challenge import BAD, GOOD, MINUTE, NOW, REPORT, TRACK, send, team
from server.conftest import DATABASES, new_url
from tronie.errors import BadInput
from tronie.server.challenge.store import MOST_ATTEMPTS, LeaseLost, QuotaExceeded, Store
from tronie.server.challenge.submission import NEXT, WAITING, State

pytest.importorskip("alembic", reason="alembic is not installed, which makes the tables")
pytestmark = pytest.mark.server

PER_DAY = 2
S = State
BACK = {S.CHECKING: S.RECEIVED, S.RUNNING: S.QUEUED}
# How a lease may end: the outcome, the state that follows, and the call.
ENDS: dict[str, tuple[State | None, Callable[[Store, str, datetime], None]]] = {
    "accepted": (S.QUEUED, lambda store, token, now: store.accept(token, GOOD, now)),
    "refused": (S.REFUSED, lambda store, token, now: store.refuse(token, BAD, "x", now)),
    "scored": (S.SCORED, lambda store, token, now: store.scored(token, REPORT, "1", now)),
    "failed": (S.FAILED, lambda store, token, now: store.fail(token, "x", now)),
    "released": (None, lambda store, token, now: store.release(token, now)),
    "given up": (None, lambda store, token, now: store.lose(token, "x", now)),
}
ONLY = {"accepted": S.CHECKING, "scored": S.RUNNING}


@dataclass
class One:
    """A submission as the model has it."""

    id: str
    team: int
    day: date
    since: datetime
    state: State = S.RECEIVED
    attempts: int = 0
    has_slot: bool = True
    version: str = ""

    def goes(self, to: State, *, attempts: int = 0) -> None:
        assert to in NEXT[self.state]
        self.state, self.attempts = to, attempts
        self.has_slot &= to is not S.FAILED

    def is_lost(self) -> None:
        if self.attempts + 1 == MOST_ATTEMPTS:
            self.goes(S.FAILED, attempts=MOST_ATTEMPTS)
        else:
            self.goes(BACK[self.state], attempts=self.attempts + 1)


@dataclass
class Held:
    """A lease as the model has it."""

    one: One
    until: datetime
    outcome: str = ""


class Challenge(RuleBasedStateMachine):
    """Two teams, any number of workers, one clock."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.store = Store.open(url, migrate=False)
        self.now = NOW
        self.teams = [team(self.store, number) for number in range(2)]
        self.all: list[One] = []
        self.leases: dict[str, Held] = {}

    def teardown(self) -> None:
        try:
            self.the_log_shows_only_steps_that_are_allowed()
        finally:
            self.store.close()

    def the_log_shows_only_steps_that_are_allowed(self) -> None:
        was: dict[str, State] = {}
        for entry in self.store.audit():
            kind, _, name = entry.action.partition(".")
            if kind == "submission" and name in set(S):
                if entry.subject in was:
                    assert S(name) in NEXT[was[entry.subject]]
                was[entry.subject] = S(name)
        assert was == {one.id: one.state for one in self.all}
        assert self.store.audit_break() is None

    def queue(self) -> list[One]:
        waiting = [
            (one.since, one.state is S.QUEUED, n)
            for n, one in enumerate(self.all)
            if one.state in WAITING
        ]
        return [self.all[n] for *_, n in sorted(waiting)]

    def slots(self, number: int) -> int:
        today = [o for o in self.all if o.team == number and o.day == self.now.date()]
        return sum(one.has_slot for one in today)

    @rule(number=st.integers(0, 1))
    def submit(self, number: int) -> None:
        if self.slots(number) >= PER_DAY:
            with pytest.raises(QuotaExceeded, match="takes 2 submissions"):
                send(self.store, self.teams[number], now=self.now, per_day=PER_DAY)
        else:
            one = send(self.store, self.teams[number], now=self.now, per_day=PER_DAY)
            self.all.append(One(one.id, number, self.now.date(), self.now))

    @rule()
    def lease(self) -> None:
        for held in self.leases.values():
            if not held.outcome and held.until <= self.now:
                held.outcome = "lost"
                held.one.is_lost()
        lease = self.store.lease("w", now=self.now, lifetime=MINUTE)
        if not self.queue():
            assert lease is None
            return
        one = self.queue()[0]
        one.goes(S.CHECKING if one.state is S.RECEIVED else S.RUNNING, attempts=one.attempts)
        assert lease is not None
        assert (lease.submission.id, lease.submission.state) == (one.id, one.state)
        self.leases[lease.token] = Held(one, self.now + MINUTE)

    def any_token(self, data: st.DataObject) -> str:
        # Of the latest leases rather: those are the ones that are live.
        back = data.draw(st.integers(0, min(3, len(self.leases) - 1)))
        return list(self.leases)[-1 - back]

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), outcome=st.sampled_from(sorted(ENDS)))
    def end(self, data: st.DataObject, outcome: str) -> None:
        token = self.any_token(data)
        held = self.leases[token]
        to, call = ENDS[outcome]
        to = to or BACK.get(held.one.state)
        if held.outcome == outcome:
            call(self.store, token, self.now)
        elif held.outcome or held.until <= self.now:
            with pytest.raises(LeaseLost, match="this lease is lost"):
                call(self.store, token, self.now)
        elif held.one.state is not ONLY.get(outcome, held.one.state):
            with pytest.raises(BadInput, match=r"to become .* it must be"):
                call(self.store, token, self.now)
        else:
            call(self.store, token, self.now)
            held.outcome = outcome
            one = held.one
            one.has_slot &= (to, one.state) != (S.REFUSED, S.CHECKING)
            if outcome == "given up":
                one.is_lost()
            else:
                kept = outcome in ("released", "failed")
                one.goes(to, attempts=one.attempts if kept else 0)
            one.version = "1" if to is S.SCORED else one.version

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        token = self.any_token(data)
        held = self.leases[token]
        if held.outcome or held.until <= self.now:
            with pytest.raises(LeaseLost, match="this lease is lost"):
                self.store.heartbeat(token, now=self.now, lifetime=MINUTE)
        else:
            self.store.heartbeat(token, now=self.now, lifetime=MINUTE)
            held.until = self.now + MINUTE

    @rule(passed=st.sampled_from([1, 40, 61, 43_200]))
    def wait(self, passed: int) -> None:
        self.now += timedelta(seconds=passed)

    @precondition(lambda self: self.all)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.all))
        if one.state is not S.FAILED:
            with pytest.raises(BadInput, match="to become received it must be failed"):
                self.store.retry(one.id, "organizer", self.now)
        else:
            self.store.retry(one.id, "organizer", self.now)
            one.goes(S.RECEIVED)
            one.since = self.now

    @rule(version=st.sampled_from(["1", "2"]))
    def rescore(self, version: str) -> None:
        old = [one for one in self.all if one.state is S.SCORED and one.version != version]
        assert len(old) == self.store.rescore(
            TRACK, protocol_version=version, actor="organizer", now=self.now
        )
        for one in old:
            one.goes(S.QUEUED)
            one.since = self.now

    @invariant()
    def the_store_is_what_the_model_says(self) -> None:
        found = {one.id: one for one in self.store.submissions()}
        assert {id: (one.state, one.attempts) for id, one in found.items()} == {
            one.id: (one.state, one.attempts) for one in self.all
        }
        queue = self.queue()
        for place in {0, len(queue) - 1} & set(range(len(queue))):
            assert self.store.position(queue[place].id) == place + 1
        for number, user in enumerate(self.teams):
            assert self.store.slots_left(
                user.organization_id, TRACK, per_day=PER_DAY, now=self.now
            ) == PER_DAY - self.slots(number)


def simulated(request: pytest.FixtureRequest, kind: str, folder: Path, examples: int) -> None:
    run_state_machine_as_test(
        lambda: Challenge(new_url(request, kind, folder)),
        settings=settings(
            max_examples=examples, stateful_step_count=30, deadline=None, derandomize=True
        ),
    )


def test_a_simulated_challenge_is_what_the_model_says(request, tmp_path):
    simulated(request, "sqlite", tmp_path, 4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", DATABASES)
def test_a_long_simulated_challenge_is_what_the_model_says(request, kind, tmp_path):
    simulated(request, kind, tmp_path, 40)
