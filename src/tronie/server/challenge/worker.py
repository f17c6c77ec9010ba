"""A worker: take the next submission, judge it, write down what came of it, and again.

    store.lease ──> RECEIVED: judge.check  ──> accept | refuse
               ──> QUEUED:   judge.score  ──> scored | refuse

While it judges, a second thread renews the lease. A worker that dies at any moment leaves its
lease behind, which runs out; a worker whose lease has run out and was given to another writes
nothing more. So every submission ends once, however many workers die.

Who is at fault decides what a failure costs: a rule that is broken, or a model that breaks its
bounds, is the team's; a full disk, a database that is away, or a fault in this program is ours,
is never charged, and is tried again by whoever leases it next. A judgement is not thrown away
because the database is away when it is to be written: that waits as long as the lease lasts. A
worker that fails by us pauses, longer each time: it leaves the queue to those that are well.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from tronie.errors import NotFound, TronieError
from tronie.server.challenge.checks import Verdict
from tronie.server.challenge.storage import Storage, StorageUnavailable
from tronie.server.challenge.store import LeaseLost, Store, StoreUnavailable
from tronie.server.challenge.submission import OPEN, REFUSED_KEPT, Lease, State, Submission

LIFETIME = timedelta(seconds=60)
TIDY_EVERY = timedelta(hours=1)
STORAGE_AWAY = timedelta(minutes=10)
"""So long uploads that cannot be read now are waited for, before an attempt is lost."""
POLL_S = 1.0
LONGEST_PAUSE_S = 60.0
MOST_REMOVED = 500
"""Files of refused submissions that are removed before the next submission is judged."""
GONE = "its file is no longer among the uploads; hand it in anew"
OURS = "it could not be judged for a reason on our side; the organizers have been told"

log = logging.getLogger(__name__)
Alive = Callable[[], None]
"""To be called now and then while judging; raises Unwanted when the judgement is wanted no more."""
Now = Callable[[], datetime]


class Scored(NamedTuple):
    """What a judgement gave."""

    report: Mapping[str, Any]
    """Plain JSON."""
    protocol_version: str


class Unwanted(Exception):
    """The judgement is wanted no more: the lease is lost, or the worker is to stop."""


class BrokeRule(TronieError):
    """A submission that was accepted breaks a rule while it runs; the sentence is for its team."""

    def __init__(self, reason: str, verdict: Verdict) -> None:
        super().__init__(reason)
        self.verdict = verdict


class _UploadGone(TronieError):
    """The file of a submission is not there."""


class Judge(Protocol):
    """Whoever can tell what a submission is worth; see `judging`."""

    def check(self, submission: Submission, upload: Path, alive: Alive) -> Verdict:
        """Whether it keeps the rules of its track."""

    def score(self, submission: Submission, upload: Path, alive: Alive) -> Scored:
        """What it scores; BrokeRule where it breaks a rule on the way."""

    def forget(self, has_ended: Callable[[str], bool]) -> None:
        """Remove what is kept of half-made judgements of submissions that have ended, by id."""


class Worker:
    """Judges one submission after another.

    Args:
        store: The database.
        storage: Of the uploads.
        judge: Who judges.
        name: Told in the log of the challenge.
        lifetime: Of a lease; it is renewed three times as often.
        now: What time it is.
    """

    def __init__(
        self,
        store: Store,
        storage: Storage,
        judge: Judge,
        *,
        name: str,
        lifetime: timedelta = LIFETIME,
        now: Now = lambda: datetime.now(UTC),
    ) -> None:
        self._store, self._storage, self._judge = store, storage, judge
        self._name, self._lifetime, self._now = name, lifetime, now
        self._stop = threading.Event()
        self._tidied: datetime | None = None
        self._faults = 0
        """Of ours, one after another."""

    def run(self, *, poll_s: float = POLL_S) -> None:
        """Until `stop`; a database that is away is waited for."""
        while not self._stop.is_set():
            try:
                judged = self.run_once()
            except StoreUnavailable as error:
                log.warning("%s waits: %s", self._name, error)
                judged = False
            if self._faults:
                self._stop.wait(min(LONGEST_PAUSE_S, poll_s * 2 ** min(self._faults - 1, 10)))
            elif not judged:
                self._stop.wait(poll_s)

    def stop(self) -> None:
        """Let go of what is being judged, and end `run`; may be called from any thread."""
        self._stop.set()

    def run_once(self) -> bool:
        """Judge the next submission; False where none waits, or after `stop`.

        Raises:
            StoreUnavailable: the database is away. What was leased runs out.
        """
        if self._stop.is_set():
            return False
        self._tidy()
        lease = self._store.lease(self._name, now=self._now(), lifetime=self._lifetime)
        if lease is None:
            return False
        log.info("%s takes %s, %s", self._name, lease.submission.id, lease.submission.state)
        try:
            with _Held(self._store, lease, self._lifetime, now=self._now, stop=self._stop) as held:
                try:
                    self._judged(lease, held)
                except Unwanted:
                    if self._stop.is_set():
                        self._store.release(lease.token, self._now())
        except LeaseLost as error:
            log.warning("%s: %s", self._name, error)
        return True

    def _tidy(self) -> None:
        """At the start and every TIDY_EVERY: others may have ended what was begun here."""
        now = self._now()
        if self._tidied is None or now - self._tidied >= TIDY_EVERY:
            self._judge.forget(self._has_ended)
            self._remove_refused(now)
            self._tidied = now

    def _remove_refused(self, now: datetime) -> None:
        """Remove what nobody judges again; what cannot be removed now waits for the next time."""
        found = self._store.refused_uploads(now - REFUSED_KEPT, limit=MOST_REMOVED)
        for id, upload in found.items():
            if self._stop.is_set():
                return
            try:
                self._storage.delete(upload)
            except NotFound:  # it is no key, so nothing is there
                pass
            except StorageUnavailable as error:
                log.warning("%s cannot remove the upload of %s: %s", self._name, id, error)
                return
            self._store.upload_removed(id, self._name, now)

    def _has_ended(self, id: str) -> bool:
        one = self._store.submission(id)
        return one is None or one.state not in OPEN

    def _judged(self, lease: Lease, held: _Held) -> None:
        """Judge, and write down what came of it.

        Raises:
            Unwanted: it is wanted no more.
            LeaseLost: somebody else has it now.
            StoreUnavailable: the database is away.
        """
        one, token, store = lease.submission, lease.token, self._store
        try:
            with self._upload(one, held) as upload:
                if one.state is State.CHECKING:
                    verdict = self._judge.check(one, upload, held.alive)
                    if verdict.accepted:
                        held.write(lambda now: store.accept(token, verdict, now))
                    else:
                        reason = " ".join(f"{c.reason}." for c in verdict.refusals[:3])
                        held.write(lambda now: store.refuse(token, verdict, reason, now))
                else:
                    scored = self._judge.score(one, upload, held.alive)
                    held.write(lambda now: store.scored(token, *scored, now))
            self._faults = 0
        except BrokeRule as broken:
            reason, verdict = str(broken), broken.verdict
            held.write(lambda now: store.refuse(token, verdict, reason, now))
        except (Unwanted, LeaseLost, StoreUnavailable):
            raise
        except (_UploadGone, StorageUnavailable) as error:
            log.error("%s cannot read upload of %s: %s", self._name, one.id, error)
            self._lost(token, held, GONE if isinstance(error, _UploadGone) else OURS)
        except Exception:
            log.exception("%s cannot judge %s", self._name, one.id)
            self._lost(token, held)

    @contextmanager
    def _upload(self, one: Submission, held: _Held) -> Iterator[Path]:
        """Its file; where uploads are away they are waited for, and the lease is kept."""
        until = self._now() + STORAGE_AWAY
        with ExitStack() as stack:
            while True:
                held.alive()
                try:
                    found = stack.enter_context(self._storage.local(one.upload))
                    break
                except NotFound as error:
                    raise _UploadGone(str(error)) from error
                except StorageUnavailable as error:
                    if self._now() >= until:
                        raise
                    log.warning("%s waits for the upload of %s: %s", self._name, one.id, error)
                    self._stop.wait(POLL_S)
            yield found

    def _lost(self, token: str, held: _Held, why: str = OURS) -> None:
        """Give up, as if this worker had died: an attempt is counted, another may try."""
        self._faults += 1
        held.write(lambda now: self._store.lose(token, why, now))


class _Held:
    """A lease that a thread renews until the end of the `with` block."""

    def __init__(
        self, store: Store, lease: Lease, lifetime: timedelta, *, now: Now, stop: threading.Event
    ) -> None:
        self._store, self._token, self._until = store, lease.token, lease.until
        self._lifetime, self._now, self._stop = lifetime, now, stop
        self._ended, self._lost = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def alive(self) -> None:
        """Go on, or raise Unwanted."""
        if self._stop.is_set() or self._lost.is_set():
            raise Unwanted

    def write(self, what: Callable[[datetime], None]) -> None:
        """Write what came of it; while the database is away, again, as long as the lease lasts.

        Whatever ends a lease may be written twice: the store knows it by its token.

        Raises:
            Unwanted, LeaseLost: nothing was written.
            StoreUnavailable: the lease ran out meanwhile, or the worker is to stop.
        """
        self.alive()
        while True:
            try:
                what(self._now())
                return
            except StoreUnavailable as error:
                if self._stop.is_set() or self._now() >= self._until:
                    raise
                log.warning("what came of a judgement waits to be written: %s", error)
                self._stop.wait(POLL_S)

    def _renew(self) -> None:
        often_s = self._lifetime.total_seconds() / 3
        wait_s = often_s
        while not self._ended.wait(wait_s):
            now = self._now()
            try:
                self._store.heartbeat(self._token, now=now, lifetime=self._lifetime)
                self._until, wait_s = now + self._lifetime, often_s
            except LeaseLost:
                self._lost.set()
                return
            except StoreUnavailable:
                wait_s = min(POLL_S, often_s)
                if self._now() >= self._until:
                    self._lost.set()
                    return
