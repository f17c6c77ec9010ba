"""Fixtures of this room: a cache of its own, toy models, and the real pair where it is."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from toys import toy_detector, toy_embedder
from tronie.runtime import entries, fetch, zoo

USERS_HOME = os.environ.get("TRONIE_HOME", "")


@pytest.fixture
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache that only this test sees."""
    home = tmp_path / "cache"
    monkeypatch.setenv("TRONIE_HOME", str(home))
    return home


@pytest.fixture
def default_pair(monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Names of the default detector and recognizer, where the user's cache holds them."""
    if USERS_HOME:
        monkeypatch.setenv("TRONIE_HOME", USERS_HOME)
    pair = ("yunet-2023mar", "sface-2021dec")
    missing = [name for name in pair if not zoo.is_here(name)]
    if missing:
        pytest.skip(f"{', '.join(missing)} not in {zoo.home()}; run `tronie models pull`")
    return pair


@pytest.fixture(scope="session")
def detector_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finds one drawn face in every picture."""
    return toy_detector(tmp_path_factory.mktemp("toys") / "one-face.onnx")


@pytest.fixture(scope="session")
def embedder_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight numbers a crop, free batch."""
    return toy_embedder(tmp_path_factory.mktemp("toys") / "toy-embedder.onnx")


ENTRY = """
kind = "embedder"
summary = "A toy."
license = "MIT"
allowed_use = "{use}"
needs_acceptance = {needs}
source = "{source}"
sha256 = "{sha256}"
size_bytes = {size}
prepare = {prepare}
{wheel}
[contract]
kind = "embedder"
format = "embedding"
mean = [1.0, 2.0, 3.0]
dimension = 8
"""
WHEEL = """
[wheel]
requirement = "toy==1.0"
sha256 = ["{archive}"]
member = "toy/model.onnx"
"""


@dataclass
class ToyCatalog:
    """A catalogue of toy models, and an index that serves their bytes or fails."""

    package: str
    folder: Path
    data: bytes
    """What the index serves for every member."""
    asked: list[str] = field(default_factory=list)
    fault: Exception | None = None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def add(
        self,
        name: str,
        *,
        wheel: bool = True,
        guarded: bool = False,
        sha256: str | None = None,
        prepare: Sequence[str] = ("free_batch",),
    ) -> None:
        (self.folder / f"{name}.toml").write_text(
            ENTRY.format(
                use="research only" if guarded else "any use",
                needs=str(guarded).lower(),
                source="a toy index" if wheel else "your own copy; give its path",
                sha256=sha256 or self.sha256,
                size=len(self.data),
                prepare=json.dumps(list(prepare)),
                wheel=WHEEL.format(archive="0" * 64) if wheel else "",
            )
        )

    def from_archive(
        self, requirement: str, archive_sha256: Sequence[str], members: Sequence[str]
    ) -> dict[str, bytes]:
        self.asked.append(requirement)
        if self.fault is not None:
            raise self.fault
        return {member: self.data for member in members}


@pytest.fixture
def toy_catalog(cache_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ToyCatalog:
    """An empty cache, a catalogue that holds `toy-face`, and no network."""
    package = f"toy_catalog_{secrets.token_hex(4)}"
    folder = tmp_path / "packages" / package
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setattr(entries, "CATALOG", package)
    data = toy_embedder(tmp_path / "published.onnx", batch=1).read_bytes()
    catalog = ToyCatalog(package, folder, data)
    monkeypatch.setattr(fetch, "from_archive", catalog.from_archive)
    catalog.add("toy-face")
    return catalog


@pytest.fixture
def files_of() -> Callable[[Path], list[str]]:
    """`files_of(folder)`: the paths of all files under it, hidden ones too, sorted."""
    return lambda folder: sorted(
        file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()
    )
