"""Alembic's environment: the store's own transaction, and nothing where it is only imported."""

from __future__ import annotations

import importlib

import pytest

pytest.importorskip("alembic", reason="alembic is not installed, which makes the tables")
pytestmark = pytest.mark.server


def test_importing_it_does_nothing():
    importlib.import_module("tronie.server.challenge.migrations.env")


def test_a_step_that_is_interrupted_leaves_the_database_as_it_was(request, tmp_path, subtests):
    import sqlalchemy as sql

    from tronie.errors import TronieError
    from tronie.server.challenge.migrations import env
    from tronie.server.challenge.store import Store
    from tronie.server.challenge.store_database import Database

    class Interrupted(TronieError):
        """Stands for a crash."""

    assert env.config is None

    def interrupt(run, *_):
        raise Interrupted("in the middle")

    for kind in ("sqlite", "postgresql"):
        with subtests.test(kind), pytest.MonkeyPatch.context() as patch:
            url = f"sqlite:///{tmp_path}/c.db"
            if kind == "postgresql":
                server = request.getfixturevalue("postgres")
                url = server.url(server.new_database())
            patch.setattr(Database, "_commit", interrupt)
            with pytest.raises(Interrupted, match="in the middle"):
                Store.open(url)
            patch.undo()
            database = Database(url)
            names = database.read(lambda run: sql.inspect(run).get_table_names())
            database.close()
            assert names == []
            Store.open(url).close()
