"""The challenge's memory: teams, submissions, leases, reports and the log, in SQL.

SQLite by default ("sqlite:///FILE"), PostgreSQL by URL ("postgresql://..."); the same promises:

    a slot        of the day is taken by one submission, however many are sent at once
    a lease       is held by one worker; one that is late changes nothing
    a change      is whole, with its line in the audit log, or is not at all
    a secret      is kept as its SHA-256 (passwords as the caller hashed them)

Moments are handed in, so that a rule about time is tested without waiting. Each part of Store is
written in a file of its own: `store_accounts`, `store_secrets`, `store_submissions`,
`store_leases`, `store_organizer`; transactions and failures are in `store_database`.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from pathlib import Path

import sqlalchemy as sql

from tronie.errors import BadInput, EngineUnavailable, NotFound
from tronie.server.challenge import schema
from tronie.server.challenge.store_accounts import Accounts
from tronie.server.challenge.store_database import BUSY_TIMEOUT_S, Database
from tronie.server.challenge.store_leases import MOST_ATTEMPTS, Leases
from tronie.server.challenge.store_organizer import Organizing
from tronie.server.challenge.store_records import (
    Banned,
    LeaseLost,
    NameTaken,
    QuotaExceeded,
    StoreUnavailable,
)
from tronie.server.challenge.store_secrets import Secrets, TokenRecord
from tronie.server.challenge.store_submissions import Submissions

__all__ = [
    "MOST_ATTEMPTS",
    "Banned",
    "LeaseLost",
    "NameTaken",
    "QuotaExceeded",
    "Store",
    "StoreUnavailable",
    "TokenRecord",
]

MIGRATIONS = Path(__file__).with_name("migrations")
VERSION_TABLE = "challenge_revision"
_TRIES, _PAUSE_S = 200, 0.05
_ONE_AT_A_TIME = 0x74726F6E6965  # "tronie": the lock under which one process migrates a PostgreSQL


class Store(Accounts, Secrets, Submissions, Leases, Organizing, AbstractContextManager["Store"]):
    """An open challenge; threads and processes may share one. Close it after use.

    Every method may raise StoreUnavailable where the database does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @staticmethod
    def open(url: str, *, migrate: bool = True, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Store:
        """Open the database at `url`, or make it where there is none and `migrate` is true.

        Args:
            migrate: Bring the tables up to date first.
            busy_timeout_s: How long a SQLite waits for another process that writes.

        Raises:
            BadInput: another kind of database, or tables of somebody else or a newer tronie.
            NotFound: `migrate` is false, and the tables are not there or not up to date.
            EngineUnavailable: what the extra tronie[serve] installs is needed, and not here.
        """
        database = Database(url, busy_timeout_s=busy_timeout_s)
        try:
            if database.is_sqlite:
                _prepare_file(database, create=migrate)
            _bring_up_to_date(database, migrate=migrate)
        except BaseException:
            database.close()
            raise
        return Store(database)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def _prepare_file(database: Database, *, create: bool) -> None:
    """An empty file that only its owner may read, where there is none."""
    path = Path(database.path)
    if not path.exists():
        if not create:
            raise NotFound(
                f"there is no challenge at {path}; make one with `tronie serve challenge`"
            )
        if not path.parent.is_dir():
            raise NotFound(
                f"there is no folder {path.parent} for the challenge's database; make it"
            )
        path.touch(mode=0o600)


def _bring_up_to_date(database: Database, *, migrate: bool) -> None:
    found = database.read(_revision)
    if found == schema.REVISION:
        return
    if not migrate:
        raise NotFound(
            f"{database.where} has the tables of revision {found or 'none'}, and this tronie needs "
            f"{schema.REVISION}; open it once with `tronie serve challenge`"
        )
    if database.is_sqlite:
        _write_ahead(database)
    database.write(lambda run: _migrate(run, database), repeatable=True)


def _write_ahead(database: Database) -> None:
    """Switch the journal, for which SQLite waits for nobody: another who opens it may hold it."""
    for attempt in range(_TRIES):
        try:
            database.read(lambda run: run.exec_driver_sql("PRAGMA journal_mode=WAL").scalar())
            return
        except StoreUnavailable:
            if attempt == _TRIES - 1:
                raise
            time.sleep(_PAUSE_S)


def _revision(run: sql.Connection) -> str | None:
    if not sql.inspect(run).has_table(VERSION_TABLE):
        return None
    table = sql.table(VERSION_TABLE, sql.column("version_num", sql.Text))
    return run.scalar(sql.select(table.c.version_num))


def _migrate(run: sql.Connection, database: Database) -> None:
    """Run what is missing, in the transaction of `run`."""
    try:
        from alembic import command
        from alembic.config import Config
        from alembic.script import ScriptDirectory
    except ImportError:
        raise EngineUnavailable(
            "the challenge's tables are made by alembic, which is not installed; run: "
            "pip install 'tronie[serve]'"
        ) from None
    if not database.is_sqlite:
        run.execute(sql.select(sql.func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
    found = _revision(run)  # another process may have been first
    if found is None and (strange := _tables_of_others(run)):
        raise BadInput(
            f"{database.where} holds a table {strange[0]!r} that is not of a challenge; name an "
            "empty database"
        )
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise BadInput(
            f"{database.where} has the tables of revision {found}, which this tronie does not "
            "know; install a newer one"
        )
    config.attributes["connection"] = run
    config.attributes["version_table"] = VERSION_TABLE
    command.upgrade(config, "head")


def _tables_of_others(run: sql.Connection) -> list[str]:
    """On SQLite every table; a PostgreSQL may hold more, of other names."""
    found = sql.inspect(run).get_table_names()
    ours = schema.tables.tables
    return sorted(found if run.dialect.name == "sqlite" else ours.keys() & set(found))
