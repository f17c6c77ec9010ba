"""What process 0 does alone fails for all of them, with its own words."""

from __future__ import annotations

import sys

import pytest

from sharded_runs import run_ranks
from tronie.errors import BadInput, NotFound

pytest.importorskip("torch")

from tronie.lab.training.together import first_alone

pytestmark = pytest.mark.lab


def test_one_process_is_the_first():
    with first_alone("it fails") as mine:
        assert mine


def test_a_fault_of_the_system_becomes_a_sentence():
    with (
        pytest.raises(BadInput, match="the run cannot begin: No space left"),
        first_alone("the run cannot begin"),
    ):
        raise OSError(28, "No space left on device")


def test_a_refusal_stays_what_it_is():
    with pytest.raises(NotFound, match="no such thing"), first_alone("it fails"):
        raise NotFound("no such thing")


FAILS = """
from tronie.errors import BadInput, NotFound
from tronie.lab.training.distributed import start
from tronie.lab.training.together import first_alone
with start():
    with first_alone("well") as mine:
        done = mine
    try:
        with first_alone("it fails") as mine:
            if mine:
                raise NotFound("no such thing")
    except BadInput as fault:
        print("others", fault)
    except NotFound as fault:
        print("first", fault)
"""


@pytest.mark.slow
def test_all_processes_leave_with_the_words_of_the_first():
    told = [out.strip() for _, out, _ in run_ranks([sys.executable, "-c", FAILS], ranks=2)]
    assert told == ["first no such thing", "others no such thing"]
