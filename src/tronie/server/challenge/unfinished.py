"""What is kept on the disk of a judgement until it is made, so that it can go on after a kill.

    work/ID.lock      held by whoever works at them; it ends with its process, however
        /ID.*         embeddings, whole or in parts, and pairs that were compared so far

        /while-*      temporary files of one process: unpacked matrices, copies of uploads

Whoever leases the submission next on this machine goes on with these files. Where another machine
ends it, or nobody does, they would stay for ever: `forget_ended` removes them. The temporary files
of a process that was killed are removed by the next one.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ID = re.compile(r"[0-9a-f]{32}")
LOCK, WHILE = "lock", "while-"
WAIT_S = 0.2


class Unfinished:
    """Files by the id of a submission; for any number of workers on one machine.

    Args:
        folder: It must be there, and be used for nothing else.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def of(self, id: str, alive: Callable[[], None]) -> Iterator[Kept]:
        """The files of a submission, for one worker at a time; they stay unless it forgets them.

        Another that is at them is waited for: its lease is lost, and it stops when it sees that.

        Args:
            alive: Called while waiting; what it raises ends that.
        """
        while True:
            alive()
            with self._lock_file(id).open("ab") as file:
                if _locked(file):
                    try:
                        yield Kept(self._folder, id)
                    finally:
                        self._lock_file(id).unlink(missing_ok=True)
                    return
            time.sleep(WAIT_S)

    def forget_ended(self, has_ended: Callable[[str], bool]) -> None:
        """Remove the files of submissions that have ended, but for those somebody is at."""
        names = [file.name.partition(".")[0] for file in self._folder.iterdir()]
        for id in sorted({name for name in names if ID.fullmatch(name)}):
            if not has_ended(id):
                continue
            with self._lock_file(id).open("ab") as file:
                if _locked(file):
                    Kept(self._folder, id).forget()
                    self._lock_file(id).unlink(missing_ok=True)

    def _lock_file(self, id: str) -> Path:
        return self._folder / f"{id}.{LOCK}"


class Kept:
    """The files of one submission."""

    def __init__(self, folder: Path, id: str) -> None:
        self._folder, self._id = folder, id

    def file(self, name: str) -> Path:
        """Where one of them lies, there or not; others may lie beside it whose names begin so."""
        return self._folder / f"{self._id}.{name}"

    def forget(self) -> None:
        """Remove all of them."""
        for file in self._folder.glob(f"{self._id}.*"):
            if file == self.file(LOCK):
                continue
            if file.is_dir():
                shutil.rmtree(file, ignore_errors=True)
            else:
                file.unlink(missing_ok=True)


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[Path]:
    """Put what Python calls temporary into a folder of this process, which is gone afterwards.

    For a whole program: the place is the same for all its threads. What is left of processes that
    were killed is removed first.
    """
    for left in folder.glob(f"{WHILE}*.{LOCK}"):
        with left.open("ab") as file:
            if _locked(file):
                shutil.rmtree(left.with_suffix(""), ignore_errors=True)
                left.unlink(missing_ok=True)
    own = folder / f"{WHILE}{secrets.token_hex(8)}"
    lock, before = own.with_name(f"{own.name}.{LOCK}"), tempfile.tempdir
    while True:
        with lock.open("ab") as file:
            if not _locked(file):  # another took it for one that was left, and removes it
                continue
            own.mkdir()
            tempfile.tempdir = str(own)
            try:
                yield own
            finally:
                tempfile.tempdir = before
                shutil.rmtree(own, ignore_errors=True)
                lock.unlink(missing_ok=True)
            return


def _locked(file: IO[bytes]) -> bool:
    """Whether this process has the lock now; one whose file was removed meanwhile is none."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    try:
        return os.path.samestat(Path(file.name).stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
