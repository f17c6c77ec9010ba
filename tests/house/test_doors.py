"""What an import contract cannot see: names of files, copies, and words left lying about."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src" / "tronie"
FILES = sorted(SOURCE.rglob("*.py"))
TESTS = sorted(Path(__file__).resolve().parents[1].rglob("*.py"))

MEANINGLESS = re.compile(
    r"^(utils?|common|helpers?|misc|core|base|managers?|handlers?"
    r"|.*_v\d+|legacy_.*|new_.*|final.*)$"
)
TEMPLATE_DIGITS = re.compile(r"38\.2946|51\.6963|73\.5318|51\.5014|56\.0252|71\.7366|41\.5493")
LONGEST_FILE = 400
LONGEST_FUNCTION = 60


def named(file: Path) -> str:
    return file.relative_to(SOURCE.parents[1]).as_posix()


def each_of(files: list[Path]) -> Callable[[Callable[[Path], None]], Callable[[], None]]:
    """One test over all files, which names every file that fails it.

    Hundreds of files times a dozen rules are too many tests for a light suite.
    """

    def over(check: Callable[[Path], None]) -> Callable[[], None]:
        def test() -> None:
            faults = []
            for file in files:
                try:
                    check(file)
                except AssertionError as fault:
                    faults.append(f"{named(file)}: {fault}")
            assert not faults, "\n".join(faults)

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return over


@cache
def code(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def test_no_file_has_a_name_that_says_nothing():
    assert [named(f) for f in SOURCE.rglob("*") if MEANINGLESS.match(f.stem)] == []


def test_the_five_point_template_is_written_once():
    holders = [named(f) for f in FILES if TEMPLATE_DIGITS.search(f.read_text(encoding="utf-8"))]
    assert holders == ["src/tronie/geometry/alignment.py"]


def test_nothing_is_left_to_do():
    words = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    assert [named(f) for f in FILES if words.search(f.read_text(encoding="utf-8"))] == []


@each_of(FILES)
def test_a_file_with_code_opens_with_its_purpose(file):
    tree = code(file)
    assert not tree.body or ast.get_docstring(tree)


@each_of(FILES)
def test_no_module_imports_the_top_of_the_package(file):
    for node in ast.walk(code(file)):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        assert "tronie" not in names, f"line {node.lineno}"
        if isinstance(node, ast.ImportFrom) and node.module == "tronie":
            rooms = {f.stem for f in SOURCE.iterdir()}
            assert {a.name for a in node.names} <= rooms, f"line {node.lineno}"


@each_of(FILES)
def test_imports_are_absolute(file):
    relative = [n for n in ast.walk(code(file)) if isinstance(n, ast.ImportFrom) and n.level]
    assert [n.lineno for n in relative] == []


@each_of(FILES)
def test_no_error_is_swallowed(file):
    """`except Exception: pass` hides the fault of whoever comes next."""
    broad = {"Exception", "BaseException"}
    for node in ast.walk(code(file)):
        if isinstance(node, ast.ExceptHandler):
            names = (
                {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)}
                if node.type
                else broad
            )
            silent = all(isinstance(statement, ast.Pass) for statement in node.body)
            assert not (silent and names & broad), f"line {node.lineno}"


@each_of(FILES)
def test_no_array_file_is_read_with_pickle(file):
    for node in ast.walk(code(file)):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant)
            assert node.value.value is False, f"line {node.value.lineno}"


@each_of(FILES)
def test_files_and_functions_are_short(file):
    """A longer one carries a sentence with the words "longer than 400 lines" (60) and why."""
    text = file.read_text(encoding="utf-8")
    excused = f"longer than {LONGEST_FILE} lines" in (ast.get_docstring(code(file)) or "").lower()
    assert excused or text.count("\n") <= LONGEST_FILE
    for node in ast.walk(code(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            docstring = ast.get_docstring(node, clean=False) or ""
            lines = length - docstring.count("\n") - bool(docstring)
            excused = f"longer than {LONGEST_FUNCTION} lines" in docstring.lower()
            assert excused or lines <= LONGEST_FUNCTION, f"{node.name}, line {node.lineno}"


@each_of(FILES)
def test_no_function_passes_its_options_on_blindly(file):
    for node in ast.walk(code(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.args.kwarg is None, f"**kwargs in {node.name}, line {node.lineno}"


@each_of(TESTS)
def test_every_refusal_is_tested_by_its_text(file):
    for node in ast.walk(code(file)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.raises":
            assert any(k.arg == "match" for k in node.keywords), f"line {node.lineno}"
