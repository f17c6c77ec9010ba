"""The folder of a run: what it was asked to do, with which data, and by whom it is held.

    recipe.json      the recipe as it was resolved, and what was changed since, by step
    data.json        the data folder, how many images and classes, and their fingerprint
    classes.json     the name of each class, by its number
    provenance.json  commit, machine and versions with which it began
    lock             held while a process trains in this folder
    log.jsonl        `run_log`                checkpoints/     `checkpoint`
    reports/         a Report of each validation

recipe.json is all that is needed to repeat the run: `tronie train RUN --data DIR --out OTHER`.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from tronie import catalog
from tronie.errors import BadFile, BadInput, TronieError
from tronie.lab.training.detection_recipe import DetectionRecipe
from tronie.lab.training.recipe import RecognitionRecipe
from tronie.lab.training.settings import check_entries, from_dict, to_dict
from tronie.lab.training.whole_file import read_json, read_object, write_whole
from tronie.provenance import provenance

RECIPES = "tronie.lab.recipes"
RECIPE, DATA, CLASSES, PROVENANCE, LOCK = (
    "recipe.json",
    "data.json",
    "classes.json",
    "provenance.json",
    "lock",
)
FORMAT = 1
_WRITTEN = frozenset({LOCK, PROVENANCE, CLASSES, DATA})
"""What may be there before there is a run."""
_PART = re.compile(r"\.[0-9a-f]{16}\.part")
_KINDS: Mapping[type, str] = {str: "a text", int: "a whole number"}
TrainedRecipe = RecognitionRecipe | DetectionRecipe
TASKS: Mapping[str, type[TrainedRecipe]] = {
    "recognition": RecognitionRecipe,
    "detection": DetectionRecipe,
}
"""What a run's recipe is, by what recipe.json calls it."""
FOLDERS = ("recognition", "detection")
"""Of recipes. That of detection holds searches too, which have folders of another kind; see
`tronie.lab.training.redistribute`."""


@dataclass(frozen=True, kw_only=True)
class NamedRecipe:
    """A recipe and what it is called."""

    name: str
    """As in "recognition/ms1mv3_iresnet50_arcface"."""
    recipe: TrainedRecipe
    """Or, of what `find_recipe` finds, a search, which `trades` refuses to train."""
    changes: tuple[Mapping[str, Any], ...] = ()
    """What was changed while the run went on: {"step": 1200, "differences": [...]}."""


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """What a run was begun with."""

    folder: str
    images: int
    classes: int
    fingerprint: str
    """Of labels and names; see `Source.fingerprint`."""


def recipe_names() -> tuple[str, ...]:
    """Every recipe there is, as in "recognition/ms1mv3_iresnet50_arcface"."""
    return tuple(
        f"{folder}/{key.replace('-', '_')}"
        for folder in FOLDERS
        for key in catalog.entries(f"{RECIPES}.{folder}")
    )


def find_recipe(name: str) -> NamedRecipe:
    """A recipe by its name, or that of a run by its folder.

    Raises:
        NotFound: there is none; the message holds the nearest name.
        BadFile: the folder's recipe cannot be read.
    """
    if (Path(name) / RECIPE).is_file():
        return read_recipe(name)
    asked = name.replace("-", "_").removesuffix(".py")
    known = {known.replace("-", "_"): known for known in recipe_names()}
    short = {known.split("/")[1]: known for known in known}
    found = asked if asked in known else short.get(asked)
    if found is None:
        raise catalog.not_found(name, known.values(), where="the recipes of tronie")
    folder, key = found.split("/")
    return NamedRecipe(name=found, recipe=catalog.load(f"{RECIPES}.{folder}", key, "RECIPE"))


def read_recipe(folder: str | Path) -> NamedRecipe:
    """The recipe of a run.

    Raises:
        NotFound: the folder holds no run.
        BadFile: the recipe cannot be read, or is of another version.
    """
    path = Path(folder) / RECIPE
    record, where = read_object(path, lacking=_lacking(Path(folder), RECIPE)), str(path)
    task = record.get("task")
    if record.get("format") != FORMAT or not isinstance(task, str) or task not in TASKS:
        raise BadFile(
            f"{where} is of format {record.get('format')} for {task!r}; this version "
            f"of tronie reads {FORMAT} for {', '.join(TASKS)}"
        )
    recipe = from_dict(TASKS[task], record.get("recipe", {}), where=where)
    try:
        check_entries(recipe)
    except TronieError as error:
        raise BadFile(f"{where} holds no recipe of this version of tronie: {error}") from error
    changes = record.get("changes", [])
    if not isinstance(changes, list) or not all(isinstance(one, dict) for one in changes):
        raise BadFile(f"{where}: changes must be a list of objects; got {changes!r:.40}")
    return NamedRecipe(name=str(record.get("name")), recipe=recipe, changes=tuple(changes))


def write_recipe(folder: Path, named: NamedRecipe) -> None:
    """Write it as `read_recipe` reads it."""
    record = {
        "format": FORMAT,
        "task": next(task for task, kind in TASKS.items() if type(named.recipe) is kind),
        "name": named.name,
        "recipe": to_dict(named.recipe),
        "changes": list(named.changes),
    }
    _write(folder, RECIPE, record)


def expect_free(folder: Path) -> None:
    """See that a run can begin here: nothing is there, or a beginning that came to no run.

    Raises:
        BadInput: the folder holds a run already, or something else.
    """
    if (folder / RECIPE).is_file():
        raise BadInput(
            f"{folder} holds a run of {read_recipe(folder).name} already; go on with it by "
            f"tronie train --resume {folder}, or name another --out"
        )
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    ours = {name for name in there if name in _WRITTEN or _PART.fullmatch(name)}
    if there - ours or (there and LOCK not in there):
        raise BadInput(f"--out {folder} is a folder with other things in it; name a new one")


def begin_folder(
    folder: Path, named: NamedRecipe, facts: DataFacts, classes: Sequence[str]
) -> None:
    """Write what a new run is.

    Raises:
        BadInput: the folder holds a run already, or something else, or cannot be written.
    """
    expect_free(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"--out {folder} cannot be made: {error.strerror}") from error
    for left in folder.glob(".*.part"):  # by a beginning that was killed
        left.unlink()
    _write(folder, PROVENANCE, provenance().to_dict())
    _write(folder, CLASSES, list(classes))
    _write(folder, DATA, vars(facts))
    write_recipe(folder, named)  # the last: with it there is a run


def read_classes(folder: str | Path) -> tuple[str, ...]:
    """The names of a run's classes, by their numbers.

    Raises:
        NotFound: the folder holds no run.
        BadFile: they cannot be read.
    """
    record = read_json(Path(folder) / CLASSES, lacking=_lacking(Path(folder), CLASSES))
    if not isinstance(record, list) or not all(isinstance(name, str) for name in record):
        raise BadFile(f"{Path(folder) / CLASSES} must hold a list of names")
    return tuple(record)


def read_facts(folder: str | Path) -> DataFacts:
    """What a run was begun with.

    Raises:
        NotFound: the folder holds no run.
        BadFile: it cannot be read.
    """
    record = read_object(Path(folder) / DATA, lacking=_lacking(Path(folder), DATA))
    for name, kind in get_type_hints(DataFacts).items():
        if type(record.get(name)) is not kind:
            raise BadFile(
                f"{Path(folder) / DATA} must hold {name}, {_KINDS[kind]}; got "
                f"{record.get(name, 'nothing')!r:.40}"
            )
    return DataFacts(**{name: record[name] for name in get_type_hints(DataFacts)})


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The folder for one process alone; let go when the process ends, however it ends.

    A folder that was made here, and into which nothing was put, is gone afterwards.

    Raises:
        BadInput: another process trains in it.
    """
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise BadInput(f"the folder {folder} cannot be used: {error.strerror}") from error
    try:
        _lock(number, folder)
        try:
            yield
        finally:
            if new:
                _remove_unused(folder)
    finally:
        os.close(number)


def _lock(number: int, folder: Path) -> None:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_there = os.fstat(number).st_nlink > 0  # else whoever held it has just removed it
    except OSError:
        is_there = False
    if not is_there:
        raise BadInput(f"another process trains in {folder}; wait for it, or name another folder")


def _remove_unused(folder: Path) -> None:
    with suppress(OSError):  # it was removed meanwhile, or holds a run: both are well
        if [path.name for path in folder.iterdir()] == [LOCK]:
            (folder / LOCK).unlink()
            folder.rmdir()


def _lacking(folder: Path, name: str) -> str:
    return f"{folder} holds no run: there is no {name} in it"


def _write(folder: Path, name: str, record: Any) -> None:
    write_whole(folder / name, json.dumps(record, indent=1, allow_nan=False) + "\n")
