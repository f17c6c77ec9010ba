"""What a task brings to a run: its data, its checks, its parts. One `Trade` for each task.

    open      the data that a recipe asks for                       ->  Opened
    check     what it will be judged by, before hours are spent     ->  sentences to be told
    make      loader, task and validation in this process           ->  Ready

The order in which they are called, what is written down and what is refused are the same for all:
see `tronie.lab.training.runs`. `tronie.lab.training.trades` tells which recipe has which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from tronie.lab.training.distributed import Place
from tronie.lab.training.loop import Task

RecipeT = TypeVar("RecipeT")


@dataclass(frozen=True, eq=False, kw_only=True)
class Opened:
    """The data of a run, open."""

    source: Any
    """As the task takes it."""
    images: int
    """That are trained on."""
    classes: tuple[str, ...]
    """What is told apart, by number."""
    fingerprint: str
    """Of labels and names."""
    told: str
    """What there is, as in "20 images of 5 people"."""
    counts: Mapping[str, int]
    """The same as numbers by name."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Asked(Generic[RecipeT]):
    """What a task is made for."""

    recipe: RecipeT
    opened: Opened
    data: Path
    """Folder that files are named below."""
    folder: Path
    """Of the run."""
    place: Place
    closing: ExitStack
    """What is opened is closed with it."""
    is_new: bool
    """Whether it begins, and does not go on."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Ready:
    """A task that can be trained."""

    task: Task
    memory: Mapping[str, int]
    """Bytes in each process, by what they are for."""
    assumed: tuple[str, ...] = ()
    """What a file that is used does not state, one sentence each."""


@dataclass(frozen=True, kw_only=True)
class Trade(Generic[RecipeT]):
    """The functions of one task."""

    measure: str
    """What a number of its validation is."""
    expect: Callable[[str, RecipeT], None]
    """From the name of a recipe and the recipe to a refusal, before anything is opened."""
    open: Callable[[RecipeT, Path, ExitStack], Opened]
    check: Callable[[RecipeT, Opened, Path], tuple[str, ...]]
    """Called by process 0 alone."""
    make: Callable[[Asked[RecipeT]], Ready]
