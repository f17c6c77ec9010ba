"""Sessions, API tokens and codes sent by mail: a part of the store.

Each is 256 random bits, handed out once; what is kept is its SHA-256, by which it is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sql

from tronie.errors import BadInput
from tronie.server.challenge import store_records as records
from tronie.server.challenge.quota import in_utc
from tronie.server.challenge.schema import mail_codes, sessions, tokens, users
from tronie.server.challenge.store_accounts import find_user
from tronie.server.challenge.store_database import Change, Database
from tronie.server.challenge.submission import User

MOST_TOKENS = 20
LONGEST_LABEL = 100
_WRITTEN_EVERY = timedelta(minutes=1)  # so that reading with a token does not mean writing


@dataclass(frozen=True, kw_only=True)
class TokenRecord:
    """What is known of an API token; not the token."""

    id: str
    label: str
    created: datetime
    last_used: datetime | None
    """To the minute."""


class Secrets:
    """A part of Store."""

    _database: Database

    def new_session(self, user_id: str, *, now: datetime, lifetime: timedelta) -> str:
        """A session's secret, handed out once. Sessions that are over are forgotten here.

        Raises:
            NotFound: there is no such user.
        """
        secret = records.new_secret()
        row = {
            "session_sha256": records.digest(secret),
            "user_id": user_id,
            "created": now,
            "expires": in_utc(now) + lifetime,
        }

        def work(run: sql.Connection) -> None:
            _require_user(run, user_id)
            run.execute(sessions.delete().where(sessions.c.expires <= now))
            run.execute(sessions.insert().values(row))

        self._database.write(work)
        return secret

    def session_user(self, token: str, now: datetime) -> User | None:
        """Whose session that is; None where there is none, or it is over."""
        return find_user(
            self._database,
            sql.select(users)
            .join(sessions)
            .where(sessions.c.session_sha256 == records.digest(token), sessions.c.expires > now),
        )

    def end_session(self, token: str) -> None:
        """Sign out; nothing where it is over."""
        gone = sessions.delete().where(sessions.c.session_sha256 == records.digest(token))
        self._database.write(lambda run: run.execute(gone).rowcount, repeatable=True)

    def end_sessions(self, user_id: str) -> None:
        """Sign out everywhere."""
        gone = sessions.delete().where(sessions.c.user_id == user_id)
        self._database.write(lambda run: run.execute(gone).rowcount, repeatable=True)

    def new_token(self, user_id: str, *, label: str, now: datetime) -> str:
        """An API token, handed out once.

        Raises:
            NotFound: there is no such user.
            BadInput: the label cannot be shown, or the user has MOST_TOKENS already.
        """
        secret = records.new_secret()
        row = {
            "id": records.new_id(),
            "user_id": user_id,
            "label": records.clean_name(label, what="a token's label", most=LONGEST_LABEL),
            "token_sha256": records.digest(secret),
            "created": now,
            "last_used": None,
        }

        def work(change: Change) -> None:
            _require_user(change.connection, user_id)
            count = sql.select(sql.func.count()).where(tokens.c.user_id == user_id)
            if (change.connection.scalar(count) or 0) >= MOST_TOKENS:
                raise BadInput(f"a user has at most {MOST_TOKENS} tokens; end one of them first")
            change.connection.execute(tokens.insert().values(row))
            change.log(
                user_id, "token.made", subject=str(row["id"]), details={"label": row["label"]}
            )

        self._database.change(work, now=now)
        return secret

    def token_user(self, token: str, now: datetime | None = None) -> User | None:
        """Whose API token that is; where `now` is given, it is noted when it was used last."""
        which = tokens.c.token_sha256 == records.digest(token)
        user = find_user(self._database, sql.select(users).join(tokens).where(which))
        if user is not None and now is not None:
            before = in_utc(now) - _WRITTEN_EVERY
            stale = which & (tokens.c.last_used.is_(None) | (tokens.c.last_used <= before))
            if self._database.read(lambda run: run.scalar(sql.select(tokens.c.id).where(stale))):
                noted = tokens.update().where(stale).values(last_used=now)
                self._database.write(lambda run: run.execute(noted).rowcount, repeatable=True)
        return user

    def tokens(self, user_id: str) -> tuple[TokenRecord, ...]:
        """A user's tokens, oldest first."""
        columns = (tokens.c.id, tokens.c.label, tokens.c.created, tokens.c.last_used)
        which = tokens.c.user_id == user_id
        query = sql.select(*columns).where(which).order_by(tokens.c.created, tokens.c.id)
        rows = self._database.read(lambda run: run.execute(query).all())
        return tuple(
            TokenRecord(id=id, label=label, created=created, last_used=last_used)
            for id, label, created, last_used in rows
        )

    def end_token(self, user_id: str, token_id: str, now: datetime | None = None) -> None:
        """Make a token worthless. `now`: this moment if None.

        Raises:
            NotFound: this user has no such token.
        """
        which = (tokens.c.user_id == user_id) & (tokens.c.id == token_id)

        def work(change: Change) -> None:
            if not change.connection.execute(tokens.delete().where(which)).rowcount:
                raise records.nobody("token", token_id)
            change.log(user_id, "token.ended", subject=token_id)

        if not records.is_id(token_id):
            raise records.nobody("token", token_id)
        self._database.change(work, now=now or datetime.now(UTC))

    def end_tokens(self, user_id: str, now: datetime | None = None) -> None:
        """Make all of a user's tokens worthless. `now`: this moment if None."""
        gone = tokens.delete().where(tokens.c.user_id == user_id).returning(tokens.c.id)

        def work(change: Change) -> None:
            for token_id in sorted(change.connection.execute(gone).scalars()):
                change.log(user_id, "token.ended", subject=token_id)

        self._database.change(work, now=now or datetime.now(UTC), repeatable=True)

    def new_mail_code(self, user_id: str, purpose: str, now: datetime, lifetime: timedelta) -> str:
        """A code to be sent by mail, good once; an earlier one of that purpose is not any more.

        Raises:
            NotFound: there is no such user.
        """
        secret = records.new_secret()
        row = {
            "code_sha256": records.digest(secret),
            "user_id": user_id,
            "purpose": purpose,
            "expires": in_utc(now) + lifetime,
        }
        same = (mail_codes.c.user_id == user_id) & (mail_codes.c.purpose == purpose)

        def work(run: sql.Connection) -> None:
            _require_user(run, user_id)
            run.execute(mail_codes.delete().where(same | (mail_codes.c.expires <= now)))
            run.execute(mail_codes.insert().values(row))

        self._database.write(work)
        return secret

    def use_mail_code(self, code: str, purpose: str, now: datetime) -> User | None:
        """Whose code that was, once; None where there is none, or it is over."""
        which = (mail_codes.c.code_sha256 == records.digest(code)) & (mail_codes.c.expires > now)
        used = (
            mail_codes.delete()
            .where(which, mail_codes.c.purpose == purpose)
            .returning(mail_codes.c.user_id)
        )

        def work(run: sql.Connection) -> User | None:
            owner = run.execute(used).scalar_one_or_none()
            if owner is None:
                return None
            query = sql.select(users).where(users.c.id == owner)
            return records.to_user(dict(run.execute(query).mappings().one()))

        return self._database.write(work)


def _require_user(run: sql.Connection, user_id: str) -> None:
    found = records.is_id(user_id) and run.scalar(
        sql.select(users.c.id).where(users.c.id == user_id)
    )
    if not found:
        raise records.nobody("user", user_id)
