"""The folder of a search: what was asked, what was drawn, and what is known of each candidate.

    search.json      the recipe, the data, every candidate by name; what was found so far
    candidates/      a run of each, 1-0000, 1-0001, ... 2-0000; its result.json once it is judged
    candidates.csv   a line for each that is judged
    search.svg       score against share, part by part

result.json is what says that a candidate is done: it is written whole, last, by the process that
trained it. The table and what was found follow from these and are written anew after each, the
drawing at the end of each call.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tronie.errors import BadFile, BadInput
from tronie.lab.nn.scrfd_layout import Layout, read_layout
from tronie.lab.training.redistribute.budget import PARTS, flops_by_part
from tronie.lab.training.redistribute.recipe import SCRFD, RedistributionRecipe
from tronie.lab.training.run_folder import LOCK
from tronie.lab.training.settings import from_dict, to_dict
from tronie.lab.training.whole_file import read_object, write_whole

SEARCH, CANDIDATES, TABLE, RESULT, CHART = (
    "search.json",
    "candidates",
    "candidates.csv",
    "result.json",
    "search.svg",
)
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A network that was drawn."""

    step: int
    """1 or 2."""
    number: int
    """In its step, from 0."""
    detector: str
    """Its name, as `build_detector` takes it."""

    @property
    def key(self) -> str:
        """As its folder is called."""
        return f"{self.step}-{self.number:04d}"

    @property
    def layout(self) -> Layout:
        """What its name spells out."""
        return read_layout(self.detector.removeprefix(f"{SCRFD}-"))


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a candidate turned out to be."""

    detector: str
    score: float
    """Of the recipe's `score`, in [0, 1]."""
    validation: Mapping[str, float]
    """All numbers of its validation, by name."""
    parameters: int
    steps: int
    seconds: float
    """From its first step to its last, validation included."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a search is held to, as search.json has it."""

    name: str
    """Of the recipe."""
    recipe: RedistributionRecipe
    folder: str
    """Where the data were."""
    images: int
    """That each candidate is trained on."""
    fingerprint: str
    """Of the data."""
    backbones: tuple[str, ...] = ()
    """Detectors of step 1, by number."""
    networks: tuple[str, ...] = ()
    """Of step 2; none before it begins."""
    template: str = ""
    """The best of step 1 when step 2 began."""
    failed: frozenset[str] = frozenset()
    """Keys of candidates that came to nothing when they were last tried."""

    def candidates(self, step: int) -> tuple[Candidate, ...]:
        """Those of a step that the recipe asks for."""
        drawn, count = (
            (self.backbones, self.recipe.backbones)
            if step == 1
            else (self.networks, self.recipe.networks)
        )
        return tuple(
            Candidate(step=step, number=n, detector=detector)
            for n, detector in enumerate(drawn[:count])
        )


def expect_free(folder: Path) -> None:
    """See that a search can begin here: nothing is there.

    Raises:
        BadInput: the folder holds other things.
    """
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if any(name != LOCK and not is_part(name) for name in there):
        raise BadInput(
            f"--out {folder} is a folder with other things in it, and no search; name a new one"
        )


def is_search(folder: Path) -> bool:
    """Whether a search was begun in this folder."""
    return (folder / SEARCH).is_file()


def write_asked(folder: Path, asked: Asked, found: Mapping[str, Any]) -> None:
    """Write search.json: what was asked, as `read_asked` reads it, and what was found."""
    record = {
        "format": FORMAT,
        "name": asked.name,
        "recipe": to_dict(asked.recipe),
        "data": {
            "folder": asked.folder,
            "images": asked.images,
            "fingerprint": asked.fingerprint,
        },
        "drawn": {
            "backbones": list(asked.backbones),
            "networks": list(asked.networks),
            "template": asked.template,
        },
        "found": dict(found),
    }
    write_whole(folder / SEARCH, json.dumps(record, indent=1, allow_nan=False) + "\n")


def read_asked(folder: Path) -> Asked:
    """What a search was asked.

    Raises:
        NotFound: the folder holds no search.
        BadFile: search.json is damaged, or of another version.
    """
    path = folder / SEARCH
    record = read_object(path, lacking=f"{folder} holds no search: there is no {SEARCH} in it")
    if record.get("format") != FORMAT:
        raise BadFile(
            f"{path} is of format {record.get('format')!r}; this version of tronie reads {FORMAT}"
        )
    try:
        recipe = from_dict(RedistributionRecipe, record["recipe"], where=str(path))
        data, drawn = record["data"], record["drawn"]
        return Asked(
            name=str(record["name"]),
            recipe=recipe,
            folder=str(data["folder"]),
            images=int(data["images"]),
            fingerprint=str(data["fingerprint"]),
            backbones=tuple(map(str, drawn["backbones"])),
            networks=tuple(map(str, drawn["networks"])),
            template=str(drawn["template"]),
            failed=frozenset(map(str, record["found"].get("failed", ()))),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadFile(f"{path} is no search of this version of tronie: {error!r}") from error


def candidate_folder(folder: Path, candidate: Candidate) -> Path:
    """Where a candidate is trained."""
    return folder / CANDIDATES / candidate.key


def write_result(run: Path, result: Result) -> None:
    """Say that the candidate of this run is done.

    Raises:
        BadInput: it cannot be written.
    """
    write_whole(run / RESULT, json.dumps(vars(result), indent=1, allow_nan=False) + "\n")


def read_result(folder: Path, candidate: Candidate) -> Result | None:
    """What a candidate turned out to be; None where it is not done.

    Raises:
        BadFile: it cannot be read, or is of another network.
    """
    path = candidate_folder(folder, candidate) / RESULT
    if not path.exists():
        return None
    record = read_object(path, lacking=f"{path} is gone")
    try:
        found = Result(
            detector=str(record["detector"]),
            score=float(record["score"]),
            validation={str(k): float(v) for k, v in dict(record["validation"]).items()},
            parameters=int(record["parameters"]),
            steps=int(record["steps"]),
            seconds=float(record["seconds"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadFile(f"{path} is no result of a candidate: {error!r}") from error
    if found.detector != candidate.detector or not math.isfinite(found.score):
        raise BadFile(
            f"{path} is of {found.detector} with a score of {found.score:g}, and the candidate is "
            f"{candidate.detector}; remove its folder, and it is trained again"
        )
    return found


def table_rows(
    judged: Sequence[tuple[Candidate, Result]],
) -> Iterator[Mapping[str, str | int | float]]:
    """The table, a line for each candidate, with the share of each part in all its FLOPs."""
    for candidate, result in judged:
        flops = flops_by_part(candidate.layout)
        total = sum(flops.values())
        yield {
            "candidate": candidate.key,
            "step": candidate.step,
            "detector": candidate.detector,
            "score": round(result.score, 6),
            "parameters": result.parameters,
            "flops": total,
            **{part: round(flops[part] / total, 6) for part in PARTS},
            "train_steps": result.steps,
            "seconds": round(result.seconds, 2),
        }


def write_table(folder: Path, judged: Sequence[tuple[Candidate, Result]]) -> None:
    """Write candidates.csv; nothing while no candidate is judged."""
    rows = list(table_rows(judged))
    if not rows:
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(folder / TABLE, text.getvalue())


def is_part(name: str) -> bool:
    """Whether a file is what a killed `write_whole` left."""
    return name.startswith(".") and name.endswith(".part")
