r"""Sub-center softmax: K centers for each class, of which the nearest one counts.

    cos(theta_j) = max over k of cos(theta_jk)              k = 1 ... K
    L = mean over rows of -log softmax(margin(cos(theta)))

A class whose pictures are partly of somebody else, or of very different looks, gathers the clean
majority at one center and leaves the others to the rest; after training the centers that few
pictures are nearest to can be dropped, and those pictures with them. Only the nearest center of
a class gets the gradient. With K = 1 this is the full softmax.

Source: Deng et al., "Sub-center ArcFace", ECCV 2020; K = 3.
Differs from the paper: any margin may follow, and the classes are spread over the ranks.

Letters: C classes, n of them here, K centers each, D numbers in each, B embeddings.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tronie.errors import BadInput
from tronie.lab.nn.class_centers import ClassCenters
from tronie.lab.nn.collectives import Group, world_size
from tronie.lab.nn.cosines import cosines
from tronie.lab.nn.head_memory import memory_plan
from tronie.lab.nn.margin_rule import MarginRule
from tronie.lab.nn.sharded_head import ShardedHead
from tronie.lab.nn.sharded_softmax import gather_batch, margin_loss


class Head(ShardedHead):
    """K centers a class and the loss of embeddings against all of them.

    Args:
        classes: C, over all ranks.
        dimension: D, numbers in an embedding.
        margin: Makes logits of cosines.
        seed: Of the centers a run begins with.
        group: The ranks that share the classes; None for all that were started.
        subcenters: K, 1 or more.

    Raises:
        BadInput: no classes, no dimensions or no sub-centers.
    """

    def __init__(
        self,
        *,
        classes: int,
        dimension: int,
        margin: MarginRule,
        seed: int = 0,
        group: Group = None,
        subcenters: int = 3,
    ) -> None:
        if subcenters < 1:
            raise BadInput(f"subcenters must be 1 or more; got {subcenters}")
        width = subcenters * dimension
        centers = ClassCenters(classes=classes, width=width, seed=seed, group=group)
        super().__init__(centers, margin, dimension=dimension, group=group)
        self.subcenters = subcenters

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of the global batch, the same number on every rank.

        Args:
            embeddings: This rank's, raw, (b, D).
            labels: Their global class ids, (b,) int64.

        Raises:
            BadArray: shapes, types or labels that do not fit.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            batch = gather_batch(self.centers, embeddings, labels, dimension=self.dimension)
            matrix = self.centers.take().view(-1, self.dimension)  # (n K, D)
            cosine = cosines(batch.unit, matrix).unflatten(1, (-1, self.subcenters))
            nearest = cosine.max(dim=2).values
            return margin_loss(nearest, self.centers.local(batch.labels), batch, self.margin)

    def memory_plan(self, batch: int) -> dict[str, int]:
        """Bytes on this rank where each rank brings `batch` rows (`tronie.lab.nn.head_memory`)."""
        return memory_plan(
            classes=self.centers.count,
            width=self.subcenters * self.dimension,
            taken=None,
            columns=self.subcenters * self.centers.count,
            rows=batch * world_size(self.group),
            dimension=self.dimension,
        )
