"""What is not installed is told by name; what needs none of it works without."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tronie.cli.needs_server import SERVES, server_needed
from tronie.errors import EngineUnavailable
from working_tree import environment

LIGHT = """
import json, sys

class LightInstall:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in json.loads(sys.argv[1]):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, LightInstall())
from tronie.cli.main import main
sys.exit(main(sys.argv[2:]))
"""


def light(*words):
    """A command where the extra is not installed."""
    program = [sys.executable, "-W", "error", "-c", LIGHT, json.dumps(SERVES), *map(str, words)]
    return subprocess.run(program, env=environment(), capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("name", ["fastapi", "uvicorn.config", "cryptography.exceptions"])
def test_a_missing_part_says_how_to_install_it(name):
    package = name.split(".")[0]
    with (
        pytest.raises(EngineUnavailable, match=rf"^tronie serve needs {package}, .*tronie\[serve"),
        server_needed("tronie serve"),
    ):
        raise ModuleNotFoundError(name=name)


def test_another_missing_module_is_not_hidden():
    with pytest.raises(ModuleNotFoundError, match="no nonsense"), server_needed("tronie serve"):
        raise ModuleNotFoundError("no nonsense", name="nonsense")


@pytest.mark.parametrize(
    "words",
    [
        ["serve", "challenge", "--dir", "none"],
        ["challenge", "worker", "--database", "sqlite:///none.db"],
        ["challenge", "check-result", "none.json", "--key", "k"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_verb_of_the_server_names_the_package_it_lacks(words, tmp_path):
    done = light(*words)
    assert (done.returncode, done.stdout) == (2, "")
    part = next(name for name in SERVES if f"needs {name}," in done.stderr)
    told = f"tronie {' '.join(words[:2])} needs {part}, which is not installed"
    assert done.stderr == f"tronie: {told}; pip install 'tronie[serve]'\n"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["list", "tracks"], 0, "mfr21-a"),
        (["show", "mfr21-a"], 0, "MFR21, InsightFace track A"),
        (["challenge", "validate", "MODEL", "--track", "mfr21-a", "--json"], 1, "file.protobuf"),
        (["challenge", "baselines", "--dir", "HERE"], 0, "mfr21-b: 7 rows, published, not repro"),
        (
            ["challenge", "submit", "MODEL", "--track", "t", "--server", "ftp://x", "--token", "t"],
            2,
            "--server takes an address such as https://",
        ),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_a_participant_needs_nothing_of_it(words, code, told, tmp_path):
    model = tmp_path / "model.onnx"
    model.write_bytes(b"no model")
    named = {"MODEL": str(model), "HERE": str(tmp_path)}
    done = light(*[named.get(word, word) for word in words])
    assert done.returncode == code, done.stderr
    assert told in done.stdout + done.stderr
