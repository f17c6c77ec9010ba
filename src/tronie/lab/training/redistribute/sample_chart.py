"""Sizes of faces, to be found and in crops: what share of them is smaller; SVG.

    x    size in pixels, each mark twice the last
    y    share of the faces that are smaller

Crops that train for what is to be found lie on its curve; crops that enlarge lie to the right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tronie.evaluation.charts.frame import (
    BOTTOM,
    LEFT,
    RIGHT,
    ROW,
    STYLE,
    WIDTH,
    Axis,
    drawing,
    frame,
    legend,
    style_class,
)

_TOP, _HEIGHT = 10.0, 240.0
_LAST_LABEL = 28.0
"""Room for the last label of x, whose middle is at the end."""


@dataclass(frozen=True, kw_only=True)
class SizeLine:
    """One curve."""

    name: str
    percentiles: tuple[float, ...]
    """Sizes that 1, 2, ... 99 % do not exceed; above 0."""


def size_chart(lines: Sequence[SizeLine], *, title: str) -> str:
    """A standalone drawing of one curve or more."""
    first = math.floor(math.log2(min(line.percentiles[0] for line in lines)))
    last = math.ceil(math.log2(max(line.percentiles[-1] for line in lines)) + 1e-9)
    x = Axis(
        low=2.0**first,
        high=2.0**last,
        start=LEFT,
        end=WIDTH - RIGHT - _LAST_LABEL / 2,
        transform=math.log2,
        ticks=tuple((2.0**n, f"{2.0**n:g}") for n in range(first, last + 1)),
    )
    y = Axis(
        low=0.0,
        high=1.0,
        start=_TOP + _HEIGHT,
        end=_TOP,
        transform=float,
        ticks=tuple((n / 4, f"{25 * n} %") for n in range(5)),
    )
    curves = [_curve(n, line, x, y) for n, line in enumerate(lines)]
    top = y.start + BOTTOM + 14
    entries = [
        (f'<path class="line {style_class(n)}" d="M0 0H34"/>', line.name)
        for n, line in enumerate(lines)
    ]
    axes = frame(x, y, x_title="size of a face in pixels", y_title="share of the faces below")
    told = "; ".join(f"{line.name}: half below {line.percentiles[49]:.0f}" for line in lines)
    return drawing(
        f"<style>{STYLE}</style>{axes}{''.join(curves)}{legend(entries, top=top)}",
        height=top + ROW * len(entries) - 4,
        title=title,
        description=f"Sizes of faces in pixels. {told}.",
    )


def _curve(n: int, line: SizeLine, x: Axis, y: Axis) -> str:
    places = [
        f"{x.at(size):.1f} {y.at(percent / 100):.1f}"
        for percent, size in enumerate(line.percentiles, start=1)
    ]
    return f'<path class="line {style_class(n)}" d="M{"L".join(places)}"/>'
