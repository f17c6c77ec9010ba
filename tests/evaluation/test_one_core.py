"""Timing on one core: what is pinned, what is counted, and what is put back."""

from __future__ import annotations

import os
import threading
from itertools import count

import pytest

from tronie.errors import BadInput
from tronie.evaluation import one_core as module
from tronie.evaluation.one_core import one_core, timed


@pytest.fixture(autouse=True)
def cores_are_given_back():
    """Every test leaves this process on the cores that it had."""
    before = os.sched_getaffinity(0)
    yield
    assert os.sched_getaffinity(0) == before


class Watch:
    """A clock that goes on only when it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_each_step_is_timed_once_after_the_warm_up():
    wall, busy, ran = Watch(), Watch(), []

    def step(n):
        def run():
            ran.append(n)
            wall.now += n + 1
            busy.now += (n + 1) / 2

        return run

    told = []
    found = timed(
        [step(n) for n in range(4)],
        warm_up=2,
        after=lambda seconds: told.append(list(seconds)),
        clock=wall,
        processor_clock=busy,
    )
    assert ran == [0, 1, 0, 1, 2, 3]
    assert found.seconds == (1.0, 2.0, 3.0, 4.0)
    assert (found.mean, found.warm_up, found.busy_cores) == (2.5, 2, 0.5)
    assert told == [[1.0], [1.0, 2.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0]]


def test_what_stands_between_the_steps_is_not_in_their_time():
    wall = Watch()

    def slow_to_tell(seconds):
        wall.now += 100

    found = timed([lambda: None] * 3, warm_up=9, after=slow_to_tell, clock=wall)
    assert found.seconds == (0.0, 0.0, 0.0)
    assert found.warm_up == 3


def test_what_is_raised_after_a_step_ends_all_and_the_cores_are_given_back():
    class Enough(Exception):
        pass

    ran = count()

    def after(seconds):
        if len(seconds) == 2:
            raise Enough("enough")

    with pytest.raises(Enough, match="enough"):
        timed([lambda: next(ran)] * 5, warm_up=0, after=after)
    assert next(ran) == 2


def test_threads_that_run_already_and_those_that_start_are_on_the_core():
    before = os.sched_getaffinity(0)
    asked, go_on, seen = threading.Event(), threading.Event(), {}

    def waits():
        for name in ("inside", "after"):
            asked.wait(10)
            asked.clear()
            seen[name] = os.sched_getaffinity(0)
            go_on.set()

    def ask():
        asked.set()
        assert go_on.wait(10)
        go_on.clear()

    old = threading.Thread(target=waits)
    old.start()
    with one_core() as core:
        assert os.sched_getaffinity(0) == {core}
        ask()
        new = threading.Thread(target=lambda: seen.update(new=os.sched_getaffinity(0)))
        new.start()
        new.join()
    ask()
    old.join()
    assert core in before
    assert seen == {"inside": {core}, "new": {core}, "after": before}


def test_a_system_that_cannot_pin_says_so(monkeypatch):
    monkeypatch.delattr(os, "sched_setaffinity")
    with one_core() as core:
        assert core is None
    assert not timed([lambda: None], warm_up=0).pinned


def test_a_thread_that_ended_meanwhile_is_no_fault(monkeypatch):
    real = module._threads
    monkeypatch.setattr(module, "_threads", lambda: [*real(), 2**22 - 1])
    with one_core() as core:
        assert os.sched_getaffinity(0) == {core}


def test_nothing_to_time_is_refused():
    with pytest.raises(BadInput, match="timing needs a step and a warm-up of 0 or more; got 1"):
        timed([], warm_up=1)
    with pytest.raises(BadInput, match="warm-up of 0 or more; got -1"):
        timed([lambda: None], warm_up=-1)
