"""A PostgreSQL of our own: Debian's programs, a temporary folder, no port, gone afterwards.

PostgreSQL refuses to run as root; where the tests do, it runs as Debian's user `postgres`.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

USER = "postgres"
# Nothing here has to survive the machine, and 50 threads connect at once.
SETTINGS = ("fsync=off", "full_page_writes=off", "max_connections=300", "listen_addresses=")


def why_not() -> str:
    """Why no server can be started here; empty where one can."""
    if programs() is None:
        return "PostgreSQL is not installed: there is no /usr/lib/postgresql/*/bin/initdb"
    if importlib.util.find_spec("psycopg") is None:
        return "psycopg is not installed, so nothing here speaks to PostgreSQL"
    if os.geteuid() == 0 and (shutil.which("setpriv") is None or not _has_user()):
        return f"PostgreSQL refuses to run as root, and there is no setpriv or user {USER}"
    return ""


def programs() -> Path | None:
    """The folder of the newest PostgreSQL's programs."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((file.parent for file in found), key=lambda f: float(f.parent.name), default=None)


class Postgres:
    """A running server; `close` ends it and removes its folder."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tronie-pg-"))
        self._made = 0
        if os.geteuid() == 0:
            shutil.chown(self.folder, USER, USER)
        try:
            self._run("initdb", "-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C", "-N")
            self.start()
        except BaseException:
            shutil.rmtree(self.folder)
            raise

    def url(self, database: str) -> str:
        """Of a database of this server."""
        return f"postgresql://{USER}@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """The name of a new database."""
        self._made += 1
        name = f"challenge_{self._made}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def execute(self, statement: str, database: str = "template1") -> list[tuple[object, ...]]:
        """Run a statement as the owner of everything."""
        import psycopg

        with psycopg.connect(
            host=str(self.folder), user=USER, dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def drop_connections(self, database: str) -> int:
        """End every connection to a database, as a server that is restarted does; how many."""
        ended = self.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        )
        return len(ended)

    def start(self) -> None:
        """Start, and wait until it answers."""
        words = [
            f"-c {setting}" for setting in (*SETTINGS, f"unix_socket_directories={self.folder}")
        ]
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", " ".join(words), "start")

    def stop(self) -> None:
        """Stop without waiting for anybody."""
        self._run("pg_ctl", "-w", "-m", "fast", "stop")

    def close(self) -> None:
        """Stop, and leave nothing."""
        try:
            self._run("pg_ctl", "-w", "-m", "immediate", "stop")
        finally:
            shutil.rmtree(self.folder)

    def _run(self, program: str, *words: str) -> None:
        as_user = ["setpriv", "--reuid", USER, "--regid", USER, "--init-groups"]
        folder = programs()
        assert folder is not None
        done = subprocess.run(
            [*(as_user if os.geteuid() == 0 else []), str(folder / program), *words],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "PGDATA": str(self.folder / "data"), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{program} {words}: {done.returncode} {done.stdout}"


def _has_user() -> bool:
    try:
        return bool(pwd.getpwnam(USER))
    except KeyError:
        return False
