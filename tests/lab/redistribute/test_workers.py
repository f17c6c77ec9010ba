"""Processes that train candidates: how they end, and what they are told."""

from __future__ import annotations

import json
import sys
import time

import pytest

pytest.importorskip("torch")

from toy_redistribution import NAME, toy_proxy
from tronie.errors import BadInput
from tronie.lab.training.redistribute import workers
from tronie.lab.training.redistribute.candidate import Job
from tronie.lab.training.redistribute.workers import Process

pytestmark = pytest.mark.lab


@pytest.fixture
def begun(monkeypatch, tmp_path):
    """A process that runs `code` in place of a candidate."""
    job = Job(name=NAME, recipe=toy_proxy(), data=tmp_path, run=tmp_path / "run", score="held-out")
    made = []

    def begin(code):
        monkeypatch.setattr(workers, "COMMAND", (sys.executable, "-c", code))
        made.append(Process(job))
        return made[-1]

    yield begin
    for process in made:
        process.end()


def outcome(process):
    for _ in range(3000):
        fault = process.fault()
        if fault is not None:
            return fault
        time.sleep(0.01)
    raise AssertionError("it does not end")


def test_one_that_is_done_has_no_fault(begun):
    assert outcome(begun("pass")) == ""


def test_one_that_is_refused_says_its_last_sentence(begun):
    code = "import sys; print('a warning\\nno face is labeled', file=sys.stderr); sys.exit(2)"
    assert outcome(begun(code)) == "no face is labeled"
    assert outcome(begun("import sys; sys.exit(9)")) == "its process ended with code 9"


def test_one_that_was_killed_says_by_what(begun):
    code = "import os; os.kill(os.getpid(), 9)"
    assert outcome(begun(code)) == "its process was ended by signal 9, as when memory runs out"


def test_it_is_told_its_job_and_hears_when_nobody_asks_any_more(begun, tmp_path):
    """The line comes at once; what follows it is the end, and only when the asker has gone."""
    heard = tmp_path / "heard"
    code = (
        "import sys, pathlib; line = sys.stdin.readline(); "
        f"pathlib.Path({str(heard)!r}).write_text(line); sys.stdin.read()"
    )
    process = begun(code)
    for _ in range(3000):
        if heard.exists() and heard.read_text():
            break
        time.sleep(0.01)
    assert json.loads(heard.read_text())["name"] == NAME
    assert process.fault() is None
    process.end()
    assert "signal 9" in process.fault()


def test_it_computes_with_one_thread_and_knows_nothing_of_torchrun(begun, monkeypatch, tmp_path):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    heard = tmp_path / "heard"
    code = (
        "import os, pathlib, tronie; "
        f"pathlib.Path({str(heard)!r}).write_text(os.environ['OMP_NUM_THREADS'] + "
        "os.environ.get('RANK', 'none'))"
    )
    assert outcome(begun(code)) == ""
    assert heard.read_text() == "1none"


@pytest.mark.slow
def test_nothing_is_imported_from_the_folder_that_it_is_called_in(monkeypatch, tmp_path):
    (tmp_path / "numpy.py").write_text(f"open({str(tmp_path / 'run_by_import')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    job = Job(name=NAME, recipe=toy_proxy(), data=tmp_path, run=tmp_path / "run", score="held-out")
    assert "labels.txt" in outcome(Process(job))
    assert not (tmp_path / "run_by_import").exists()


def test_a_process_that_cannot_be_started_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(workers, "COMMAND", (str(tmp_path / "nothing"),))
    job = Job(name=NAME, recipe=toy_proxy(), data=tmp_path, run=tmp_path / "run", score="held-out")
    with pytest.raises(BadInput, match=r"no process can be started for .*run: No such file"):
        Process(job)
