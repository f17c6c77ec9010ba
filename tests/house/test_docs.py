"""What the pages and examples say is run; what is not run says why (see pages.py).

`make docs` runs this file with the network marker too. A page that says

    <!-- needs: torch -->

is skipped by name where torch is not installed, and one that says `needs: server` where the serve
extra is not. A copy of src that a page makes in its own folder
comes first, so that a page may show what is added to the package.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import toys
from house import pages
from tronie.cli.main import VERBS
from working_tree import REPOSITORY, environment

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if page.is_file()]
EXAMPLES = sorted((REPOSITORY / "examples").glob("*.py"))
SOURCE = REPOSITORY / "src"
NEEDS = re.compile(r"^<!--\s*needs:\s*(torch|server)\s*-->$", re.MULTILINE)
MARKS = {"torch": pytest.mark.lab, "server": pytest.mark.server}
MODULE = {"torch": "torch", "server": "fastapi"}
"""That is looked for, to know whether what a page needs is installed."""
MODULES = [f for f in sorted(SOURCE.rglob("*.py")) if ">>> " in f.read_text(encoding="utf-8")]


def named(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def needs(page: Path) -> list[str]:
    return NEEDS.findall(page.read_text(encoding="utf-8"))


def marks(page: Path) -> list[pytest.MarkDecorator]:
    network = [pytest.mark.network] if pages.needs_network(page) else []
    return [pytest.mark.slow, *network, *(MARKS[need] for need in needs(page))]


def runnable() -> list[object]:
    return [pytest.param(page, id=named(page), marks=marks(page)) for page in PAGES]


def skip_without_what_it_needs(page: Path) -> None:
    for need in needs(page):
        if importlib.util.find_spec(MODULE[need]) is None:
            pytest.skip(f"{page.name} needs {need}, which is not installed")


def not_run() -> list[object]:
    return [
        pytest.param(block.reason_not_run, id=f"{named(page)}:{block.line}")
        for page in PAGES
        for block in pages.blocks(page)
        if block.reason_not_run
    ]


def bash(commands: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `commands` as a reader would, tronie, python and torchrun being those of this tree."""
    bin_folder = folder / ".bin"
    bin_folder.mkdir(exist_ok=True)
    programs = {
        "tronie": "-m tronie.cli.main",
        "python": "",
        "torchrun": "-m torch.distributed.run",
    }
    for name, words in programs.items():
        program = bin_folder / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        program.chmod(0o755)
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", commands],
        cwd=folder,
        env={
            **environment(),
            "PYTHONPATH": f"{folder / 'src'}{os.pathsep}{environment()['PYTHONPATH']}",
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "TRONIE_REPOSITORY": str(REPOSITORY),
        },
        capture_output=True,
        text=True,
        timeout=600,
    )


def run_page(page: Path, folder: Path) -> None:
    names: dict[str, object] = {"__name__": "__page__"}
    for block in pages.blocks(page):
        if block.reason_not_run:
            continue
        if block.language in pages.SHELL:
            done = bash(block.commands, folder)
            told = f"{page.name}:{block.line} exited with {done.returncode}"
            assert done.returncode == 0, f"{told}\n{block.commands}\n{done.stdout}{done.stderr}"
        else:
            tree = ast.increment_lineno(ast.parse(block.text), block.line - 1)
            exec(compile(tree, str(page), "exec"), names)


@pytest.mark.parametrize("page", runnable())
def test_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    skip_without_what_it_needs(page)
    monkeypatch.chdir(tmp_path)
    run_page(page, tmp_path)


def test_the_blocks_that_are_not_run_say_why(subtests):
    for parameter in not_run():
        with subtests.test(parameter.id):
            pytest.skip(f"not run: {parameter.values[0]}")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_page_names_no_verb_that_is_not_there(page):
    for block in pages.blocks(page):
        if block.language in pages.SHELL:
            called = re.findall(r"^\s*tronie ([a-z]\S*)", block.commands, re.MULTILINE)
            assert set(called) <= set(VERBS), f"line {block.line}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_link_inside_the_tree_leads_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    inside = [target for target in targets if "://" not in target]
    assert [t for t in inside if not (page.parent / t).exists()] == []


@pytest.mark.parametrize("file", MODULES, ids=named)
def test_the_examples_in_docstrings_run(file):
    name = ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    for room, module in (("tronie.lab.", "torch"), ("tronie.server.sites.", "fastapi")):
        if name.startswith(room):
            pytest.importorskip(module)
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0


def test_a_page_is_read_as_its_blocks_in_order(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "Text.\n\n```bash\ntronie --help\n```\n\n<!-- not run: costs an hour -->\n\n"
        "```console\n$ tronie demo\noutput\n$ true\n```\n\n```json\n{}\n```\n"
        "1. A list:\n\n   ```python\n   x = 1\n   ```\n"
    )
    first, second, third = pages.blocks(page)
    assert (first.language, first.text, first.line) == ("bash", "tronie --help", 4)
    assert (second.commands, second.reason_not_run) == ("tronie demo\ntrue", "costs an hour")
    assert (third.text, third.reason_not_run) == ("x = 1", "")


def test_hidden_commands_and_the_need_for_the_network_are_read(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- needs: network -->\n<!-- before\ntouch a.jpg\n-->\n")
    assert pages.needs_network(page)
    assert pages.blocks(page) == [pages.Block("bash", "touch a.jpg", 3)]


def test_a_block_that_never_ends_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```bash\ntrue\n")
    with pytest.raises(ValueError, match=r"line 1: opened here and never closed with '```'"):
        pages.blocks(page)


def test_the_blocks_of_a_page_share_a_folder_and_their_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "```bash\necho 41 > number\n```\n"
        "```python\nfrom pathlib import Path\nx = int(Path('number').read_text())\n```\n"
        "```python\nassert x + 1 == 42\n```\n"
    )
    run_page(page, tmp_path)


@pytest.mark.parametrize(("need", "mark"), MARKS.items())
def test_a_page_is_skipped_by_name_where_what_it_needs_is_not(need, mark, tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(f"Somebody needs: {need}\n")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    skip_without_what_it_needs(page)
    page.write_text(f"<!-- needs: {need} -->\n")
    assert mark in marks(page)
    told = f"page.md needs {need}, which is not installed"
    with pytest.raises(pytest.skip.Exception, match=told):
        skip_without_what_it_needs(page)


def test_a_page_may_show_what_is_added_to_a_copy_of_the_source(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```bash\nmkdir -p src/tronie\necho 'print(\"a copy\")' > src/tronie/__init__.py\n```\n"
        "```bash\npython -c 'import tronie' | grep 'a copy'\n```\n"
    )
    run_page(page, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```bash\nfalse\ntrue\n```", r"page.md:2 exited with 1"),
        ("```bash\ntronie nonsense\n```", r"no entry 'nonsense' in the verbs of tronie"),
        ("```python\nassert 1 + 1 == 3, 'wrong sum'\n```", r"wrong sum"),
    ],
)
def test_a_page_that_does_not_run_is_found_out(text, message, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(AssertionError, match=message):
        run_page(page, tmp_path)


TOY_MODELS = "--detector finds.onnx --model embeds.onnx"
EXAMPLE_WORDS = {
    "01_detect_and_align": "people/person_0/*.png --detector finds.onnx",
    "02_embed_and_compare": f"people/person_*/*.png {TOY_MODELS}",
    "03_enroll_and_identify": f"people new.png {TOY_MODELS} --threshold 0.2",
    "04_draw_people": "faces",
}


@pytest.mark.parametrize("example", EXAMPLES, ids=named)
def test_an_example_runs_on_toys_and_answers(example, tmp_path):
    toys.write_people(tmp_path / "people")
    Image.fromarray(toys.toy_face(1, shot=9)).save(tmp_path / "new.png")
    toys.toy_detector(tmp_path / "finds.onnx")
    toys.toy_embedder(tmp_path / "embeds.onnx")
    done = bash(f'python "{example}" {EXAMPLE_WORDS[example.stem]}', tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), "an example has something to show"


@pytest.mark.parametrize("example", EXAMPLES, ids=named)
def test_an_example_is_short(example):
    assert len(example.read_text(encoding="utf-8").splitlines()) <= 40
