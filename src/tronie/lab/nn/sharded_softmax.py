r"""Softmax over classes that lie on several ranks: the loss of the whole, from slices of it.

Every rank has the embeddings of the global batch and some of the classes; z_ij is its slice of
the logits. No rank ever sees a whole row of them. Two exchanges of B numbers suffice:

    M_i = max over ranks of max_j z_ij
    S_i = sum over ranks of sum_j exp(z_ij - M_i)        t_i = sum over ranks of z_iy, where y is
    L   = mean_i (M_i + log S_i - t_i)                                     here, and 0 elsewhere

    dL/dz_ij = (exp(z_ij - M_i) / S_i - [j = y_i]) / B      on the rank that has class j

That gradient is exact on every rank for its own classes: it needs no average over the ranks. The
gradient of an embedding is the sum of what each rank's classes give, which `gather_rows` makes.

Data-parallel training then averages the gradients of the network's parameters over R ranks, while
L is already a mean over all B. So embeddings get R times their gradient (`gather_batch`).

Sources: the layout follows Deng et al., "ArcFace", and the insightface release (arcface_torch).
Differs from them: the logarithm is taken of the sum and not of a probability, so that there is
no floor of 1e-30 below which a sample has no gradient; ranks may bring different numbers of rows.

Letters: b rows of this rank, B of all, K classes here, D numbers in an embedding, R ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from tronie.errors import BadArray
from tronie.lab.nn.class_centers import ClassCenters
from tronie.lab.nn.collectives import Group, all_max, all_sum, gather_rows, row_counts, world_size
from tronie.lab.nn.cosines import unit_rows
from tronie.lab.nn.margin_rule import MarginRule


@dataclass(frozen=True, eq=False)
class GlobalBatch:
    """Embeddings and labels of all ranks, on every rank."""

    unit: Tensor
    """(B, D) at length 1."""
    norms: Tensor
    """(B,): lengths before that."""
    labels: Tensor
    """(B,) int64: global class ids."""
    local_norms: Tensor
    """(b,): of this rank's own rows."""
    classes: int
    """C, over all ranks."""
    group: Group


def gather_batch(
    centers: ClassCenters, embeddings: Tensor, labels: Tensor, *, dimension: int
) -> GlobalBatch:
    """The global batch, normalized, in the type of the class centers.

    Args:
        centers: Whose classes the labels are, and whose ranks have a part of the batch.
        embeddings: As the network gives them, (b, D), any floating type.
        labels: (b,) int64 in [0, C).
        dimension: D.

    Raises:
        BadArray: shapes, types or labels that do not fit, or no rows on any rank.
    """
    _check(embeddings, labels, classes=centers.classes, dimension=dimension)
    raw, group = embeddings.to(centers.values.dtype), centers.group
    counts = row_counts(len(raw), device=raw.device, group=group)
    if sum(counts) == 0:
        raise BadArray("a batch must have at least one row; got none on any rank")
    scaled = cast(Any, _ScaledGradient).apply(raw, float(world_size(group)))
    unit, norms = unit_rows(gather_rows(scaled, counts=counts, group=group))
    everyone = gather_rows(labels, counts=counts, group=group)
    return GlobalBatch(
        unit, norms, everyone, torch.linalg.vector_norm(raw, dim=1), centers.classes, group
    )


def margin_loss(
    cosine: Tensor,
    columns: Tensor,
    batch: GlobalBatch,
    margin: MarginRule,
    *,
    filter_above: float | None = None,
    log_weights: Tensor | None = None,
) -> Tensor:
    """Mean loss of the global batch, the same number on every rank.

    Args:
        cosine: (B, K), to the classes of this rank that take part.
        columns: (B,) int64: the column of each row's own class, -1 where it is elsewhere.
        batch: What the cosines were made of.
        margin: Makes logits of cosines (the interface of `tronie.lab.nn.margins`).
        filter_above: A class that is not a row's own and has a larger cosine than this is
            left out of that row's softmax: it may be the same person under another name.
            Its logit becomes minus infinity. (Multiplied by zero, as others do it, it would
            stay in the sum with exp(0).)
        log_weights: (K,): ln of how many classes each one stands for in the softmax; 0 for the
            batch's own. None: each for itself.
    """
    own = (columns >= 0).nonzero()[:, 0]
    target = cosine.new_zeros(len(cosine))
    target[own] = cosine.detach()[own, columns[own]]
    target = all_sum(target, group=batch.group)
    _move(margin, cosine.detach(), columns, target, batch)
    if not margin.softmax:
        return _summed_loss(cast(Any, margin).loss(cosine, columns, target), batch)
    logits = margin(cosine, columns, target=target, norms=batch.norms)
    if log_weights is not None:
        logits = logits + log_weights
    if filter_above is not None:
        stranger = cosine.detach() > filter_above
        stranger[own, columns[own]] = False
        logits = logits.masked_fill(stranger, float("-inf"))
    loss: Tensor = cast(Any, _CrossEntropy).apply(logits, columns, batch.group)
    return loss + _penalty(margin, batch) if margin.needs_norms else loss


def _move(
    margin: MarginRule, cosine: Tensor, columns: Tensor, target: Tensor, batch: GlobalBatch
) -> None:
    """A margin that looks at all other classes is told their sum, scaled up from a sample."""
    if not (margin.training and margin.needs_others) or cosine.shape[1] == batch.classes:
        return
    rule = cast(Any, margin)  # these two are the margin's that needs them
    others = rule.others(cosine, columns)
    here = others.new_full((1,), cosine.shape[1])
    told = all_sum(torch.cat([others, here]), group=batch.group)
    sums, taken = told[:-1], told[-1]
    rule.update(target, sums * (batch.classes / taken))


def _summed_loss(each: Tensor, batch: GlobalBatch) -> Tensor:
    """The mean of a loss (B,) whose parts add up over the ranks; no softmax ties them."""
    mean = each.mean()
    total = all_sum(each, group=batch.group).mean()
    return mean + (total - mean.detach())


def _penalty(margin: MarginRule, batch: GlobalBatch) -> Tensor:
    """What a margin asks of the lengths, as a mean over the global batch.

    It is computed of each rank's own rows. Data-parallel training averages over the ranks, so
    that their number goes into the gradient, as it does in `gather_batch`.
    """
    share = len(batch.local_norms) / len(batch.norms)
    ranks = world_size(batch.group)
    # A mean over no rows is no number; their sum is nothing, and yet a part of the graph.
    own = margin.penalty(batch.local_norms) * share if share else batch.local_norms.sum()
    if ranks == 1:
        return own
    return all_sum(own, group=batch.group) + (own - own.detach()) * ranks


class _CrossEntropy(torch.autograd.Function):
    """logits (B, K), columns (B,) or -1, group -> mean over B of -log softmax over all ranks."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, columns: Tensor, group: Group) -> Tensor:
        rows = (columns >= 0).nonzero()[:, 0]
        own = columns[rows]
        largest = logits.new_full((len(logits),), float("-inf"))
        if logits.shape[1]:
            largest = logits.amax(dim=1)
        largest = all_max(largest, group=group)
        exponential = (logits - largest[:, None]).exp_()
        parts = logits.new_zeros((2, len(logits)))
        torch.sum(exponential, dim=1, out=parts[0])
        parts[1, rows] = logits[rows, own]
        total, target = all_sum(parts, group=group)
        ctx.save_for_backward(exponential, total, rows, own)
        mean: Tensor = (largest + total.log() - target).mean()
        return mean

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        exponential, total, rows, own = ctx.saved_tensors
        each = gradients[0] / len(total)
        to_logits = exponential * (each / total)[:, None]
        to_logits[rows, own] -= each
        return to_logits, None, None


class _ScaledGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.factor, None


def _check(embeddings: Tensor, labels: Tensor, *, classes: int, dimension: int) -> None:
    if embeddings.ndim != 2 or embeddings.shape[1] != dimension:
        raise BadArray(
            f"embeddings must have shape (b, {dimension}), as the class centers have;"
            f" got {tuple(embeddings.shape)}"
        )
    if labels.shape != embeddings.shape[:1] or labels.dtype != torch.int64:
        raise BadArray(
            f"labels must be int64, one for each of {len(embeddings)} embeddings;"
            f" got {labels.dtype} of shape {tuple(labels.shape)}"
        )
    low, high = (int(labels.min()), int(labels.max())) if len(labels) else (0, 0)
    if low < 0 or high >= classes:
        raise BadArray(
            f"labels must be class ids from 0 to {classes - 1}; got {low} to {high}."
            " Was the head made for other data?"
        )
