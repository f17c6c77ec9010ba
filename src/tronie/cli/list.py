"""list and show: what there is, read from the catalogues, so that this page cannot drift.

Python entries are described by their own docstrings, which are read and not run; models by
the TOML file that is their entry in the zoo.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer

from tronie import catalog
from tronie.cli.main import VERBS
from tronie.cli.options import Json
from tronie.cli.terminal import print_json, print_table

MODELS = "tronie.runtime.zoo_entries"
DETECTORS = "tronie.runtime.detectors"
PROTOCOLS = "tronie.evaluation.protocols"
BACKBONES = "tronie.lab.nn.backbones"
MARGINS = "tronie.lab.nn.margins"
HEADS = "tronie.lab.nn.heads"
RECIPES = "tronie.lab.recipes"
TASKS = ("recognition", "detection")
"""Folders of RECIPES."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that `list` and `show` can speak of.

    `text` is its docstring, or the whole TOML of a model; `source` the paragraph of it that
    begins with "Source", "" if there is none; `entry` the values of a model's TOML.
    """

    kind: str
    name: str
    summary: str
    text: str
    source: str = ""
    entry: Mapping[str, Any]


def list_kind(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="models, detectors, protocols, tracks, backbones, margins, heads, recipes or "
            "verbs.",
        ),
    ] = "",
    json: Json = False,
) -> None:
    """What there is of one kind, or the kinds."""
    if not kind:
        rows = [{"kind": name, "entries": len(entries())} for name, entries in KINDS.items()]
    elif kind in KINDS:
        rows = [{"name": entry.name, "summary": entry.summary} for entry in KINDS[kind]()]
    else:
        raise catalog.not_found(kind, KINDS, where="the kinds that tronie lists")
    if json:
        for row in rows:
            print_json(row)
    elif rows:
        print_table(list(rows[0]), [list(row.values()) for row in rows])


def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that `tronie list` prints.")],
    json: Json = False,
) -> None:
    """One entry: its docstring, its source and, for a model, its licence and contract."""
    everything = [entry for entries in KINDS.values() for entry in entries()]
    asked = name.replace("_", "-")
    found = [entry for entry in everything if entry.name.replace("_", "-") == asked]
    if not found:
        raise catalog.not_found(name, {entry.name for entry in everything}, where="any catalogue")
    for entry in found:
        if json:
            print_json(vars(entry))
        else:
            print(f"{entry.name} ({entry.kind})\n\n{entry.text.rstrip()}\n")


def _models() -> list[Entry]:
    return [_model(name) for name in catalog.data_entries(MODELS, ".toml")]


def _model(name: str) -> Entry:
    text = catalog.data_file(MODELS, name, ".toml").read_text(encoding="utf-8")
    values = tomllib.loads(text)
    return Entry(
        kind="models",
        name=name,
        summary=str(values.get("summary", "")),
        text=text,
        source=str(values.get("source", "")),
        entry=values,
    )


def _detectors() -> list[Entry]:
    return [_documented("detectors", DETECTORS, name) for name in catalog.entries(DETECTORS)]


def _protocols() -> list[Entry]:
    return [_documented("protocols", PROTOCOLS, name) for name in catalog.entries(PROTOCOLS)]


def _backbones() -> list[Entry]:
    """One entry for each variant, which share the docstring of their file."""
    return [
        replace(entry, name=f"{entry.name}-{variant}")
        for entry in (_documented("backbones", BACKBONES, n) for n in catalog.entries(BACKBONES))
        for variant in catalog.variants(BACKBONES, entry.name)
    ]


def _margins() -> list[Entry]:
    return [_documented("margins", MARGINS, name) for name in catalog.entries(MARGINS)]


def _heads() -> list[Entry]:
    return [_documented("heads", HEADS, name) for name in catalog.entries(HEADS)]


def _recipes() -> list[Entry]:
    """Named with their task, as `tronie train` takes them."""
    return [
        replace(
            _documented("recipes", f"{RECIPES}.{task}", name),
            name=f"{task}/{name.replace('-', '_')}",
        )
        for task in TASKS
        for name in catalog.entries(f"{RECIPES}.{task}")
    ]


def _tracks() -> list[Entry]:
    """With rules and limits, which stand in the entries and not in their docstrings."""
    from tronie.server.challenge.track import names, open_track
    from tronie.server.challenge.track_told import told_track

    found = []
    for name in names():
        track = open_track(name)
        text = told_track(track)
        found.append(
            Entry(
                kind="tracks",
                name=name,
                summary=track.title,
                text=text,
                source=track.source,
                entry={"takes": track.takes, "protocol": track.protocol, **vars(track.limits)},
            )
        )
    return found


def _documented(kind: str, package: str, name: str) -> Entry:
    text = catalog.docstring(package, name)
    paragraphs = text.split("\n\n")
    return Entry(
        kind=kind,
        name=name,
        summary=" ".join(paragraphs[0].split()),
        text=text,
        source=next((_source(part) for part in paragraphs if "\nSource" in f"\n{part}"), ""),
        entry={},
    )


def _source(paragraph: str) -> str:
    start = f"\n{paragraph}".index("\nSource")
    lines = paragraph[start:].splitlines()
    return " ".join(" ".join(lines).split()).removeprefix("Source").lstrip(": ")


def _verbs() -> list[Entry]:
    return [
        Entry(
            kind="verbs",
            name=name,
            summary=verb.help,
            text=f"{verb.help}\n\nSee: tronie {name} --help",
            entry={},
        )
        for name, verb in VERBS.items()
    ]


KINDS: Mapping[str, Callable[[], list[Entry]]] = {
    "models": _models,
    "detectors": _detectors,
    "protocols": _protocols,
    "tracks": _tracks,
    "backbones": _backbones,
    "margins": _margins,
    "heads": _heads,
    "recipes": _recipes,
    "verbs": _verbs,
}
