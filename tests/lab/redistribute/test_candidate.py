"""One candidate, trained for real on drawn photographs."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from toy_detection import write_photos  # noqa: E402 - only where torch is
from toy_redistribution import NAME, TEMPLATE, toy_proxy  # noqa: E402
from tronie.errors import BadFile, BadInput  # noqa: E402
from tronie.lab.nn.cost import parameters  # noqa: E402
from tronie.lab.nn.detector import build_detector  # noqa: E402
from tronie.lab.training.redistribute import candidate as module  # noqa: E402
from tronie.lab.training.redistribute.candidate import Job, read_job, train_candidate  # noqa: E402
from tronie.lab.training.redistribute.search_folder import Candidate, read_result  # noqa: E402
from tronie.lab.training.trained import last_checkpoint  # noqa: E402
from working_tree import environment  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)

CANDIDATE = Candidate(step=1, number=0, detector=TEMPLATE)


@pytest.fixture
def job(tmp_path):
    return Job(
        name=NAME,
        recipe=toy_proxy(epochs=1.0),
        data=write_photos(tmp_path / "data", photos=12),
        run=tmp_path / "candidates" / CANDIDATE.key,
        score="held-out",
    )


def test_a_job_is_read_as_it_was_told(job):
    assert read_job(job.to_line()) == job
    assert job.to_line().count("\n") == 1


@pytest.mark.parametrize("line", ["", "{}", "[1]", '{"name": "a", "recipe": {}, "data": "b"}'])
def test_a_line_that_is_no_job_is_refused(line):
    with pytest.raises(BadFile, match=r"a candidate is one line of JSON; got|holds no Detection"):
        read_job(line)


def test_it_leaves_a_run_and_its_result(job, tmp_path):
    result = train_candidate(job)
    assert read_result(tmp_path, CANDIDATE) == result
    assert result.detector == TEMPLATE
    assert 0 <= result.score <= 1
    assert result.validation["held-out"] == result.score
    assert result.parameters == parameters(build_detector(TEMPLATE))
    assert last_checkpoint(job.run).step == result.steps >= 1


def test_one_that_was_cut_off_before_its_result_goes_on_to_the_same(job, tmp_path):
    first = train_candidate(job)
    (job.run / "result.json").unlink()
    again = train_candidate(job)
    assert replace(again, seconds=first.seconds) == first


def test_a_score_that_its_validation_does_not_give_is_refused(job):
    with pytest.raises(BadInput, match=f"{TEMPLATE} has no hard after .* gives {{'held-out': "):
        train_candidate(replace(job, score="hard"))
    assert not (job.run / "result.json").exists()


def test_a_refusal_is_one_sentence_and_an_exit_code(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "stdin", io.StringIO("nothing\n"))
    assert module.main() == 2
    assert capsys.readouterr().err.startswith("a candidate is one line of JSON; got 'nothing")


@pytest.mark.slow
def test_it_goes_away_with_who_asked_and_the_next_waits_until_it_has(job):
    """The asker is killed; its candidate must not train on, nor keep others from training."""
    line = replace(job, recipe=replace(job.recipe, epochs=1e5)).to_line()
    child = f"[{sys.executable!r}, '-m', {module.__name__!r}]"
    code = (
        "import subprocess, sys, time; "
        f"child = subprocess.Popen({child}, stdin=subprocess.PIPE, text=True); "
        f"child.stdin.write({line!r}); child.stdin.flush(); "
        "print(child.pid, flush=True); time.sleep(600)"
    )
    asker = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment()
    )
    number = int(asker.stdout.readline())
    log = job.run / "log.jsonl"
    for _ in range(6000):
        if log.exists() and log.read_text().count("\n") > 1:
            break
        time.sleep(0.02)
    asker.send_signal(signal.SIGKILL)
    asker.communicate()
    with module._alone_in(job.run):
        stopped = log.read_text()
    status = Path(f"/proc/{number}/status")
    for _ in range(500):
        try:
            if "\nState:\tZ" in status.read_text():
                break
        except FileNotFoundError:
            break
        time.sleep(0.02)
    else:
        raise AssertionError("it trains on")
    assert log.read_text() == stopped
    assert json.loads(stopped.splitlines()[-1])["step"] > 0
