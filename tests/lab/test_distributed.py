"""Ranks from torchrun's environment, one process without it, and a rank that ends."""

from __future__ import annotations

import re
import sys
import time

import pytest

import sharded_runs

torch = pytest.importorskip("torch")

from tronie.errors import BadInput, EngineUnavailable  # noqa: E402 - only where torch is
from tronie.lab.training import distributed  # noqa: E402
from tronie.lab.training.distributed import Told, ranks_told, start  # noqa: E402

pytestmark = pytest.mark.lab

TOLD = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}

LOSES_A_RANK = """
import os, sys, time, torch
from tronie.errors import TronieError
from tronie.lab.training.distributed import all_sum, start

try:
    with start(timeout_s=float(sys.argv[2])) as place:
        all_sum(torch.ones(1))
        if place.rank == 1:
            {"ends": lambda: os._exit(9), "hangs": lambda: time.sleep(5)}[sys.argv[1]]()
        all_sum(torch.ones(1))
except TronieError as error:
    sys.exit(f"{error}")
"""


@pytest.fixture
def no_torchrun(monkeypatch):
    for name in TOLD:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture
def torchrun(no_torchrun):
    for name, value in TOLD.items():
        no_torchrun.setenv(name, value)
    return no_torchrun


def test_without_torchrun_there_is_one_rank_and_nothing_is_started(no_torchrun):
    with start() as place:
        assert (place.rank, place.ranks) == (0, 1)
        assert not torch.distributed.is_initialized()


def test_torchrun_tells_the_rank_among_all_and_on_this_machine():
    assert ranks_told(TOLD) == Told(3, 4, 1, 2)


def test_a_port_alone_is_no_torchrun():
    assert ranks_told({"MASTER_PORT": "29500"}) is None


@pytest.mark.slow
def test_a_rank_that_ends_ends_the_others_with_a_sentence():
    words = [sys.executable, "-c", LOSES_A_RANK, "ends", "60"]
    start_s = time.monotonic()
    (code, _, told), (lost, *_) = sharded_runs.run_ranks(words, ranks=2, good=False)
    assert lost == 9
    assert code == 1
    assert re.match(r"rank 0 of 2 lost another: .*Connection (closed|reset) by peer", told), told
    assert "See what the rank that ended first has said, then go on with --resume" in told
    assert time.monotonic() - start_s < 50


@pytest.mark.slow
def test_a_rank_that_hangs_is_waited_for_no_longer_than_agreed():
    words = [sys.executable, "-c", LOSES_A_RANK, "hangs", "1"]
    (code, _, told), _ = sharded_runs.run_ranks(words, ranks=2, good=False)
    assert code == 1
    assert "rank 0 of 2 lost another: Timed out waiting 1000ms" in told


def test_an_error_of_another_kind_is_not_blamed_on_a_rank(torchrun):
    torchrun.setattr(distributed.dist, "init_process_group", lambda *_, **__: None)
    with pytest.raises(RuntimeError, match="shapes do not fit"), start():
        raise RuntimeError("shapes do not fit")


def test_half_of_torchruns_variables_are_refused_by_name():
    some = {"RANK": "0", "WORLD_SIZE": "2"}
    message = "has RANK, WORLD_SIZE but not LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT"
    with pytest.raises(BadInput, match=message):
        ranks_told(some)


def test_a_rank_that_is_no_number_is_refused():
    with pytest.raises(BadInput, match="must be whole numbers; got two, 4, 1, 2"):
        ranks_told({**TOLD, "RANK": "two"})


def test_a_rank_beyond_their_number_is_refused():
    with pytest.raises(BadInput, match=r"rank 4 of 4, 1 of 2 on this machine, cannot be"):
        ranks_told({**TOLD, "RANK": "4"})


def test_nccl_without_graphics_processors_is_refused(torchrun):
    torchrun.setattr(torch.cuda, "is_available", lambda: False)
    torchrun.setattr(torch.cuda, "device_count", lambda: 0)
    with (
        pytest.raises(EngineUnavailable, match="for each of 2 processes on this machine; found 0"),
        start("nccl"),
    ):
        pass
