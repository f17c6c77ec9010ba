"""Toy models with a card beside them, so that every verb runs without network and weights."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest
from PIL import Image

import toys
from cli.toy_models import Toy, write_contract, write_detector
from tronie.cli.main import main

PEOPLE, SHOTS = 80, 2
"""80 people twice: 12 640 pairs of two people, enough to measure one false match in 10 000."""


LFW_PAIRS = """2\t3
person_0\t1\t2
person_1\t1\t2
person_2\t1\t2
person_0\t1\tperson_1\t1
person_1\t2\tperson_2\t1
person_2\t2\tperson_0\t2
person_3\t1\t2
person_4\t1\t2
person_5\t1\t2
person_3\t1\tperson_4\t1
person_4\t2\tperson_5\t1
person_5\t2\tperson_3\t2
"""


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A detector, an embedder, 160 photographs, and a card made from them by the verb itself."""
    folder = tmp_path_factory.mktemp("toy")
    toys.write_people(folder / "people", people=PEOPLE, shots=SHOTS)
    made = Toy(folder, folder / "people", folder / "toy.onnx", write_detector(folder / "eyes.onnx"))
    toys.toy_embedder(made.model, dimension=64)
    write_contract(made.model, 'kind="embedder"\nformat="embedding"\ndimension=64')
    card = folder / "toy.calibration.json"
    words = ["models", "calibrate", str(made.model), "--detector", str(made.detector)]
    assert main([*words, "--data", str(made.people), "--out", str(card)]) == 0
    return made


@pytest.fixture
def lfw(tmp_path, toy):
    """Two folds of three pairs of each kind, unpacked."""
    data = tmp_path / "lfw"
    for person in range(6):
        (data / f"person_{person}").mkdir(parents=True)
        for shot in range(2):
            photo = data / f"person_{person}" / f"person_{person}_{shot + 1:04d}.jpg"
            Image.open(toy.photo(21 + person, shot)).save(photo, quality=95)
    (data / "pairs.txt").write_text(LFW_PAIRS)
    return data


@pytest.fixture(autouse=True)
def empty_cache(tmp_path_factory, monkeypatch):
    """No test of the command line sees the models of whoever runs it."""
    monkeypatch.setenv("TRONIE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def standard_input(monkeypatch) -> Callable[[bytes], None]:
    """`standard_input(data)`: what the next command reads from -."""

    def give(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give
