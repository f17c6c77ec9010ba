"""The import contracts of pyproject.toml hold, and break when they should.

Each break is made on a copy of the tree: a contract that no import can break is decoration.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LINT = (
    "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
)

VIOLATIONS = {
    "geometry imports images": (
        "geometry/boxes_of_images.py",
        "import tronie.images.io",
        "The floors: arrows only run down",
    ),
    "runtime imports its neighbor": (
        "runtime/training_data.py",
        "from tronie.data import readers",
        "The floors: arrows only run down",
    ),
    "evaluation imports runtime": (
        "evaluation/shortcut.py",
        "from tronie.runtime import graph",
        "A protocol knows a function, not a framework",
    ),
    "gallery imports runtime inside a function": (
        "gallery/shortcut.py",
        "def late() -> None:\n    import tronie.runtime.graph",
        "A protocol knows a function, not a framework",
    ),
    "gallery imports onnxruntime": (
        "gallery/shortcut.py",
        "import onnxruntime",
        "The door for inference engines is runtime",
    ),
    "images imports torch": (
        "images/tensors.py",
        "from torch import Tensor",
        "The light install has no torch",
    ),
    "evaluation spreads itself with Ray": (
        "evaluation/spread.py",
        "import ray.util",
        "The door for Ray is scale",
    ),
    "geometry imports OpenCV": (
        "geometry/quick.py",
        "import cv2",
        "The door for pixels is images",
    ),
    "the gallery has a second file with SQL": (
        "gallery/second_store.py",
        "import sqlalchemy.orm",
        "The doors for SQL are the two stores",
    ),
    "evaluation prints with Rich": (
        "evaluation/pretty.py",
        "import rich.table",
        "The door for the terminal and for reports is cli",
    ),
    "data downloads": (
        "data/readers/download.py",
        "import urllib.request",
        "The door for the network is runtime/fetch",
    ),
    "data unpickles": (
        "data/readers/quick.py",
        "import pickle",
        "Nothing is unpickled",
    ),
    "one detector format imports another": (
        "runtime/detectors/zz_second.py",
        "import tronie.runtime.detectors.zz_first",
        "Published detector formats do not know each other",
    ),
}


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LINT],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def copy(repository: Path, tmp_path: Path) -> Path:
    """The package and its contracts, to be spoiled."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(repository / "src" / "tronie", tmp_path / "src" / "tronie", ignore=ignored)
    shutil.copy(repository / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_tree_keeps_its_contracts(repository):
    done = lint(repository)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_a_violating_import_breaks_the_contract_that_names_it(copy, violation):
    file, statement, contract = VIOLATIONS[violation]
    (copy / "src/tronie/runtime/detectors/zz_first.py").write_text("")
    (copy / "src/tronie" / file).write_text(f"{statement}\n")
    done = lint(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{contract} BROKEN" in done.stdout
