r"""Partial FC: a softmax over the batch's own classes and a sample of the others.

    drawn   each class with probability `rate`, by (seed, step, class id)
    taken   drawn, and the classes of the global batch
    L       = mean over rows of -log softmax(margin(cosines to the centers taken))

A step costs what `rate` C classes cost, in time and in memory, and the field's measurements find
no loss of accuracy down to a tenth. Where two labels are the same person, the pair meets in the
softmax less often. At rate 1 this is the full softmax; at rate 0 only the batch's classes meet.

The loss itself falls by about ln(rate): its sum has fewer terms. All that are taken have the
exact gradient of that loss.

`reweighted` makes up for that: a class that is not the batch's own stands for 1 / rate classes,
so that ln(1 / rate) is added to its logits. The sum of the softmax is then right on average, and
the loss estimates that of all classes. It helps where the batch's own classes are a large part of
what is taken (recipes recognition/lfw_small_resnet_*); with a million classes few notice.

The centers of other classes are not touched, and have no gradient: their decay and momentum are
made up for when they are next taken (unsampled="exact"), or never happen ("frozen").

`filter_above` leaves a class out of a row's softmax where it is not the row's own and its cosine
is larger than this: in noisy data it may be the same person.

Source: An et al., "Partial FC", ICCVW 2021, arXiv:2010.05222, and "Killing two birds with one
stone", CVPR 2022, arXiv:2203.15565. The weights are those of sampled softmax: Jean et al., ACL
2015, arXiv:1412.2007, section 3.
Differs from the released code: the set drawn does not depend on the number of ranks, and varies
in size (`tronie.lab.nn.keyed_draws`); no gradient, momentum or decay of all classes is computed
in each step (`tronie.lab.nn.sparse_sgd`); a filtered class is masked, where there its logit is
multiplied by 0 and stays in the sum as exp(0); ranks may bring different numbers of rows;
`reweighted` is ours.

Letters: C classes, K of them taken here, D numbers in an embedding, B embeddings.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tronie.errors import BadInput
from tronie.lab.nn.class_centers import ClassCenters, Unsampled
from tronie.lab.nn.collectives import Group, world_size
from tronie.lab.nn.cosines import cosines
from tronie.lab.nn.head_memory import memory_plan
from tronie.lab.nn.keyed_draws import drawn_classes
from tronie.lab.nn.margin_rule import MarginRule
from tronie.lab.nn.sharded_head import ShardedHead
from tronie.lab.nn.sharded_softmax import gather_batch, margin_loss


class Head(ShardedHead):
    """Class centers and the loss of embeddings against a sample of them.

    Args:
        classes: C, over all ranks, below 2^31.
        dimension: D, numbers in an embedding.
        margin: Makes logits of cosines.
        seed: Of the centers a run begins with, and of what is drawn.
        group: The ranks that share the classes; None for all that were started.
        rate: Share of the classes drawn in a step, in [0, 1].
        unsampled: What becomes of the others; see the head of this file.
        filter_above: A cosine; None to leave no class out. Published for noisy sets: 0.4.
        reweighted: Count a class that was drawn 1 / rate times; see the head of this file.

    Raises:
        BadInput: one of them is out of its range, or a filter or weights for a margin without
            softmax, or weights where no class is drawn.
    """

    def __init__(
        self,
        *,
        classes: int,
        dimension: int,
        margin: MarginRule,
        seed: int = 0,
        group: Group = None,
        rate: float = 0.1,
        unsampled: Unsampled = "exact",
        filter_above: float | None = None,
        reweighted: bool = False,
    ) -> None:
        if not 0 <= rate <= 1:
            raise BadInput(f"rate is a share of the classes, in [0, 1]; got {rate:g}")
        if filter_above is not None and not (-1 <= filter_above <= 1 and margin.softmax):
            raise BadInput(
                "filter_above is a cosine in [-1, 1], for a margin with a softmax;"
                f" got {filter_above:g} for {type(margin).__module__}"
            )
        if reweighted and not (rate > 0 and margin.softmax):
            raise BadInput(
                "reweighted counts a class that was drawn 1 / rate times, in a softmax; it needs a"
                f" rate above 0 and a margin with a softmax; got {rate:g} and"
                f" {type(margin).__module__}"
            )
        centers = ClassCenters(
            classes=classes, width=dimension, seed=seed, group=group, unsampled=unsampled
        )
        super().__init__(centers, margin, dimension=dimension, group=group)
        self.rate, self.filter_above, self.reweighted = rate, filter_above, reweighted

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
            local = self.centers.local(batch.labels)
            rows = self._taken(local)
            cosine = cosines(batch.unit, self.centers.take(rows))
            columns = local
            if rows is not None:
                columns = torch.searchsorted(rows, local).masked_fill_(local < 0, -1)
            return margin_loss(
                cosine,
                columns,
                batch,
                self.margin,
                filter_above=self.filter_above,
                log_weights=self._log_weights(columns, cosine) if self.reweighted else None,
            )

    def _taken(self, local: Tensor) -> Tensor | None:
        """Rows (K,) of the classes of this rank that take part, sorted; None for all."""
        if self.rate == 1:
            return None
        centers = self.centers
        taken = drawn_classes(
            centers.first,
            centers.count,
            rate=self.rate,
            seed=centers.seed,
            step=centers.steps,
            device=local.device,
        )
        taken[local[local >= 0]] = True
        return taken.nonzero()[:, 0]

    def _log_weights(self, columns: Tensor, cosine: Tensor) -> Tensor:
        """(K,): ln of how many classes each one taken stands for; the batch's own for one."""
        weights = cosine.new_full((cosine.shape[1],), -math.log(self.rate))
        weights[columns[columns >= 0]] = 0
        return weights

    def memory_plan(self, batch: int) -> dict[str, int]:
        """Bytes on this rank where each rank brings `batch` rows (`tronie.lab.nn.head_memory`)."""
        count, rows = self.centers.count, batch * world_size(self.group)
        taken = None if self.rate == 1 else min(count, round(self.rate * count) + min(rows, count))
        return memory_plan(
            classes=count,
            width=self.dimension,
            taken=taken,
            columns=count if taken is None else taken,
            rows=rows,
            dimension=self.dimension,
        )
