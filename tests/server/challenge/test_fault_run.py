"""Workers and databases are killed until all submissions have ended; nothing may be lost.

The program is benchmarks/faults/challenge_faults.py, which does the same at length with
`tronie challenge worker` and real networks. Here workers judge in a moment what uploads say.
"""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("fsspec")
pytest.importorskip("alembic")

from server.challenge.quick_worker import QuickJudge
from server.challenge.small_challenge import send, team
from tronie.server.challenge.storage import Storage
from tronie.server.challenge.worker import Worker

REPOSITORY = Path(__file__).resolve().parents[3]
PROGRAM = REPOSITORY / "benchmarks" / "faults" / "challenge_faults.py"
WORKER = Path(__file__).with_name("quick_worker.py")

pytestmark = [pytest.mark.server, pytest.mark.slow]

SUBMISSIONS = 40
LEASE_S = 1.0


@pytest.fixture
def faults(monkeypatch):
    """The parts of the program."""
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
    import database_faults
    import fault_findings
    import fault_run
    import fault_uploads

    return database_faults, fault_findings, fault_run, fault_uploads


def drawn(Upload, count):
    kinds = [
        Upload("honest", b"accept score", True, True),
        Upload("honest", b"accept score", True, True),
        Upload("bad", b"refuse", False, False),
        Upload("running", b"accept refuse", False, True),
        Upload("ours", b"accept ours", True, True),
    ]
    return [kinds[n % len(kinds)] for n in range(count)]


def run_small(faults, store, url, disturb, folder):
    """The outcome and the findings of a small run."""
    _, fault_findings, fault_run, fault_uploads = faults
    for name in ("work", "logs"):
        (folder / name).mkdir()
    words = [sys.executable, str(WORKER), str(folder), url, str(LEASE_S)]
    fleet = fault_run.Fleet(lambda number: [*words, f"worker {number}"], 3, folder / "logs")
    plan = fault_run.Plan(
        track="demonstration-faces",
        workers=3,
        kill_every_s=1.5,
        database_every_s=1.5,
        send_within_s=4.0,
        most_s=180.0,
        seed=1,
    )
    outcome = fault_run.run_faults(
        plan,
        drawn(fault_uploads.Upload, SUBMISSIONS),
        store=store,
        storage=Storage(str(folder / "uploads")),
        fleet=fleet,
        disturb=disturb,
    )
    return outcome, fault_findings.findings(
        outcome, store, work=folder / "work", uploads=folder / "uploads"
    )


@pytest.fixture
def disturb(request, faults, database_url, tmp_path):
    """How that kind of database fails, quickly."""
    if database_url.startswith("sqlite"):
        return faults[0].sqlite_faults(tmp_path / "challenge.db", held_s=(0.3, 1.5))
    server = request.getfixturevalue("postgres")
    name = request.getfixturevalue("migrated_postgresql")
    return faults[0].postgres_faults(server, name, away_s=(0.2, 0.6), stopped_every=4)


def test_every_submission_ends_once_and_is_charged_once_whatever_is_killed(
    faults, store, database_url, disturb, tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY / "src"))
    outcome, found = run_small(faults, store, database_url, disturb, tmp_path)
    assert [one for one in found if not one.holds] == []
    assert len(found) == 13
    assert len(outcome.sent) == SUBMISSIONS
    assert outcome.counts.kills >= 3, "else nothing was tried"
    assert outcome.counts.faults.total() >= 3
    assert outcome.workers > 3


def test_what_is_wrong_would_be_found(faults, sqlite_store, tmp_path):
    """One fault a finding, in a run of two that was honest."""
    _, fault_findings, _, _ = faults
    outcome, good = honest_run(faults, sqlite_store, tmp_path)
    assert [one for one in good if not one.holds] == []

    def broken(changed=outcome):
        found = fault_findings.findings(
            changed, sqlite_store, work=tmp_path / "work", uploads=tmp_path / "uploads"
        )
        return {one.what for one in found if not one.holds}

    lost = {**outcome.sent, "f" * 32: next(iter(outcome.sent.values()))}
    assert "none lost, none twice" in broken(replace(outcome, sent=lost))
    other = {id: one._replace(is_scored=not one.is_scored) for id, one in outcome.sent.items()}
    assert broken(replace(outcome, sent=other)) == {"each ended as its file must"}
    assert broken(replace(outcome, exit_codes=(1,))) == {"workers ended in order"}
    assert broken(replace(outcome, left=(7,))) == {"no worker and no sandbox is left"}
    assert broken(replace(outcome, is_over=False)) == {"all ended in time"}
    (tmp_path / "work" / "x.npy").touch()
    (tmp_path / "uploads" / "y").touch()
    assert broken() == {"nothing is half made", "each upload is there once"}
    (tmp_path / "work" / "x.npy").unlink()
    (tmp_path / "uploads" / "y").unlink()

    base = sqlite3.connect(tmp_path / "challenge.db", isolation_level=None)
    for statement, what in (
        ("DELETE FROM slots", {"quotas are exact"}),
        (
            "UPDATE leases SET outcome = '' WHERE outcome = 'refused'",
            {"quotas are exact", "no lease is live"},
        ),
        (
            "INSERT INTO audit SELECT number + 1, replace(line, 'accepted', 'again'), digest "
            "FROM audit ORDER BY number DESC LIMIT 1",
            {"the audit log is unbroken"},
        ),
    ):
        base.execute(statement)
        assert what <= broken(), statement
    base.close()


def honest_run(faults, store, folder):
    """Two submissions, one worker, nothing killed."""
    _, fault_findings, fault_run, fault_uploads = faults
    (folder / "work").mkdir()
    storage, user = Storage(str(folder / "uploads")), team(store, now=datetime.now(UTC))
    sent = {}
    for upload in drawn(fault_uploads.Upload, 3)[1:]:
        key = storage.put(io.BytesIO(upload.data), limit=100).key
        sent[send(store, user, upload=key, now=datetime.now(UTC)).id] = upload
    judge = QuickJudge(folder / "work")
    worker = Worker(store, storage, judge, name="w", lifetime=timedelta(minutes=1))
    while worker.run_once():
        pass
    outcome = fault_run.Outcome(
        sent=sent,
        counts=fault_run.Counts(),
        seconds=1.0,
        workers=1,
        exit_codes=(0,),
        left=(),
        is_over=True,
    )
    found = fault_findings.findings(
        outcome, store, work=folder / "work", uploads=folder / "uploads"
    )
    return outcome, found


def test_the_program_runs_with_real_workers_and_networks(tmp_path):
    words = ["--submissions", "6", "--workers", "2", "--kill-every-s", "8", "--csv"]
    table = tmp_path / "faults.csv"
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *words, str(table), "--folder", str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["submissions"], told["lost"]) == (6, 0)
    assert told["scored"] + told["refused"] == 6
    assert done.stdout.count(" holds ") == 13
    assert len(table.read_text().splitlines()) == 2
