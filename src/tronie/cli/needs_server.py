"""Verbs of the challenge say in a sentence what is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tronie.errors import EngineUnavailable

SERVES = (
    "alembic",
    "argon2",
    "cryptography",
    "fastapi",
    "fsspec",
    "python_multipart",
    "starlette",
    "uvicorn",
)
"""What the extra "serve" installs."""


@contextmanager
def server_needed(what: str) -> Iterator[None]:
    """Around an import of the server.

    Args:
        what: Who needs it, as the sentence begins: "tronie serve".

    Raises:
        EngineUnavailable: a part of the extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as lacking:
        name = (lacking.name or "").split(".")[0]
        if name not in SERVES:
            raise
        raise EngineUnavailable(
            f"{what} needs {name}, which is not installed; pip install 'tronie[serve]'"
        ) from None
