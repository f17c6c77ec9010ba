"""Everything but the laboratory is imported without torch, and the help without anything.

Each claim runs in an interpreter of its own: what this one has imported proves nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from working_tree import REPOSITORY, environment

LABORATORY = "tronie.lab"
SERVING = (
    "tronie.server.http",
    "tronie.server.serve",
    "tronie.server.sites",
    "tronie.server.challenge.migrations",
    "tronie.server.challenge.signing",
    "tronie.server.challenge.storage",
    "tronie.server.challenge.worker",
    "tronie.server.challenge.judging",
    "tronie.server.challenge.home",
)
"""What needs the extra "serve"; to check a submission needs no more than the light install."""

IMPORT_ALL = """
import importlib, json, sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in (
            "torch", "ray", "fastapi", "starlette", "uvicorn", "alembic", "argon2", "cryptography",
            "fsspec", "psycopg", "python_multipart",
        ):
            raise ImportError(f"{name} is not in the light install")

sys.meta_path.insert(0, NoTorch())
failed = {}
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
    except Exception as error:
        failed[name] = repr(error)
print(json.dumps(failed))
"""

LOADED_BY = """
import json, sys
{statement}
print("\\n" + json.dumps(sorted({{name.split(".")[0] for name in sys.modules}})))
"""


def modules() -> list[str]:
    source = REPOSITORY / "src"
    files = (file.relative_to(source) for file in (source / "tronie").rglob("*.py"))
    names = (".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files)
    return sorted(name for name in names if not name.startswith((LABORATORY, *SERVING)))


def last_line_of(program: str, *arguments: str) -> object:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_every_module_is_imported_without_torch():
    assert last_line_of(IMPORT_ALL, json.dumps(modules())) == {}


@pytest.mark.parametrize("words", [["--help"], [], ["--version"], ["nonsense"]])
def test_the_top_level_loads_no_engine_no_pixels_and_no_parser(words):
    statement = f"from tronie.cli.main import main; main({words!r})"
    loaded = last_line_of(LOADED_BY.format(statement=statement))
    heavy = {"numpy", "onnxruntime", "onnx", "openvino", "cv2", "PIL", "sqlalchemy"}
    assert heavy & set(loaded) == set()
    assert {"typer", "rich", "jinja2"} & set(loaded) == set()


def test_listing_the_verbs_loads_no_engine_and_no_pixels():
    statement = "from tronie.cli.main import main; main(['list', 'verbs'])"
    loaded = last_line_of(LOADED_BY.format(statement=statement))
    assert {"numpy", "onnxruntime", "onnx", "openvino", "cv2", "sqlalchemy"} & set(loaded) == set()


def test_importing_the_package_loads_nothing_from_outside():
    loaded = set(last_line_of(LOADED_BY.format(statement="import tronie; dir(tronie)")))
    assert loaded - set(sys.stdlib_module_names) <= {"tronie", "__mp_main__", *site_hooks()}


def site_hooks() -> set[str]:
    """What a bare interpreter has loaded here already, such as editable-install finders."""
    return set(last_line_of(LOADED_BY.format(statement="")))
