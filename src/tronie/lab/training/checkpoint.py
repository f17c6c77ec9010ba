"""The state of a run on disk: whole or not there, and readable by any number of processes.

    RUN/checkpoints/step-00001200/
        tensors.json         what is there: name, type, shape, and where its parts lie; the note
        __0_0.distcp ...     the parts, as torch's distributed checkpoint writes them

A state is tensors by name. A plain tensor is the same in every process and is written once. `Rows`
are some rows of a matrix that lies over the processes; which rows a process has when it writes
says nothing about which it reads. So class centers, whose rows are the classes, may be written by
two processes and read by three. What a run must remember besides is one JSON object, the note.

It is written under another name, flushed to the disk, and renamed when all of it is there; the
checkpoint before is deleted after that. So whatever ends a run, the newest checkpoint is whole.
Every part has a CRC-32, and so has their list: bytes that a disk has changed since are told and not
trained on. Nothing goes back to an earlier checkpoint by itself: who wants that removes the damaged
one, as the sentence says.

Differs from what torch writes by itself: the list of parts is JSON. Torch's is a pickle, which may
call anything when it is read; and the parts are read as tensors and nothing else.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from tronie.errors import BadFile, BadInput, NotFound
from tronie.lab.nn.collectives import rank, world_size
from tronie.lab.training.checkpoint_parts import (
    FORMAT,
    LIST,
    WITHOUT_SUMS,
    PartsLoadPlanner,
    PartsReader,
    PartsSavePlanner,
    PartsWriter,
    State,
    flush_folder,
    metadata_of,
    part_of,
    sum_of_list,
)
from tronie.lab.training.together import first_alone

_NAME = re.compile(r"step-(\d{8,})")


def save_checkpoint(
    folder: str | Path, state: State, *, step: int, note: Mapping[str, Any], keep: int = 2
) -> Path:
    """Write the state after `step` steps; every process calls this with its part.

    Args:
        folder: Of the checkpoints of the run; made where it is not there.
        state: Names to tensors. A name is plain in every process or `Rows` in every process.
        note: Plain JSON, of process 0.
        keep: How many of the newest checkpoints stay.

    Returns:
        The folder of this checkpoint.

    Raises:
        BadInput: it cannot be written; what was there before is whole.
    """
    home = Path(folder)
    place = home / f"step-{step:08d}"
    part = home / f".step-{step:08d}.part"
    with first_alone(f"the checkpoint of step {step} cannot be written to {home}") as mine:
        if mine:
            home.mkdir(parents=True, exist_ok=True)
            for left in home.glob(".step-*"):  # by a run that was killed
                shutil.rmtree(left)
            part.mkdir()
    writer = PartsWriter(part, step=step, note=note)
    try:
        with _alone_is_fine():
            save(
                {name: part_of(one) for name, one in state.items()},
                storage_writer=writer,
                planner=PartsSavePlanner(flatten_state_dict=False),
                no_dist=world_size() == 1,
            )
    except CheckpointException as fault:
        if rank() == 0:
            shutil.rmtree(part, ignore_errors=True)
        _raise_bugs(fault)
        raise BadInput(_cannot_write(fault, step=step, home=home)) from fault
    with first_alone(f"the checkpoint of step {step} cannot take its place in {home}") as mine:
        if mine:
            _remove(place)
            part.replace(place)
            flush_folder(home)
            for old in checkpoints(home)[:-keep]:
                _remove(old)
    return place


def checkpoints(folder: str | Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first; none where there is no such folder."""
    home = Path(folder)
    found = sorted(home.iterdir()) if home.is_dir() else []
    named = [(match, path) for path in found if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted((int(match[1]), path) for match, path in named)]


def newest_checkpoint(folder: str | Path) -> StoredState:
    """The state to go on from.

    Raises:
        NotFound: there is no checkpoint.
        BadFile: it is damaged.
    """
    found = checkpoints(folder)
    if not found:
        raise NotFound(f"{folder} holds no checkpoint")
    return StoredState(found[-1])


class StoredState:
    """One checkpoint, opened. Of its tensors only the list is read until they are asked for.

    Raises:
        BadFile: its list cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            record = json.loads((path / LIST).read_text(encoding="utf-8"))
            if record["format"] not in (WITHOUT_SUMS, FORMAT):
                raise BadFile(
                    f"{path} has the format {record['format']}; this version of tronie reads "
                    f"{WITHOUT_SUMS} and {FORMAT}"
                )
            summed = record["format"] == FORMAT
            if summed and record["crc32"] != sum_of_list(record):
                raise ValueError(f"{LIST} has other bytes than were written")
            self.step: int = record["step"]
            self.note: dict[str, Any] = record["note"]
            if type(self.step) is not int or self.step < 0 or not isinstance(self.note, dict):
                raise ValueError(f"{LIST} has step {self.step!r} and note {self.note!r:.40}")
            self._metadata = metadata_of(record["tensors"], summed=summed)
        except FileNotFoundError:
            raise BadFile(f"{path} is no checkpoint: it holds no {LIST}") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
            raise self.damaged(f"{type(fault).__name__}: {fault}") from fault

    def damaged(self, why: str) -> BadFile:
        """What to raise where something of it cannot be: it says how to go on."""
        there = checkpoints(self.path.parent)
        earlier = there[: there.index(self.path)] if self.path in there else []
        if earlier:
            way = f"delete it to go on from the checkpoint before, {earlier[-1].name}"
        else:
            way = "there is none before it: restore it from a copy, or begin the run anew"
        return BadFile(f"{self.path} is damaged ({why}); {way}")

    def names(self) -> tuple[str, ...]:
        """Of the tensors."""
        return tuple(self._metadata.state_dict_metadata)

    def shape(self, name: str) -> torch.Size:
        """Of the whole tensor.

        Raises:
            BadFile: there is none of that name.
        """
        return self._about(name).size

    def count_of(self, part: str, name: str) -> int:
        """A whole number, 0 or more, of a part of the note.

        Raises:
            BadFile: there is none.
        """
        number = self.number_of(part, name)
        if type(number) is not int:
            raise self.damaged(f"{LIST} notes {part}.{name} as {number!r}")
        return number

    def number_of(self, part: str, name: str) -> float:
        """A finite number, 0 or more, of a part of the note.

        Raises:
            BadFile: there is none.
        """
        inside = self.note.get(part)
        found = inside.get(name) if isinstance(inside, dict) else None
        if not isinstance(found, int | float) or found is True or not 0 <= found < math.inf:
            raise self.damaged(f"{LIST} notes {part}.{name} as {found!r:.40}")
        return found

    def expect_shape(self, name: str, wanted: torch.Size) -> None:
        """See that a tensor has this shape.

        Raises:
            BadFile: it is not there, or has another.
        """
        stored = self.shape(name)
        if stored != wanted:
            raise BadFile(
                f"{self.path}: {name} has the shape {tuple(stored)}; {tuple(wanted)} is "
                "asked for. Was it trained on other data?"
            )

    def fill(self, state: State) -> None:
        """Read into these tensors, in place; each process asks for what it needs.

        Raises:
            BadFile: a tensor is not there, has another shape, or is damaged.
        """
        parts = {name: part_of(one) for name, one in state.items()}
        for name, wanted in parts.items():
            self.expect_shape(name, wanted.shape)
        try:
            with _alone_is_fine():
                load(
                    dict.fromkeys(parts),
                    storage_reader=PartsReader(self.path, self._metadata),
                    planner=PartsLoadPlanner(parts),
                    no_dist=True,
                )
        except (CheckpointException, OSError, RuntimeError, ValueError) as fault:
            _raise_bugs(fault)
            raise self.damaged(_reason(fault)) from fault

    def tensor(self, name: str) -> Tensor:
        """A whole tensor, in memory.

        Raises:
            BadFile: it is not there, or is damaged.
        """
        about = self._about(name)
        made = torch.empty(about.size, dtype=about.properties.dtype)
        self.fill({name: made})
        return made

    def _about(self, name: str) -> TensorStorageMetadata:
        found = self._metadata.state_dict_metadata.get(name)
        if not isinstance(found, TensorStorageMetadata):
            raise BadFile(
                f"{self.path} holds no {name}; it was written by another recipe, or another "
                "version of tronie"
            )
        return found


@contextmanager
def _alone_is_fine() -> Iterator[None]:
    """Torch warns where a process writes or reads without the others, which is what is asked."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*assuming the intent is to")
        yield


def _cannot_write(fault: CheckpointException, *, step: int, home: Path) -> str:
    last = checkpoints(home)
    kept = f"{last[-1].name} is whole" if last else "there is none before it"
    free = shutil.disk_usage(home).free
    return (
        f"the checkpoint of step {step} cannot be written to {home}: {_reason(fault)}; {kept}, and "
        f"{free / 1e9:.1f} GB are free there. Make room, then go on with --resume"
    )


def _raise_bugs(fault: BaseException) -> None:
    """Torch wraps whatever is raised; what neither system nor file can cause is ours."""
    if isinstance(fault, CheckpointException):
        for error, _ in fault.failures.values():
            if not isinstance(error, OSError | RuntimeError | ValueError | EOFError):
                raise error


def _reason(fault: BaseException) -> str:
    """Of all that went wrong in all processes, the first, in a few words."""
    if isinstance(fault, CheckpointException):
        number, (error, _) = min(fault.failures.items())
        return (f"process {number}: " if world_size() > 1 else "") + _reason(error)
    below: BaseException | None = fault
    while below is not None:  # torch's own words for a full disk say nothing of a disk
        if isinstance(below, OSError) and below.strerror:
            return below.strerror
        below = below.__cause__ or below.__context__
    return str(fault).strip().split(". ")[0].split("\n")[0] or type(fault).__name__


def _remove(folder: Path) -> None:
    """A folder of ours, if it is there; renamed first, so that no half of it bears the name."""
    if folder.exists():
        gone = folder.with_name(f".{folder.name.lstrip('.')}.old")
        shutil.rmtree(gone, ignore_errors=True)
        folder.replace(gone)
        shutil.rmtree(gone)
