r"""Hyperspherical energy of class centers that lie on several ranks.

    E = mean over pairs (i, j) of f(rho_ij)         i  a center of a class of the global batch
                                                    j  a center that the head took, of any rank

Pairs within one class do not count: neither a center and itself, nor the sub-centers of a class.
The centers of the batch's classes are gathered; each rank computes their energy towards the
centers that it took, and the sums are added. So no rank sees all centers, and the value and every
gradient are those of one process. It costs about what the logits of the head cost, once more.

With all classes taken it is the batch form of `tronie.lab.nn.losses.hyperspherical_energy`, whose
source and letters it has; with a sample of them, an estimate of it.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from tronie.lab.nn.class_centers import ClassCenters
from tronie.lab.nn.collectives import all_sum, gather_rows
from tronie.lab.nn.losses.hyperspherical_energy import energy_between


def center_energy(
    centers: ClassCenters,
    labels: Tensor,
    dimension: int,
    *,
    power: Literal[0, 1, 2],
    distance: Literal["euclidean", "angular"],
    space: Literal["full", "half"],
) -> Tensor:
    """The energy, a scalar, the same number on every rank; 0 where there is no pair.

    Args:
        centers: Of this rank, taken for this batch: those of its own classes are among them.
        labels: This rank's global class ids, (b,) int64.
        dimension: D; a class with more numbers has several centers.
        power: Which f.
        distance: Which rho.
        space: Whether opposites repel too.
    """
    rows, matrix = centers.last_taken()
    group, each = centers.group, matrix.shape[1] // dimension
    with torch.autocast(matrix.device.type, enabled=False):
        classes = torch.unique(gather_rows(labels, group=group))  # sorted, as the ranks' slices
        local = centers.local(classes)
        local = local[local >= 0]
        places = local if rows is None else torch.searchsorted(rows, local)
        here = torch.arange(len(matrix), device=matrix.device) if rows is None else rows
        others = normalize(matrix.view(-1, dimension), dim=1)
        mine = others.view(len(matrix), each, dimension)[places].flatten(0, 1)
        some = gather_rows(mine, group=group)
        same = classes.repeat_interleave(each)[:, None] == (here + centers.first).repeat_interleave(
            each
        )
        total, pairs = energy_between(
            some, others, same, power=power, distance=distance, space=space
        )
        own = total / all_sum(pairs, group=group).clamp(min=1)
        return own + (all_sum(own, group=group) - own.detach())
