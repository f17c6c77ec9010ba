"""Phases that were moved, the audit log, and the export: a part of the store."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sql

from tronie.errors import BadInput, NotFound
from tronie.server.challenge import audit, schema
from tronie.server.challenge import store_records as records
from tronie.server.challenge.store_database import Change, Database
from tronie.server.challenge.submission import AuditEntry, State, Submission
from tronie.server.challenge.track import Phase

_PAGE = 500  # rows at a time, so that an export of any length fits into memory
_FEW = 20  # where each has a Report
_HASHED = ("report", "verdict")
_PLAIN = ("track", "sha256", "protocol_version")
_SCORED = schema.submissions.c.state == State.SCORED.value
_TEXTS = [sql.cast(schema.submissions.c[name], sql.Text).label(f"{name}_text") for name in _HASHED]
_OF_SUBMISSIONS = schema.audit.c.line.startswith('{"action":"submission.', autoescape=True)


class Organizing:
    """A part of Store."""

    _database: Database

    def phases(self, track: str) -> tuple[Phase, ...] | None:
        """The phases an organizer has set; None where they are the track's own."""
        query = sql.select(schema.phases.c.phases).where(schema.phases.c.track == track)
        found = self._database.read(lambda run: run.scalar(query))
        return None if found is None else tuple(_to_phase(record) for record in found)

    def set_phases(
        self, track: str, phases: Sequence[Phase] | None, actor: str, now: datetime
    ) -> None:
        """Put other phases in the place of the track's own; None: the track's own again."""
        plain = None if phases is None else [_from_phase(phase) for phase in phases]
        forget = schema.phases.delete().where(schema.phases.c.track == track)
        row = {"track": track, "phases": plain, "changed": now}

        def work(change: Change) -> None:
            change.connection.execute(forget)
            if plain is not None:
                change.connection.execute(schema.phases.insert().values(row))
            change.log(actor, "track.phases", subject=track, details={"phases": plain})

        self._database.change(work, now=now, repeatable=True)

    def note(
        self, actor: str, action: str, subject: str, details: Mapping[str, Any], now: datetime
    ) -> None:
        """Add a line to the audit log that no change of the database needed."""
        self._database.change(
            lambda change: change.log(actor, action, subject=subject, details=details), now=now
        )

    def audit(self, limit: int | None = None) -> tuple[AuditEntry, ...]:
        """The log, oldest first; where `limit` is given, its last lines."""
        newest = sql.select(schema.audit).order_by(schema.audit.c.number.desc()).limit(limit)
        rows = self._database.read(lambda run: run.execute(newest).all())
        return tuple(audit.entry_of(*row) for row in reversed(rows))

    def audit_break(self) -> int | None:
        """Number of the first line of the log that is not as it was written; None: none is.

        A log whose last lines were taken away breaks at the first of them.
        """
        after: AuditEntry | None = None
        seen = 0
        for row in self._pages(schema.audit):
            entry = audit.entry_of(row["number"], row["line"], row["digest"])
            if (number := audit.first_break([entry], after=after)) is not None:
                return number
            after, seen = entry, entry.number
        head = schema.audit_head.c
        query = sql.select(head.number, head.digest)
        number, digest = self._database.read(lambda run: run.execute(query).one())
        whole = number == seen and digest == (after.digest if after else audit.BEGINNING)
        return None if whole else seen + 1

    def result_break(self) -> str | None:
        """Id of the first scored submission that is not what the log tells of it; None: all are.

        Compared are its Report and its checks, its track, the SHA-256 of its file and the version
        of its protocol. Whether the log is as it was written, `audit_break` tells.
        """
        told: dict[str, dict[str, Any]] = {}
        lines = sql.select(schema.audit).where(_OF_SUBMISSIONS)
        for row in self._pages(schema.audit, lines):
            entry = audit.entry_of(row["number"], row["line"], row["digest"])
            told.setdefault(entry.subject, {}).update(_result_told([entry]))
        columns = [schema.submissions.c[name] for name in ("number", "id", *_PLAIN)]
        scored = sql.select(*columns, *_TEXTS).where(_SCORED)
        for row in self._pages(schema.submissions, scored, size=_FEW):
            if not _is_told(row, told.get(row["id"], {})) and self._differs(row["id"]):
                return str(row["id"])  # or it was scored since the log was read
        return None

    def logged_result(self, id: str) -> Submission | None:
        """The scored submission of that id; None where it is not what the log tells of it.

        Raises:
            NotFound: there is no such submission, or it is not scored.
        """
        found = self._database.read(lambda run: _logged_result(run, id))
        if found is None and not self._differs(id):
            found = self._database.read(lambda run: _logged_result(run, id))
        return found

    def _differs(self, id: str) -> bool:
        """Whether it is scored and not as it is told, while nobody writes."""

        def work(change: Change) -> bool:
            try:
                return _logged_result(change.connection, id) is None
            except NotFound:
                return False

        return self._database.change(work, now=datetime.now(UTC), repeatable=True)

    def export_rows(self) -> Iterator[Mapping[str, Any]]:
        """Every row of every table, as plain JSON with its table's name; no secret.

        Rows are read some at a time: what changes meanwhile may be seen before or after.
        """
        for table in schema.tables.sorted_tables:
            for row in self._pages(table):
                plain = {
                    column.name: _plain(row[column.name])
                    for column in table.columns
                    if not schema.is_secret(column)
                }
                yield {"table": table.name, **plain}

    def _pages(
        self, table: sql.Table, asked: sql.Select[Any] | None = None, *, size: int | None = None
    ) -> Iterator[Mapping[str, Any]]:
        """Rows of `table` by its key; `asked`: other columns than all, or fewer rows."""
        (key,) = table.primary_key.columns
        chosen = sql.select(table) if asked is None else asked
        query = chosen.order_by(key).limit(size or _PAGE)
        page = query
        while rows := self._database.read(lambda run: run.execute(page).mappings().all()):  # noqa: B023
            yield from (dict(row) for row in rows)
            page = query.where(key > rows[-1][key.name])


def _logged_result(run: sql.Connection, id: str) -> Submission | None:
    its = (schema.submissions.c.id == id) & _SCORED
    columns = [column for column in schema.submissions.c if column.name not in _HASHED]
    query = sql.select(*columns, *_TEXTS).where(its)
    found = run.execute(query).mappings().one_or_none() if records.is_id(id) else None
    if found is None:
        raise records.nobody("scored submission", id)
    row = dict(found)
    log = schema.audit.c
    of_it = _OF_SUBMISSIONS & log.line.endswith(f'"subject":"{id}"}}', autoescape=True)
    lines = sql.select(log.number, log.line, log.digest).where(of_it).order_by(log.number)
    told = _result_told(audit.entry_of(*line) for line in run.execute(lines))
    if not _is_told(row, told):
        return None
    read = {name: json.loads(row[f"{name}_text"]) for name in _HASHED}
    return records.to_submission({**row, **read})


def _result_told(entries: Iterable[AuditEntry]) -> dict[str, Any]:
    """What lines of one submission tell of its result; the last that tells it counts."""
    names = (*_PLAIN, *(f"{name}_sha256" for name in _HASHED))
    return {
        name: entry.details[name] for entry in entries for name in names if name in entry.details
    }


def _is_told(row: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    return all(row[name] == told.get(name) for name in _PLAIN) and all(
        _has_digest(row[f"{name}_text"], told.get(f"{name}_sha256")) for name in _HASHED
    )


def _has_digest(text: str | None, digest: object) -> bool:
    """Whether JSON that is stored is what was hashed; its spelling may have changed since."""
    if text is None:
        return False
    if sha256(text.encode("utf-8", "surrogatepass")).hexdigest() == digest:
        return True
    try:
        spelled = audit.plain_json(json.loads(text))
    except (ValueError, BadInput, RecursionError):
        return False
    return sha256(spelled.encode()).hexdigest() == digest


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _from_phase(phase: Phase) -> dict[str, Any]:
    return {
        "name": phase.name,
        "opens": _plain(phase.opens),
        "closes": _plain(phase.closes),
        "hidden": phase.hidden,
    }


def _to_phase(record: Mapping[str, Any]) -> Phase:
    opens, closes = (
        None if record[name] is None else datetime.fromisoformat(record[name])
        for name in ("opens", "closes")
    )
    return Phase(name=record["name"], opens=opens, closes=closes, hidden=record["hidden"])
