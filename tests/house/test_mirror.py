"""Every file with code has its test: tests/ROOM/.../test_FILE.py, as the tree of src has it.

The entries of a catalogue share one contract test, which waits for the next entry too.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "src" / "tronie"
TESTS = REPOSITORY / "tests"

CATALOGUES = {
    "runtime/detectors": "contracts/test_detectors.py",
    "evaluation/protocols": "contracts/test_protocols.py",
    "lab/nn/backbones": "contracts/test_backbones.py",
    "lab/nn/detectors": "contracts/test_detectors_lab.py",
    "lab/recipes/detection": "contracts/test_recipes.py",
    "lab/recipes/recognition": "contracts/test_recipes.py",
    "server/challenge/tracks": "contracts/test_tracks.py",
}


def has_code(file: Path) -> bool:
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return any(not isinstance(node, ast.Expr) for node in body)


FILES = [f.relative_to(SOURCE) for f in sorted(SOURCE.rglob("*.py")) if f.stem != "__init__"]
FILES = [f for f in FILES if has_code(SOURCE / f)]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_file_with_code_has_its_test(file):
    catalogue = CATALOGUES.get(file.parent.as_posix())
    if catalogue is not None:
        assert (TESTS / catalogue).is_file()
        return
    room = file.parts[0] if len(file.parts) > 1 else ""
    found = sorted((TESTS / room).rglob(f"test_{file.stem}.py"))
    assert found, f"write tests/{file.parent.as_posix()}/test_{file.name}"


@pytest.mark.parametrize("package", sorted(SOURCE.rglob("__init__.py")), ids=str)
def test_a_package_file_is_empty_or_a_sentence(package):
    """Only the top of the package has code in its `__init__.py`, and that is lazy."""
    assert package.parent == SOURCE or not has_code(package)
