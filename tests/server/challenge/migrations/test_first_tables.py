"""What the steps make is what the schema says."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sql

from tronie.server.challenge import audit, schema
from tronie.server.challenge.store import VERSION_TABLE

pytest.importorskip("alembic", reason="alembic is not installed, which makes the tables")
pytestmark = pytest.mark.server


def test_the_migrated_tables_are_those_of_the_schema(store):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    def differences(run: sql.Connection) -> list[object]:
        options = {"compare_type": True, "version_table": VERSION_TABLE}
        return compare_metadata(MigrationContext.configure(run, opts=options), schema.tables)

    assert store._database.read(differences) == []


def test_the_migrated_tables_are_made_by_the_same_words(sqlite_store):
    """Column for column, null for null: what `create_all` would have made."""

    def plain(index: dict[str, Any]) -> dict[str, object]:
        told = index.get("dialect_options", {})
        return {**index, "dialect_options": {name: str(clause) for name, clause in told.items()}}

    def shape(run: sql.Connection) -> dict[str, object]:
        inspector = sql.inspect(run)
        return {
            name: (
                [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(name)],
                inspector.get_pk_constraint(name),
                sorted(inspector.get_unique_constraints(name), key=str),
                sorted(inspector.get_foreign_keys(name), key=str),
                sorted(map(plain, inspector.get_indexes(name)), key=str),
            )
            for name in schema.tables.tables
        }

    fresh = sql.create_engine("sqlite://")
    with fresh.connect() as connection:
        schema.tables.create_all(connection)
        assert sqlite_store._database.read(shape) == shape(connection)
    fresh.dispose()


def test_the_log_begins_at_the_beginning(store):
    query = sql.select(schema.audit_head)
    assert store._database.read(lambda run: run.execute(query).all()) == [(1, 0, audit.BEGINNING)]


def test_the_last_step_is_the_one_the_schema_names(store):
    from tronie.server.challenge.migrations.versions import first_tables

    assert first_tables.revision == schema.REVISION
