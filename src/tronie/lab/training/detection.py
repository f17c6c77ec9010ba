"""A detector in training: the network that answers at every anchor, and the loss it comes with.

    images  (b, S, S, 3) uint8 RGB  ->  (b, 3, S, S) float32, (pixel - 127.5) / 128
    loss    of the network's own file, over the crops of one process; the mean over the processes

The network is copied to every process and gradients are averaged (DDP). What a loss is divided by
- the anchors that answer for a face, the sum of their scores - is counted in each process, so a
run on two processes is not that on one: it is where each of them sees the same crops.

A moving average of weights and statistics, where the recipe asks for one, is what is judged and
exported. A checkpoint holds network/NAME and average/NAME.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from tronie.lab.nn.collectives import all_sum, world_size
from tronie.lab.nn.detector import Detector, build_detector
from tronie.lab.training.checkpoint import StoredState
from tronie.lab.training.checkpoint_parts import Part
from tronie.lab.training.data_parallel import averaged, bytes_of, let_go, unsynchronized
from tronie.lab.training.detection_loader import FaceBatch, FaceLoader
from tronie.lab.training.detection_recipe import DetectionRecipe
from tronie.lab.training.moving_average import MovingAverage
from tronie.lab.training.network_input import to_input
from tronie.lab.training.norm_statistics import average_statistics, with_global_statistics
from tronie.lab.training.unreadable import Unreadable

SCALE = 128.0
"""What pixels are divided by, around 127.5; exported files and their contracts say the same."""
NETWORK, AVERAGE = "network/", "average/"

Validate = Callable[[int, Detector], Mapping[str, float]]
"""From the step and the network that is judged to numbers by name."""


class Detection:
    """One run's task in one process; see `tronie.lab.training.loop.Task`.

    Args:
        recipe: What it is made of.
        loader: The batches of this process.
        device: Where it computes.
        validate: What it is judged by.
    """

    def __init__(
        self,
        recipe: DetectionRecipe,
        loader: FaceLoader,
        *,
        device: torch.device,
        validate: Validate | None = None,
    ) -> None:
        self._recipe, self._loader, self._device = recipe, loader, device
        self._validate = validate
        self._unreadable = Unreadable()
        self._parts: dict[str, list[Tensor]] = {}
        self._is_step_done = False
        self.network = open_detector(recipe).to(device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if recipe.norm_statistics == "global":
            with_global_statistics(self.network)
        self.average = MovingAverage(self.network, recipe.ema) if recipe.ema else None
        self._whole: nn.Module = self.network
        if world_size() > 1:
            self._whole = averaged(self.network, device)

    @property
    def judged(self) -> Detector:
        """The network that is judged: the average, or where there is none, the one that learns."""
        return self.network if self.average is None else self.average.network

    def start_from(self, stored: StoredState) -> None:
        """Begin with what another run was judged by.

        Raises:
            BadFile: it is of another detector, or damaged.
        """
        load_detector(self.network, stored)
        if self.average is not None:
            self.average = MovingAverage(self.network, self._recipe.ema)

    def close(self) -> None:
        """Let go of what averages gradients, before the processes part."""
        let_go(self._whole)
        self._whole = self.network

    def modules(self) -> Sequence[nn.Module]:
        return (self.network,)

    def steps(self, first: int, end: int) -> Iterator[Sequence[FaceBatch]]:
        self._whole.train()
        return self._loader.steps(first, end)

    def loss(self, part: FaceBatch) -> Tensor:
        images = to_input(part.images, self._device, scale=SCALE)
        own, parts = self.network.loss(self._whole(images), part.targets.to(self._device))
        everywhere = torch.stack([own.detach(), *(one.detach() for one in parts.values())])
        if world_size() > 1:
            everywhere = all_sum(everywhere) / world_size()
        if self._is_step_done:
            self._parts, self._is_step_done = {}, False
        for name, one in zip(parts, everywhere[1:], strict=True):
            self._parts.setdefault(name, []).append(one)
        # Its value is that of all processes, so that all of them undo a step or none does; its
        # gradient is this one's, which is averaged with the others.
        return own + (everywhere[0] - own.detach()) if world_size() > 1 else own

    def unsynchronized(self) -> AbstractContextManager[object]:
        return unsynchronized(self._whole)

    def own_gradients(self) -> Sequence[Tensor]:
        return ()

    def update(self, *, lr: float) -> None:
        self._is_step_done = True
        if self.average is not None:
            self.average.update(self.network)

    def discard(self) -> None:
        self._is_step_done = True

    def state(self) -> Mapping[str, Part]:
        average_statistics(self.network)
        found: dict[str, Part] = {NETWORK + n: t for n, t in self.network.state_dict().items()}
        if self.average is not None:
            average_statistics(self.average.network)
            held = self.average.network.state_dict()
            found |= {AVERAGE + name: tensor for name, tensor in held.items()}
        return found

    def note(self) -> Mapping[str, Any]:
        if self._recipe.data.unreadable == "skip":
            self._unreadable.gather(self._loader.unreadable)
        return {
            "averaged": 0 if self.average is None else self.average.steps,
            "unreadable": self._unreadable.note(),
        }

    def load(self, stored: StoredState) -> None:
        fill(self.network, stored, NETWORK)
        if self.average is not None:
            fill(self.average.network, stored, AVERAGE)
            self.average.steps = stored.count_of("task", "averaged")
        self._unreadable.load(stored)

    def told(self) -> Mapping[str, Any]:
        """The parts of the loss of this step, and what was left out."""
        line: dict[str, Any] = {
            name: float(torch.stack(values).mean()) for name, values in self._parts.items()
        }
        if self._recipe.data.unreadable == "refuse":
            return line
        self._unreadable.gather(self._loader.unreadable)
        return {**line, **self._unreadable.told()}

    def validate(self, step: int) -> Mapping[str, float]:
        if self._validate is None:
            return {}
        average_statistics(self.judged)
        try:
            return self._validate(step, self.judged.eval())
        finally:
            self._whole.train()


def open_detector(recipe: DetectionRecipe) -> Detector:
    """The network with the weights that a run begins with, the same in every process.

    Raises:
        NotFound: there is no such detector.
        BadInput: it is spelled out and cannot be built.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return build_detector(recipe.detector)


def load_detector(network: Detector, stored: StoredState) -> None:
    """Fill a network from a checkpoint, with the average where it holds one.

    Raises:
        BadFile: a tensor is missing, has another shape, or is damaged.
    """
    has_average = any(name.startswith(AVERAGE) for name in stored.names())
    fill(network, stored, AVERAGE if has_average else NETWORK)


def fill(network: nn.Module, stored: StoredState, prefix: str) -> None:
    """Fill a network from the tensors of a checkpoint whose names begin so.

    Raises:
        BadFile: a tensor is missing, has another shape, or is damaged.
    """
    stored.fill({prefix + name: one for name, one in network.state_dict().items()})


def memory_plan(recipe: DetectionRecipe, network: Detector) -> dict[str, int]:
    """Bytes in each process, by what they are for, before anything is computed.

    What the network keeps of its activations is not in it: that depends on the device.
    """
    weights, gradients, remembered = bytes_of(network.parameters(), optimizer=recipe.optimizer.name)
    plan = {
        "network weights": weights,
        "network gradients": gradients,
        "optimizer state": remembered,
    }
    return {**plan, "moving average": weights} if recipe.ema else plan
