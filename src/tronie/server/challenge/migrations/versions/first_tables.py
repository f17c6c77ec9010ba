"""The first tables of a challenge, and the beginning of its audit log."""

from __future__ import annotations

from functools import partial

import sqlalchemy as sql
from alembic import op

revision = "0001"
down_revision = None

_MOMENT = sql.DateTime(timezone=True)
_given = partial(sql.Column, nullable=False)


def _text(name: str) -> sql.Column[str]:
    return sql.Column(name, sql.Text, nullable=False)


def _id(table: str, column: str = "id") -> sql.PrimaryKeyConstraint:
    return sql.PrimaryKeyConstraint(column, name=f"pk_{table}")


def _of(table: str, column: str, other: str) -> sql.ForeignKeyConstraint:
    name = f"fk_{table}_{column}"
    return sql.ForeignKeyConstraint([column], [f"{other}.id"], name=name, ondelete="CASCADE")


def _once(table: str, *columns: str) -> sql.UniqueConstraint:
    return sql.UniqueConstraint(*columns, name=f"uq_{table}_{'_'.join(columns)}")


def _index(table: str, column: str) -> None:
    op.create_index(f"ix_{table}_{column}", table, [column])


def upgrade() -> None:
    """Make them."""
    _accounts()
    _secrets()
    _submissions()
    _leases()
    _organizing()


def _accounts() -> None:
    op.create_table(
        "organizations",
        *(_text("id"), _text("name"), _text("name_key")),
        _given("hidden", sql.Boolean),
        _text("banned"),
        _given("created", _MOMENT),
        _id("organizations"),
        _once("organizations", "name_key"),
    )
    op.create_table(
        "users",
        *(_text("id"), _text("organization_id"), _text("email"), _text("email_key")),
        *(_text("password_hash"), _text("role")),
        _given("verified", sql.Boolean),
        _given("created", _MOMENT),
        _id("users"),
        _of("users", "organization_id", "organizations"),
        _once("users", "email_key"),
    )
    _index("users", "organization_id")


def _secrets() -> None:
    op.create_table(
        "sessions",
        *(_text("session_sha256"), _text("user_id")),
        _given("created", _MOMENT),
        _given("expires", _MOMENT),
        _id("sessions", "session_sha256"),
        _of("sessions", "user_id", "users"),
    )
    op.create_table(
        "tokens",
        *(_text("id"), _text("user_id"), _text("label"), _text("token_sha256")),
        _given("created", _MOMENT),
        sql.Column("last_used", _MOMENT),
        _id("tokens"),
        _of("tokens", "user_id", "users"),
        _once("tokens", "token_sha256"),
    )
    op.create_table(
        "mail_codes",
        *(_text("code_sha256"), _text("user_id"), _text("purpose")),
        _given("expires", _MOMENT),
        _id("mail_codes", "code_sha256"),
        _of("mail_codes", "user_id", "users"),
    )
    for table in ("sessions", "tokens", "mail_codes"):
        _index(table, "user_id")
    for table in ("sessions", "mail_codes"):
        _index(table, "expires")


def _submissions() -> None:
    op.create_table(
        "submissions",
        sql.Column("number", sql.Integer, nullable=False),
        *(_text("id"), _text("organization_id"), _text("user_id"), _text("track")),
        _given("day", sql.Date),
        *(_text("state"), _text("file_name"), _text("note"), _text("upload"), _text("sha256")),
        _given("size_bytes", sql.BigInteger),
        _given("received", _MOMENT),
        _given("changed", _MOMENT),
        _given("waiting_since", _MOMENT),
        _given("attempts", sql.Integer),
        _given("public", sql.Boolean),
        sql.Column("verdict", sql.JSON),
        sql.Column("report", sql.JSON),
        *(_text("protocol_version"), _text("reason")),
        _id("submissions", "number"),
        _once("submissions", "id"),
        _of("submissions", "organization_id", "organizations"),
        _of("submissions", "user_id", "users"),
    )
    op.create_index("ix_submissions_queue", "submissions", ["state", "waiting_since"])
    uploads = ["organization_id", "track", "day"]
    op.create_index("ix_submissions_uploads", "submissions", uploads)
    op.create_table(
        "slots",
        *(_text("submission_id"), _text("organization_id"), _text("track")),
        _given("day", sql.Date),
        _given("slot", sql.Integer),
        _id("slots", "submission_id"),
        _of("slots", "submission_id", "submissions"),
        _of("slots", "organization_id", "organizations"),
        _once("slots", "organization_id", "track", "day", "slot"),
    )


def _leases() -> None:
    op.create_table(
        "leases",
        *(_text("lease_sha256"), _text("submission_id"), _text("worker")),
        _given("taken", _MOMENT),
        _given("until", _MOMENT),
        _text("outcome"),
        sql.Column("ended", _MOMENT),
        _id("leases", "lease_sha256"),
        _of("leases", "submission_id", "submissions"),
    )
    _index("leases", "submission_id")
    live = sql.text("outcome = ''")
    for name, column, unique in (
        ("uq_leases_live", "submission_id", True),
        ("ix_leases_live_until", "until", False),
    ):
        op.create_index(
            name, "leases", [column], unique=unique, sqlite_where=live, postgresql_where=live
        )


def _organizing() -> None:
    op.create_table(
        "phases",
        _text("track"),
        _given("phases", sql.JSON),
        _given("changed", _MOMENT),
        _id("phases", "track"),
    )
    op.create_table(
        "audit",
        sql.Column("number", sql.Integer, autoincrement=False, nullable=False),
        *(_text("line"), _text("digest")),
        _id("audit", "number"),
    )
    head = op.create_table(
        "audit_head",
        sql.Column("id", sql.Integer, autoincrement=False, nullable=False),
        _given("number", sql.Integer),
        _text("digest"),
        _id("audit_head"),
    )
    op.bulk_insert(head, [{"id": 1, "number": 0, "digest": "0" * 64}])
