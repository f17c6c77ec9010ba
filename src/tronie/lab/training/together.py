"""What process 0 does alone while the others wait, and how all of them learn that it failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist

from tronie.errors import BadInput, TronieError
from tronie.lab.nn.collectives import rank, world_size


@contextmanager
def first_alone(what: str) -> Iterator[bool]:
    """Around work for process 0; yields whether this is it. All leave together.

        with first_alone("the run cannot begin") as mine:
            if mine:
                folder.mkdir()

    Args:
        what: How the sentence begins if the system refuses something.

    Raises:
        BadInput: in every process, if process 0 met an OSError or a `TronieError`.
    """
    fault: TronieError | None = None
    try:
        yield rank() == 0
    except OSError as error:
        fault = BadInput(f"{what}: {error.strerror or error}")
    except TronieError as error:
        fault = error
    told = ["" if fault is None else str(fault)]
    if world_size() > 1:
        dist.broadcast_object_list(told, src=0)
    if fault is not None:
        raise fault
    if told[0]:
        raise BadInput(told[0])
