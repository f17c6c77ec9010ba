"""Cumulative curves of landmark errors, as inline SVG: how many faces have at most this error.

    x = error over the length of the face, up to where it counts as a failure
    y = share of the faces, 0 to 1; what the curve lacks to 1 at its end has failed

Source: Sagonas et al., "300 Faces in-the-Wild Challenge", IVC 47, 2016 (CED).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tronie.evaluation.charts.frame import (
    BOTTOM,
    LEFT,
    RIGHT,
    ROW,
    WIDTH,
    Axis,
    drawing,
    even_ticks,
    frame,
    legend,
    style_class,
)
from tronie.evaluation.error_curve import ErrorCurve
from tronie.evaluation.report_text import count_text, rate_text

_TOP, _HEIGHT = 10.0, 260.0


@dataclass(frozen=True, kw_only=True)
class ErrorLine:
    """One model on the chart."""

    name: str
    style: int
    """Which color and dash: the place of the model on the page."""
    curve: ErrorCurve


def error_chart(lines: Sequence[ErrorLine], *, title: str) -> str | None:
    """The curves of several models over the same faces; None if there is none."""
    if not lines:
        return None
    limit = max(line.curve.limit for line in lines)
    x = Axis(
        low=0.0,
        high=limit,
        start=LEFT,
        end=WIDTH - RIGHT,
        transform=float,
        ticks=tuple(even_ticks(0.0, limit)),
    )
    y = Axis(
        low=0.0,
        high=1.0,
        start=_TOP + _HEIGHT,
        end=_TOP,
        transform=float,
        ticks=tuple(even_ticks(0.0, 1.0)),
    )
    body = [frame(x, y, x_title="error, over the length of the face", y_title="share of the faces")]
    body += [_line(line, x, y) for line in lines]
    top = y.start + BOTTOM + 14
    entries = [
        (f'<path class="line {style_class(line.style)}" d="M0 0H34"/>', line.name) for line in lines
    ]
    body.append(legend(entries, top=top))
    told = "; ".join(
        f"{line.name}: {rate_text(line.curve.shares[-1])} of {count_text(line.curve.faces)} faces "
        f"have an error up to {line.curve.limit:g}"
        for line in lines
    )
    return drawing(
        "".join(body),
        height=top + ROW * len(entries) - 4,
        title=title,
        description=f"Cumulative errors, higher and further left is better. {told}.",
    )


def _line(line: ErrorLine, x: Axis, y: Axis) -> str:
    shares = line.curve.shares
    step = line.curve.limit / (len(shares) - 1)
    places = [f"{x.at(n * step):.1f} {y.at(share):.1f}" for n, share in enumerate(shares)]
    return f'<path class="line {style_class(line.style)}" d="M{"L".join(places)}"/>'
