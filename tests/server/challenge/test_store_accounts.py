"""Organizations and users: one of a name, however it is spelled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from server.challenge.small_challenge import NOW, SAME, team
from tronie.errors import BadInput, NotFound
from tronie.server.challenge.store import NameTaken

pytest.importorskip("alembic", reason="alembic is not installed, which makes the tables")
pytestmark = pytest.mark.server


def sign_up(store, *, organization: str, email: str):
    return store.create_account(organization=organization, email=email, password_hash="h", now=NOW)


def test_an_account_is_an_organization_and_its_user(store):
    user = store.create_account(
        organization=" University  of Delft ",
        email="Ada@Example.org",
        password_hash="$argon2id$x",
        now=NOW,
        role="organizer",
        hidden=True,
        verified=False,
    )
    organization = store.organization(user.organization_id)
    assert (organization.name, organization.hidden) == ("University of Delft", True)
    assert (organization.banned, organization.created) == ("", NOW)
    assert (user.email, user.role, user.verified) == ("Ada@Example.org", "organizer", False)
    assert user.password_hash == "$argon2id$x"
    assert store.user(user.id) == user
    assert store.users() == (user,)
    assert store.organizations() == (organization,)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_a_name_that_differs_only_in_case_or_form_is_taken(store, one, other):
    sign_up(store, organization=one, email="a@b.c")
    with pytest.raises(NameTaken, match=r"an organization called .* has an account; ask") as taken:
        sign_up(store, organization=other, email="d@e.f")
    assert taken.value.field == "organization"
    assert len(store.users()) == len(store.organizations()) == 1


@pytest.mark.parametrize("other", ["ADA@EXAMPLE.ORG", "ada@example．org", " ada@example.org"])
def test_an_address_is_taken_and_found_however_it_is_spelled(store, other):
    user = sign_up(store, organization="one", email="Ada@example.org")
    assert store.user_by_email(other) == user
    with pytest.raises(NameTaken, match=r"the address .* has an account; sign in with it") as taken:
        sign_up(store, organization="two", email=other)
    assert taken.value.field == "email"
    assert len(store.organizations()) == 1, "nothing is left of a sign-up that was refused"


def test_of_many_who_want_a_name_at_once_one_gets_it(store):
    def wish(number: int) -> bool:
        try:
            sign_up(store, organization="ACME" if number % 2 else "acme", email=f"{number}@x.y")
        except NameTaken:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(wish, range(16))) == 1
    assert len(store.users()) == 1


def test_changes_are_kept_and_logged_without_secrets(store):
    user = store.create_account(
        organization="x", email="a@b.c", password_hash="old", now=NOW, verified=False
    )
    store.set_password(user.id, "new", NOW)
    store.set_verified(user.id)
    store.set_hidden(user.organization_id, True, NOW)
    store.ban(user.organization_id, "two accounts", "the organizer", NOW)
    found = store.user(user.id)
    assert (found.password_hash, found.verified) == ("new", True)
    organization = store.organization(user.organization_id)
    assert (organization.hidden, organization.banned) == (True, "two accounts")
    store.ban(user.organization_id, "", "the organizer", NOW)
    store.set_hidden(user.organization_id, False, NOW)
    assert store.organization(user.organization_id).banned == ""
    log = store.audit()
    assert [entry.action for entry in log] == [
        "account.created",
        "user.password",
        "user.verified",
        "organization.hidden",
        "organization.banned",
        "organization.pardoned",
        "organization.shown",
    ]
    assert log[4].actor == "the organizer"
    assert log[4].details == {"reason": "two accounts"}
    assert "a@b.c" not in repr(log)
    assert "old" not in repr(log)


def test_users_are_listed_in_the_order_of_signing_up(store):
    users = [team(store, number, now=NOW.replace(second=number)) for number in (3, 1, 2)]
    assert [user.email for user in store.users()] == [
        "1@example.org",
        "2@example.org",
        "3@example.org",
    ]
    assert {o.id for o in store.organizations()} == {user.organization_id for user in users}


def test_another_role_is_refused(store):
    with pytest.raises(BadInput, match="a role is one of team, organizer; got 'god'"):
        store.create_account(
            organization="x", email="a@b.c", password_hash="h", now=NOW, role="god"
        )


def test_nobody_is_changed_where_there_is_nobody(store):
    with pytest.raises(NotFound, match=r"there is no user '0{32}'; look for its id in the list"):
        store.set_password("0" * 32, "h", NOW)
    with pytest.raises(NotFound, match=r"there is no organization '0{32}'; look for its id"):
        store.ban("0" * 32, "x", "me", NOW)
    assert store.audit() == ()


def test_a_reason_that_cannot_be_shown_is_refused(store):
    user = team(store)
    with pytest.raises(BadInput, match="a reason must have at most 2000 printable characters"):
        store.ban(user.organization_id, "\x1b[2J", "me", NOW)
