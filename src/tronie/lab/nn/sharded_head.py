"""What every head does with its class centers: step, forget, save and take over.

A head is class centers that are spread over the ranks (`tronie.lab.nn.class_centers`), a margin,
and a loss of its own. Only the loss differs between heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from tronie.lab.nn.class_centers import ClassCenters
from tronie.lab.nn.collectives import Group
from tronie.lab.nn.margin_rule import MarginRule


class ShardedHead(nn.Module):
    """The one class above the heads; a head adds `forward` and `memory_plan`.

    Args:
        centers: This rank's.
        margin: Makes logits of cosines.
        dimension: D, numbers in an embedding.
        group: The ranks that share the classes; None for all that were started.
    """

    def __init__(
        self, centers: ClassCenters, margin: MarginRule, *, dimension: int, group: Group
    ) -> None:
        super().__init__()
        self.centers, self.margin = centers, margin
        self.dimension, self.group = dimension, group

    def gradients(self) -> list[Tensor]:
        """Gradients of this rank's centers since the last step; may be scaled in place."""
        return self.centers.gradients()

    def discard(self) -> None:
        """Forgets them, as if there had been no backward."""
        self.centers.discard()

    def step(self, *, lr: float, momentum: float, weight_decay: float) -> None:
        """Updates the centers by SGD, after `loss.backward()`."""
        self.centers.step(lr=lr, momentum=momentum, weight_decay=weight_decay)

    def stand_still(self) -> None:
        """Ends a step whose centers stay where they are; other classes are drawn in the next."""
        self.centers.stand_still()

    def shard_state(self) -> dict[str, Any]:
        """The state of this rank's centers (`ClassCenters.state`) and of the margin, uncopied."""
        return {**self.centers.state(), "margin": self.margin.state_dict()}

    def load_shard_state(self, parts: Sequence[Mapping[str, Any]]) -> None:
        """Takes over what the ranks of another run wrote with `shard_state`, any number of them.

        More classes than were written are initialized as at the start of a run.

        Raises:
            BadInput: parts that do not fit, or do not hold all classes.
        """
        self.centers.load(parts)
        self.margin.load_state_dict(parts[0]["margin"])
