"""Full softmax: every class takes part in every step.

    L = mean over rows of -log softmax(margin(cosines to all C class centers))

The classes are spread over the ranks, so that with R of them each holds and multiplies C / R;
no rank forms a whole row of logits. The centers are updated by SGD as every other weight is.

Source: Deng et al., "ArcFace", CVPR 2019, arXiv:1801.07698: the parallel form of its softmax.
Differs from the paper: nothing. Its gradient is exact and does not depend on the ranks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tronie.lab.nn.class_centers import ClassCenters
from tronie.lab.nn.collectives import Group, world_size
from tronie.lab.nn.cosines import cosines
from tronie.lab.nn.head_memory import memory_plan
from tronie.lab.nn.margin_rule import MarginRule
from tronie.lab.nn.sharded_head import ShardedHead
from tronie.lab.nn.sharded_softmax import gather_batch, margin_loss


class Head(ShardedHead):
    """Class centers and the loss of embeddings against all of them.

    Args:
        classes: C, over all ranks.
        dimension: D, numbers in an embedding.
        margin: Makes logits of cosines.
        seed: Of the centers a run begins with.
        group: The ranks that share the classes; None for all that were started.

    Raises:
        BadInput: no classes, or no dimensions.
    """

    def __init__(
        self,
        *,
        classes: int,
        dimension: int,
        margin: MarginRule,
        seed: int = 0,
        group: Group = None,
    ) -> None:
        centers = ClassCenters(classes=classes, width=dimension, seed=seed, group=group)
        super().__init__(centers, margin, dimension=dimension, group=group)

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
            cosine = cosines(batch.unit, self.centers.take())
            return margin_loss(cosine, self.centers.local(batch.labels), batch, self.margin)

    def memory_plan(self, batch: int) -> dict[str, int]:
        """Bytes on this rank where each rank brings `batch` rows (`tronie.lab.nn.head_memory`)."""
        return memory_plan(
            classes=self.centers.count,
            width=self.dimension,
            taken=None,
            columns=self.centers.count,
            rows=batch * world_size(self.group),
            dimension=self.dimension,
        )
