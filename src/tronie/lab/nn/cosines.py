r"""Cosines of embeddings to rows that are normalized on the way, and their exact gradient.

    c_ij = u_i . w_j / |w_j|                                    u_i of length 1

    dL/dw_j = (sum_i G_ij u_i - (sum_i G_ij c_ij) w_j / |w_j|) / |w_j|        G = dL/dc
    dL/du_i = sum_j G_ij w_j / |w_j|

The rows are never copied to length 1: one product with the rows as they are, then one factor for
each column. Of matrices as large as the rows there are two, the rows and their gradient; written
with a normalizing step there would be four. The gradient of a row is orthogonal to the row.

Cosines are rounded and may pass 1 by a few units in the last place; they are clamped to [-1, 1],
and the gradient of a clamped one goes through, as if it had not been. A vector shorter than 1e-12
has no direction: its cosines are 0, and it gets no gradient.

Letters: B embeddings, K rows, D numbers in each.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

SHORTEST = 1e-12


def cosines(unit: Tensor, rows: Tensor) -> Tensor:
    """Cosine of every embedding with every row: (B, K), in [-1, 1].

    Args:
        unit: Embeddings of length 1, (B, D).
        rows: Class centers of any length, (K, D), of the same type.

    Returns:
        A new tensor, differentiable in both, once.

    Example:
        >>> cosines(torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 4.0]])).tolist()
        [[0.6000000238418579]]
    """
    product: Tensor = cast(Any, _Cosines).apply(unit, rows)
    return product


def unit_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (B, D) at length 1 and their lengths (B,), both differentiable; zeros stay zeros."""
    norms = torch.linalg.vector_norm(rows, dim=1)
    return rows / _divisors(norms)[:, None], norms


def _divisors(lengths: Tensor) -> Tensor:
    return lengths.masked_fill(lengths < SHORTEST, float("inf"))


class _Cosines(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, unit: Tensor, rows: Tensor) -> Tensor:
        lengths = _divisors(torch.linalg.vector_norm(rows, dim=1))
        cosine = torch.mm(unit, rows.T).div_(lengths).clamp_(-1, 1)
        ctx.save_for_backward(unit, rows, lengths, cosine)
        return cosine

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (gradient,) = gradients
        unit, rows, lengths, cosine = ctx.saved_tensors
        per_length = gradient / lengths
        to_unit = to_rows = None
        if ctx.needs_input_grad[0]:
            to_unit = torch.mm(per_length, rows)
        if ctx.needs_input_grad[1]:
            along = (per_length * cosine).sum(dim=0).div_(lengths)
            to_rows = torch.mm(per_length.T, unit).addcmul_(rows, along[:, None], value=-1)
        return to_unit, to_rows
