"""The tables of a challenge, the same on SQLite and PostgreSQL.

    organizations   teams by their real names            users        who signs in
    sessions, tokens, mail_codes                         SHA-256 of secrets, never the secrets
    submissions     files, states, checks, reports       slots        taken, by day and track
    leases          which worker held what until when; one of a submission is live at most
    phases          dates the organizer moved            audit        the sealed log
    audit_head      one row: the log's last line; who changes something locks it first

Two rules stand in the tables themselves, whatever a program does: a slot is taken once, and a
submission has one live lease. Files of `migrations` make these tables; REVISION is the last.
Columns marked secret leave the database in no export.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import sqlalchemy as sql

from tronie.errors import BadInput
from tronie.server.challenge.quota import in_utc

REVISION = "0001"

SECRET = {"secret": True}


class Moment(sql.TypeDecorator[datetime]):
    """A moment in UTC, to the microsecond; SQLite keeps no time zone, so UTC is what it has."""

    impl = sql.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sql.Dialect) -> datetime | None:
        """Into the database."""
        if value is None:
            return None
        moment = in_utc(value)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: sql.Dialect) -> datetime | None:
        """Out of the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Words(sql.TypeDecorator[str]):
    """Text that both databases can hold: no NUL, no half of a surrogate pair."""

    impl = sql.Text()
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sql.Dialect) -> str | None:
        """Into the database; as it is."""
        if value is None:
            return None
        if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            raise BadInput(
                f"text must hold no NUL and no half characters; got {value[:100]!a}; remove them"
            )
        return value


tables = sql.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)
_given = partial(sql.Column, nullable=False)
_of = partial(sql.ForeignKey, ondelete="CASCADE")

organizations = sql.Table(
    "organizations",
    tables,
    sql.Column("id", Words, primary_key=True),
    _given("name", Words),
    _given("name_key", Words, unique=True),  # the name as it is compared
    _given("hidden", sql.Boolean),
    _given("banned", Words),
    _given("created", Moment),
)
users = sql.Table(
    "users",
    tables,
    sql.Column("id", Words, primary_key=True),
    _given("organization_id", _of("organizations.id"), index=True),
    _given("email", Words),
    _given("email_key", Words, unique=True),
    _given("password_hash", Words, info=SECRET),
    _given("role", Words),
    _given("verified", sql.Boolean),
    _given("created", Moment),
)
sessions = sql.Table(
    "sessions",
    tables,
    sql.Column("session_sha256", Words, primary_key=True, info=SECRET),
    _given("user_id", _of("users.id"), index=True),
    _given("created", Moment),
    _given("expires", Moment, index=True),
)
tokens = sql.Table(
    "tokens",
    tables,
    sql.Column("id", Words, primary_key=True),
    _given("user_id", _of("users.id"), index=True),
    _given("label", Words),
    _given("token_sha256", Words, unique=True, info=SECRET),
    _given("created", Moment),
    sql.Column("last_used", Moment),
)
mail_codes = sql.Table(
    "mail_codes",
    tables,
    sql.Column("code_sha256", Words, primary_key=True, info=SECRET),
    _given("user_id", _of("users.id"), index=True),
    _given("purpose", Words),
    _given("expires", Moment, index=True),
)
submissions = sql.Table(
    "submissions",
    tables,
    sql.Column("number", sql.Integer, primary_key=True),  # in the order they came
    _given("id", Words, unique=True),
    _given("organization_id", _of("organizations.id")),
    _given("user_id", _of("users.id")),
    _given("track", Words),
    _given("day", sql.Date),  # of UTC, it was received on
    _given("state", Words),
    _given("file_name", Words),
    _given("note", Words),
    _given("upload", Words),
    _given("sha256", Words),
    _given("size_bytes", sql.BigInteger),
    _given("received", Moment),
    _given("changed", Moment),
    _given("waiting_since", Moment),  # its place in the queue, kept through checks and losses
    _given("attempts", sql.Integer),
    _given("public", sql.Boolean),
    sql.Column("verdict", sql.JSON(none_as_null=True)),
    sql.Column("report", sql.JSON(none_as_null=True)),
    _given("protocol_version", Words),
    _given("reason", Words),
    sql.Index("ix_submissions_queue", "state", "waiting_since"),
    sql.Index("ix_submissions_uploads", "organization_id", "track", "day"),
)
slots = sql.Table(
    "slots",
    tables,
    sql.Column("submission_id", _of("submissions.id"), primary_key=True),
    _given("organization_id", _of("organizations.id")),
    _given("track", Words),
    _given("day", sql.Date),
    _given("slot", sql.Integer),
    sql.UniqueConstraint("organization_id", "track", "day", "slot"),
)
leases = sql.Table(
    "leases",
    tables,
    sql.Column("lease_sha256", Words, primary_key=True, info=SECRET),
    _given("submission_id", _of("submissions.id"), index=True),
    _given("worker", Words),
    _given("taken", Moment),
    _given("until", Moment),
    _given("outcome", Words),  # how it ended; empty while it is live
    sql.Column("ended", Moment),
)
_live = leases.c.outcome == sql.literal_column("''")
sql.Index(
    "uq_leases_live",
    leases.c.submission_id,
    unique=True,
    sqlite_where=_live,
    postgresql_where=_live,
)
sql.Index("ix_leases_live_until", leases.c.until, sqlite_where=_live, postgresql_where=_live)
phases = sql.Table(
    "phases",
    tables,
    sql.Column("track", Words, primary_key=True),
    _given("phases", sql.JSON),
    _given("changed", Moment),
)
audit = sql.Table(
    "audit",
    tables,
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=False),
    _given("line", Words),
    _given("digest", Words),
)
audit_head = sql.Table(
    "audit_head",
    tables,
    sql.Column("id", sql.Integer, primary_key=True, autoincrement=False),
    _given("number", sql.Integer),
    _given("digest", Words),
)


def is_secret(column: sql.Column[Any]) -> bool:
    """Whether the column stays in the database."""
    return bool(column.info.get("secret"))
