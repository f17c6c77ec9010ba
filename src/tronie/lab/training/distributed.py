"""Ranks: one process, or the several that torchrun started, and what they tell each other.

    with start() as place:                  # torchrun --nproc-per-node 2 -m tronie train ...
        network.to(place.device)
        ...

torchrun tells each process its number in six variables of the environment; where there are none
of them there is one rank, and nothing is started. Ranks on graphics processors talk through NCCL,
all others through gloo.

A rank that ends takes the others with it: the connection breaks, or what they wait for does not
come within `timeout_s`, and each ends with one sentence. So nothing that one rank does while the
others wait may take longer than that.

Collectives are in `tronie.lab.nn.collectives`, where the heads find them too.
"""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from tronie.errors import BadInput, EngineUnavailable, TronieError
from tronie.lab.nn.collectives import all_max, all_sum, gather_rows, rank, world_size

__all__ = ["Place", "all_max", "all_sum", "gather_rows", "rank", "start", "world_size"]

TIMEOUT_S = 50.0

_NUMBERS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
TORCHRUN = (*_NUMBERS, "MASTER_ADDR", "MASTER_PORT")
"""Variables that torchrun sets."""


@dataclass(frozen=True)
class Place:
    """Where a process stands among the others."""

    rank: int
    ranks: int
    device: torch.device


@dataclass(frozen=True)
class Told:
    """What torchrun tells a process."""

    rank: int
    ranks: int
    local: int
    """Among the processes of this machine."""
    locals: int
    """How many those are."""


@contextmanager
def start(backend: str | None = None, *, timeout_s: float = TIMEOUT_S) -> Iterator[Place]:
    """Joins the other ranks, and leaves them at the end.

    Args:
        backend: "gloo" or "nccl"; None for NCCL where every process of this machine has a
            graphics processor to itself, and gloo elsewhere.
        timeout_s: After which a rank that waits for another gives up.

    Raises:
        BadInput: torchrun's variables are there in part, or do not fit each other.
        EngineUnavailable: NCCL is asked for and the graphics processors are not there.
        TronieError: another rank did not come, or went away.
    """
    told = ranks_told(os.environ)
    if told is None:
        yield Place(0, 1, _device(Told(0, 1, 0, 1)))
        return
    device = _device(told)
    backend = backend or ("nccl" if device.type == "cuda" else "gloo")
    if backend == "nccl" and device.type != "cuda":
        raise EngineUnavailable(
            f"nccl needs a graphics processor for each of {told.locals} processes on this"
            f" machine; found {torch.cuda.device_count()}. Use gloo, or start fewer"
        )
    if device.type == "cuda":
        torch.cuda.set_device(device)
    wait = datetime.timedelta(seconds=timeout_s)
    try:
        dist.init_process_group(backend, rank=told.rank, world_size=told.ranks, timeout=wait)
        yield Place(told.rank, told.ranks, device)
    except RuntimeError as fault:
        if not _is_about_ranks(fault):
            raise
        raise TronieError(
            f"rank {told.rank} of {told.ranks} lost another: {_first_line(fault)}."
            " See what the rank that ended first has said, then go on with --resume"
        ) from fault
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def ranks_told(environment: Mapping[str, str]) -> Told | None:
    """What torchrun says in the environment; None where it says nothing.

    Raises:
        BadInput: some of its variables are not there, or do not fit each other.

    Example:
        >>> ranks_told({}) is None
        True
    """
    there = [name for name in TORCHRUN if environment.get(name)]
    if "RANK" not in there and "WORLD_SIZE" not in there:
        return None
    missing = [name for name in TORCHRUN if name not in there]
    if missing:
        raise BadInput(
            f"the environment has {', '.join(there)} but not {', '.join(missing)};"
            " start the ranks with torchrun, or unset these for one process"
        )
    words = [environment[name] for name in _NUMBERS]
    if not all(word.isdecimal() for word in words):
        raise BadInput(f"{', '.join(_NUMBERS)} must be whole numbers; got {', '.join(words)}")
    told = Told(*map(int, words))
    if told.rank >= told.ranks or told.local >= told.locals or told.locals > told.ranks:
        raise BadInput(
            f"rank {told.rank} of {told.ranks}, {told.local} of {told.locals} on this machine,"
            " cannot be: ranks count from 0. Start them with torchrun"
        )
    return told


def _device(told: Told) -> torch.device:
    if torch.cuda.is_available() and torch.cuda.device_count() >= told.locals:
        return torch.device("cuda", told.local)
    return torch.device("cpu")


def _is_about_ranks(fault: RuntimeError) -> bool:
    # Gloo says it in a plain RuntimeError that holds the name of its file.
    return isinstance(fault, dist.DistError) or "gloo" in str(fault).lower()


def _first_line(fault: RuntimeError) -> str:
    """Without the place in somebody else's source that gloo puts before it."""
    line = str(fault).strip().splitlines()[0]
    return re.sub(r"^\[[^\]]*\] *", "", line).split(". ")[0].rstrip(".")
