"""Score against share of the computation, a panel for each part, the best range shaded; SVG.

The drawing carries its style sheet, so that it can be looked at alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tronie.evaluation.charts.frame import (
    BOTTOM,
    LEFT,
    RIGHT,
    ROW,
    STYLE,
    WIDTH,
    Axis,
    drawing,
    even_ticks,
    frame,
    legend,
    marker,
    style_class,
)
from tronie.lab.training.redistribute.findings import Finding

COLUMNS = 2
_HEIGHT, _TOP = 170.0, 26.0
_PANEL = _TOP + _HEIGHT + BOTTOM + 6
_NETWORK, _RANGE = 0, 1  # styles


def share_chart(found: Sequence[Finding], *, title: str) -> str:
    """A standalone drawing of all findings, which are of one search and not empty."""
    scores = [float(score) for one in found for score in one.scores]
    low, high = _around(min(scores), max(scores))
    body, rows = [], math.ceil(len(found) / COLUMNS)
    for n, one in enumerate(found):
        x, y = n % COLUMNS * WIDTH, n // COLUMNS * _PANEL
        body.append(f'<g transform="translate({x:.0f} {y:.0f})">{_panel(one, low, high)}</g>')
    body.append(legend(_entries(found), top=rows * _PANEL + 12))
    height = (rows * _PANEL + 12 + ROW * len(_entries(found))) / COLUMNS
    told = "; ".join(_told(one) for one in found)
    return drawing(
        f'<style>{STYLE}</style><g transform="scale({1 / COLUMNS:g})">{"".join(body)}</g>',
        height=height,
        title=title,
        description=f"Score of each network by its share of the computation. {told}.",
    )


def _panel(one: Finding, low: float, high: float) -> str:
    left, right = _around(float(one.shares.min()), float(one.shares.max()))
    left, right = max(0.0, left), min(1.0, right)
    x = Axis(
        low=left,
        high=right,
        start=LEFT,
        end=WIDTH - RIGHT,
        transform=float,
        ticks=tuple((v / 100, f"{t} %") for v, t in even_ticks(100 * left, 100 * right)),
    )
    y = Axis(
        low=low,
        high=high,
        start=_TOP + _HEIGHT,
        end=_TOP,
        transform=float,
        ticks=tuple(even_ticks(low, high)),
    )
    shade = ""
    if one.best is not None:
        ends = (x.at(one.best.low), x.at(one.best.high))
        shade = (
            f'<path class="area {style_class(_RANGE)}" d="M{ends[0]:.1f} {y.start:.1f}'
            f'V{y.end:.1f}H{max(ends[1], ends[0] + 1):.1f}V{y.start:.1f}z"/>'
            f'<path class="limit" d="M{x.at(one.best.median):.1f} {y.start:.1f}V{y.end:.1f}"/>'
        )
    best = int(one.scores.argmax())
    dots = [
        marker(_NETWORK, x.at(float(share)), y.at(float(score)), hollow=n != best, tip="")
        for n, (share, score) in enumerate(zip(one.shares, one.scores, strict=True))
    ]
    head = (
        f'<text class="title" x="{LEFT:.0f}" y="{_TOP - 9:.0f}">step {one.step}, {one.part}</text>'
    )
    axes = frame(x, y, x_title="share of the FLOPs", y_title="score")
    return head + axes + shade + "".join(dots)


def _entries(found: Sequence[Finding]) -> list[tuple[str, str]]:
    entries = [
        (marker(_NETWORK, 17, 0, hollow=True, tip=""), "a network"),
        (marker(_NETWORK, 17, 0, hollow=False, tip=""), "the best of its step"),
    ]
    if any(one.best for one in found):
        area = f'<path class="area {style_class(_RANGE)}" d="M0 6V-5H34V6z"/>'
        entries.append((area, "where the best share lies, 95 % of draws"))
        entries.append(('<path class="limit" d="M17 6V-6"/>', "its median"))
    return entries


def _told(one: Finding) -> str:
    head = f"Step {one.step}, {one.part}, networks judged: {len(one.scores)}"
    if one.best is None:
        return head
    return (
        f"{head}, best share {100 * one.best.median:.1f} %, range {100 * one.best.low:.1f} % to "
        f"{100 * one.best.high:.1f} %"
    )


def _around(low: float, high: float) -> tuple[float, float]:
    """A little more than from the one to the other."""
    margin = 0.06 * (high - low) or 0.01
    return low - margin, high + margin
