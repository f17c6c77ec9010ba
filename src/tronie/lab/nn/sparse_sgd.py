r"""SGD with momentum for rows of which few have a gradient in a step; the others wait.

One step of SGD with momentum mu, weight decay d and learning rate l, for one row w with its
momentum m and gradient g, as torch.optim.SGD takes it where mu is not 0 (no dampening, no
Nesterov):

    m <- mu m + d w + g
    w <- w - l m

Without a gradient both are a fixed linear map of what they were, the same for every row:

    (w, m) <- T (w, m)        T = | 1 - l d   -l mu |
                                  |   d         mu  |

So a row that missed the steps s+1 ... t is not touched in them. When it is next needed it is
multiplied by the product of their maps, two by two numbers made in float64,

    P(s, t) = T_t ... T_(s+1)

each T with the learning rate, momentum and decay of its own step. What a row is then equals what
dense SGD would have made of it, up to the rounding of the steps that were spared. `MissedSteps`
keeps P(s, t) for every s since the row that waited longest: 32 bytes a step, and one product of
small matrices for each of them when a step is taken. (One running product and its inverse would
be less, but its determinant is mu^t: after a few hundred steps nothing is left to divide by.)

Without these products (`products=None`) a row that waited is taken as it was left: frozen.

Differs from Partial FC as published: its first form freezes what is not sampled, its second has
a dense gradient of zeros for it, and pays for the whole matrix in every step. Source of both: An
et al., "Killing two birds with one stone", CVPR 2022, arXiv:2203.15565, and its released code.

Letters: n rows, K of them touched, D numbers in each, H steps remembered.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_IDENTITY = torch.tensor([[1.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
_BLOCK_BYTES = {"cpu": 1 << 20, "cuda": 1 << 28}  # a block of rows stays in the cache


class MissedSteps:
    """The products P(s, t) for every past step s that some row may still stand at.

    `now` is t, the steps taken so far; `first` is the earliest s known; `products` holds
    (a, b, c, d) of  w <- a w + b m,  m <- c w + d m  for each s from `first` on: (H, 4) float64.
    """

    def __init__(self, first: int = 0, products: Tensor | None = None) -> None:
        self.first = first
        self.products = _IDENTITY.clone() if products is None else products.cpu().clone()

    @property
    def now(self) -> int:
        return self.first + len(self.products) - 1

    def add(self, *, lr: float, momentum: float, weight_decay: float) -> None:
        """One more step was taken, with these."""
        a, b, c, d = self.products.unbind(1)
        to_value = [(1 - lr * weight_decay) * w - lr * momentum * m for w, m in ((a, c), (b, d))]
        to_momentum = [weight_decay * w + momentum * m for w, m in ((a, c), (b, d))]
        moved = torch.stack([*to_value, *to_momentum], dim=1)
        self.products = torch.cat([moved, _IDENTITY])

    def forget_before(self, step: int) -> None:
        """No row stands at an earlier step than this any more."""
        self.products = self.products[step - self.first :].clone()
        self.first = step

    def of(self, stands_at: Tensor) -> Tensor:
        """P(s, now) of rows that stand at the steps s = `stands_at` (K,): (K, 4) float64."""
        return self.products.to(stands_at.device)[stands_at - self.first]

    def __len__(self) -> int:
        """Steps remembered, this one among them."""
        return len(self.products)


def current_rows(values: Tensor, momenta: Tensor, rows: Tensor, products: Tensor | None) -> Tensor:
    """The chosen rows as they are now, a copy (K, D); the stored ones are left as they are.

    Args:
        values: All rows as they were when last touched, (n, D).
        momenta: Their momenta, (n, D).
        rows: Which rows, (K,) int64.
        products: (K, 4) of `MissedSteps.of`, or None where no step was missed.
    """
    if products is None:
        return values.index_select(0, rows)
    current = values.new_empty((len(rows), values.shape[1]))
    factors = products.to(values.dtype)
    for part in _blocks(len(rows), values):
        chosen, (a, b) = rows[part], _columns(factors[part])[:2]
        block = current[part]
        torch.index_select(values, 0, chosen, out=block)
        block.mul_(a).addcmul_(momenta.index_select(0, chosen), b)
    return current


def update_rows(
    values: Tensor,
    momenta: Tensor,
    rows: Tensor,
    gradient: Tensor,
    *,
    products: Tensor | None,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> None:
    """One step for the chosen rows, in place; what they missed before is caught up first.

    Args:
        values: (n, D), changed in `rows` only.
        momenta: (n, D), likewise.
        rows: (K,) int64, none twice.
        gradient: (K, D) of the rows as `current_rows` gives them. Used up: it holds the new
            momenta afterwards.
        products: As for `current_rows`.
        lr: Learning rate of this step.
        momentum: In [0, 1).
        weight_decay: Added to the gradient, times the row.
    """
    if products is not None:
        a, b, c, d = products.unbind(1)
        of_value = (momentum * c + weight_decay * a).to(values.dtype)
        of_momentum = (momentum * d + weight_decay * b).to(values.dtype)
        factors = products.to(values.dtype)
    for part in _blocks(len(rows), values):
        chosen, moved = rows[part], gradient[part]
        block, past = values.index_select(0, chosen), momenta.index_select(0, chosen)
        if products is None:
            moved.add_(block, alpha=weight_decay).add_(past, alpha=momentum)
        else:
            moved.addcmul_(block, of_value[part, None]).addcmul_(past, of_momentum[part, None])
            a, b = _columns(factors[part])[:2]
            block.mul_(a).addcmul_(past, b)
        momenta.index_copy_(0, chosen, moved)
        values.index_copy_(0, chosen, block.sub_(moved, alpha=lr))


def catch_up(values: Tensor, momenta: Tensor, products: Tensor) -> None:
    """What all rows missed, in place; `products` (n, 4) is of `MissedSteps.of`."""
    factors = products.to(values.dtype)
    for part in _blocks(len(values), values):
        a, b, c, d = _columns(factors[part])
        block, moved = values[part], momenta[part]
        later = block * c
        later.addcmul_(moved, d)
        block.mul_(a).addcmul_(moved, b)
        moved.copy_(later)


def update_all(
    values: Tensor,
    momenta: Tensor,
    gradient: Tensor,
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> None:
    """One step for all rows, in place, none of which missed a step; `gradient` is (n, D)."""
    for part in _blocks(len(values), values):
        block, moved = values[part], momenta[part]
        moved.mul_(momentum).add_(gradient[part]).add_(block, alpha=weight_decay)
        block.sub_(moved, alpha=lr)


def _columns(factors: Tensor) -> tuple[Tensor, ...]:
    return tuple(factors[:, column, None] for column in range(factors.shape[1]))


def _blocks(count: int, values: Tensor) -> Iterator[slice]:
    row_bytes = max(1, values.shape[1] * values.element_size())
    size = max(1, _BLOCK_BYTES.get(values.device.type, 1 << 20) // row_bytes)
    return (slice(top, top + size) for top in range(0, count, size))
