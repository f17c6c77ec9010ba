"""A challenge for each test, on a database of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def make_challenge(sqlite_store: Any, tmp_path: Path) -> Callable[..., Any]:
    """`make_challenge(settings=..., tracks=..., mail=...)`."""
    pytest.importorskip("fastapi", reason="needs the serve extra")
    from server.sites.challenge.visiting import Challenge

    def make(**told: Any) -> Any:
        return Challenge(sqlite_store, tmp_path, **told)

    return make


@pytest.fixture
def challenge(make_challenge: Callable[..., Any]) -> Any:
    """One with a track called "small", no mail, and nobody in it."""
    return make_challenge()
