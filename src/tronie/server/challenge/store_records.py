"""What the database refuses and how it compares names, without the SQL.

Two names are the same where their keys are: Unicode form NFKC without case, without what cannot
be seen, runs of spaces as one. "ACME  Corp" is "acme corp", "Ｔｅａｍ" is "team". Letters of
different scripts that look alike stay different; an organizer has to look at names.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal

from tronie.errors import BadInput, NotFound, TronieError
from tronie.server.challenge.checks import Verdict
from tronie.server.challenge.submission import Organization, State, Submission, User

LONGEST_NAME = 200
LONGEST_EMAIL = 254
LONGEST_NOTE = 2000
LONGEST_REASON = 4000

_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Printable by Unicode's categories and yet nothing to see: fillers and variation selectors.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)


class QuotaExceeded(BadInput):
    """One submission or one file too many for today."""

    def __init__(self, sentence: str, *, next_at: datetime) -> None:
        super().__init__(sentence)
        self.next_at = next_at
        """When the next is possible."""


class NameTaken(BadInput):
    """Another account has this name or address. Telling a stranger which tells who is here."""

    def __init__(self, sentence: str, *, field: Literal["organization", "email"]) -> None:
        super().__init__(sentence)
        self.field = field


class Banned(BadInput):
    """An organization that may not submit."""


class LeaseLost(TronieError):
    """A worker that no longer holds what it wants to write about; nothing was written."""


class StoreUnavailable(TronieError):
    """The database did not answer. The same call may be made again.

    Repeating is harmless where `unknown` is false, because nothing was written, and for
    everything that is known by a lease's token or a submission's id.
    """

    def __init__(self, sentence: str, *, unknown: bool = False) -> None:
        super().__init__(sentence)
        self.unknown = unknown
        """Whether it was written is not known: the answer to the commit was lost."""


def new_id() -> str:
    """128 random bits in hexadecimal."""
    return secrets.token_hex(16)


def is_id(text: str) -> bool:
    """Whether `text` has the form of an identifier, so that it is worth a look."""
    return _ID.fullmatch(text) is not None


def new_secret() -> str:
    """256 random bits, safe in a URL."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is kept of a secret. Plain SHA-256 is enough for 256 random bits."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def clean_name(name: str, *, what: str, most: int = LONGEST_NAME) -> str:
    """A name as it is shown: form NFC, runs of spaces as one.

    Raises:
        BadInput: nothing that can be seen is left, it is too long, or holds unprintable
            characters.
    """
    cleaned = " ".join(unicodedata.normalize("NFC", name).split())
    if not name_key(cleaned) or len(cleaned) > most or not cleaned.isprintable():
        raise BadInput(f"{what} must have 1 to {most} printable characters; got {name[:300]!a}")
    return cleaned


def name_key(name: str) -> str:
    """What two names are compared by."""
    compatible = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(_UNSEEN.sub("", compatible).split())


def clean_email(email: str) -> str:
    """An address, if it has the form of one; whether there is such a box only mail can tell.

    Raises:
        BadInput: it has no single @ between other characters, or holds spaces.
    """
    cleaned = clean_name(email, what="an e-mail address", most=LONGEST_EMAIL)
    local, _, domain = cleaned.rpartition("@")
    if not local or not domain or "@" in local or " " in cleaned:
        raise BadInput(f"an e-mail address has the form name@domain; got {email[:300]!a}")
    return cleaned


def clean_text(text: str, *, what: str, most: int) -> str:
    """Free text of several lines, form NFC.

    Raises:
        BadInput: it is too long, or holds characters that are neither seen nor line breaks.
    """
    lines = unicodedata.normalize("NFC", text).replace("\t", " ").splitlines()
    cleaned = "\n".join(lines).strip()
    if len(cleaned) > most or not all(line.isprintable() for line in cleaned.split("\n")):
        raise BadInput(f"{what} must have at most {most} printable characters; got {text[:300]!a}")
    return cleaned


def shown(text: str, *, most: int) -> str:
    """A stranger's words in one line that can be shown: cut, and what is unprintable replaced."""
    line = " ".join(unicodedata.normalize("NFC", text).split())[:most]
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line
    )


def check_sha256(text: str) -> str:
    """`text`, if it is 64 hexadecimal digits; BadInput otherwise."""
    if not _SHA256.fullmatch(text):
        raise BadInput(f"sha256 must be 64 hexadecimal digits in lower case; got {text[:100]!a}")
    return text


def nobody(what: str, asked: str) -> NotFound:
    """The refusal of an id that is not there, the same where it is somebody else's."""
    return NotFound(f"there is no {what} {asked[:64]!a}; look for its id in the list")


def to_organization(row: Mapping[str, Any]) -> Organization:
    """From a row of the database, which may hold more."""
    return Organization(**{field.name: row[field.name] for field in fields(Organization)})


def to_user(row: Mapping[str, Any]) -> User:
    """From a row of the database, which may hold more."""
    return User(**{field.name: row[field.name] for field in fields(User)})


def to_submission(row: Mapping[str, Any]) -> Submission:
    """From a row of the database, which may hold more."""
    values = {field.name: row[field.name] for field in fields(Submission)}
    verdict = None if row["verdict"] is None else Verdict.from_dict(row["verdict"])
    return Submission(**{**values, "state": State(row["state"]), "verdict": verdict})
