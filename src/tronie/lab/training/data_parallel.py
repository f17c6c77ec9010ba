"""One network in every process, whose gradients torch averages; and how the processes part.

whole = averaged(network, device)       called in place of the network, in training
...
let_go(whole)                           before the processes part
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def averaged(network: nn.Module, device: torch.device) -> nn.Module:
    """The network whose gradients are averaged over the processes, its buffers left alone."""
    with warnings.catch_warnings():
        # torch renames the argument, and the new name is not in all versions that are supported
        warnings.filterwarnings("ignore", message=".*broadcast_buffers", category=FutureWarning)
        return DistributedDataParallel(
            network,
            device_ids=None if device.type == "cpu" else [device],
            broadcast_buffers=False,
        )


def let_go(whole: nn.Module) -> None:
    """Forget what averages gradients, if anything does.

    Were it the last to hold the group of the processes, torch would end the group's threads while
    it keeps the interpreter to itself, and wait for them for ever (seen with gloo in torch 2.13).
    """
    for name in ("reducer", "logger"):
        vars(whole).pop(name, None)


def unsynchronized(whole: nn.Module) -> AbstractContextManager[object]:
    """Around all parts of a step but the last: gradients are not exchanged yet."""
    return whole.no_sync() if isinstance(whole, DistributedDataParallel) else nullcontext()


def bytes_of(parameters: Iterable[torch.Tensor], *, optimizer: str) -> tuple[int, int, int]:
    """What weights, their gradients and what the optimizer remembers of them take."""
    everything = list(parameters)
    weights = sum(p.numel() * p.element_size() for p in everything)
    trained = sum(p.numel() * p.element_size() for p in everything if p.requires_grad)
    return weights, trained, trained * (2 if optimizer == "adamw" else 1)
