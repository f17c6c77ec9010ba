"""What several files judge with: a folder of data, a model that was sent, a worker's clock."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An organizer's folder of drawn faces."""
    from server.challenge.judged import make_data

    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Where embeddings are made; empty."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def judging(home: Path, work: Path) -> Any:
    """A judge of one track."""
    from server.challenge.judged import TOY, TRACK
    from tronie.server.challenge.judging import Judging
    from tronie.server.challenge.scoring import TrackData

    data = TrackData.open(home, TOY)
    return Judging({TRACK: TOY}, {TRACK: data}, work=work, threads=1)


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    """A model that keeps every rule."""
    from server.challenge.judged import write
    from tiny_models import honest

    return write(tmp_path / "upload", honest())


@pytest.fixture
def clock() -> Any:
    """A clock that the test moves."""
    from server.challenge.fixed_judge import Clock

    return Clock()


@pytest.fixture
def storage(tmp_path: Path) -> Any:
    """An empty folder of uploads."""
    from tronie.server.challenge.storage import Storage

    return Storage(str(tmp_path / "uploads"))


@pytest.fixture
def sent(sqlite_store: Any, storage: Any) -> tuple[Any, Any]:
    """A user, and one submission of the team."""
    from server.challenge.small_challenge import send, team

    user = team(sqlite_store)
    upload = storage.put(io.BytesIO(b"a model"), limit=100).key
    return user, send(sqlite_store, user, upload=upload)
