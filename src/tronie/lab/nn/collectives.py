"""Rows of every rank as one matrix, with the gradient that belongs to it; sums and maxima.

    gather_rows     forward   X = the rows of rank 0, then of rank 1, ...     (b, ...) to (B, ...)
                    backward  the gradients of X summed over the ranks; each keeps its own rows
    all_sum         the sum of one tensor over the ranks, the same bits on every rank
    all_max         the same with the largest

A rank is one process of a group of `torch.distributed`; None means the group that was started,
or one process where none was. The backward of `gather_rows` is the exact adjoint for a loss that
is the sum of what every rank adds to it, which is what a loss over sharded classes is.

Ranks may bring different numbers of rows, also none. Their numbers are exchanged first, so that
an incomplete last batch is no special case.

Differs from the code most projects use: there every rank must bring the same number of rows, and
the backward of the gathering multiplies by the number of ranks, to undo the average that data
parallel training takes later. Here whoever knows about that average does so (see
`tronie.lab.nn.sharded_softmax`).

Letters: b rows of this rank, B rows of all ranks, R ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor

Group = Any  # a torch.distributed.ProcessGroup, or None for the one that was started


def rank(group: Group = None) -> int:
    """Number of this process within `group`; 0 where nothing was started."""
    return dist.get_rank(group) if _is_started() else 0


def world_size(group: Group = None) -> int:
    """Processes in `group`; 1 where nothing was started."""
    return dist.get_world_size(group) if _is_started() else 1


def all_sum(tensor: Tensor, *, group: Group = None) -> Tensor:
    """The sum of `tensor` over the ranks, as a new tensor without gradient."""
    total = tensor.detach().clone()
    if world_size(group) > 1:
        dist.all_reduce(total, op=dist.ReduceOp.SUM, group=group)
    return total


def all_max(tensor: Tensor, *, group: Group = None) -> Tensor:
    """The elementwise maximum of `tensor` over the ranks, as a new tensor without gradient."""
    largest = tensor.detach().clone()
    if world_size(group) > 1:
        dist.all_reduce(largest, op=dist.ReduceOp.MAX, group=group)
    return largest


def row_counts(count: int, *, device: torch.device, group: Group = None) -> tuple[int, ...]:
    """How many rows each rank brings, where this one brings `count`; rank 0 first."""
    ranks = world_size(group)
    if ranks == 1:
        return (count,)
    counts = torch.zeros(ranks, dtype=torch.int64, device=device)
    counts[rank(group)] = count
    return tuple(int(n) for n in all_sum(counts, group=group).tolist())


def gather_rows(
    rows: Tensor, *, counts: Sequence[int] | None = None, group: Group = None
) -> Tensor:
    """The rows of all ranks, shape (B, ...); rank 0 first, then rank 1, and so on.

    Args:
        rows: This rank's, shape (b, ...); the other dimensions and the type are the same on
            every rank.
        counts: Rows of each rank, where the caller knows them; else they are exchanged first.

    Returns:
        A new tensor; of one rank, `rows` itself. Its gradient, summed over the ranks, comes
        back to the rank of each row, so either every rank runs backward through it or none.

    Example:
        >>> gather_rows(torch.eye(2)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    if world_size(group) == 1:
        return rows
    if counts is None:
        counts = row_counts(len(rows), device=rows.device, group=group)
    gathered: Tensor = cast(Any, _GatherRows).apply(rows, tuple(counts), group)
    return gathered


class _GatherRows(torch.autograd.Function):
    """all_gather forward, reduce_scatter backward, of blocks padded to the longest."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: tuple[int, ...], group: Group) -> Tensor:
        ctx.counts, ctx.group = counts, group
        block = rows.new_zeros((max(counts), *rows.shape[1:]))
        block[: len(rows)] = rows
        blocks = [torch.empty_like(block) for _ in counts]
        dist.all_gather(blocks, block, group=group)
        return torch.cat([one[:count] for one, count in zip(blocks, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,), counts, group = gradients, ctx.counts, ctx.group
        mine = rank(group)
        if dist.get_backend(group) == "nccl":
            blocks = gradient.new_zeros((len(counts), max(counts), *gradient.shape[1:]))
            for block, part in zip(blocks, gradient.split(counts), strict=True):
                block[: len(part)] = part
            own = torch.empty_like(blocks[0])
            dist.reduce_scatter_tensor(own, blocks.flatten(0, 1), group=group)
            return own[: counts[mine]], None, None
        # Not every gloo scatters what it reduces; twice the traffic, the same sum.
        summed = all_sum(gradient.contiguous(), group=group)
        return summed.split(counts)[mine], None, None


def _is_started() -> bool:
    return dist.is_available() and dist.is_initialized()
