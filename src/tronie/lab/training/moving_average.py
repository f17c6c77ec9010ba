r"""A moving average of a network: its weights and its statistics, step after step.

    a <- d a + (1 - d) w        d = min(decay, (1 + n) / (10 + n)) after n steps

so that the first steps, which lead away from fresh weights, are soon forgotten. The average is
steadier than any one step: it is what is judged and exported. Numbers that are counted, and not
measured, are taken over as they are.

Source: Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; the
warm-up as TensorFlow's ExponentialMovingAverage has it.
"""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

NetworkT = TypeVar("NetworkT", bound=nn.Module)


class MovingAverage(Generic[NetworkT]):
    """The average of one network, as a network.

    Args:
        network: What it begins as; copied.
        decay: Part of the average that a step leaves as it is, in (0, 1).
    """

    def __init__(self, network: NetworkT, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        """The average, in evaluation."""
        self.steps = 0
        """Steps that are in it."""
        self._decay = decay

    @torch.no_grad()
    def update(self, network: NetworkT) -> None:
        """Take in one step."""
        decay = min(self._decay, (1 + self.steps) / (10 + self.steps))
        own, new = _tensors(self.network), _tensors(network)
        measured = [n for n, one in enumerate(own) if one.is_floating_point()]
        torch._foreach_lerp_([own[n] for n in measured], [new[n] for n in measured], 1 - decay)
        for one, other in zip(own, new, strict=True):
            if not one.is_floating_point():
                one.copy_(other)
        self.steps += 1


def _tensors(network: nn.Module) -> list[Tensor]:
    return list(network.state_dict().values())
