"""`python -m tronie` is the command `tronie`."""

from __future__ import annotations

import subprocess
import sys

from working_tree import environment


def test_the_module_answers_as_the_command_does():
    done = subprocess.run(
        [sys.executable, "-m", "tronie", "--help"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: tronie VERB")
