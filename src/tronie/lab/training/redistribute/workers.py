"""Processes that train candidates, one core each.

A process is told its job on stdin, which stays open as long as this one lives: a search that is
killed takes its candidates with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tronie.errors import BadInput
from tronie.lab.training.distributed import TORCHRUN
from tronie.lab.training.redistribute import candidate
from tronie.lab.training.redistribute.candidate import Job

COMMAND = (sys.executable, "-P", "-m", candidate.__name__)
"""-P: nothing is imported from the folder that the search is called in."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Running(Protocol):
    """A candidate in training."""

    def fault(self) -> str | None:
        """None while it is trained; then "" where it is done, or why it is not."""

    def end(self) -> None:
        """Stop it, wherever it is."""


Start = Callable[[Job], Running]


class Process:
    """A candidate in a process of its own, with one thread for what it computes.

    Raises:
        BadInput: no process can be started.
    """

    def __init__(self, job: Job) -> None:
        self._fault: str | None = None
        self._errors = tempfile.TemporaryFile(  # noqa: SIM115, open as long as the process
            "w+", encoding="utf-8", errors="replace"
        )
        try:
            self._child = subprocess.Popen(
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env=_environment(),
                text=True,
            )
        except OSError as error:
            self._errors.close()
            raise BadInput(f"no process can be started for {job.run}: {error.strerror}") from error
        assert self._child.stdin is not None
        self._asking = self._child.stdin
        with suppress(BrokenPipeError):  # it is gone already, and `fault` tells why
            self._asking.write(job.to_line())
            self._asking.flush()

    def fault(self) -> str | None:
        """See `Running`."""
        if self._fault is None and (code := self._child.poll()) is not None:
            self._errors.seek(0)
            told = self._errors.read().strip().splitlines()
            self._fault = _fault_of(code, told[-1] if told else "")
            self._let_go()
        return self._fault

    def end(self) -> None:
        """See `Running`."""
        self._child.kill()
        self._child.wait()
        self.fault()

    def _let_go(self) -> None:
        self._errors.close()
        with suppress(BrokenPipeError):  # what it did not hear any more
            self._asking.close()


def _fault_of(code: int, told: str) -> str:
    """Why a process with this exit code has no result; "" where it has one."""
    if code < 0:
        return f"its process was ended by signal {-code}, as when memory runs out"
    return (told or f"its process ended with code {code}") if code else ""


def _environment() -> dict[str, str]:
    """Ours, with one thread, and without torchrun's: a candidate is one process alone."""
    kept = {name: value for name, value in os.environ.items() if name not in TORCHRUN}
    beside = str(Path(candidate.__file__).parents[4])
    paths = [*filter(None, [kept.get("PYTHONPATH")]), beside]
    return {**kept, **dict.fromkeys(THREADS, "1"), "PYTHONPATH": os.pathsep.join(paths)}
