"""Judgements that end in the middle: what is kept, what is not, and who is charged."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("fsspec")

from server.challenge.judged import (
    FakeSandbox,
    Killed,
    alive,
    names,
    stops_after,
    submission,
)
from tronie.errors import BadFile
from tronie.server.challenge import judging as judging_file
from tronie.server.challenge import scoring
from tronie.server.challenge.sandbox import SandboxError
from tronie.server.challenge.worker import BrokeRule, Unwanted

pytestmark = pytest.mark.server


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(judging_file, "Sandbox", FakeSandbox)
    monkeypatch.setattr(judging_file, "host_report", lambda: {"network": "this host"})
    FakeSandbox.runs = 0


def killed_among_the_pairs(judging, upload, monkeypatch):
    """All rows are there, no pair is compared."""

    def killed(*_, **__):
        raise Killed("now")

    with monkeypatch.context() as once:
        once.setattr(judging_file, "score", killed)
        with pytest.raises(Killed, match="now"):
            judging.score(submission(), upload, alive)


@pytest.mark.parametrize("kind", ["memory", "time", "crashed", "output", "refused"])
def test_a_model_that_breaks_its_bounds_is_the_teams_fault(
    judging, work, upload, fake, monkeypatch, kind
):
    def breaks(self, pixels):
        raise SandboxError(f"it broke {kind}", kind=kind, log="the stranger's words")

    monkeypatch.setattr(FakeSandbox, "run", breaks)
    with pytest.raises(BrokeRule, match=f"^it broke {kind}$") as broke:
        judging.score(submission(), upload, alive)
    assert broke.value.verdict.refusals[0].rule == f"running.{kind}"
    assert names(work) == []


def test_a_sandbox_that_does_not_come_up_is_our_fault_and_costs_no_rows(
    judging, work, upload, fake, monkeypatch
):
    monkeypatch.setattr(scoring, "PART_BATCHES", 1)
    with pytest.raises(Unwanted, match="no more"):
        judging.score(submission(), upload, stops_after(4))

    def fails(self, model, *, name, bounds):
        raise SandboxError("the sandbox did not come up", kind="start")

    monkeypatch.setattr(FakeSandbox, "__init__", fails)
    with pytest.raises(SandboxError, match="the sandbox did not come up"):
        judging.score(submission(), upload, alive)
    [parts] = names(work)
    assert parts.endswith(".npy.parts")


def test_a_sandbox_that_is_ended_with_its_worker_is_nobodys_fault(
    judging, upload, fake, monkeypatch
):
    stopped = threading.Event()

    def ended(self, pixels):
        stopped.set()
        raise SandboxError("it ended its process (SIGTERM)", kind="crashed")

    def asked():
        if stopped.is_set():
            raise Unwanted("the worker is to stop")

    monkeypatch.setattr(FakeSandbox, "run", ended)
    with pytest.raises(Unwanted, match="the worker is to stop"):
        judging.score(submission(), upload, asked)


def test_a_crop_that_is_gone_is_our_fault_and_what_was_made_is_made_anew(
    judging, work, upload, fake, monkeypatch
):
    def gone(self, first, last):
        raise BadFile("crop 3 of 70 cannot be read")

    monkeypatch.setattr("tronie.server.challenge.crops.Crops.batch", gone)
    with pytest.raises(BadFile, match="crop 3 of 70 cannot be read"):
        judging.score(submission(), upload, alive)
    assert names(work) == []


def test_a_worker_that_is_killed_between_parts_is_gone_on_for(
    judging, work, upload, fake, monkeypatch
):
    monkeypatch.setattr(scoring, "PART_BATCHES", 1)
    whole = judging.score(submission(), upload, alive)
    assert FakeSandbox.runs == 3
    # Asked before it begins, then before and after each batch of 32.
    with pytest.raises(Unwanted, match="no more"):
        judging.score(submission(), upload, stops_after(4))
    assert FakeSandbox.runs == 2
    again = judging.score(submission(), upload, alive)
    assert FakeSandbox.runs == 2, "one batch was whole"
    assert again.report["values"] == whole.report["values"]
    assert again.report["notes"] == whole.report["notes"]
    assert names(work) == []


def test_a_worker_that_is_killed_while_it_compares_keeps_its_rows(
    judging, work, upload, fake, monkeypatch
):
    killed_among_the_pairs(judging, upload, monkeypatch)
    assert [name[-4:] for name in names(work)] == [".npy"]
    FakeSandbox.runs = 0
    scored = judging.score(submission(), upload, alive)
    assert FakeSandbox.runs == 0
    assert scored.report["notes"][-1] == "the model ran in a sandbox (network: this host)"
    assert names(work) == []


def test_rows_of_another_model_are_not_taken_for_those_of_this(
    judging, work, upload, fake, monkeypatch
):
    killed_among_the_pairs(judging, upload, monkeypatch)
    FakeSandbox.runs = 0
    judging.score(submission(sha256="f" * 64), upload, alive)
    assert FakeSandbox.runs == 3
    assert names(work) == []


def test_it_stops_where_it_is_wanted_no_more_and_not_at_the_end(judging, upload, fake):
    asked = []

    def count():
        asked.append(FakeSandbox.runs)

    judging.score(submission(), upload, count)
    assert {0, 1, 2, 3} <= set(asked), "between batches"
    assert asked.count(3) >= 2, "among the pairs"


def test_what_others_ended_is_forgotten(judging, work):
    for id in ("1" * 32, "2" * 32):
        (work / f"{id}.0123.npy.parts").mkdir()
    judging.forget(lambda id: id == "1" * 32)
    assert names(work) == [f"{'2' * 32}.0123.npy.parts"]
