"""A challenge's database for each test, once as SQLite and once as PostgreSQL.

PostgreSQL is skipped by name where it cannot be started. SQLite is a copy of a file that was
migrated before, PostgreSQL one database that is emptied before each test: making one takes longer
than most tests.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.challenge import postgres as servers

DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.Postgres]:
    """A server of our own."""
    if reason := servers.why_not():
        pytest.skip(reason)
    server = servers.Postgres()
    yield server
    server.close()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty challenge."""
    path = tmp_path_factory.mktemp("migrated") / "challenge.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(postgres: servers.Postgres) -> str:
    """The name of a challenge's database, to be emptied before it is used."""
    name = postgres.new_database()
    _migrate(postgres.url(name))
    return name


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty challenge."""
    return new_url(request, request.param, tmp_path)


@pytest.fixture
def sqlite_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty challenge on SQLite, where the kind of database does not matter."""
    return new_url(request, "sqlite", tmp_path)


@pytest.fixture
def store(database_url: str) -> Iterator[Any]:
    """An empty challenge, on each kind of database."""
    from tronie.server.challenge.store import Store

    with Store.open(database_url, migrate=False) as opened:
        yield opened


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Any]:
    """An empty challenge on SQLite."""
    from tronie.server.challenge.store import Store

    with Store.open(sqlite_url, migrate=False) as opened:
        yield opened


def new_url(request: pytest.FixtureRequest, kind: str, folder: Path) -> str:
    """Of an empty database with all tables."""
    if kind == "postgresql":
        name = request.getfixturevalue("migrated_postgresql")
        server = request.getfixturevalue("postgres")
        server.drop_connections(name)
        server.execute(_emptying(), name)
        return server.url(name)
    path = folder / "challenge.db"
    shutil.copyfile(request.getfixturevalue("migrated_sqlite"), path)
    return f"sqlite:///{path}"


def _emptying() -> str:
    from tronie.server.challenge import audit, schema
    from tronie.server.challenge.store import VERSION_TABLE

    tables = reversed(schema.tables.sorted_tables)
    return ";".join(
        [
            *(f"DELETE FROM {table.name}" for table in tables),
            "ALTER SEQUENCE submissions_number_seq RESTART",
            f"INSERT INTO audit_head VALUES (1, 0, '{audit.BEGINNING}')",
            f"UPDATE {VERSION_TABLE} SET version_num = '{schema.REVISION}'",
        ]
    )


def _migrate(url: str) -> None:
    pytest.importorskip("alembic", reason="alembic is not installed, which makes the tables")
    from tronie.server.challenge.store import Store

    Store.open(url).close()
