"""What an optimizer remembers of each parameter, to a checkpoint and back.

    optimizer/PARAMETER/KEY     momentum_buffer of SGD; step, exp_avg and exp_avg_sq of AdamW

A parameter that had no gradient yet has none of them. One that has some must have what its
optimizer takes, in its own shape: memories of SGD mean nothing to AdamW.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from tronie.errors import BadFile
from tronie.lab.training.checkpoint import StoredState
from tronie.lab.training.checkpoint_parts import Part
from tronie.lab.training.schedule import Optimizer
from tronie.lab.training.sharded_backbone import stored_for

KEYS: Mapping[str, frozenset[str]] = {
    "sgd": frozenset({"momentum_buffer"}),
    "adamw": frozenset({"step", "exp_avg", "exp_avg_sq"}),
}
"""What each optimizer remembers, by its name in a recipe."""

_PREFIX = "optimizer/"


def optimizer_parts(
    optimizer: torch.optim.Optimizer, names: Mapping[Tensor, str]
) -> dict[str, Part]:
    """What a checkpoint holds of it; `names` are those of the parameters."""
    return {
        f"{_PREFIX}{names[parameter]}/{key}": value
        for parameter, kept in optimizer.state.items()
        for key, value in kept.items()
        if value is not None
    }


def load_optimizer(
    optimizer: torch.optim.Optimizer,
    settings: Optimizer,
    names: Mapping[Tensor, str],
    stored: StoredState,
) -> None:
    """Take over what a checkpoint holds.

    Args:
        optimizer: Made by `settings`, without memories.
        settings: Its own.
        names: Of its parameters.
        stored: The checkpoint.

    Raises:
        BadFile: a memory is of no parameter here, of another optimizer, of another shape, or
            damaged.
    """
    parameters = {name: parameter for parameter, name in names.items()}
    for whose, keys in _remembered(stored).items():
        parameter = parameters.get(whose)
        if parameter is None:
            raise BadFile(
                f"{stored.path} holds {_PREFIX}{whose}, and this network has no such parameter; it "
                "was written by another recipe, or another version of tronie"
            )
        if keys != KEYS[settings.name]:
            raise BadFile(
                f"{stored.path} remembers {', '.join(sorted(keys))} of {whose}; {settings.name} "
                f"takes {', '.join(sorted(KEYS[settings.name]))}. Go on with the optimizer that "
                "the run was begun with"
            )
        for key in sorted(keys):
            name = f"{_PREFIX}{whose}/{key}"
            stored.expect_shape(name, torch.Size() if key == "step" else parameter.shape)
            optimizer.state[parameter][key] = stored_for(parameter, stored, name)


def _remembered(stored: StoredState) -> dict[str, set[str]]:
    """Names of parameters, and of what the checkpoint holds of each."""
    found: dict[str, set[str]] = {}
    for name in stored.names():
        if name.startswith(_PREFIX):
            whose, _, key = name.removeprefix(_PREFIX).rpartition("/")
            found.setdefault(whose, set()).add(key)
    return found
