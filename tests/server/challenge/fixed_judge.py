"""A judge that says what it is told to, a store that fails when it is told to, and a clock."""

from __future__ import annotations

from collections import Counter

from server.challenge.small_challenge import GOOD, MINUTE, NOW, REPORT
from tronie.server.challenge.audit import first_break
from tronie.server.challenge.store import StoreUnavailable
from tronie.server.challenge.worker import Scored, Worker


class Clock:
    """A clock that the test moves."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


class FixedJudge:
    """Says what it is told to; an exception among its answers is raised."""

    def __init__(self, check=GOOD, score=None):
        self.answers = {"check": check, "score": score or Scored(REPORT, "1")}
        self.seen, self.forgets = [], []

    def forget(self, has_ended):
        self.forgets.append(has_ended)

    def check(self, submission, upload, alive):
        return self._answer("check", submission, upload, alive)

    def score(self, submission, upload, alive):
        return self._answer("score", submission, upload, alive)

    def _answer(self, what, submission, upload, alive):
        self.seen.append((what, submission.id, upload.read_bytes()))
        answer = self.answers[what]
        if callable(answer):
            answer = answer(alive)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Killed(BaseException):
    """The worker is gone at once, as by a signal; nothing catches this."""


class Faulty:
    """A store in which one method fails so many times, before or after it has done its work."""

    def __init__(self, store, method, fault, *, after=False, times=1):
        self._store, self._method, self._fault = store, method, fault
        self._after, self._times = after, times

    def __getattr__(self, name):
        found = getattr(self._store, name)
        return self._failing(found) if name == self._method else found

    def _failing(self, done):
        def work(*args, **given):
            self._times -= 1
            if self._times < 0:
                return done(*args, **given)
            if self._after:
                done(*args, **given)
            raise self._fault

        return work


def away(*, unknown=False):
    """What a store raises whose database does not answer."""
    return StoreUnavailable("the database does not answer", unknown=unknown)


def work_off(one):
    """Judge until nothing waits."""
    while one.run_once():
        pass


def endings(store):
    """How often the log says what of submissions."""
    log = store.audit()
    assert first_break(log) is None
    return Counter(entry.action.removeprefix("submission.") for entry in log)


def worker(store, storage, judge, clock, **more):
    return Worker(store, storage, judge, name="w1", lifetime=MINUTE, now=clock, **more)
