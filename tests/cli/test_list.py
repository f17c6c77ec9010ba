"""list and show, on catalogues made on the spot."""

from __future__ import annotations

import importlib
import json

import pytest

from tronie.cli.main import VERBS
from tronie.server.challenge import track as tracks

list_module = importlib.import_module("tronie.cli.list")

FORMAT = '''"""Heads of a toy detector, decoded
to pixels.

Shapes and units as the paper has them.

Source: Toy et al., "Toys", 2020,
section 3.
"""
raise RuntimeError("describing an entry must not run it")
'''
MODEL = 'summary = "A toy model"\nsource = "a wheel"\nlicense = "MIT"\ndimension = 8\n'


NETWORK = '"""A toy network."""\nVARIANTS = {"18": 1, "x1.25": 2}\nraise RuntimeError("not run")\n'
TRACKS = """from tronie.server.challenge.track import Column, Limits, Track
VARIANTS = {
    "light": Track(
        title="The toy cup",
        summary="Toys.",
        rules=("Play fair.",),
        protocol="lfw-all",
        takes="model",
        limits=Limits(upload_bytes=1 << 20, dimension=64),
        columns=(Column(key="accuracy", title="Accuracy"),),
        source="a box",
    )
}
"""
LABORATORY = ("backbones", "margins", "heads")


@pytest.fixture
def catalogues(tmp_path, monkeypatch):
    """One detector format, one model, no protocol, a network of two variants and one recipe."""
    for name in (
        "toy_formats",
        "toy_models",
        "toy_protocols",
        "toy_tracks",
        *(f"toy_recipes/{task}" for task in list_module.TASKS),
    ):
        (tmp_path / name).mkdir(parents=True)
    for kind in LABORATORY:
        (tmp_path / f"toy_{kind}").mkdir()
        monkeypatch.setattr(list_module, kind.upper(), f"toy_{kind}")
    (tmp_path / "toy_backbones" / "toy_net.py").write_text(NETWORK)
    (tmp_path / "toy_recipes" / "recognition" / "toy_run.py").write_text('"""A toy run."""\n')
    monkeypatch.setattr(list_module, "RECIPES", "toy_recipes")
    (tmp_path / "toy_formats" / "toy_net.py").write_text(FORMAT)
    (tmp_path / "toy_models" / "toy-2024.toml").write_text(MODEL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(list_module, "DETECTORS", "toy_formats")
    monkeypatch.setattr(list_module, "MODELS", "toy_models")
    monkeypatch.setattr(list_module, "PROTOCOLS", "toy_protocols")
    (tmp_path / "toy_tracks" / "toy_cup.py").write_text(TRACKS)
    monkeypatch.setattr(tracks, "CATALOGUE", "toy_tracks")


def test_without_a_kind_the_kinds_are_listed_and_counted(catalogues, cli_here):
    assert cli_here("list", "--json").json_lines() == [
        {"kind": "models", "entries": 1},
        {"kind": "detectors", "entries": 1},
        {"kind": "protocols", "entries": 0},
        {"kind": "tracks", "entries": 1},
        {"kind": "backbones", "entries": 2},
        {"kind": "margins", "entries": 0},
        {"kind": "heads", "entries": 0},
        {"kind": "recipes", "entries": 1},
        {"kind": "verbs", "entries": len(VERBS)},
    ]


def test_a_detector_format_is_listed_by_its_first_paragraph(catalogues, cli_here):
    assert cli_here("list", "detectors", "--json").json_lines() == [
        {"name": "toy-net", "summary": "Heads of a toy detector, decoded to pixels."}
    ]


def test_a_network_is_listed_by_each_of_its_variants(catalogues, cli_here):
    assert cli_here("list", "backbones", "--json").json_lines() == [
        {"name": "toy-net-18", "summary": "A toy network."},
        {"name": "toy-net-x1.25", "summary": "A toy network."},
    ]
    assert cli_here("show", "toy_net_18").out.startswith("toy-net-18 (backbones)")


def test_a_recipe_is_named_with_its_task_as_it_is_trained(catalogues, cli_here):
    (row,) = cli_here("list", "recipes", "--json").json_lines()
    assert row == {"name": "recognition/toy_run", "summary": "A toy run."}
    assert "A toy run." in cli_here("show", "recognition/toy_run").out


def test_a_track_is_listed_by_its_title_and_shown_with_its_rules(catalogues, cli_here):
    (row,) = cli_here("list", "tracks", "--json").json_lines()
    assert row == {"name": "toy-cup-light", "summary": "The toy cup"}
    ran = cli_here("show", "toy-cup-light")
    assert ran.out.startswith("toy-cup-light (tracks)\n\nThe toy cup\n\nToys.\n\nLimits\n")
    assert "Rules\n    Play fair." in ran.out
    (told,) = cli_here("show", "toy-cup-light", "--json").json_lines()
    assert (told["source"], told["entry"]["dimension"], told["entry"]["takes"]) == (
        "a box",
        64,
        "model",
    )


def test_a_model_is_listed_by_its_summary(catalogues, cli_here):
    ran = cli_here("list", "models")
    assert ran.code == 0
    assert "toy-2024" in ran.out
    assert "A toy model" in ran.out


def test_a_kind_without_entries_prints_nothing(catalogues, cli_here):
    assert cli_here("list", "protocols") == cli_here("list", "protocols", "--json")
    assert cli_here("list", "protocols").out == ""


def test_the_verbs_are_those_of_the_table(cli_here):
    rows = cli_here("list", "verbs", "--json").json_lines()
    assert {row["name"]: row["summary"] for row in rows} == {
        name: verb.help for name, verb in VERBS.items()
    }


def test_an_unknown_kind_is_answered_with_the_nearest(cli_here):
    ran = cli_here("list", "detector")
    assert ran.code == 2
    assert (
        "no entry 'detector' in the kinds that tronie lists. Did you mean 'detectors'?" in ran.err
    )


@pytest.mark.parametrize("name", ["toy-net", "toy_net"])
def test_show_prints_the_docstring_as_it_is_written(catalogues, cli_here, name):
    ran = cli_here("show", name)
    assert ran.code == 0
    assert ran.out.startswith("toy-net (detectors)\n\nHeads of a toy detector, decoded\nto pixels.")


def test_show_in_json_finds_the_source(catalogues, cli_here):
    shown = cli_here("show", "toy-net", "--json").json_lines()[0]
    assert shown["source"] == 'Toy et al., "Toys", 2020, section 3.'
    assert shown["kind"] == "detectors"


def test_show_of_a_model_holds_its_entry(catalogues, cli_here):
    shown = cli_here("show", "toy-2024", "--json").json_lines()[0]
    assert shown["entry"]["license"] == "MIT"
    assert shown["entry"]["dimension"] == 8
    assert shown["source"] == "a wheel"
    assert json.dumps(shown)


def test_show_of_an_unknown_name_suggests_one_of_any_kind(catalogues, cli_here):
    ran = cli_here("show", "toynet")
    assert ran.code == 2
    assert "no entry 'toynet' in any catalogue. Did you mean 'toy-net'?" in ran.err
