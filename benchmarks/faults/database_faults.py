"""How a database fails, once a call, drawn at random.

SQLite        another process holds the lock for some seconds, and is killed in the middle of
              it every third time
PostgreSQL    all connections are ended; sometimes the server is stopped, and begun again some
              seconds later
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

HELD_S = (2.0, 5.0)
AWAY_S = (1.0, 4.0)
STOPPED_EVERY = 8
"""Of the faults of a PostgreSQL one in so many is a stop."""
_HOLD = """
import sqlite3, sys, time
base = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
base.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
base.execute("ROLLBACK")
"""


class Server(Protocol):
    """A PostgreSQL of our own."""

    def drop_connections(self, database: str) -> int:
        """End all of them."""

    def start(self) -> None:
        """Begin again."""

    def stop(self) -> None:
        """End it."""


def sqlite_faults(
    file: Path, *, held_s: tuple[float, float] = HELD_S
) -> Callable[[random.Random], str]:
    """Faults of the SQLite in that file."""

    def disturb(draw: random.Random) -> str:
        seconds, is_killed = draw.uniform(*held_s), draw.random() < 1 / 3
        words = [sys.executable, "-c", _HOLD, str(file), str(seconds)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            other.stdout.readline()
            if is_killed:
                time.sleep(seconds / 2)
                other.kill()
        return "lock held, its holder killed" if is_killed else "lock held"

    return disturb


def postgres_faults(
    server: Server,
    database: str,
    *,
    away_s: tuple[float, float] = AWAY_S,
    stopped_every: int = STOPPED_EVERY,
) -> Callable[[random.Random], str]:
    """Faults of a database of that server."""
    calls = [0]

    def disturb(draw: random.Random) -> str:
        calls[0] += 1
        if calls[0] % stopped_every:
            server.drop_connections(database)
            return "connections ended"
        server.stop()
        time.sleep(draw.uniform(*away_s))
        server.start()
        return "server stopped"

    return disturb
