"""What a search has found: which candidate is best, and where each part's best share lies.

step 1    stem, C2, C3, C4, C5       which shares of the computation make a good backbone
step 2    backbone, neck, head       and how much of it the other two should have
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tronie.lab.training.redistribute.bootstrap import LEAST, BestRange, best_range
from tronie.lab.training.redistribute.budget import BACKBONE, shares_by_part
from tronie.lab.training.redistribute.search_folder import Candidate, Result

Judged = tuple[Candidate, Result]
PANELS: Mapping[int, Mapping[str, tuple[str, ...]]] = {
    1: {part: (part,) for part in BACKBONE},
    2: {"backbone": BACKBONE, "neck": ("neck",), "head": ("head",)},
}
"""Of each step, what is looked at, and the parts that it is the sum of."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Finding:
    """The judged candidates of one step, by the share of one part."""

    step: int
    part: str
    shares: NDArray[np.float64]
    """(N,) of all FLOPs of a candidate."""
    scores: NDArray[np.float64]
    """(N,)"""
    best: BestRange | None
    """None where too few are judged."""


def best_of(judged: Sequence[Judged]) -> Judged | None:
    """The candidate with the highest score, of several the first; None where none is judged."""
    return max(judged, key=lambda one: one[1].score, default=None)


def findings(judged: Sequence[Judged], *, draws: int, seed: int) -> tuple[Finding, ...]:
    """Of each step with a judged candidate, a finding for each part it is looked at by."""
    found = []
    for step, panels in PANELS.items():
        own = [(candidate, result) for candidate, result in judged if candidate.step == step]
        if not own:
            continue
        scores = np.array([result.score for _, result in own])
        shares = [shares_by_part(candidate.layout) for candidate, _ in own]
        for part, sums in panels.items():
            x = np.array([sum(one[name] for name in sums) for one in shares])
            best = None
            if len(own) >= LEAST:
                best = best_range(x, scores, draws=draws, seed=seed)
            found.append(Finding(step=step, part=part, shares=x, scores=scores, best=best))
    return tuple(found)
