"""A recognizer in training: a backbone that embeds, a head that holds the class centers.

    images  (b, 112, 112, 3) uint8 RGB  ->  (b, 3, 112, 112) float32, (pixel - 127.5) / 127.5
    loss    of the head over the batch of all processes; what a teacher, triplets and the energy
            of the class centers add

The backbone is copied to every process and its gradients are averaged (DDP), or its weights lie
over the processes (`tronie.lab.training.sharded_backbone`); class centers lie over the processes
always, and are moved by the head's own SGD. Embeddings are float32 from the head on, whatever the
backbone computes in.

A checkpoint holds backbone/NAME, and of head and margin what `head_state` tells.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tronie import catalog
from tronie.data.augment.crops import flip, move
from tronie.data.augment.degrade import degrade
from tronie.data.augment.masks import sometimes_masked
from tronie.data.augment.photometric import jitter
from tronie.images.pixels import Pixels
from tronie.lab.nn.backbone import build_backbone
from tronie.lab.nn.center_energy import center_energy
from tronie.lab.nn.collectives import gather_rows, rank, world_size
from tronie.lab.training.batch_triplets import batch_triplet_loss
from tronie.lab.training.checkpoint import StoredState
from tronie.lab.training.checkpoint_parts import Part
from tronie.lab.training.data_parallel import averaged, bytes_of, let_go, unsynchronized
from tronie.lab.training.distillation import Teaching
from tronie.lab.training.head_state import head_state, load_head
from tronie.lab.training.loaders import Augment, Batch, Loader
from tronie.lab.training.network_input import to_input
from tronie.lab.training.norm_statistics import (
    average_statistics,
    fix_last_scale,
    with_global_statistics,
)
from tronie.lab.training.order import share
from tronie.lab.training.recipe import HEADS, MARGINS, Data, RecognitionRecipe
from tronie.lab.training.sharded_backbone import gathered_plan, own_part, shard_backbone
from tronie.lab.training.unreadable import Unreadable

EmbedCrops = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
Validate = Callable[[int, EmbedCrops], Mapping[str, float]]
"""From the step and what embeds crops to numbers by name."""


class Recognition:
    """One run's task in one process; see `tronie.lab.training.loop.Task`.

    Args:
        recipe: What it is made of.
        loader: The batches of this process.
        device: Where it computes.
        teaching: What a teacher adds to the loss.
        validate: What it is judged by.
    """

    def __init__(
        self,
        recipe: RecognitionRecipe,
        loader: Loader,
        *,
        device: torch.device,
        teaching: Teaching | None = None,
        validate: Validate | None = None,
    ) -> None:
        self._recipe, self._loader, self._device = recipe, loader, device
        self._teaching, self._validate = teaching, validate
        self._unreadable = Unreadable()
        self.backbone = open_backbone(recipe).to(device)
        sharded = recipe.sharded_backbone and world_size() > 1
        if not sharded:  # which torch does for plain layouts alone
            # Pixels lie side by side with their channels, as they come: twice as fast on a CPU.
            self.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if recipe.norm_statistics == "global":
            with_global_statistics(self.backbone)
        self.head = open_head(recipe, classes=len(loader.source.classes)).to(device)
        if teaching is not None and teaching.centers is not None:
            self.head.load_shard_state([teaching.centers])
        self._whole: nn.Module = self.backbone
        if sharded:
            shard_backbone(self.backbone, device)
        elif world_size() > 1:
            self._whole = averaged(self.backbone, device)

    def close(self) -> None:
        """Let go of what averages gradients, before the processes part."""
        let_go(self._whole)
        self._whole = self.backbone

    def modules(self) -> Sequence[nn.Module]:
        return self.backbone, self.head.margin

    def steps(self, first: int, end: int) -> Iterator[Sequence[Batch]]:
        self._whole.train()
        return self._loader.steps(first, end)

    def loss(self, part: Batch) -> Tensor:
        images = to_input(part.images, self._device)
        labels = torch.from_numpy(part.labels).to(self._device)
        embeddings = self._whole(images).float()
        recipe, terms = self._recipe, list[Tensor]()
        if self._teaching is not None:
            terms.append(self._teaching.loss(images, embeddings))
        if recipe.triplets.weight:
            step = self.head.centers.steps
            mined = batch_triplet_loss(
                embeddings, labels, recipe.triplets, seed=recipe.seed, step=step
            )
            terms.append(recipe.triplets.weight * mined)
        if recipe.margin_weight:
            terms.append(recipe.margin_weight * self.head(embeddings, labels))
        if (spread := recipe.energy).weight:
            centers, size = self.head.centers, recipe.embedding_size
            energy = center_energy(
                centers, labels, size, power=spread.power, distance=spread.distance,
                space=spread.space,
            )  # fmt: skip
            terms.append(spread.weight * energy)
        return cast(Tensor, sum(terms))

    def unsynchronized(self) -> AbstractContextManager[object]:
        return unsynchronized(self._whole)

    def own_gradients(self) -> Sequence[Tensor]:
        return cast("list[Tensor]", self.head.gradients())

    def update(self, *, lr: float) -> None:
        optimizer = self._recipe.optimizer
        if self._recipe.are_centers_still:
            self.head.stand_still()
            return
        self.head.step(
            lr=lr * optimizer.head_lr_ratio,
            momentum=optimizer.momentum,
            weight_decay=optimizer.head_weight_decay,
        )

    def discard(self) -> None:
        self.head.discard()

    def state(self) -> Mapping[str, Part]:
        average_statistics(self.backbone)
        found: dict[str, Part] = {
            f"backbone/{name}": tensor for name, tensor in self.backbone.state_dict().items()
        }
        return found | head_state(self.head)

    def note(self) -> Mapping[str, Any]:
        shard = self.head.shard_state()
        if self._recipe.data.unreadable == "skip":
            self._unreadable.gather(self._loader.unreadable)
        return {
            "classes": shard["classes"],
            "head_step": shard["step"],
            "unreadable": self._unreadable.note(),
        }

    def load(self, stored: StoredState) -> None:
        load_backbone(self.backbone, stored)
        load_head(self.head, stored)
        self._unreadable.load(stored)

    def told(self) -> Mapping[str, Any]:
        if self._recipe.data.unreadable == "refuse":
            return {}
        self._unreadable.gather(self._loader.unreadable)
        return self._unreadable.told()

    def validate(self, step: int) -> Mapping[str, float]:
        if self._validate is None:
            return {}
        average_statistics(self.backbone)
        try:
            return self._validate(step, embed_crops(self.backbone, self._device))
        finally:
            self._whole.train()


def open_backbone(recipe: RecognitionRecipe) -> nn.Module:
    """The network with the weights that a run begins with, the same in every process.

    Raises:
        NotFound: there is no such backbone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        backbone = build_backbone(recipe.backbone, embedding_size=recipe.embedding_size)
    if recipe.fixed_last_scale:
        fix_last_scale(backbone)
    return backbone


def open_head(recipe: RecognitionRecipe, *, classes: int) -> Any:
    """The head with its margin; the class centers of this process.

    Raises:
        NotFound: there is no such head or margin.
        BadInput: an option is out of its range.
    """
    rule = catalog.load(MARGINS, recipe.margin.name, "Margin")
    asks = "classes" in inspect.signature(rule).parameters  # few margins depend on their number
    margin = rule(**({"classes": classes} if asks else {}), **recipe.margin.options)
    return catalog.load(HEADS, recipe.head.name, "Head")(
        classes=classes,
        dimension=recipe.embedding_size,
        margin=margin,
        seed=recipe.seed,
        **recipe.head.options,
    )


def load_backbone(backbone: nn.Module, stored: StoredState) -> None:
    """Fill a network from a checkpoint.

    Raises:
        BadFile: a tensor is missing, has another shape, or is damaged.
    """
    stored.fill({f"backbone/{name}": one for name, one in backbone.state_dict().items()})


def embed_crops(backbone: nn.Module, device: torch.device) -> EmbedCrops:
    """What embeds crops by a network in evaluation; each process takes its share of them.

    Every process must call it with the same crops. The network is left in evaluation.
    """
    backbone.eval()

    def embed(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        first, end = share(len(crops), rank=rank(), ranks=world_size())
        counts = [
            last - begin
            for begin, last in (
                share(len(crops), rank=r, ranks=world_size()) for r in range(world_size())
            )
        ]
        with torch.no_grad():
            own = backbone(to_input(np.ascontiguousarray(crops[first:end]), device)).float()
            rows = gather_rows(own, counts=counts)
        return cast("NDArray[np.float32]", rows.cpu().numpy())

    return embed


def augmentation(data: Data, *, seed: int) -> Augment | None:
    """What a recipe has done to each image; None for nothing."""
    if not (data.flip or data.move or data.degrade or data.mask or data.photometric):
        return None

    def augment(image: Pixels, sample: int, drawn: np.random.Generator) -> Pixels:
        image = move(flip(image, drawn, p=data.flip), drawn, p=data.move)
        image = sometimes_masked(image, drawn, key=sample, seed=seed, p=data.mask)
        image = jitter(image, drawn, p=data.photometric)
        return degrade(image, drawn, p=data.degrade) if data.degrade else image

    return augment


def memory_plan(recipe: RecognitionRecipe, backbone: nn.Module, head: Any) -> dict[str, int]:
    """Bytes in each process, by what they are for, before anything is computed.

    What the backbone keeps of its activations is not in it: that depends on the device.
    """
    everything = (own_part(p) for p in backbone.parameters())
    weights, gradients, remembered = bytes_of(everything, optimizer=recipe.optimizer.name)
    rows = -(-recipe.batch_size // recipe.accumulate // world_size())
    of_head = head.memory_plan(rows)
    if recipe.energy.weight:  # five numbers a pair of centers where logits have four
        of_head["energy"] = 5 * of_head["logits"] // 4
    return {
        "backbone weights": weights,
        **gathered_plan(backbone),
        "backbone gradients": gradients,
        "optimizer state": remembered,
        **{f"head: {name}": size for name, size in of_head.items()},
    }
