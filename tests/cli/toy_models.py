"""The toy models of this room's tests, and a process that permissions hold back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import toys
from working_tree import environment


@dataclass(frozen=True)
class Toy:
    """Paths of the toy models and of the photographs that their card was measured on."""

    folder: Path
    people: Path
    model: Path
    detector: Path

    @property
    def words(self) -> tuple[str, ...]:
        """The options that name both models."""
        return ("--model", str(self.model), "--detector", str(self.detector))

    def photo(self, person: int, shot: int = 0) -> Path:
        """A photograph of one of the people."""
        name = f"person_{person}"
        return self.people / name / f"{name}_{shot + 1:04d}.png"


def write_detector(path: Path, scores: tuple[float, ...] = (0.9,), step: float = 0.0) -> Path:
    """A toy detector that works at the size of the toy photographs."""
    toys.toy_detector(path, scores=scores, step=step)
    side = toys.SIDE
    write_contract(path, f'kind="detector"\nformat="decoded"\nwidth={side}\nheight={side}')
    return path


def write_contract(model: Path, lines: str) -> None:
    """What the model promises, in the file beside it."""
    model.with_suffix(".toml").write_text(f"[contract]\n{lines}\n")


def held_by_permissions(*words: object) -> tuple[int, str, str]:
    """Run a command so that permissions count: root gives up what lets it pass them by.

    Returns:
        The exit code, stdout and stderr.
    """
    command = [sys.executable, "-m", "tronie.cli.main", *map(str, words)]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root needs setpriv (util-linux) to be held by permissions")
        command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *command]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr
