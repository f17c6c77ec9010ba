"""Who takes part: names and addresses that are accepted, passwords, and answers that tell nothing.

Passwords are kept as argon2id. Signing up, signing in and asking for a new password do the same
work and give the same answer whether an address is known or not: an unknown address is checked
against a hash that fits no password.

Source: RFC 9106 (argon2); NIST SP 800-63B for what is asked of a password: its length, and that
it is none that everybody tries first.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import BoundedSemaphore
from typing import Any

from tronie.errors import BadInput, EngineUnavailable
from tronie.server.challenge.store import NameTaken, Store
from tronie.server.challenge.submission import User

SHORTEST_PASSWORD, LONGEST_PASSWORD = 10, 200
SHORTEST_NAME, LONGEST_NAME = 3, 100
LONGEST_EMAIL = 254
CODE_LIFETIME = timedelta(hours=24)
VERIFY, RESET = "verify", "reset"
"""What a code sent by mail is for."""
_AT_ONCE = 4
"""Passwords hashed at the same time; each takes `memory_kib`."""
_EMAIL = re.compile(
    r"[^@\s<>()\[\],;:\\\"]{1,64}@[^@\s<>()\[\],;:\\\"]+\.[^@\s.<>()\[\],;:\\\"]{2,}"
)
_TRIED_FIRST = ("password", "passwort", "qwerty", "letmein", "welcome", "iloveyou", "changeme")
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


class Passwords:
    """Hashes and checks passwords.

    Args:
        memory_kib: Of one hash.
        rounds: Passes over that memory.

    Raises:
        EngineUnavailable: argon2-cffi is not installed.
    """

    def __init__(self, *, memory_kib: int = 65536, rounds: int = 3) -> None:
        try:
            import argon2
        except ImportError:
            raise EngineUnavailable(
                "passwords are hashed by argon2-cffi, which is not here; install tronie[serve]"
            ) from None
        self._hasher = argon2.PasswordHasher(
            time_cost=rounds, memory_cost=memory_kib, parallelism=1
        )
        self._wrong: tuple[type[Exception], ...] = (
            argon2.exceptions.VerificationError,
            argon2.exceptions.InvalidHashError,
        )
        self._room = BoundedSemaphore(_AT_ONCE)
        self._of_nobody = self._hasher.hash(secrets.token_urlsafe(32))

    def hash(self, password: str) -> str:
        """As it is stored."""
        with self._room:
            return self._hasher.hash(_spelled(password))

    def fits(self, stored: str | None, password: str) -> bool:
        """Whether it is the password; None, for somebody who is not there, takes as long."""
        with self._room:
            try:
                fits = self._hasher.verify(stored or self._of_nobody, _spelled(password))
            except self._wrong:
                return False
        return fits and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether it was hashed with other settings than these."""
        return self._hasher.check_needs_rehash(stored)


@dataclass(frozen=True, kw_only=True)
class SignUp:
    """What somebody who signs up says, as it is kept."""

    organization: str
    email: str
    password: str


def read_sign_up(told: Mapping[str, str]) -> SignUp:
    """Check what was typed.

    Raises:
        BadInput: a field cannot be taken; all faults are named.
    """
    faults: list[str] = []

    def kept(check: Any, name: str) -> str:
        try:
            return str(check(told.get(name, "")))
        except BadInput as fault:
            faults.append(str(fault))
            return ""

    organization = kept(organization_name, "organization")
    email = kept(email_address, "email")
    try:
        password = new_password(told.get("password", ""), known=(organization, email))
    except BadInput as fault:
        faults.append(str(fault))
    if faults:
        raise BadInput("; ".join(faults))
    return SignUp(organization=organization, email=email, password=password)


def sign_up(
    store: Store, passwords: Passwords, asked: SignUp, *, verified: bool, now: datetime
) -> User | None:
    """Make an account; None where the name or the address is taken, after the same work."""
    hashed = passwords.hash(asked.password)
    try:
        return store.create_account(
            organization=asked.organization,
            email=asked.email,
            password_hash=hashed,
            now=now,
            verified=verified,
        )
    except NameTaken:
        return None


def sign_in(
    store: Store, passwords: Passwords, *, email: str, password: str, now: datetime
) -> User | None:
    """Who that is; None where the address is unknown or the password another, after equal work."""
    try:
        user = store.user_by_email(email_address(email))
    except BadInput:
        user = None
    if not passwords.fits(None if user is None else user.password_hash, password):
        return None
    if user is not None and passwords.is_outdated(user.password_hash):
        store.set_password(user.id, passwords.hash(password), now)
    return user


def change_password(
    store: Store, passwords: Passwords, user: User, *, new: str, now: datetime
) -> None:
    """Set another password; end every session and API token that came of the old one.

    Raises:
        BadInput: it cannot be taken.
    """
    hashed = passwords.hash(new_password(new, known=(user.email,)))
    store.set_password(user.id, hashed, now)
    store.end_sessions(user.id)
    store.end_tokens(user.id, now)  # last: a session that lives can make one


def replace_password(
    store: Store, passwords: Passwords, user: User, *, actor: str, now: datetime
) -> str:
    """Draw a new password for somebody who lost theirs; it is handed to them by the organizer.

    Args:
        actor: Id of the organizer, for the log.
    """
    password = secrets.token_urlsafe(15)
    change_password(store, passwords, user, new=password, now=now)
    store.note(actor, "user.password_replaced", user.id, {}, now)
    return password


def make_organizer(
    store: Store, passwords: Passwords, *, email: str, organization: str, now: datetime
) -> str | None:
    """Make the first organizer's account; its password, or None where there is an organizer."""
    if any(user.role == "organizer" for user in store.users()):
        return None
    password = secrets.token_urlsafe(15)
    store.create_account(
        organization=organization,
        email=email_address(email),
        password_hash=passwords.hash(password),
        now=now,
        role="organizer",
    )
    return password


def organization_name(text: str) -> str:
    """The real name of an organization, as it is shown.

    Raises:
        BadInput: it is too short or long, holds what cannot be seen, or is an address.
    """
    name = " ".join(plain_text(text, "the organization's name", most=4 * LONGEST_NAME).split())
    if not SHORTEST_NAME <= len(name) <= LONGEST_NAME:
        raise BadInput(
            f"the organization's name must have {SHORTEST_NAME} to {LONGEST_NAME} characters; got "
            f"{len(name)}"
        )
    if sum(letter.isalpha() for letter in name) < 2 or "://" in name or "@" in name:
        raise BadInput(
            "the organization's name must be a name, not a number or an address; give the real one"
        )
    return name


def email_address(text: str) -> str:
    """An address as it is kept.

    Raises:
        BadInput: it is none.
    """
    email = plain_text(text, "the e-mail address", most=2 * LONGEST_EMAIL).strip()
    if len(email) > LONGEST_EMAIL or not _EMAIL.fullmatch(email):
        raise BadInput("the e-mail address must be one, as in name@example.org")
    return email


def new_password(text: str, *, known: tuple[str, ...] = ()) -> str:
    """A password that may be set.

    Args:
        known: What everybody knows of who sets it: name and address.

    Raises:
        BadInput: it is too short or long, or one of the first to be tried.
    """
    spelled = _spelled(text)
    if not SHORTEST_PASSWORD <= len(spelled) <= LONGEST_PASSWORD:
        raise BadInput(
            f"the password must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters; got "
            f"{len(spelled)}"
        )
    plain = re.sub(r"[\W\d_]+", "", spelled).casefold()
    told = {part for text in known for part in (text.casefold(), text.casefold().split("@")[0])}
    if len(set(spelled)) < 5 or plain in _TRIED_FIRST or spelled.casefold() in told:
        raise BadInput(
            "the password is one of the first that would be tried; take several unrelated words"
        )
    return spelled


def plain_text(text: str, what: str, *, most: int, lines: bool = False) -> str:
    """`text` in one Unicode form (NFC), where everything in it can be seen.

    Args:
        what: What a message calls it.
        most: Characters.
        lines: Whether line ends may be in it.

    Raises:
        BadInput: it is too long, or holds control or invisible characters.
    """
    if len(text) > most:
        raise BadInput(f"{what} must have at most {most} characters; got {len(text)}")
    whole = unicodedata.normalize("NFC", text.replace("\r\n", "\n"))
    for letter in whole:
        if unicodedata.category(letter) in _HIDDEN and not (lines and letter in "\n\t"):
            raise BadInput(
                f"{what} holds a character that cannot be seen (U+{ord(letter):04X}); type it anew"
            )
    return whole


def _spelled(password: str) -> str:
    """One form for what two keyboards may send differently, and nothing UTF-8 cannot hold."""
    whole = unicodedata.normalize("NFKC", password[: 4 * LONGEST_PASSWORD])
    return whole.encode("utf-8", errors="replace").decode("utf-8")
