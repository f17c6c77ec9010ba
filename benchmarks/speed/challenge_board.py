"""A challenge's board under 500 readers at once, on two cores: answers a second, and how late.

    python benchmarks/speed/challenge_board.py --folder /where/300/MiB/fit
    python benchmarks/speed/challenge_board.py --folder DIR --teams 30 --submissions 300 \
        --readers 50 --seconds 3                                               # to try it

A challenge with 300 teams and 3,000 scored submissions of the track mfr21-a in SQLite, half of
them public, so that the board has 300 rows and the seven published ones. Reports are 30 KB of JSON
and have 65 checks beside them, as real ones. `tronie serve challenge` serves it in a process of
its own, on the same two cores as the readers, who speak HTTP/1.1 over connections that stay open:

    page        the board as a browser that comes for the first time gets it
    again       the same, by a browser that has it already and asks whether it is still that one
    api         the board as JSON
    signed-in   the page, each reader with a session of its own team, so that its row is marked

Each is measured with readers that ask again as soon as they have read an answer, which tells how
many answers there are a second, and with readers that look at it for 2 seconds in between, as
nobody does for long. Meanwhile a submission is published every second, so that the board is
computed anew all the time. An answer counts from the first byte asked to the last one read; an
answer other than 200 (304 for `again`) and a connection that breaks is an error.

Rows are appended to challenge_board.csv.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from result_rows import append_rows

from tronie.provenance import provenance
from tronie.server.challenge.checks import Check, Verdict
from tronie.server.challenge.scoring import protocol_version
from tronie.server.challenge.store import Store
from tronie.server.challenge.track import open_track

TRACK = "mfr21-a"
ANSWERS = ("page", "again", "api", "signed-in")
CORES = 2
CHECKS, CURVE = 65, 1500
"""Checks of a Verdict and points of a Report's curve."""


def main(argv: Sequence[str] | None = None) -> int:
    """Make the challenge where it is not there, measure, print a table, append the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="of the challenge")
    parser.add_argument("--teams", default=300, type=int)
    parser.add_argument("--submissions", default=3000, type=int)
    parser.add_argument("--readers", default=500, type=int)
    parser.add_argument("--seconds", default=15.0, type=float, help="of each measurement")
    parser.add_argument("--pauses", nargs="+", default=[0.0, 2.0], type=float, help="seconds")
    parser.add_argument("--answers", nargs="+", default=list(ANSWERS), choices=ANSWERS)
    parser.add_argument("--csv", default=Path(__file__).with_suffix(".csv"), type=Path)
    asked = parser.parse_args(argv)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    asked.folder.mkdir(parents=True, exist_ok=True)
    sessions = fill(asked.folder, teams=asked.teams, submissions=asked.submissions)
    record = provenance({})
    print(f"{record.date}  commit {record.commit}  {record.cpu}, {CORES} cores")
    print(
        f"{'answer':<10} {'pause':>5} {'per s':>7} {'p50 ms':>7} {'p95 ms':>7} {'p99 ms':>7} errors"
    )
    rows = []
    with served(asked.folder) as port, publishing(asked.folder):
        for what in asked.answers:
            for pause in asked.pauses:
                told = asyncio.run(measure(port, what, sessions, asked, pause=pause))
                rows.append(row_of(what, pause, told, asked, record))
                print(
                    f"{what:<10} {pause:>5g} {told.rate:>7.0f} {told.at(50):>7.1f} "
                    f"{told.at(95):>7.1f} {told.at(99):>7.1f} {told.errors:>6}",
                    flush=True,
                )
    append_rows(asked.csv, rows)
    return 0


# --- the challenge ----------------------------------------------------------------------------


def fill(folder: Path, *, teams: int, submissions: int) -> list[str]:
    """The challenge's database, made once, and a session of each team."""
    (folder / "challenge.toml").write_text(f'tracks = ["{TRACK}"]\n')
    draw, now = random.Random(0), datetime.now(UTC) - timedelta(days=60)
    with Store.open(f"sqlite:///{folder / 'challenge.db'}") as store:
        users = [user for user in store.users() if user.role == "team"]
        for number in range(len(users), teams):
            users.append(
                store.create_account(
                    organization=f"Institute of Faces {number}",
                    email=f"{number}@example.org",
                    password_hash="none",
                    now=now,
                    hidden=number % 10 == 0,
                )
            )
        there = len(store.submissions(track=TRACK))
        for number in range(there, submissions):
            if number % 500 == 0:
                print(f"{number} of {submissions} submissions are made", file=sys.stderr)
            moment = now + timedelta(minutes=20 * number)
            submit(store, users[number % teams], moment, draw, is_public=number % 2 == 0)
        lifetime = timedelta(days=1)
        return [store.new_session(u.id, now=datetime.now(UTC), lifetime=lifetime) for u in users]


def submit(store: Store, user: Any, now: datetime, draw: random.Random, *, is_public: bool) -> None:
    """One submission, from its arrival to its score."""
    made = store.submit(
        organization_id=user.organization_id,
        user_id=user.id,
        track=TRACK,
        per_day=1000,
        now=now,
        file_name="model.onnx",
        note="",
        upload="0" * 32,
        sha256=f"{draw.getrandbits(256):064x}",
        size_bytes=200 << 20,
    )
    for step in range(2):
        lease = store.lease("benchmark", now=now, lifetime=timedelta(minutes=1))
        assert lease is not None
        if step == 0:
            store.accept(lease.token, verdict(draw), now)
        else:
            version = protocol_version(open_track(TRACK))
            store.scored(lease.token, report(draw), version, now)
    if is_public:
        store.set_public(made.id, True, organization_id=user.organization_id, now=now)


def verdict(draw: random.Random) -> Verdict:
    """As many checks as a model gets, with sentences as long."""
    measured = {"limits.model_bytes": 250 << 20, "limits.latency_ms": draw.uniform(2, 10)}
    rules = [*measured, *(f"graph.rule_{number}" for number in range(CHECKS - len(measured)))]
    return Verdict(
        track=TRACK,
        checks=tuple(
            Check(rule=rule, passed=True, reason="it is kept, " * 6, measured=measured.get(rule))
            for rule in rules
        ),
        facts={"parameters": 65_000_000},
    )


def report(draw: random.Random) -> dict[str, Any]:
    """The values of the track's columns, and a curve."""
    columns = [column.key for column in open_track(TRACK).columns]
    return {
        "name": "mfr21",
        "values": {key: {"value": draw.random(), "unit": "fraction"} for key in columns[:8]},
        "details": {"curve": [[draw.random(), n] for n in range(CURVE)]},
    }


@contextlib.contextmanager
def served(folder: Path) -> Any:
    """The site in a process of its own; its port."""
    words = [sys.executable, "-m", "tronie", "serve", "challenge", "--dir", str(folder)]
    process = subprocess.Popen(
        [*words, "--port", "0", "--no-worker"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        found = re.search(r"http://127\.0\.0\.1:(\d+) ", process.stdout.readline())
        if found is None:
            raise SystemExit("the challenge was not served; see above")
        yield int(found[1])
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@contextlib.contextmanager
def publishing(folder: Path) -> Any:
    """Somebody takes a submission off the board or puts it back, every second."""
    ended = threading.Event()

    def publish() -> None:
        with Store.open(f"sqlite:///{folder / 'challenge.db'}") as store:
            one = store.submissions(track=TRACK, limit=1)[0]
            is_public = one.public
            while not ended.wait(1.0):
                is_public = not is_public
                where, now = one.organization_id, datetime.now(UTC)
                store.set_public(one.id, is_public, organization_id=where, now=now)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


# --- the readers ------------------------------------------------------------------------------


@dataclass
class Told:
    """What the readers saw."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    body_bytes: int = 0
    rate: float = 0.0
    """Answers a second."""

    def at(self, percent: float) -> float:
        """Milliseconds that so many answers took at most."""
        return float(np.percentile(self.seconds, percent)) * 1000 if self.seconds else float("nan")


async def measure(
    port: int, what: str, sessions: list[str], asked: argparse.Namespace, *, pause: float
) -> Told:
    """All readers for some seconds, after a start and a first answer that do not count."""
    path = f"/api/v1/tracks/{TRACK}/board" if what == "api" else f"/tracks/{TRACK}/board"
    told, warm = Told(), asked.seconds / 5
    streams = await asyncio.open_connection("127.0.0.1", port)
    await one_answer(*streams, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n")
    streams[1].close()
    begin = time.perf_counter() + warm
    tasks = []
    for number in range(asked.readers):
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/html\r\n"
        if what == "signed-in":
            head += f"Cookie: tronie-session={sessions[number % len(sessions)]}\r\n"
        late = random.Random(number).uniform(0, warm)
        reader = read_on(port, head, told, begin, begin + asked.seconds, late, pause, what)
        tasks.append(asyncio.create_task(reader))
    await asyncio.gather(*tasks)
    told.rate = len(told.seconds) / asked.seconds
    return told


async def read_on(
    port: int,
    head: str,
    told: Told,
    begin: float,
    end: float,
    late: float,
    pause: float,
    what: str,
) -> None:
    """One reader: ask, read, look at it, ask again."""
    await asyncio.sleep(late)
    streams, tag = None, ""
    while time.perf_counter() < end:
        start = time.perf_counter()
        try:
            if streams is None:
                streams = await asyncio.open_connection("127.0.0.1", port)
            condition = f"If-None-Match: {tag}\r\n" if tag and what == "again" else ""
            status, size, tag = await one_answer(*streams, head + condition + "\r\n")
        except (OSError, EOFError, ValueError):
            status, size, streams = 0, 0, None
        now = time.perf_counter()
        if begin <= now < end:
            if status == 200 or (status == 304 and condition):
                told.seconds.append(now - start)
                told.body_bytes = max(told.body_bytes, size)
            else:
                told.errors += 1
        if pause:
            await asyncio.sleep(random.uniform(0.5, 1.5) * pause)
    if streams is not None:
        streams[1].close()


async def one_answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str
) -> tuple[int, int, str]:
    """Status, bytes of the body and its tag."""
    writer.write(head.encode())
    top = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    headers = dict(line.split(": ", 1) for line in top.split("\r\n")[1:-2])
    size = int(headers.get("content-length", "0"))
    await reader.readexactly(size)
    return int(top.split(" ", 2)[1]), size, headers.get("etag", "")


# --- the rows ---------------------------------------------------------------------------------


def row_of(
    what: str, pause: float, told: Told, asked: argparse.Namespace, record: Any
) -> dict[str, object]:
    """One measurement, with who made it."""
    libraries = " ".join(f"{name} {version}" for name, version in record.libraries.items())
    return {
        "answer": what,
        "readers": asked.readers,
        "pause_s": pause,
        "answers_per_s": round(told.rate, 1),
        "p50_ms": round(told.at(50), 1),
        "p95_ms": round(told.at(95), 1),
        "p99_ms": round(told.at(99), 1),
        "errors": told.errors,
        "answers": len(told.seconds),
        "body_bytes": told.body_bytes,
        "teams": asked.teams,
        "submissions": asked.submissions,
        "database": "sqlite",
        "date": record.date,
        "commit": record.commit,
        "dirty": record.dirty,
        "cpu": record.cpu,
        "cores": CORES,
        "libraries": libraries,
    }


if __name__ == "__main__":
    raise SystemExit(main())
