"""The two spaces that networks are drawn from, and the draws.

    1  backbones    block one of those asked for; units of each stage 1 to 10; the first width 8 to
                    64, each further one 1 to 4 times the one before, all cut to multiples of 8.
                    Neck and head are the template's
    2  networks     the template's units times 0.5 to 3, its widths times 0.5 to 3 (one number for
                    all of them, rounded to multiples of 8); neck 8 to 128, tower 8 to 256, both
                    multiples of 8; 1 to 4 convolutions in the tower. FLOPs of each stage are as
                    many times those of the stem as the template's, give or take a tenth

Kept is what costs the budget, give or take a fiftieth, and was not kept before; the rest is drawn
again. Candidate n of a step is the first so kept of a sequence of its own, from (seed, step, n):
what it is depends on the recipe and the candidates before it, and on nothing that was trained but
the template.

Source: Guo et al., SCRFD, ICLR 2022, arXiv:2105.04714; ranges from its released search.
Differs from the release: depthwise blocks are drawn too, the two widths of their stem by the same
rule; nothing is drawn twice.

Letters: L layouts of one draw.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tronie.errors import NotEnoughData
from tronie.lab.nn.scrfd_layout import STAGES, Block, Layout, layout_fault, stem_widths
from tronie.lab.training.redistribute.budget import (
    BACKBONE,
    PARTS,
    Counts,
    Layouts,
    flops_by_part,
    part_flops,
)

MULTIPLE = 8
"""Channels come in eights."""
UNITS = (1, 10)
FIRST_WIDTH = (8, 64)
GROWTH = (1.0, 4.0)
TIMES = (0.5, 3.0)
NECK, HEAD, DEPTH = (8, 128), (8, 256), (1, 4)
MOST_DRAWS = 1 << 21
"""For one candidate; about two seconds."""
_AT_ONCE = 1 << 13

Draw = Callable[[np.random.Generator], Layouts]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a candidate may cost."""

    flops: float
    tolerance: float
    """Of the budget, either way."""
    ratio_tolerance: float
    """Of each stage's FLOPs in those of the stem, beside the template's; step 2 only."""


def backbones(template: Layout, blocks: Sequence[Block]) -> Draw:
    """Draws of step 1: backbones of one of `blocks`, neck and head of the template."""

    def draw(rng: np.random.Generator) -> Layouts:
        like = replace(template, block=blocks[int(rng.integers(len(blocks)))])
        count = stem_widths(like.block) + STAGES
        growth = rng.uniform(*GROWTH, (count - 1, _AT_ONCE))
        first = rng.integers(FIRST_WIDTH[0], FIRST_WIDTH[1] + 1, (1, _AT_ONCE))
        widths = np.cumprod(np.concatenate([first, growth]), axis=0)
        return Layouts(
            like=like,
            blocks=rng.integers(UNITS[0], UNITS[1] + 1, (STAGES, _AT_ONCE)),
            widths=(widths // MULTIPLE).astype(np.int64) * MULTIPLE,
            neck=np.full(_AT_ONCE, template.neck),
            head=np.full(_AT_ONCE, template.head),
            depth=np.full(_AT_ONCE, template.depth),
        )

    return draw


def networks(template: Layout) -> Draw:
    """Draws of step 2: the template, deeper or wider, with another neck and head."""

    def draw(rng: np.random.Generator) -> Layouts:
        deeper, wider = rng.uniform(*TIMES, (2, 1, _AT_ONCE))
        return Layouts(
            like=template,
            blocks=_times(template.blocks, deeper, multiple=1),
            widths=_times(template.widths, wider, multiple=MULTIPLE),
            neck=_eights(rng, NECK),
            head=_eights(rng, HEAD),
            depth=rng.integers(DEPTH[0], DEPTH[1] + 1, _AT_ONCE),
        )

    return draw


def candidate(
    draw: Draw,
    budget: Budget,
    *,
    address: tuple[int, int, int],
    known: Collection[Layout] = (),
    template: Layout | None = None,
    most: int = MOST_DRAWS,
) -> Layout:
    """The layout at an address, (seed, step, number).

    Args:
        draw: The space.
        budget: What it may cost.
        known: Layouts that it must not be.
        template: Whose shares of stem and stages it keeps; None: it keeps none.
        most: Draws after which there is none, but for the rest of the last handful.

    Raises:
        NotEnoughData: none was found.
    """
    rng = np.random.default_rng(address)
    drawn, seen = 0, 0
    while drawn < most:
        layouts = draw(rng)
        for n in np.flatnonzero(_fits(part_flops(layouts), budget, template)):
            layout = layouts.layout(int(n))
            if layout_fault(layout):  # wider than anything that is built
                continue
            if layout not in known:
                return layout
            seen += 1
        drawn += _AT_ONCE
    again = f"; {seen} of them were drawn before" if seen else ""
    raise NotEnoughData(
        f"of {drawn} layouts that were drawn none new costs {budget.flops / 1e9:g} GFLOPs within "
        f"{budget.tolerance:.0%}{again}. Change flops, blocks or the template, widen tolerance, "
        "or ask for fewer candidates"
    )


def candidates(
    draw: Draw,
    budget: Budget,
    *,
    seed: int,
    step: int,
    numbers: range,
    known: Iterable[Layout] = (),
    template: Layout | None = None,
) -> Iterator[Layout]:
    """The layouts of these numbers of a step, all different and none of them known.

    Raises:
        NotEnoughData: there is no further one; what came before stands.
    """
    taken = set(known)
    for number in numbers:
        layout = candidate(
            draw, budget, address=(seed, step, number), known=taken, template=template
        )
        taken.add(layout)
        yield layout


def _fits(flops: Counts, budget: Budget, template: Layout | None) -> NDArray[np.bool_]:
    """Which of L layouts meet the budget, and keep the template's ratios; (L,)."""
    fits: NDArray[np.bool_] = (
        np.abs(flops.sum(axis=0) - budget.flops) <= budget.tolerance * budget.flops
    )
    if template is not None:
        wanted = flops_by_part(template)
        for part in BACKBONE[1:]:
            ratio = flops[PARTS.index(part)] / flops[0] / (wanted[part] / wanted[BACKBONE[0]])
            fits &= np.abs(ratio - 1) <= budget.ratio_tolerance
    return fits


def _times(numbers: Sequence[int], factor: NDArray[np.float64], *, multiple: int) -> Counts:
    """Each times the factor, rounded to a multiple, and one of it at least; (len(numbers), L)."""
    exact = np.array(numbers)[:, None] * factor / multiple
    return np.maximum(1, np.rint(exact)).astype(np.int64) * multiple


def _eights(rng: np.random.Generator, between: tuple[int, int]) -> Counts:
    least, most = between
    return rng.integers(least // MULTIPLE, most // MULTIPLE + 1, _AT_ONCE) * MULTIPLE
