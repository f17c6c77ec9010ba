"""Triplets of a batch: those of all processes, mined where they are and trained on at once.

    embeddings of all processes -> semi-hard triplets, drawn by (seed, step) -> their mean loss

Every process mines the same triplets of the same embeddings, and computes the whole loss: the
average of gradients over the processes then makes the gradient of that loss, once.

Differs from `tronie.lab.nn.losses.triplet`'s sources, which mine in a bag that is embedded
without gradient before: here the batch is the bag, as in the online form of FaceNet's.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tronie.errors import NotEnoughData
from tronie.lab.nn.collectives import gather_rows
from tronie.lab.nn.losses.triplet import semi_hard_triplets, triplet_loss
from tronie.lab.training.recipe import Triplets


def batch_triplet_loss(
    embeddings: Tensor, labels: Tensor, asked: Triplets, *, seed: int, step: int
) -> Tensor:
    """A scalar, the same number in every process; 0 where no two images are of one person.

    Args:
        embeddings: This process's, (b, D), float32.
        labels: Whose they are, (b,).
        asked: Margin and what is left out; its weight is not applied.
        seed: Of the run.
        step: Of the run: each draws other negatives.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        rows, identities = gather_rows(embeddings), gather_rows(labels)
        drawn = int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)
        generator = torch.Generator(rows.device).manual_seed(drawn)
        try:
            triplets = semi_hard_triplets(
                rows, identities, generator=generator, margin=asked.margin, farthest=asked.farthest
            )
        except NotEnoughData:  # which such a batch may be
            return rows.sum() * 0
        return triplet_loss(rows, triplets, margin=asked.margin)
