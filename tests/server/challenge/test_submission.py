"""The life of a submission: the drawing in its docstring, as a table."""

import inspect
import re

from tronie.server.challenge import submission
from tronie.server.challenge.submission import NEXT, OPEN, WAITING, State


def reachable(start):
    found, ahead = set(), [start]
    while ahead:
        state = ahead.pop()
        if state not in found:
            found.add(state)
            ahead += NEXT[state]
    return found


def test_every_state_has_its_successors_and_its_sentence():
    assert NEXT.keys() == set(State)
    told = inspect.getdoc(submission)
    for state in State:
        assert re.search(rf"^    {state}\s|^    {state}   ", told, re.MULTILINE) or state in told


def test_every_submission_can_come_to_an_end_from_wherever_it_is():
    ends = {State.SCORED, State.REFUSED, State.FAILED}
    for state in OPEN:
        assert reachable(state) >= {State.SCORED, State.REFUSED, State.FAILED}, state
    assert ends.isdisjoint(OPEN)


def test_what_a_worker_takes_goes_back_to_where_it_was_when_the_worker_is_lost():
    taken = {State.RECEIVED: State.CHECKING, State.QUEUED: State.RUNNING}
    assert set(WAITING) == taken.keys()
    for waits, held in taken.items():
        assert held in NEXT[waits]
        assert waits in NEXT[held]


def test_what_was_refused_stays_refused():
    assert NEXT[State.REFUSED] == frozenset()
