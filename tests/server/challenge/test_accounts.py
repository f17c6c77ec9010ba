"""What a name, an address and a password may be, and that unknown people cost the same work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("argon2", reason="needs the serve extra")

from tronie.errors import BadInput
from tronie.server.challenge import accounts
from tronie.server.challenge.accounts import Passwords, read_sign_up

pytestmark = pytest.mark.server
NOW = datetime(2030, 1, 1, tzinfo=UTC)
GOOD = "four unrelated words"
ASKED = {"organization": "  Institute   of Faces ", "email": " a@example.org", "password": GOOD}


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords(memory_kib=64, rounds=1)


def test_a_password_fits_its_hash_only(passwords):
    stored = passwords.hash(GOOD)
    assert stored.startswith("$argon2id$")
    assert passwords.fits(stored, GOOD)
    assert not passwords.fits(stored, GOOD + " ")
    assert not passwords.fits("no hash", GOOD)
    assert not passwords.fits(None, GOOD)
    assert passwords.hash(GOOD) != stored


def test_one_password_from_two_keyboards_is_the_same(passwords):
    assert passwords.fits(passwords.hash("n\u0303andu\u0301 four words"), "ñandú four words")
    passwords.hash("a lone surrogate \ud800 is no reason to fail")


def test_who_is_not_there_costs_as_much_as_who_is(passwords, monkeypatch):
    verified = []
    hasher = type(passwords._hasher)
    verify = hasher.verify
    monkeypatch.setattr(
        hasher, "verify", lambda self, *told: verified.append(told[0]) or verify(self, *told)
    )
    passwords.fits(passwords.hash(GOOD), "wrong")
    passwords.fits(None, "wrong")
    mine, nobodys = ([part.split(",") for part in one.split("$")[1:4]] for one in verified)
    assert mine == nobodys, "the same algorithm, version, memory, rounds and lanes"


def test_a_hash_of_other_settings_is_replaced_at_the_next_sign_in(passwords, sqlite_store):
    old = Passwords(memory_kib=32, rounds=1)
    user = sqlite_store.create_account(
        organization="Institute", email="a@example.org", password_hash=old.hash(GOOD), now=NOW
    )
    token = sqlite_store.new_token(user.id, label="laptop", now=NOW)
    found = accounts.sign_in(sqlite_store, passwords, email="a@example.org", password=GOOD, now=NOW)
    assert found is not None
    assert sqlite_store.token_user(token) is not None, "the password is the same"
    stored = sqlite_store.user(user.id).password_hash
    assert stored != user.password_hash
    assert not passwords.is_outdated(stored)


def test_signing_up_keeps_what_was_typed_in_one_form():
    asked = read_sign_up(ASKED)
    assert (asked.organization, asked.email) == ("Institute of Faces", "a@example.org")


def test_every_fault_of_a_sign_up_is_named_at_once():
    with pytest.raises(BadInput, match=r"3 to 100 characters.*as in name@.*10 to 200 characters"):
        read_sign_up({"organization": "", "email": "", "password": ""})


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ab", "must have 3 to 100 characters; got 2"),
        ("x" * 101, "must have 3 to 100 characters; got 101"),
        ("x" * 401, "must have at most 400 characters; got 401"),
        ("12345", "must be a name, not a number or an address"),
        ("https://example.org", "must be a name, not a number or an address"),
        ("a@example.org", "must be a name, not a number or an address"),
        ("Inst\nitute", r"cannot be seen \(U\+000A\)"),
        ("Inst\x00itute", r"cannot be seen \(U\+0000\)"),
        ("Inst\u200bitute", r"cannot be seen \(U\+200B\)"),
        ("Inst\u202eitute", r"cannot be seen \(U\+202E\)"),
        ("Inst\ud800itute", r"cannot be seen \(U\+D800\)"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused(name, sentence):
    with pytest.raises(BadInput, match=sentence):
        accounts.organization_name(name)


@pytest.mark.parametrize(
    "name", ["東京大学", "Universität Zürich", "<b>Bold</b> & Söhne", "O'Neill; DROP TABLE users--"]
)
def test_a_real_name_is_kept_whatever_letters_it_has(name):
    assert accounts.organization_name(name) == name


@pytest.mark.parametrize(
    "address",
    ["a", "a@b", "@example.org", "a@@example.org", "a b@example.org", "a@example.org\nbcc: x@y.zz"],
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(BadInput, match=r"must be one, as in|cannot be seen"):
        accounts.email_address(address)


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("short", "must have 10 to 200 characters; got 5"),
        ("x" * 201, "must have 10 to 200 characters; got 201"),
        ("aaaaaaaaaaaa", "one of the first that would be tried"),
        ("Password2030!", "one of the first that would be tried"),
        ("institute of faces", "one of the first that would be tried"),
    ],
)
def test_a_password_that_is_tried_first_is_refused(password, sentence):
    with pytest.raises(BadInput, match=sentence):
        accounts.new_password(password, known=("Institute of Faces", "a@example.org"))


def test_the_first_organizer_is_made_once(passwords, sqlite_store):
    told = {"email": "o@example.org", "organization": "Organizer", "now": NOW}
    password = accounts.make_organizer(sqlite_store, passwords, **told)
    assert password is not None
    user = accounts.sign_in(
        sqlite_store, passwords, email="o@example.org", password=password, now=NOW
    )
    assert user is not None
    assert user.role == "organizer"
    assert accounts.make_organizer(sqlite_store, passwords, **told) is None


@pytest.mark.parametrize("by", ["its owner", "the organizer"])
def test_another_password_ends_whatever_came_of_the_old_one(passwords, sqlite_store, by):
    user, other = (
        sqlite_store.create_account(
            organization=f"Institute {n}", email=f"{n}@example.org", password_hash="h", now=NOW
        )
        for n in range(2)
    )
    session = sqlite_store.new_session(user.id, now=NOW, lifetime=timedelta(hours=1))
    token, kept = (sqlite_store.new_token(one.id, label="t", now=NOW) for one in (user, other))
    if by == "its owner":
        accounts.change_password(sqlite_store, passwords, user, new=GOOD, now=NOW)
    else:
        accounts.replace_password(sqlite_store, passwords, user, actor=other.id, now=NOW)
    assert sqlite_store.session_user(session, NOW) is None
    assert sqlite_store.token_user(token) is None
    assert sqlite_store.token_user(kept) is not None
