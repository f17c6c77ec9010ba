"""A challenge that the command serves in a process of its own, and what its API tells.

until(done, what)         waits for something to happen
Served(folder, ...)       `tronie serve challenge`; `close` ends it
told(site, path)          an answer of its API
Watch(site, token)        the states of a submission while something else is done
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from working_tree import environment

WAIT_S = 240.0
"""Longest time for anything to happen; a machine may have other things to do."""
_ADDRESS = re.compile(r"http://\S+")
_SECRET = re.compile(r"password, shown this once: (\S+)")


def until(done: Callable[[], Any], what: str, *, seconds: float = WAIT_S) -> Any:
    """What `done` gives once that is true."""
    end = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < end, f"{what} did not happen in {seconds:g} seconds"
        time.sleep(0.05)
    return found


class Served:
    """A challenge at an address of its own.

    Args:
        folder: Of the challenge, and of what it prints.
        words: Further words of the command.
    """

    def __init__(self, folder: Path, *words: object) -> None:
        self.folder = folder / "challenge"
        self._out, self._err = folder / "served.out", folder / "served.err"
        command = ["serve", "challenge", "--dir", self.folder, "--port", 0, *words]
        told = {**environment(), "TRONIE_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tronie", *map(str, command)],
                env=told,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        try:
            secret = until(self._secret, "the start")
            self.organizer_password: str = secret[1]
            self.address = _ADDRESS.findall(self._printed())[0]
        except BaseException:
            self._kill()
            raise

    def close(self) -> int:
        """Ask it to end as a terminal does; its exit status."""
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(WAIT_S)
        finally:
            self._kill()

    def workers(self) -> list[int]:
        """Processes that judge for this challenge."""
        asked = {b"worker", str(self.folder).encode()}
        return [
            int(file.parent.name)
            for file in Path("/proc").glob("[0-9]*/cmdline")
            if asked <= set(_bytes_of(file).split(b"\0"))
        ]

    def said(self) -> str:
        """What it wrote to standard error."""
        return self._err.read_text()

    def _printed(self) -> str:
        return self._out.read_text()

    def _secret(self) -> re.Match[str] | None:
        code = self._process.poll()
        assert code is None, f"it ended with {code}: {self.said()[-1000:]}"
        return _SECRET.search(self._printed())

    def _kill(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._process.wait()


class Watch:
    """The states that the API tells of a team's one submission, each once, while the block runs."""

    def __init__(self, site: Served, token: str) -> None:
        self._site, self._token = site, token
        self._seen: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> list[str]:
        self._thread.start()
        return self._seen

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            for one in told(self._site, "/api/v1/submissions", token=self._token):
                if one["state"] not in self._seen[-1:]:
                    self._seen.append(one["state"])


def told(site: Served, path: str, *, token: str = "") -> Any:
    """What the API answers."""
    asked = urllib.request.Request(site.address + path)
    if token:
        asked.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return json.load(answer)


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
