"""Who judges what until when: a part of the store.

A worker leases the oldest submission that waits, renews the lease while it judges, and ends it by
writing what came of it. A lease is known by a secret token of which the SHA-256 is kept, and stays
in the database with how it ended:

    live  ──> accepted | refused | scored | failed     by its holder, in time
          ──> released                                 the holder stops in order
          ──> given up                                 the holder cannot go on
          ──> lost                                     its time ran out

What is given up counts as lost. Ending a lease a second time in the same way is known, and
harmless: a worker that got no answer may ask again. Ending it in another way, or after its time,
is LeaseLost and changes nothing. A submission lost MOST_ATTEMPTS times in one state has failed by
us.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import sqlalchemy as sql

from tronie.server.challenge import store_records as records
from tronie.server.challenge.audit import plain_json
from tronie.server.challenge.checks import Verdict
from tronie.server.challenge.quota import in_utc
from tronie.server.challenge.schema import leases, submissions
from tronie.server.challenge.store_database import Change, Database
from tronie.server.challenge.store_submissions import (
    IS_WAITING,
    QUEUE,
    give_slot_back,
    move,
    require,
)
from tronie.server.challenge.submission import Lease, State, Submission

MOST_ATTEMPTS = 3
_TAKEN = {State.RECEIVED: State.CHECKING, State.QUEUED: State.RUNNING}
_BACK = {taken: waiting for waiting, taken in _TAKEN.items()}
_IS_LIVE = leases.c.outcome == ""


class Leases:
    """A part of Store."""

    _database: Database

    def lease(self, worker: str, *, now: datetime, lifetime: timedelta) -> Lease | None:
        """The oldest submission that waits, for this worker alone; None where none does.

        Leases whose time has run out are ended first, and their submissions wait again.
        """
        name = records.clean_name(worker, what="a worker's name")
        token, until = records.new_secret(), in_utc(now) + lifetime
        over = sql.select(leases.c.lease_sha256).where(_IS_LIVE, leases.c.until <= now)
        any_waits = sql.select(submissions.c.id).where(IS_WAITING)
        any_work = sql.select(sql.or_(sql.exists(any_waits), sql.exists(over)))
        if not self._database.read(lambda run: run.scalar(any_work)):
            return None

        def work(change: Change) -> Lease | None:
            run = change.connection
            before = _holding(run, token)
            if before is not None:  # taken, and the answer was lost
                return Lease(submission=before[1], token=token, until=before[0]["until"])
            for digest in run.execute(over.with_for_update(skip_locked=True)).scalars().all():
                _lose(change, digest, "its worker did not come back", outcome="lost")
            oldest = any_waits.order_by(*QUEUE).limit(1).with_for_update(skip_locked=True)
            if (id := run.scalar(oldest)) is None:
                return None
            return _take(change, require(run, id), name, token=token, until=until)

        return self._database.change(work, now=now, repeatable=True)

    def heartbeat(self, token: str, *, now: datetime, lifetime: timedelta) -> None:
        """Hold on to a lease until `now + lifetime`.

        Raises:
            LeaseLost: it has run out, or is ended.
        """
        its = (leases.c.lease_sha256 == records.digest(token)) & _IS_LIVE
        renewed = (
            leases.update().where(its, leases.c.until > now).values(until=in_utc(now) + lifetime)
        )
        if not self._database.write(lambda run: run.execute(renewed).rowcount, repeatable=True):
            raise _lost("it has run out or is ended")

    def accept(self, token: str, verdict: Verdict, now: datetime) -> None:
        """CHECKING to QUEUED. Raises LeaseLost, as all below; BadInput from another state."""
        values = {"verdict": verdict.to_dict()}
        only = (State.CHECKING,)
        self._end(token, "accepted", State.QUEUED, now, only=only, values=values)

    def refuse(self, token: str, verdict: Verdict | None, reason: str, now: datetime) -> None:
        """CHECKING to REFUSED, which gives the slot back; or RUNNING to REFUSED, which does not.

        Args:
            verdict: None to leave the one that is there.
        """
        values: dict[str, Any] = {"reason": records.shown(reason, most=records.LONGEST_REASON)}
        if verdict is not None:
            values["verdict"] = verdict.to_dict()
        self._end(token, "refused", State.REFUSED, now, values=values)

    def scored(
        self, token: str, report: Mapping[str, Any], protocol_version: str, now: datetime
    ) -> None:
        """RUNNING to SCORED."""
        values = {"report": dict(report), "protocol_version": protocol_version}
        only = (State.RUNNING,)
        self._end(token, "scored", State.SCORED, now, only=only, values=values)

    def fail(self, token: str, reason: str, now: datetime) -> None:
        """CHECKING or RUNNING to FAILED: we could not judge it, and the slot is given back."""
        values = {"reason": records.shown(reason, most=records.LONGEST_REASON)}
        self._end(token, "failed", State.FAILED, now, values=values)

    def release(self, token: str, now: datetime) -> None:
        """Back to where it was leased from; no attempt is counted."""
        self._end(token, "released", None, now)

    def lose(self, token: str, reason: str, now: datetime) -> None:
        """Give up as if the lease had run out: an attempt is counted, and another may try.

        Args:
            reason: What the team is told where that was the last attempt.
        """
        digest = records.digest(token)

        def work(change: Change) -> None:
            if _held(change, token, "given up") is not None:
                why = records.shown(reason, most=records.LONGEST_REASON)
                _lose(change, digest, why, outcome="given up")

        self._database.change(work, now=now, repeatable=True)

    def _end(
        self,
        token: str,
        outcome: str,
        to: State | None,
        now: datetime,
        *,
        only: Collection[State] = tuple(_BACK),
        values: Mapping[str, Any] | None = None,
    ) -> None:
        given = values or {}
        told = {
            f"{name}_sha256": sha256(plain_json(given[name]).encode()).hexdigest()
            for name in ("verdict", "report")
            if name in given
        }
        told |= {name: given[name] for name in ("reason", "protocol_version") if name in given}

        def work(change: Change) -> None:
            held = _held(change, token, outcome)
            if held is None:
                return
            row, one = held
            move(
                change,
                one,
                to or _BACK[one.state],
                only=only,
                actor=row["worker"],
                why=outcome,
                attempts=one.attempts if to in (None, State.FAILED) else 0,
                values=given,
                told=told,
            )
            if to is State.FAILED or (to is State.REFUSED and one.state is State.CHECKING):
                give_slot_back(change.connection, one.id)
            _close(change, row["lease_sha256"], outcome)

        self._database.change(work, now=now, repeatable=True)


def _holding(run: sql.Connection, token: str) -> tuple[Mapping[str, Any], Submission] | None:
    """The lease of that token, however it ended, and its submission."""
    its = leases.c.lease_sha256 == records.digest(token)
    query = sql.select(leases).where(its).with_for_update()
    row = run.execute(query).mappings().one_or_none()
    return None if row is None else (dict(row), require(run, row["submission_id"]))


def _held(change: Change, token: str, outcome: str) -> tuple[Mapping[str, Any], Submission] | None:
    """The live lease of that token; None where it was ended with this outcome before."""
    found = _holding(change.connection, token)
    if found is None:
        raise _lost("there is none of this token")
    row, _ = found
    if row["outcome"] == outcome:
        return None
    if row["outcome"]:
        raise _lost(f"it was ended: {row['outcome']}")
    if row["until"] <= in_utc(change.now):
        raise _lost(f"its time ran out at {row['until']:%Y-%m-%d %H:%M:%S} UTC")
    return found


def _take(change: Change, one: Submission, worker: str, *, token: str, until: datetime) -> Lease:
    to = _TAKEN[one.state]
    told = {"attempt": one.attempts + 1}
    move(
        change,
        one,
        to,
        only=tuple(_TAKEN),
        actor=worker,
        why="leased",
        attempts=one.attempts,
        told=told,
    )
    row = {
        "lease_sha256": records.digest(token),
        "submission_id": one.id,
        "worker": worker,
        "taken": change.now,
        "until": until,
        "outcome": "",
    }
    change.connection.execute(leases.insert().values(row))
    return Lease(submission=require(change.connection, one.id), token=token, until=until)


def _lose(change: Change, digest: str, why: str, *, outcome: str) -> None:
    """End a live lease without a result; the submission waits again, or has failed."""
    run = change.connection
    its = leases.c.lease_sha256 == digest
    row = run.execute(sql.select(leases).where(its)).mappings().one()
    one = require(run, row["submission_id"])
    attempts, by = one.attempts + 1, row["worker"] if outcome == "given up" else "system"
    if attempts < MOST_ATTEMPTS:
        told = {"reason": why}
        move(
            change,
            one,
            _BACK[one.state],
            only=tuple(_BACK),
            actor=by,
            why=outcome,
            attempts=attempts,
            told=told,
        )
    else:
        reason = (
            f"it could not be judged: it was lost {attempts} times while {one.state}, the last "
            f"time because {why}; it uses up no submission of its day, and the organizers may "
            "try again"
        )
        values = told = {"reason": reason}
        move(
            change,
            one,
            State.FAILED,
            only=tuple(_BACK),
            actor=by,
            why=outcome,
            attempts=attempts,
            values=values,
            told=told,
        )
        give_slot_back(run, one.id)
    _close(change, digest, outcome)


def _close(change: Change, digest: str, outcome: str) -> None:
    its = leases.c.lease_sha256 == digest
    ended = {"outcome": outcome, "ended": change.now}
    change.connection.execute(leases.update().where(its).values(ended))


def _lost(why: str) -> records.LeaseLost:
    return records.LeaseLost(
        f"this lease is lost: {why}; nothing was written, ask for the next submission"
    )
