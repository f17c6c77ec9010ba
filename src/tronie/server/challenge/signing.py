"""Signed result files: anybody with the challenge's public key can tell a Report from a forgery.

    {"document": {...}, "algorithm": "ed25519", "public_key": base64, "signature": base64}

What is signed is the document as JSON in UTF-8 with sorted keys, no spaces and no number that
JSON lacks. The private key is 32 bytes in a file that only its owner may read, or 64
hexadecimal digits in the environment variable TRONIE_CHALLENGE_KEY.

Source: RFC 8032 (Ed25519), as the library cryptography has it; RFC 8785 for the idea of one
spelling of a JSON document. Differs from the latter: numbers are spelled as Python spells them.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tronie.errors import BadFile, BadInput
from tronie.server.challenge.kept_secret import SECRET_BYTES, kept_secret

VARIABLE = "TRONIE_CHALLENGE_KEY"
ALGORITHM = "ed25519"


class Signer:
    """Signs documents with one key.

    Args:
        seed: 32 secret bytes.
    """

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public_key(self) -> str:
        """In base64, to be published."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode("ascii")

    def sign(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document with its signature beside it.

        Raises:
            BadInput: it holds what JSON cannot spell, such as NaN.
        """
        signature = base64.b64encode(self._key.sign(_spelled(document))).decode("ascii")
        return {
            "document": dict(document),
            "algorithm": ALGORITHM,
            "public_key": self.public_key,
            "signature": signature,
        }


def verify(signed: Mapping[str, Any], *, public_key: str) -> bool:
    """Whether a signed file holds what the owner of that key signed.

    The key must come from the challenge itself: the one inside the file says nothing.

    Raises:
        BadFile: it is no signed result file.
    """
    try:
        signature = base64.b64decode(signed["signature"], validate=True)
        spelled = _spelled(signed["document"])
        algorithm = signed["algorithm"]
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
    except (KeyError, TypeError, ValueError) as error:
        raise BadFile(
            "a signed result file has document, algorithm, public_key and signature, and a key "
            f"has 32 bytes in base64; got {type(error).__name__}: {error}"
        ) from error
    if algorithm != ALGORITHM:
        return False
    try:
        key.verify(signature, spelled)
    except InvalidSignature:
        return False
    return True


def open_signer(file: Path) -> Signer:
    """The signer of a challenge: from the environment, from its file, or with a new key in it.

    Raises:
        BadInput: the variable or the file holds no key, or it cannot be written and read.
    """
    given = os.environ.get(VARIABLE)
    if given is not None:
        try:
            seed = bytes.fromhex(given)
        except ValueError:
            seed = b""
        if len(seed) != SECRET_BYTES:
            raise BadInput(f"{VARIABLE} must hold 64 hexadecimal digits; got {len(given)} others")
        return Signer(seed)
    seed = kept_secret(file)
    if len(seed) != SECRET_BYTES:
        raise BadInput(
            f"{file} must hold a key of {SECRET_BYTES} bytes; got {len(seed)}. Restore it: with "
            "another key, results that were signed before cannot be told from forgeries"
        )
    return Signer(seed)


def _spelled(document: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise BadInput(f"a document must be plain JSON to be signed: {error}") from error
    return text.encode("utf-8")
