"""Images that were skipped because they cannot be read: which, by all processes, since the start.

Each image is counted once, whoever meets it and however often; the count goes on when a run does.
The first few are kept with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.distributed as dist

from tronie.lab.nn.collectives import world_size
from tronie.lab.training.checkpoint import StoredState

NAMED = 5
"""Images that are told by name."""


class Unreadable:
    """The same in every process after each `gather`."""

    def __init__(self) -> None:
        self._numbers: set[int] = set()
        self._reasons: list[str] = []
        self._told = 0

    def gather(self, found: Mapping[int, str]) -> None:
        """Add what this process has met so far, number to reason; every process calls this."""
        new = {n: why for n, why in found.items() if n not in self._numbers}
        everywhere = [new]
        if world_size() > 1:
            everywhere = [{} for _ in range(world_size())]
            dist.all_gather_object(everywhere, new)
        for one in everywhere:
            for number, reason in one.items():
                if number not in self._numbers and len(self._reasons) < NAMED:
                    self._reasons.append(reason)
                self._numbers.add(number)

    def told(self) -> dict[str, Any]:
        """For a line of the log: how many, and the names where there are more than before."""
        line: dict[str, Any] = {"unreadable": len(self._numbers)}
        if len(self._reasons) > self._told:
            self._told = len(self._reasons)
            line["unreadable_images"] = list(self._reasons)
        return line

    def note(self) -> dict[str, Any]:
        """What `load` reads, plain JSON."""
        return {"numbers": sorted(self._numbers), "reasons": self._reasons}

    def load(self, stored: StoredState) -> None:
        """Go on counting; checkpoints of earlier versions hold nothing of it.

        Raises:
            BadFile: the note is none of ours.
        """
        noted = stored.note["task"].get("unreadable", {"numbers": [], "reasons": []})
        try:
            self._numbers = {int(number) for number in noted["numbers"]}
            self._reasons = [str(reason) for reason in noted["reasons"]][:NAMED]
        except (KeyError, TypeError, ValueError) as fault:
            raise stored.damaged(f"its note of unreadable images is {noted!r:.40}") from fault
