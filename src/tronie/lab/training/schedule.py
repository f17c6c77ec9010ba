"""Learning rates over a run, the optimizer that takes them, and what weight decay reaches.

With s the step from 0, S all steps of the run, W those of the warm-up, p the peak:

    warm-up      p * (s + 1) / W                                while s < W
    polynomial   p * (1 - (s - W) / (S - W)) ** power           falls to 0 one step after the last
    cosine       p * (1 + cos(pi * (s - W) / (S - W))) / 2
    drops        p * drop_factor ** (drops that have passed)    at epochs that are stated
    constant     p

Source: polynomial and warm-up as the authors' training code of ArcFace and Partial FC has them
(power 1 since its second version, 2 before); drops as ArcFace's paper, section 3.1.
Differs from that code: its first step is taken at the full rate and only then warms up from 0;
here the warm-up begins at p / W.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from tronie.errors import BadInput

MOST_EPOCHS = 1e6
MOST_RATE, MOST_FACTOR = 1e30, 1e6
"""Products of both stay within float32."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the learning rate goes over a run."""

    peak_lr: float
    """The highest learning rate, for the whole global batch."""
    shape: Literal["polynomial", "cosine", "drops", "constant"] = "polynomial"
    """What follows the warm-up."""
    power: float = 1.0
    """Of the polynomial: 1 falls along a straight line."""
    warmup_epochs: float = 0.0
    """Epochs over which the rate rises to its peak."""
    drops: tuple[float, ...] = ()
    """Epochs at which the rate is multiplied by `drop_factor`."""
    drop_factor: float = 0.1
    """What a drop multiplies the rate by."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.peak_lr) and 0 <= self.peak_lr <= MOST_RATE):
            raise BadInput(
                f"schedule.peak_lr must be 0 or more and finite, at most {MOST_RATE:g}; got "
                f"{self.peak_lr}"
            )
        if self.warmup_epochs < 0 or self.power <= 0 or not 0 < self.drop_factor <= 1:
            raise BadInput(
                "schedule needs warmup_epochs >= 0, power > 0 and drop_factor in (0, 1]; got "
                f"{self.warmup_epochs}, {self.power} and {self.drop_factor}"
            )
        if self.warmup_epochs > MOST_EPOCHS:
            raise BadInput(
                f"schedule.warmup_epochs must be at most {MOST_EPOCHS:g}; got {self.warmup_epochs}"
            )
        if any(not 0 < epoch <= MOST_EPOCHS for epoch in self.drops):
            raise BadInput(
                f"schedule.drops must be epochs above 0 and at most {MOST_EPOCHS:g}; got "
                f"{', '.join(f'{epoch:g}' for epoch in self.drops)}"
            )
        if self.shape == "drops" and not self.drops:
            raise BadInput("schedule.shape=drops needs the epochs of the drops in schedule.drops")


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """What turns gradients of the backbone into steps. Class centers have an SGD of their own."""

    name: Literal["sgd", "adamw"] = "sgd"
    """SGD with momentum, or AdamW with betas 0.9 and 0.999."""
    momentum: float = 0.9
    """Of SGD, and of the class centers whatever the backbone has."""
    weight_decay: float = 5e-4
    """Of the backbone's weights; AdamW's is decoupled from the gradient."""
    head_weight_decay: float = 5e-4
    """Of the class centers."""
    head_lr_ratio: float = 1.0
    """Learning rate of the class centers, as a multiple of the backbone's."""
    decay_only_matrices: bool = False
    """Leave biases, normalization and activation slopes without weight decay."""
    clip_norm: float = 5.0
    """The backbone's gradient is scaled down to this length; 0 leaves it as it is."""

    def __post_init__(self) -> None:
        numbers = (self.weight_decay, self.head_weight_decay, self.head_lr_ratio, self.clip_norm)
        if min(numbers) < 0 or not 0 <= self.momentum < 1:
            raise BadInput(
                "optimizer needs a momentum in [0, 1) and nothing below 0; got momentum "
                f"{self.momentum} and {numbers}"
            )
        if self.clip_norm > MOST_RATE or max(numbers[:3]) > MOST_FACTOR:
            raise BadInput(
                f"optimizer needs weight decays and a head_lr_ratio of at most {MOST_FACTOR:g}, "
                f"and a clip_norm of at most {MOST_RATE:g}; got {numbers}"
            )


def learning_rate(schedule: Schedule, step: int, *, steps: int, steps_per_epoch: float) -> float:
    """The rate of one step, from 0, in a run of `steps`.

    Beyond the end a polynomial and a cosine stay at 0.

    Example:
        >>> learning_rate(Schedule(peak_lr=0.1), 5, steps=10, steps_per_epoch=5)
        0.05
    """
    warm = round(schedule.warmup_epochs * steps_per_epoch)
    if step < warm:
        return schedule.peak_lr * (step + 1) / warm
    if schedule.shape == "constant":
        return schedule.peak_lr
    if schedule.shape == "drops":
        passed = sum(step >= round(epoch * steps_per_epoch) for epoch in schedule.drops)
        return schedule.peak_lr * math.pow(schedule.drop_factor, passed)
    gone = min(1.0, (step - warm) / max(1, steps - warm))
    if schedule.shape == "cosine":
        return schedule.peak_lr * (1 + math.cos(math.pi * gone)) / 2
    return schedule.peak_lr * math.pow(1 - gone, schedule.power)


def make_optimizer(optimizer: Optimizer, modules: Iterable[nn.Module]) -> torch.optim.Optimizer:
    """The torch optimizer of all parameters that take a gradient; its rate is set at each step.

    Raises:
        BadInput: there is no such parameter.
    """
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    if not parameters:
        raise BadInput("there is nothing to train: no parameter takes a gradient")
    groups = weight_decay_groups(
        parameters,
        weight_decay=optimizer.weight_decay,
        only_matrices=optimizer.decay_only_matrices,
    )
    if optimizer.name == "adamw":
        return torch.optim.AdamW(groups, lr=0.0)
    return torch.optim.SGD(groups, lr=0.0, momentum=optimizer.momentum)


def weight_decay_groups(
    parameters: Iterable[nn.Parameter], *, weight_decay: float, only_matrices: bool
) -> list[dict[str, Any]]:
    """Parameters as an optimizer takes them: with weight decay, and without it.

    With `only_matrices`, what has fewer than two dimensions is not decayed.
    """
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for parameter in parameters:
        (kept if only_matrices and parameter.ndim < 2 else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
