"""Many submissions, few workers, and something is killed every few seconds until all have ended.

    senders        teams submit, are turned away where their day is used up, and try again
    workers        processes; one after another is killed and begun again
    database       its own faults, one after another, see `database_faults`
    organizer      tries again what failed by us

Everything happens in threads and processes of its own, at moments drawn from a seed. What must
hold in the end is asked in `fault_findings`.
"""

from __future__ import annotations

import io
import json
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from fault_uploads import Upload

from tronie.errors import BadInput
from tronie.server.challenge.storage import Storage
from tronie.server.challenge.store import QuotaExceeded, Store, StoreUnavailable
from tronie.server.challenge.submission import OPEN, State, User

PER_DAY = 3
TEAMS_A_SUBMISSION = 0.45
"""Fewer teams would have no slots left, with more of them nobody would be turned away."""
TICK_S = 0.05
BEGUN_AGAIN_S = 0.5
END_S = 30.0
"""A worker that is told to end may take so long."""

LEARNS_S = 15.0
"""A sandbox may take so long to see that its worker is gone: as long as Python takes to begin."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is done, and how often."""

    track: str
    workers: int
    kill_every_s: float
    database_every_s: float
    """Between faults of the database."""
    send_within_s: float
    """The last submission is sent so long after the first."""
    most_s: float
    """After that it is given up."""
    seed: int


@dataclass
class Counts:
    """What happened."""

    kills: int = 0
    ended_by_themselves: int = 0
    turned_away: int = 0
    tried_again: int = 0
    failed: int = 0
    faults: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A run that is over."""

    sent: dict[str, Upload]
    """By the id of the submission."""
    counts: Counts
    seconds: float
    workers: int
    """Processes that were begun."""
    exit_codes: tuple[int, ...]
    """Of those that were told to end."""
    left: tuple[int, ...]
    """Workers and sandboxes that run on."""
    is_over: bool
    """All ended in time."""


class Fleet:
    """Workers, which are begun again whenever they end.

    Args:
        command: The words that start one, by its number.
        logs: A folder; each process writes a file there.
    """

    def __init__(self, command: Callable[[int], Sequence[str]], size: int, logs: Path) -> None:
        self._command, self._logs = command, logs
        self._running: list[subprocess.Popen[bytes] | None] = [None] * size
        self._again = [0.0] * size
        self._all: list[subprocess.Popen[bytes]] = []
        self.ended_by_themselves = 0

    @property
    def pids(self) -> tuple[int, ...]:
        """Of all that ever ran."""
        return tuple(one.pid for one in self._all)

    @property
    def left(self) -> tuple[int, ...]:
        """Of those that run."""
        return tuple(one.pid for one in self._all if one.poll() is None)

    def keep_up(self) -> None:
        """Begin those that are not running."""
        now = time.monotonic()
        for place, process in enumerate(self._running):
            if process is not None and process.poll() is not None:
                self.ended_by_themselves += process.returncode != -signal.SIGKILL
                self._running[place], self._again[place] = None, now + BEGUN_AGAIN_S
            elif process is None and now >= self._again[place]:
                with (self._logs / f"{len(self._all):04d}.log").open("wb") as log:
                    words = list(self._command(place))
                    begun = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)
                self._running[place] = begun
                self._all.append(begun)

    def kill_one(self, draw: random.Random) -> bool:
        """Kill one at once, as the kernel does; whether there was one."""
        alive = [one for one in self._running if one is not None and one.poll() is None]
        if not alive:
            return False
        draw.choice(alive).kill()
        return True

    def end(self) -> tuple[int, ...]:
        """Tell all to end; how they did. One that takes longer than END_S is killed."""
        alive = [one for one in self._running if one is not None and one.poll() is None]
        for one in alive:
            one.terminate()
        until = time.monotonic() + END_S
        for one in alive:
            try:
                one.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()
        return tuple(one.returncode for one in alive)


def run_faults(
    plan: Plan,
    uploads: Sequence[Upload],
    *,
    store: Store,
    storage: Storage,
    fleet: Fleet,
    disturb: Callable[[random.Random], str],
    told: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Send everything, kill meanwhile, and come back when all submissions have ended.

    Args:
        disturb: Lets the database fail once, and says how.
        told: Called with a line now and then.
    """
    counts, sent, begun = Counts(), dict[str, Upload](), time.monotonic()
    over, faults = threading.Event(), list[BaseException]()
    draws = [random.Random(plan.seed * 10 + n) for n in range(4)]

    def until_over(step: Callable[[], float]) -> Callable[[], None]:
        """A thread that does a step, then waits as long as it says."""

        def work() -> None:
            try:
                while not over.wait(max(step(), TICK_S)):
                    pass
            except BaseException as fault:  # told below
                faults.append(fault)
                over.set()

        return work

    def kill() -> float:
        counts.kills += fleet.kill_one(draws[0])
        return draws[0].uniform(0.5, 1.5) * plan.kill_every_s

    def disturb_once() -> float:
        counts.faults[disturb(draws[1])] += 1
        return draws[1].uniform(0.5, 1.5) * plan.database_every_s

    def keep_up() -> float:
        fleet.keep_up()
        return TICK_S

    sender = _Sender(plan, uploads, store, storage, sent, counts, draws[2])
    threads = [
        threading.Thread(target=until_over(step))
        for step in (keep_up, kill, disturb_once, sender.step)
    ]
    for thread in threads:
        thread.start()
    try:
        while not over.is_set() and time.monotonic() - begun < plan.most_s:
            over.wait(1.0)
            states = _looked_after(store, counts)
            told(", ".join(f"{state} {number}" for state, number in sorted(states.items())))
            if len(sent) == len(uploads) and not set(states) & {*OPEN, State.FAILED}:
                break
    finally:
        over.set()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - begun
        fleet.keep_up()
        counts.ended_by_themselves = fleet.ended_by_themselves
        exit_codes = fleet.end()
    if faults:
        raise faults[0]
    left = [one for one in patiently(store.submissions) if one.state in (*OPEN, State.FAILED)]
    return Outcome(
        sent=sent,
        counts=counts,
        seconds=seconds,
        workers=len(fleet.pids),
        exit_codes=exit_codes,
        left=(*fleet.left, *_sandboxes_left(fleet.pids)),
        is_over=len(sent) == len(uploads) and not left,
    )


def patiently(call: Callable[[], T], *, most_s: float = 120.0) -> T:
    """What `call` gives; again while the database is away."""
    until = time.monotonic() + most_s
    while True:
        try:
            return call()
        except StoreUnavailable:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def _sandboxes_left(pids: Sequence[int]) -> list[int]:
    """Those that are there after a moment: one that was just begun learns late of the end."""
    until = time.monotonic() + LEARNS_S
    while (found := sandboxes_of(pids)) and time.monotonic() < until:
        time.sleep(0.2)
    return found


def sandboxes_of(pids: Sequence[int]) -> list[int]:
    """Processes of sandboxes that one of those processes began."""
    parents = {str(pid) for pid in pids}
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if any("sandbox_child" in word for word in words) and len(words) > 2:
            settings = json.loads(words[-2]) if words[-2].startswith("{") else {}
            if str(settings.get("parent")) in parents:
                found.append(int(folder.name))
    return found


class _Sender:
    """Teams, drawn at random, that submit one file after another."""

    def __init__(
        self,
        plan: Plan,
        uploads: Sequence[Upload],
        store: Store,
        storage: Storage,
        sent: dict[str, Upload],
        counts: Counts,
        draw: random.Random,
    ) -> None:
        self._plan, self._left, self._sent = plan, list(uploads), sent
        self._store, self._storage, self._counts, self._draw = store, storage, counts, draw
        self._pause_s = plan.send_within_s / len(uploads)
        self._teams: list[User] = []
        self._size = max(2, round(TEAMS_A_SUBMISSION * len(uploads)))

    def step(self) -> float:
        """Make a team, or send the next file; how long to wait."""
        if len(self._teams) < self._size:
            self._teams.append(self._team(len(self._teams)))
            return 0.0
        if not self._left:
            return 1.0
        upload = self._left[0]
        team = self._draw.choice(self._teams)
        key = self._storage.put(io.BytesIO(upload.data), limit=1 << 30)
        try:
            id = self._submitted(team, key.key, key.sha256, key.size_bytes, upload.kind)
        except QuotaExceeded:
            self._counts.turned_away += 1
            self._storage.delete(key.key)
            return 0.0
        self._sent[id] = upload
        del self._left[0]
        return self._draw.uniform(0, 2) * self._pause_s

    def _submitted(self, team: User, key: str, sha256: str, size_bytes: int, kind: str) -> str:
        while True:
            try:
                return self._store.submit(
                    organization_id=team.organization_id,
                    user_id=team.id,
                    track=self._plan.track,
                    per_day=PER_DAY,
                    now=datetime.now(UTC),
                    file_name=f"{kind}.onnx",
                    note="",
                    upload=key,
                    sha256=sha256,
                    size_bytes=size_bytes,
                ).id
            except StoreUnavailable as fault:
                if fault.unknown:  # as a team would: is it on the list?
                    mine = patiently(
                        lambda: self._store.submissions(organization_id=team.organization_id)
                    )
                    if done := [one.id for one in mine if one.upload == key]:
                        return done[0]
            time.sleep(0.2)

    def _team(self, number: int) -> User:
        def make() -> User:
            email = f"{number}@example.org"
            return self._store.user_by_email(email) or self._store.create_account(
                organization=f"Team {number}",
                email=email,
                password_hash="none",
                now=datetime.now(UTC),
            )

        return patiently(make)


def _looked_after(store: Store, counts: Counts) -> Counter[State]:
    """How many are in each state; what has failed by us is tried again, as an organizer does."""
    try:
        found = store.submissions()
        for one in found:
            if one.state is State.FAILED:
                counts.failed += 1
                store.retry(one.id, "organizer", datetime.now(UTC))
                counts.tried_again += 1
    except (StoreUnavailable, BadInput):  # not now, or it was written before and is known now
        return Counter({State.RECEIVED: 1})
    return Counter(one.state for one in found)
