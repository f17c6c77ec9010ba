"""Connections and transactions, on SQLite and PostgreSQL alike, and what happens when they fail.

Writers take turns: on SQLite by BEGIN IMMEDIATE, on PostgreSQL by a lock on the last line of the
audit log, which every change has to extend. So nothing is decided on what another writer is
changing, and no two writers wait for each other in a circle.

What is done when the database fails:

    a read, or a write before its commit      once more on a new connection
    a commit whose answer was lost            once more where that is harmless (`repeatable`)
    otherwise, or the second time             StoreUnavailable, which says whether it may be written
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sql

from tronie.errors import BadInput, EngineUnavailable, TronieError
from tronie.server.challenge import audit, schema
from tronie.server.challenge.store_records import StoreUnavailable

BUSY_TIMEOUT_S = 30.0
_DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}
_MAY_PASS = (
    "40001",
    "40P01",
)  # PostgreSQL: gave way to another transaction, of which all is undone

T = TypeVar("T")
Work = Callable[[sql.Connection], T]
"""What is done in one transaction; it may be run twice, so it changes nothing else."""


class Change:
    """A transaction that is told of in the audit log."""

    def __init__(self, connection: sql.Connection, now: datetime) -> None:
        self.connection = connection
        self.now = now
        head = sql.select(schema.audit_head).with_for_update()
        _, self._number, self._digest = connection.execute(head).one()

    def log(
        self, actor: str, action: str, *, subject: str, details: Mapping[str, Any] | None = None
    ) -> None:
        """Add a line to the audit log."""
        self._number += 1
        line = audit.line_of(
            number=self._number,
            moment=self.now,
            actor=actor,
            action=action,
            subject=subject,
            details=details or {},
        )
        self._digest = audit.seal(self._digest, line)
        row = {"number": self._number, "line": line, "digest": self._digest}
        self.connection.execute(schema.audit.insert().values(row))
        head = {"number": self._number, "digest": self._digest}
        self.connection.execute(schema.audit_head.update().values(head))


class Database:
    """An open database; threads may share it.

    Raises:
        BadInput: the URL is of no database that is known here, or of a SQLite without a file.
        EngineUnavailable: the driver of PostgreSQL is not installed.
    """

    def __init__(self, url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        asked = _read_url(url)
        self.is_sqlite = asked.get_backend_name() == "sqlite"
        self.path = asked.database or ""
        """The file of a SQLite, the name of a PostgreSQL."""
        self.where = asked.render_as_string(hide_password=True)
        """For messages."""
        self._engine = _sqlite(asked, busy_timeout_s) if self.is_sqlite else _postgresql(asked)
        # SQLite's own waiting is by polling, in which the unlucky of many threads come never.
        self._turn: AbstractContextManager[object] = (
            threading.Lock() if self.is_sqlite else nullcontext()
        )

    def read(self, work: Work[T]) -> T:
        """What `work` finds.

        Raises:
            StoreUnavailable: the database did not answer twice.
        """
        for is_last in (False, True):
            try:
                with self._engine.connect() as connection:
                    return work(connection)
            except (sql.exc.StatementError, sql.exc.TimeoutError) as error:
                if is_last or not _may_pass(error):
                    raise self._refusal(error, unknown=False) from error
        raise AssertionError("the second try returns or raises")

    def write(self, work: Work[T], *, repeatable: bool = False) -> T:
        """Do `work` whole or not at all.

        Args:
            repeatable: Doing it again after it has been done changes nothing.

        Raises:
            StoreUnavailable: the database did not answer; `unknown` says whether it may be done.
        """
        unknown = False
        for is_last in (False, True):
            committing = False
            try:
                with self._turn, self._engine.connect() as connection, self._undoing(connection):
                    result = work(connection)
                    committing = True
                    self._commit(connection)
                    return result
            except (sql.exc.StatementError, sql.exc.TimeoutError) as error:
                unknown = unknown or committing
                if is_last or not _may_pass(error) or (committing and not repeatable):
                    raise self._refusal(error, unknown=unknown) from error
        raise AssertionError("the second try returns or raises")

    def change(self, work: Callable[[Change], T], *, now: datetime, repeatable: bool = False) -> T:
        """`write`, told of in the audit log."""
        return self.write(lambda connection: work(Change(connection, now)), repeatable=repeatable)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _undoing(self, connection: sql.Connection) -> Any:
        if self.is_sqlite:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self.is_sqlite:  # PostgreSQL does so when the connection is given back
                connection.connection.rollback()
            raise

    def _commit(self, connection: sql.Connection) -> None:
        if self.is_sqlite:
            connection.exec_driver_sql("COMMIT")
        else:
            connection.commit()

    def _refusal(self, error: sql.exc.SQLAlchemyError, *, unknown: bool) -> Exception:
        """What is raised instead of `error`; a fault in this program stays what it is."""
        if isinstance(cause := getattr(error, "orig", None), TronieError):
            return cause  # a value that is refused on its way into a statement
        ours = (sql.exc.IntegrityError, sql.exc.ProgrammingError, sql.exc.DataError)
        if isinstance(error, ours) and not unknown:
            return error
        text = str(cause or error).strip().partition("\n")[0]
        fate = "whether it was written is not known; " if unknown else ""
        return StoreUnavailable(
            f"the challenge's database {self.where} did not answer: {text}; {fate}try again",
            unknown=unknown,
        )


def _may_pass(error: sql.exc.SQLAlchemyError) -> bool:
    """Whether a new connection may fare better at once."""
    if not isinstance(error, sql.exc.DBAPIError):
        return False
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _MAY_PASS


def _read_url(url: str) -> sql.URL:
    try:
        asked = sql.make_url(url)
    except (sql.exc.ArgumentError, ValueError):
        asked = sql.URL.create("none")
    driver = _DRIVERS.get(asked.get_backend_name())
    if driver is None or (driver == "sqlite" and asked.database in (None, "", ":memory:")):
        raise BadInput(
            "a challenge's database is sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME; got "
            f"{asked.render_as_string(hide_password=True) if asked.database else url[:10]!r}"
        )
    return asked.set(drivername=driver)


def _sqlite(url: sql.URL, busy_timeout_s: float) -> sql.Engine:
    engine = sql.create_engine(
        url,
        isolation_level="AUTOCOMMIT",  # transactions are opened by `_undoing`, and there only
        connect_args={"timeout": busy_timeout_s},
        json_serializer=audit.plain_json,
    )

    @sql.event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        connection.executescript("PRAGMA foreign_keys=ON; PRAGMA synchronous=FULL;").close()

    return engine


def _postgresql(url: sql.URL) -> sql.Engine:
    try:
        engine = sql.create_engine(
            url,
            pool_pre_ping=True,
            pool_timeout=BUSY_TIMEOUT_S,
            connect_args={"connect_timeout": 10},
            json_serializer=audit.plain_json,
        )
    except ImportError:
        raise EngineUnavailable(
            "PostgreSQL is spoken to by psycopg, which is not installed; run: "
            "pip install 'tronie[postgres]'"
        ) from None

    @sql.event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # A writer whose machine has vanished must not stop all others for longer than this.
        seconds = int(BUSY_TIMEOUT_S)
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '{seconds}s'")
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{seconds}s'")
        connection.commit()

    return engine
