"""Class centers to a checkpoint and back, on any number of processes.

    head/values, momenta, touched     rows: the classes
    head/missed/PROCESS               what rows may have to catch up with, a product for each step
    head/missed_from/PROCESS          the step of the first
    margin/NAME                       what the margin keeps

Products of missed steps: see `tronie.lab.nn.sparse_sgd`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tronie.lab.nn.collectives import rank
from tronie.lab.training.checkpoint import StoredState
from tronie.lab.training.checkpoint_parts import Part, Rows

_FROM = "head/missed_from/"


def head_state(head: Any) -> dict[str, Part]:
    """What a checkpoint holds of a head, by name: this process's part."""
    shard = head.shard_state()
    found: dict[str, Part] = {
        f"head/{name}": Rows(tensor, shard["first"], shard["classes"])
        for name, tensor in shard["rows"].items()
    }
    found |= {f"margin/{name}": tensor for name, tensor in shard["margin"].items()}
    # How far back each process remembers is its own affair; all are kept, and the longest read.
    found[f"head/missed/{rank()}"] = shard["missed"]
    found[f"{_FROM}{rank()}"] = torch.tensor(shard["missed_from"])
    return found


def stored_shard(head: Any, stored: StoredState) -> dict[str, Any]:
    """This process's part of the class centers of a checkpoint, as `load_shard_state` takes it.

    Raises:
        BadFile: the checkpoint has none, or others, or is damaged.
    """
    shard = head.shard_state()
    classes, step = stored.count_of("task", "classes"), stored.count_of("task", "head_step")
    rows: dict[str, Tensor] = {}
    for name, own in shard["rows"].items():
        there = max(0, min(len(own), classes - shard["first"]))
        rows[name] = torch.empty((there, *own.shape[1:]), dtype=own.dtype)
        stored.fill({f"head/{name}": Rows(rows[name], shard["first"], classes)})
    margin = {name: tensor.detach().clone() for name, tensor in shard["margin"].items()}
    stored.fill({f"margin/{name}": tensor for name, tensor in margin.items()})
    missed_from, missed = _missed(stored, step)
    touched = rows["touched"]
    if len(touched) and not missed_from <= int(touched.min()) <= int(touched.max()) <= step:
        raise stored.damaged(
            f"head/touched has steps {int(touched.min())} to {int(touched.max())}, and those that "
            f"it can tell of are {missed_from} to {step}"
        )
    return {
        "classes": classes,
        "first": shard["first"],
        "rows": rows,
        "margin": margin,
        "step": step,
        "missed_from": missed_from,
        "missed": missed,
    }


def load_head(head: Any, stored: StoredState) -> None:
    """Fill this process's class centers and the margin from a checkpoint of any processes.

    Raises:
        BadFile: it has none, or others, or is damaged.
        BadInput: it has more classes.
    """
    head.load_shard_state([stored_shard(head, stored)])


def _missed(stored: StoredState, step: int) -> tuple[int, Tensor]:
    """The longest history that a process has written: its first step, and its products (H, 4)."""
    starts: dict[str, int] = {}
    for name in stored.names():
        if name.startswith(_FROM):
            stored.expect_shape(name, torch.Size())
            starts[name.removeprefix(_FROM)] = int(stored.tensor(name))
    if not starts:
        raise stored.damaged(f"it holds no {_FROM}0")
    longest = min(starts, key=lambda process: (starts[process], process))
    first = starts[longest]
    if not 0 <= first <= step:
        raise stored.damaged(f"{_FROM}{longest} is {first}, and its steps are 0 to {step}")
    stored.expect_shape(f"head/missed/{longest}", torch.Size((step - first + 1, 4)))
    return first, stored.tensor(f"head/missed/{longest}")
