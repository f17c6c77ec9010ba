r"""Class centers spread over the ranks: each holds a slice, its momenta, and updates both.

C classes on R ranks are split contiguously; the first C mod R ranks hold one more:

    first = r (C // R) + min(r, C mod R)

Everything is keyed by the global class id and not by the rank: how a center begins
(`tronie.lab.nn.keyed_draws`), and what a checkpoint holds. A state that was written on some ranks
is read on any others, and classes may have been added since.

In a step some classes are taken (`take`), as one matrix whose gradient autograd fills, and only
those are updated (`step`). What happens to the others is `unsampled`:

    "exact"    what SGD would do to them with a gradient of zero, done when they are next taken
               (`tronie.lab.nn.sparse_sgd`)
    "frozen"   nothing

Memory: the centers, as much again for their momenta, 8 bytes a class to know when it was last
touched; and for what is taken, the rows and their gradient. No gradient has the size of all.

Letters: C classes, n of them here, K taken, W numbers for each class, R ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from tronie.errors import BadInput
from tronie.lab.nn.collectives import Group, rank, world_size
from tronie.lab.nn.keyed_draws import initial_rows
from tronie.lab.nn.sparse_sgd import MissedSteps, catch_up, current_rows, update_all, update_rows

Unsampled = Literal["exact", "frozen"]

_MOST_CLASSES = 2**31
_REMEMBERED = 64  # steps before anyone looks which of them nobody needs any more


@dataclass(frozen=True, eq=False)
class _Taken:
    rows: Tensor | None
    """(K,) int64; None for all."""
    matrix: Tensor
    """(K, W), a leaf of the graph."""


class ClassCenters(nn.Module):
    """The centers of the classes that lie on this rank, and their SGD.

    Its buffers are not in `state_dict`, whose names know no ranks; `state` has them.
    """

    values: Tensor
    """(n, W) as they were when last touched."""
    momenta: Tensor
    """(n, W)."""
    touched: Tensor
    """(n,) int64: steps that had been taken when each was last touched."""

    def __init__(
        self,
        *,
        classes: int,
        width: int,
        seed: int,
        group: Group = None,
        unsampled: Unsampled = "exact",
    ) -> None:
        super().__init__()
        _check(classes=classes, width=width, unsampled=unsampled)
        self.classes, self.seed, self.group, self.unsampled = classes, seed, group, unsampled
        self.steps = 0
        self.first, self.count = shard_of(classes, rank(group), world_size(group))
        values = initial_rows(self.first, self.count, width=width, seed=seed)
        touched = torch.zeros(self.count, dtype=torch.int64)
        self.register_buffer("values", values, persistent=False)
        self.register_buffer("momenta", torch.zeros_like(values), persistent=False)
        self.register_buffer("touched", touched, persistent=False)
        self._missed = MissedSteps()
        self._remember = _REMEMBERED
        self._all_current = True
        self._taken: list[_Taken] = []

    def local(self, labels: Tensor) -> Tensor:
        """Rows (B,) int64 of the classes `labels` (B,) on this rank, -1 for those elsewhere."""
        row = labels - self.first
        return row.masked_fill((row < 0) | (row >= self.count), -1)

    def take(self, rows: Tensor | None = None) -> Tensor:
        """The centers of `rows` as they are now, (K, W), to compute a loss with.

        No center is changed. Where gradients are on, the matrix is remembered, and its
        gradient is what the next `step` applies; several may be taken before that, and add up.

        Args:
            rows: (K,) int64 on this rank, sorted, none twice; None for all.

        Returns:
            A copy; the centers themselves where all are asked for and none is behind.
        """
        if not torch.is_grad_enabled():
            return self._current(rows)
        for one in self._taken:
            if rows is None and one.rows is None:
                return one.matrix
        matrix = self._current(rows).requires_grad_()
        self._taken.append(_Taken(rows, matrix))
        return matrix

    def last_taken(self) -> tuple[Tensor | None, Tensor]:
        """Rows (K,), None for all, and matrix of the last `take`, to compute more with it."""
        assert self._taken, "nothing was taken since the last step"
        return self._taken[-1].rows, self._taken[-1].matrix

    def gradients(self) -> list[Tensor]:
        """The gradients that the next `step` will apply; may be scaled in place before that."""
        return [one.matrix.grad for one in self._taken if one.matrix.grad is not None]

    def discard(self) -> None:
        """Forgets what was taken since the last step, as if it had not been."""
        self._taken.clear()

    def step(self, *, lr: float, momentum: float, weight_decay: float) -> None:
        """One step of SGD with the gradients since the last one; none at all is a step too."""
        rows, gradient = self._joined()
        self._taken.clear()
        if gradient is None:
            self._all_current = False
        elif rows is None and self._all_current:
            update_all(
                self.values, self.momenta, gradient,
                lr=lr, momentum=momentum, weight_decay=weight_decay,
            )  # fmt: skip
        else:
            rows = self._every_row() if rows is None else rows
            self._all_current = len(rows) == self.count
            update_rows(
                self.values, self.momenta, rows, gradient,
                products=self._products(rows), lr=lr, momentum=momentum, weight_decay=weight_decay,
            )  # fmt: skip
        self.steps += 1
        if self.unsampled == "exact":
            self._missed.add(lr=lr, momentum=momentum, weight_decay=weight_decay)
            if self._all_current:
                self.touched.fill_(self.steps)
            elif rows is not None:
                self.touched[rows] = self.steps
            self._forget()

    def stand_still(self) -> None:
        """A step in which no center moves nor waits for one; what is drawn next is another draw."""
        self._taken.clear()
        self.steps += 1
        self.touched.add_(1)
        self._missed.first += 1

    def state(self) -> dict[str, Any]:
        """What `load` reads, on any number of ranks.

        Under "rows" are tensors with one row a class, from class "first" on: over the ranks
        they make up matrices of "classes" rows. All else is the same on every rank. Nothing is
        copied: write it before the next step.
        """
        if self.unsampled == "frozen":
            self.touched.fill_(self.steps)
            self._missed = MissedSteps(self.steps)
        return {
            "classes": self.classes,
            "first": self.first,
            "rows": {"values": self.values, "momenta": self.momenta, "touched": self.touched},
            "step": self.steps,
            "missed_from": self._missed.first,
            "missed": self._missed.products,
        }

    def load(self, parts: Sequence[Mapping[str, Any]]) -> None:
        """Takes this rank's classes from parts that `state` wrote, on any ranks, in any order.

        Classes beyond those written begin anew, without momentum. Rows of a part may be this
        module's own, already filled.

        Raises:
            BadInput: parts of other classes or other steps, or a class that is in none.
        """
        if not parts:
            raise BadInput("class centers need the parts of the ranks that wrote them; got none")
        written, step = int(parts[0]["classes"]), int(parts[0]["step"])
        covered = torch.zeros(self.count, dtype=torch.bool)
        history = MissedSteps(step)
        for part in parts:
            self._expect_fit(part, written, step)
            theirs = MissedSteps(int(part["missed_from"]), part["missed"])
            history = min(history, theirs, key=lambda one: one.first)
            self._copy(part, theirs, covered)
        old = max(0, min(self.count, written - self.first))
        if not covered[:old].all():
            lost = self.first + int((~covered[:old]).nonzero()[0])
            raise BadInput(
                f"the checkpoint has class centers 0..{written - 1}, but {lost} is in none of"
                " the parts given. Give the parts of all its ranks"
            )
        self.steps, self._missed, self._remember = step, history, len(history) + _REMEMBERED
        self._start_anew(self.first + old, self.count - old)
        self._all_current = bool((self.touched == step).all())
        self._taken.clear()

    def _expect_fit(self, part: Mapping[str, Any], written: int, step: int) -> None:
        theirs, width = part["rows"]["values"].shape[1], self.values.shape[1]
        if theirs != width:
            raise BadInput(f"class centers have {theirs} numbers each; {width} asked for")
        if part["classes"] > self.classes:
            raise BadInput(
                f"class centers 0..{part['classes'] - 1} found, 0..{self.classes - 1} asked for."
                " Classes may be added, not taken away"
            )
        if (part["classes"], part["step"]) != (written, step):
            raise BadInput(
                f"parts of one checkpoint must agree; got {written} classes at step {step}"
                f" and {part['classes']} at step {part['step']}"
            )

    def _copy(self, part: Mapping[str, Any], theirs: MissedSteps, covered: Tensor) -> None:
        """What of a part lies here; a frozen row has to be brought up to date first."""
        rows = part["rows"]
        top, size = int(part["first"]), len(rows["values"])
        low, high = max(self.first, top), min(self.first + self.count, top + size)
        if low >= high:
            return
        to, source = slice(low - self.first, high - self.first), slice(low - top, high - top)
        covered[to] = True
        self.values[to] = rows["values"][source].to(self.values)
        self.momenta[to] = rows["momenta"][source].to(self.momenta)
        self.touched[to] = rows["touched"][source].to(self.touched)
        if self.unsampled == "frozen":
            catch_up(self.values[to], self.momenta[to], theirs.of(self.touched[to]))
            self.touched[to] = theirs.now

    def _start_anew(self, first: int, count: int) -> None:
        where = slice(first - self.first, first - self.first + count)
        rows = initial_rows(first, count, width=self.values.shape[1], seed=self.seed)
        self.values[where] = rows.to(self.values)
        self.momenta[where] = 0
        self.touched[where] = self.steps

    def _current(self, rows: Tensor | None) -> Tensor:
        if rows is None and (self._all_current or self.unsampled == "frozen"):
            return self.values.detach()
        rows = self._every_row() if rows is None else rows
        return current_rows(self.values, self.momenta, rows, self._products(rows))

    def _products(self, rows: Tensor) -> Tensor | None:
        if self.unsampled == "frozen":
            return None
        stands_at = self.touched[rows]
        return None if bool((stands_at == self.steps).all()) else self._missed.of(stands_at)

    def _joined(self) -> tuple[Tensor | None, Tensor | None]:
        """All gradients since the last step as one, and the rows they are of."""
        filled = [(one.rows, one.matrix.grad) for one in self._taken]
        found = [(rows, gradient) for rows, gradient in filled if gradient is not None]
        if len(found) < 2:
            return found[0] if found else (None, None)
        every = [(self._every_row() if rows is None else rows, one) for rows, one in found]
        rows = torch.unique(torch.cat([rows for rows, _ in every]))
        total = self.values.new_zeros((len(rows), self.values.shape[1]))
        for some, gradient in every:
            total.index_add_(0, torch.searchsorted(rows, some), gradient)
        return rows, total

    def _every_row(self) -> Tensor:
        return torch.arange(self.count, device=self.values.device)

    def _forget(self) -> None:
        if len(self._missed) > self._remember:
            oldest = int(self.touched.min()) if self.count else self.steps
            self._missed.forget_before(oldest)
            self._remember = 2 * len(self._missed) + _REMEMBERED


def shard_of(classes: int, rank: int, ranks: int) -> tuple[int, int]:
    """First class and number of classes of one rank.

    Example:
        >>> [shard_of(10, r, 4) for r in range(4)]
        [(0, 3), (3, 3), (6, 2), (8, 2)]
    """
    each, over = divmod(classes, ranks)
    return rank * each + min(rank, over), each + (rank < over)


def _check(*, classes: int, width: int, unsampled: str) -> None:
    if not 1 <= classes <= _MOST_CLASSES or width < 1:
        raise BadInput(
            f"a head needs 1 to {_MOST_CLASSES} classes of at least one number;"
            f" got {classes} of {width}"
        )
    if unsampled not in get_args(Unsampled):
        raise BadInput(f"unsampled must be exact or frozen; got {unsampled!r}")
