"""What alembic runs to migrate: the connection and its transaction are the store's.

There is no alembic.ini. Every step runs in the one transaction that the store has opened, on
SQLite too, so that a step which is interrupted leaves the tables as they were.
"""

from __future__ import annotations

from alembic import context

if (config := getattr(context, "config", None)) is not None:  # run by alembic, not just imported
    context.configure(
        connection=config.attributes["connection"],
        version_table=config.attributes["version_table"],
        transactional_ddl=True,
    )
    context.run_migrations()
