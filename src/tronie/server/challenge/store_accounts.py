"""Organizations and the people who sign in for them: a part of the store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, get_args

import sqlalchemy as sql

from tronie.errors import BadInput
from tronie.server.challenge import store_records as records
from tronie.server.challenge.schema import organizations, users
from tronie.server.challenge.store_database import Change, Database
from tronie.server.challenge.submission import Organization, Role, User


class Accounts:
    """A part of Store."""

    _database: Database

    def create_account(
        self,
        *,
        organization: str,
        email: str,
        password_hash: str,
        now: datetime,
        role: Role = "team",
        hidden: bool = False,
        verified: bool = True,
    ) -> User:
        """A new organization and the user who signs in for it.

        Raises:
            BadInput: a name or an address that cannot be one.
            NameTaken: an account has the name or the address, however it is spelled.
        """
        name = records.clean_name(organization, what="an organization's name")
        address = records.clean_email(email)
        if role not in get_args(Role):
            raise BadInput(f"a role is one of {', '.join(get_args(Role))}; got {role!r}")
        group = {
            "id": records.new_id(),
            "name": name,
            "name_key": records.name_key(name),
            "hidden": hidden,
            "banned": "",
            "created": now,
        }
        user = {
            "id": records.new_id(),
            "organization_id": group["id"],
            "email": address,
            "email_key": records.name_key(address),
            "password_hash": password_hash,
            "role": role,
            "verified": verified,
            "created": now,
        }

        def work(change: Change) -> User:
            _refuse_taken(change.connection, group, user)
            change.connection.execute(organizations.insert().values(group))
            change.connection.execute(users.insert().values(user))
            told = {"organization": name, "role": role, "hidden": hidden}
            change.log(str(user["id"]), "account.created", subject=str(group["id"]), details=told)
            return records.to_user(user)

        return self._database.change(work, now=now)

    def user(self, id: str) -> User | None:
        """The user of that id."""
        query = sql.select(users).where(users.c.id == id)
        return find_user(self._database, query) if records.is_id(id) else None

    def user_by_email(self, email: str) -> User | None:
        """The user of that address, however it is spelled."""
        try:
            address = records.clean_email(email)
        except BadInput:
            return None
        query = sql.select(users).where(users.c.email_key == records.name_key(address))
        return find_user(self._database, query)

    def users(self) -> tuple[User, ...]:
        """Everybody, in the order of signing up."""
        query = sql.select(users).order_by(users.c.created, users.c.id)
        rows = self._database.read(lambda run: run.execute(query).mappings().all())
        return tuple(records.to_user(dict(row)) for row in rows)

    def organization(self, id: str) -> Organization | None:
        """The organization of that id."""
        if not records.is_id(id):
            return None
        query = sql.select(organizations).where(organizations.c.id == id)
        row = self._database.read(lambda run: run.execute(query).mappings().one_or_none())
        return None if row is None else records.to_organization(dict(row))

    def organizations(self) -> tuple[Organization, ...]:
        """All of them, in the order of signing up."""
        query = sql.select(organizations).order_by(organizations.c.created, organizations.c.id)
        rows = self._database.read(lambda run: run.execute(query).mappings().all())
        return tuple(records.to_organization(dict(row)) for row in rows)

    def set_password(self, user_id: str, password_hash: str, now: datetime) -> None:
        """Replace a user's password; NotFound if nobody is it.

        Sessions and tokens stay; see `end_sessions` and `end_tokens`.
        """
        changes = {"password_hash": password_hash}
        self._set(users, user_id, changes, actor=user_id, action="user.password", now=now)

    def set_verified(self, user_id: str, now: datetime | None = None) -> None:
        """The address is the user's own; NotFound if nobody is it. `now`: this moment if None."""
        changes = {"verified": True}
        self._set(users, user_id, changes, actor=user_id, action="user.verified", now=now)

    def set_hidden(self, organization_id: str, hidden: bool, now: datetime | None = None) -> None:
        """Hide the name on the board, or show it. `now`: this moment if None.

        Raises:
            NotFound: there is no such organization.
        """
        self._set(
            organizations,
            organization_id,
            {"hidden": hidden},
            actor=organization_id,
            action="organization.hidden" if hidden else "organization.shown",
            now=now,
        )

    def ban(self, organization_id: str, reason: str, actor: str, now: datetime) -> None:
        """Take no more submissions of an organization, and say why; "" lifts the ban.

        Raises:
            NotFound: there is no such organization.
            BadInput: the reason is too long or holds unprintable characters.
        """
        told = records.clean_text(reason, what="a reason", most=records.LONGEST_NOTE)
        self._set(
            organizations,
            organization_id,
            {"banned": told},
            actor=actor,
            action="organization.banned" if told else "organization.pardoned",
            now=now,
            details={"reason": told} if told else {},
        )

    def _set(
        self,
        table: sql.Table,
        id: str,
        changes: Mapping[str, Any],
        *,
        actor: str,
        action: str,
        now: datetime | None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        what = table.name.removesuffix("s")
        if not records.is_id(id):
            raise records.nobody(what, id)

        def work(change: Change) -> None:
            statement = table.update().where(table.c.id == id).values(changes)
            if not change.connection.execute(statement).rowcount:
                raise records.nobody(what, id)
            change.log(actor, action, subject=id, details=details)

        self._database.change(work, now=now or datetime.now(UTC), repeatable=True)


def find_user(database: Database, query: sql.Select[Any]) -> User | None:
    """The one user that a query over all their columns finds."""
    row = database.read(lambda run: run.execute(query).mappings().one_or_none())
    return None if row is None else records.to_user(dict(row))


def _refuse_taken(run: sql.Connection, group: Mapping[str, Any], user: Mapping[str, Any]) -> None:
    same_name = organizations.c.name_key == group["name_key"]
    if run.scalar(sql.select(organizations.c.id).where(same_name)):
        raise records.NameTaken(
            f"an organization called {group['name']!r} has an account; ask it to let you in, or "
            "write the name of yours in full",
            field="organization",
        )
    same_address = users.c.email_key == user["email_key"]
    if run.scalar(sql.select(users.c.id).where(same_address)):
        raise records.NameTaken(
            f"the address {user['email']!r} has an account; sign in with it", field="email"
        )
