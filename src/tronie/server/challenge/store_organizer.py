"""Phases that were moved, the audit log, and the export: a part of the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sql

from tronie.server.challenge import audit, schema
from tronie.server.challenge.store_database import Change, Database
from tronie.server.challenge.submission import AuditEntry
from tronie.server.challenge.track import Phase

_PAGE = 500  # rows at a time, so that an export of any length fits into memory


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

    def _pages(self, table: sql.Table) -> Iterator[Mapping[str, Any]]:
        (key,) = table.primary_key.columns
        query = sql.select(table).order_by(key).limit(_PAGE)
        page = query
        while rows := self._database.read(lambda run: run.execute(page).mappings().all()):  # noqa: B023
            yield from (dict(row) for row in rows)
            page = query.where(key > rows[-1][key.name])


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
