"""Submissions, from the slot of the day they take to the board: a part of the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sql

from tronie.errors import BadInput
from tronie.server.challenge import quota
from tronie.server.challenge import store_records as records
from tronie.server.challenge.schema import organizations, slots, submissions, users
from tronie.server.challenge.store_database import Change, Database
from tronie.server.challenge.submission import NEXT, WAITING, State, Submission

# Who has waited longest; of equals the one to be checked, which is quick; then by number.
QUEUE = (
    submissions.c.waiting_since,
    sql.case((submissions.c.state == State.RECEIVED.value, 0), else_=1),
    submissions.c.number,
)
IS_WAITING = submissions.c.state.in_([state.value for state in WAITING])


class Submissions:
    """A part of Store."""

    _database: Database

    def submit(
        self,
        *,
        organization_id: str,
        user_id: str,
        track: str,
        per_day: int,
        now: datetime,
        file_name: str,
        note: str,
        upload: str,
        sha256: str,
        size_bytes: int,
    ) -> Submission:
        """Take a file in, and a slot of the day for it, at once.

        Args:
            per_day: Submissions of one organization to this track in one day of UTC.
            upload: Key of the file in the storage, where it lies whole already.

        Raises:
            QuotaExceeded: no slot is left today, or too many files were sent; `next_at` says when.
            Banned: the organization may not submit.
            NotFound: there is no such user in this organization.
            BadInput: the note cannot be shown, or the checksum is none.
        """
        row: dict[str, Any] = {
            "id": records.new_id(),
            "organization_id": organization_id,
            "user_id": user_id,
            "track": track,
            "day": quota.day_of(now),
            "state": State.RECEIVED.value,
            "file_name": records.shown(file_name, most=records.LONGEST_NAME),
            "note": records.clean_text(note, what="a note", most=records.LONGEST_NOTE),
            "upload": upload,
            "sha256": records.check_sha256(sha256),
            "size_bytes": size_bytes,
            "received": now,
            "changed": now,
            "waiting_since": now,
            "attempts": 0,
            "public": False,
            "protocol_version": "",
            "reason": "",
        }

        def work(change: Change) -> Submission:
            run = change.connection
            if (done := find(run, row["id"])) is not None:  # and the answer was lost
                return done
            _check_may_submit(run, organization_id, user_id)
            place = {name: row[name] for name in ("organization_id", "track", "day")}
            slot = _take_slot(run, place, per_day=per_day, now=now)
            run.execute(submissions.insert().values(row))
            run.execute(slots.insert().values(submission_id=row["id"], slot=slot, **place))
            told = {name: row[name] for name in ("track", "sha256", "size_bytes")}
            change.log(user_id, "submission.received", subject=row["id"], details=told)
            return require(run, row["id"])

        return self._database.change(work, now=now, repeatable=True)

    def slots_left(self, organization_id: str, track: str, *, per_day: int, now: datetime) -> int:
        """How many submissions the organization may still send to this track today."""
        place = {"organization_id": organization_id, "track": track, "day": quota.day_of(now)}

        def work(run: sql.Connection) -> int:
            taken, uploads = _used(run, place)
            return quota.left(taken=len(taken), uploads=uploads, per_day=per_day)

        return self._database.read(work)

    def submission(self, id: str) -> Submission | None:
        """The submission of that id."""
        return self._database.read(lambda run: find(run, id)) if records.is_id(id) else None

    def submissions(
        self,
        *,
        organization_id: str | None = None,
        track: str | None = None,
        states: Iterable[State] | None = None,
        limit: int | None = None,
    ) -> tuple[Submission, ...]:
        """Those that fit all that is given, newest first."""
        query = sql.select(submissions)
        if organization_id is not None:
            query = query.where(submissions.c.organization_id == organization_id)
        if track is not None:
            query = query.where(submissions.c.track == track)
        if states is not None:
            query = query.where(submissions.c.state.in_([State(state).value for state in states]))
        newest = query.order_by(submissions.c.received.desc(), submissions.c.number.desc())
        rows = self._database.read(lambda run: run.execute(newest.limit(limit)).mappings().all())
        return tuple(records.to_submission(dict(row)) for row in rows)

    def on_board(self, track: str) -> dict[str, datetime]:
        """Ids of the public, scored submissions, and since when each is as it is; unordered.

        What a board asks again and again: their Reports are not read.
        """
        which = (
            (submissions.c.track == track)
            & (submissions.c.state == State.SCORED.value)
            & submissions.c.public
        )
        query = sql.select(submissions.c.id, submissions.c.changed).where(which)
        rows = self._database.read(lambda run: run.execute(query).all())
        return {id: changed for id, changed in rows}

    def position(self, id: str) -> int | None:
        """Its place in the queue, 1 for the next; None where it does not wait."""
        if not records.is_id(id):
            return None
        its = sql.select(*QUEUE).where(submissions.c.id == id, IS_WAITING)

        def work(run: sql.Connection) -> int | None:
            found = run.execute(its).one_or_none()
            if found is None:
                return None
            place = sql.tuple_(*(sql.literal(v, c.type) for v, c in zip(found, QUEUE, strict=True)))
            before = sql.select(sql.func.count()).where(IS_WAITING, sql.tuple_(*QUEUE) < place)
            return 1 + int(run.execute(before).scalar_one())

        return self._database.read(work)

    def set_public(self, id: str, public: bool, *, organization_id: str, now: datetime) -> None:
        """Show a submission on the board, or take it off again.

        Raises:
            NotFound: the organization has no such submission.
        """
        its = (submissions.c.id == id) & (submissions.c.organization_id == organization_id)

        def work(change: Change) -> None:
            shown = submissions.update().where(its).values(public=public)
            if not change.connection.execute(shown).rowcount:
                raise records.nobody("submission", id)
            action = "submission.public" if public else "submission.private"
            change.log(organization_id, action, subject=id)

        if not records.is_id(id):
            raise records.nobody("submission", id)
        self._database.change(work, now=now, repeatable=True)

    def rescore(self, track: str, *, protocol_version: str, actor: str, now: datetime) -> int:
        """Queue every submission that another version of the protocol scored; how many.

        They go to the end of the queue, and keep their reports until they have new ones.
        """
        which = (
            (submissions.c.track == track)
            & (submissions.c.state == State.SCORED.value)
            & (submissions.c.protocol_version != protocol_version)
        )
        oldest = sql.select(submissions.c.id).where(which).order_by(submissions.c.number)

        def work(change: Change) -> int:
            found = change.connection.execute(oldest).scalars().all()
            for id in found:
                move(
                    change,
                    require(change.connection, id),
                    State.QUEUED,
                    only=(State.SCORED,),
                    actor=actor,
                    why="rescore",
                    values={"waiting_since": now},
                )
            return len(found)

        return self._database.change(work, now=now)

    def refused_uploads(self, before: datetime, *, limit: int) -> dict[str, str]:
        """Files still there of what was refused until `before`: keys by id, oldest first."""
        which = (
            (submissions.c.state == State.REFUSED.value)
            & (submissions.c.changed <= before)
            & (submissions.c.upload != "")
        )
        query = sql.select(submissions.c.id, submissions.c.upload).where(which)
        oldest = query.order_by(submissions.c.number).limit(limit)
        rows = self._database.read(lambda run: run.execute(oldest).all())
        return {id: upload for id, upload in rows}

    def upload_removed(self, id: str, actor: str, now: datetime) -> None:
        """Note that the file of a refused submission is gone; nothing where that is known."""
        its = (submissions.c.id == id) & (submissions.c.state == State.REFUSED.value)
        noted = submissions.update().where(its, submissions.c.upload != "").values(upload="")

        def work(change: Change) -> None:
            if change.connection.execute(noted).rowcount:
                change.log(actor, "submission.upload_removed", subject=id)

        self._database.change(work, now=now, repeatable=True)

    def retry(self, id: str, actor: str, now: datetime) -> None:
        """Judge from the beginning what failed by us; it takes no slot.

        Raises:
            NotFound: there is no such submission.
            BadInput: it has not failed.
        """

        def work(change: Change) -> None:
            values = {"waiting_since": now, "reason": ""}
            one = require(change.connection, id)
            failed = (State.FAILED,)
            move(change, one, State.RECEIVED, only=failed, actor=actor, why="retry", values=values)

        self._database.change(work, now=now)


def find(run: sql.Connection, id: str) -> Submission | None:
    """The submission of that id, as this transaction sees it."""
    query = sql.select(submissions).where(submissions.c.id == id)
    row = run.execute(query).mappings().one_or_none()
    return None if row is None else records.to_submission(dict(row))


def require(run: sql.Connection, id: str) -> Submission:
    """The submission of that id; NotFound where there is none."""
    found = find(run, id) if records.is_id(id) else None
    if found is None:
        raise records.nobody("submission", id)
    return found


def move(
    change: Change,
    one: Submission,
    to: State,
    *,
    only: Collection[State],
    actor: str,
    why: str,
    attempts: int = 0,
    values: Mapping[str, Any] | None = None,
    told: Mapping[str, Any] | None = None,
) -> None:
    """Bring a submission into another state, with `values`, and log it with `told`.

    Raises:
        BadInput: it is in none of the states `only`. That is less than `NEXT` allows: RUNNING may
            become QUEUED when its lease is lost, and not by being accepted.
    """
    if one.state not in only:
        raise BadInput(
            f"submission {one.id} is {one.state}; to become {to} it must be {' or '.join(only)}"
        )
    assert to in NEXT[one.state]
    row = {"state": to.value, "changed": change.now, "attempts": attempts, **(values or {})}
    change.connection.execute(submissions.update().where(submissions.c.id == one.id).values(row))
    details = {"was": one.state.value, "why": why, **(told or {})}
    change.log(actor, f"submission.{to}", subject=one.id, details=details)


def give_slot_back(run: sql.Connection, id: str) -> None:
    """The submission uses up nothing of its day any more."""
    run.execute(slots.delete().where(slots.c.submission_id == id))


def _check_may_submit(run: sql.Connection, organization_id: str, user_id: str) -> None:
    member = (users.c.id == user_id) & (users.c.organization_id == organization_id)
    query = sql.select(organizations.c.banned).join(users).where(member)
    known = records.is_id(user_id) and records.is_id(organization_id)
    reason = run.scalar(query) if known else None
    if reason is None:
        raise records.nobody("user of this organization", user_id)
    if reason:
        raise records.Banned(f"this organization may not submit: {reason}; write to the organizers")


def _take_slot(
    run: sql.Connection, place: Mapping[str, Any], *, per_day: int, now: datetime
) -> int:
    taken, uploads = _used(run, place)
    track = place["track"]
    slot = quota.free_slot(taken, per_day=per_day)
    if slot is None:
        sentence = quota.slots_are_taken(track, per_day=per_day, now=now)
    elif uploads >= quota.most_uploads(per_day):
        sentence = quota.too_many_uploads(track, per_day=per_day, now=now)
    else:
        return slot
    raise records.QuotaExceeded(sentence, next_at=quota.next_day(now))


def _used(run: sql.Connection, place: Mapping[str, Any]) -> tuple[set[int], int]:
    """The slots that are taken, and how many files were sent."""
    taken = sql.select(slots.c.slot).filter_by(**place)
    sent = sql.select(sql.func.count()).select_from(submissions).filter_by(**place)
    return set(run.execute(taken).scalars()), int(run.execute(sent).scalar_one())
