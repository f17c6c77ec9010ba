"""What every chart of a report is drawn on: axes, frame, legend, colors, as inline SVG.

A drawing is 480 units wide and as high as it needs; it stretches to its place on the page.
Colors are classes of one style sheet, `STYLE`, that the page holds once: dark on light, light
on dark where the reader asks for it, and dark on light again on paper. Each of the six colors
comes with a dash and a marker of its own, and any two of them stay apart for readers who lack
one kind of cone (25 or more in CIE Lab, contrast with the ground 3 or more).
Every text that comes from outside goes through `escaped`.

Source: Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color
vision deficiency", IEEE TVCG 15, 2009, by which the colors were chosen.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

WIDTH = 480.0
LEFT, RIGHT, BOTTOM = 58.0, 12.0, 46.0
"""Around a plot: for the labels of y, for nothing, for the labels of x."""
ROW = 19.0
"""Height of a line of the legend."""
_LABEL_GAP = 33.0
_LONGEST_NAME = 52

COLORS = ("#2834db", "#c87c00", "#349c79", "#a47ace", "#4e0600", "#000839")
COLORS_DARK = ("#768dff", "#de7421", "#2be39a", "#a586a3", "#f2e14a", "#d4fff9")
GREY, GREY_DARK = "#b9b4ab", "#6a6760"
DASHES = ("", "9 4", "12 3 3 3", "5 2.5", "14 3 3 3 3 3", "18 5")
_FADING = 0.28


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One direction of a plot: values to places."""

    low: float
    high: float
    start: float
    """Where `low` is, in units of the drawing."""
    end: float
    transform: Callable[[float], float]
    """Strictly rising over [low, high]."""
    ticks: tuple[tuple[float, str], ...]
    """Values inside [low, high] with their labels, rising."""
    zero: float | None = None
    """Where a rate of 0 stands, which the transform has no place for; None if none does."""

    def at(self, value: float) -> float:
        """The place of a value; what lies outside is moved to the end that it is beyond."""
        if value == 0 and self.zero is not None:
            return self.zero
        low, high = self.transform(self.low), self.transform(self.high)
        inside = min(max(value, self.low), self.high)
        part = (self.transform(inside) - low) / (high - low)
        return self.start + part * (self.end - self.start)


def style_class(n: int) -> str:
    """The classes of the n-th model: six colors, and other dashes when they come again."""
    return f"c{n % 6} d{(n + n // 6) % 6}"


def marker(n: int, x: float, y: float, *, hollow: bool, tip: str) -> str:
    """The marker of the n-th model, with what is shown when it is pointed at."""
    size = 4.6
    shapes = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}"/>',
        f'<path d="M{x - size:.1f} {y - size:.1f}h{2 * size}v{2 * size}h{-2 * size}z"/>',
        f'<path d="M{x:.1f} {y - 1.4 * size:.1f}l{1.4 * size} {1.4 * size}l{-1.4 * size} '
        f'{1.4 * size}l{-1.4 * size} {-1.4 * size}z"/>',
        f'<path d="M{x:.1f} {y - 1.3 * size:.1f}l{1.3 * size} {2.3 * size}h{-2.6 * size}z"/>',
    )
    kind = "hollow" if hollow else "full"
    told = f"<title>{escaped(tip)}</title>" if tip else ""
    return f'<g class="{kind} {style_class(n)}">{told}{shapes[n % len(shapes)]}</g>'


def frame(x: Axis, y: Axis, *, x_title: str, y_title: str) -> str:
    """Grid, tick labels and titles of a plot."""
    left, right = min(x.start, x.zero or x.start) - (12 if x.zero else 0), x.end
    top, bottom = y.end, max(y.start, y.zero or y.start) + (12 if y.zero else 0)
    parts = [
        f'<path class="grid" d="M{x.at(v):.1f} {y.end:.1f}V{y.start:.1f}"/>' for v, _ in x.ticks
    ]
    parts += [
        f'<path class="grid" d="M{x.start:.1f} {y.at(v):.1f}H{x.end:.1f}"/>' for v, _ in y.ticks
    ]
    parts += [
        f'<text class="tick" text-anchor="middle" x="{place:.1f}" y="{bottom + 16:.1f}">'
        f"{escaped(label)}</text>"
        for place, label in _labels(x)
    ]
    parts += [
        f'<text class="tick" text-anchor="end" x="{left - 6:.1f}" y="{place + 4:.1f}">'
        f"{escaped(label)}</text>"
        for place, label in _labels(y, gap=15.0)
    ]
    if x.zero is not None:
        parts.append(f'<path class="gutter" d="M{x.start:.1f} {top:.1f}V{bottom:.1f}"/>')
    if y.zero is not None:
        parts.append(f'<path class="gutter" d="M{left:.1f} {y.start:.1f}H{right:.1f}"/>')
    parts.append(
        f'<path class="frame" d="M{left:.1f} {top:.1f}H{right:.1f}V{bottom:.1f}H{left:.1f}z"/>'
    )
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    parts.append(
        f'<text class="title" text-anchor="middle" x="{middle_x:.1f}" y="{bottom + 36:.1f}">'
        f"{escaped(x_title)}</text>"
    )
    parts.append(
        f'<text class="title" text-anchor="middle" transform="translate(13 {middle_y:.1f}) '
        f'rotate(-90)">{escaped(y_title)}</text>'
    )
    return "".join(parts)


def legend(entries: Sequence[tuple[str, str]], *, top: float) -> str:
    """Rows of a sample and what it means; a sample is drawn around (0, 0), 34 units wide."""
    rows = []
    for n, (sample, text) in enumerate(entries):
        y = top + ROW * n
        rows.append(
            f'<g transform="translate({LEFT:.1f} {y:.1f})">{sample}'
            f'<text class="key" x="44" y="4">{escaped(shortened(text))}</text></g>'
        )
    return "".join(rows)


def drawing(body: str, *, height: float, title: str, description: str) -> str:
    """One `<svg>` with what a reader who does not see it is told."""
    return (
        f'<svg class="chart" role="img" viewBox="0 0 {WIDTH:.0f} {height:.0f}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escaped(title)}</title>'
        f"<desc>{escaped(description)}</desc>{body}</svg>"
    )


def even_ticks(low: float, high: float) -> Iterator[tuple[float, str]]:
    """Round numbers, at most ten of them."""
    step = next(s for s in _steps() if (high - low) / s <= 9)
    for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1):
        yield n * step, f"{round(n * step, 9):g}".replace("-", "\N{MINUS SIGN}")


def escaped(text: str) -> str:
    """`text` as HTML and SVG show it, whatever is in it."""
    return html.escape(text, quote=True)


def shortened(text: str, longest: int = _LONGEST_NAME) -> str:
    """At most `longest` characters, with an ellipsis for what was left out."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _labels(axis: Axis, *, gap: float = _LABEL_GAP) -> list[tuple[float, str]]:
    """Labels that do not touch: from the high end down, those too near the last are left out."""
    found: list[tuple[float, str]] = []
    last = math.inf
    if axis.zero is not None:
        found.append((axis.zero, "0"))
    for value, label in reversed(axis.ticks):
        place = axis.at(value)
        clear = axis.zero is None or abs(place - axis.zero) >= 18
        if clear and abs(place - last) >= gap:
            found.append((place, label))
            last = place
    return found


def _steps() -> Iterator[float]:
    for exponent in range(-300, 300):
        yield from (digit * 10.0**exponent for digit in (1, 2, 5))


def _mixed(color: str, grey: str) -> str:
    """A color faded into grey."""
    pairs = zip(
        (int(color[n : n + 2], 16) for n in (1, 3, 5)),
        (int(grey[n : n + 2], 16) for n in (1, 3, 5)),
        strict=True,
    )
    return "#" + "".join(f"{round(_FADING * a + (1 - _FADING) * b):02x}" for a, b in pairs)


def _palette(colors: Sequence[str], grey: str, rest: str) -> str:
    told = "".join(f"--c{n}:{c};--f{n}:{_mixed(c, grey)};" for n, c in enumerate(colors))
    return f"{told}--grid-few:{grey};{rest}"


_ON_LIGHT = _palette(COLORS, GREY, "--grid:#e9e5dd;--axis:#8a847a;--word:#23211e;--plot:#fff;")
_ON_DARK = _palette(
    COLORS_DARK, GREY_DARK, "--grid:#34322e;--axis:#8d877d;--word:#ece8e1;--plot:#1d1c1a;"
)
STYLE = (
    f":root{{{_ON_LIGHT}}}"
    f"@media screen and (prefers-color-scheme:dark){{:root{{{_ON_DARK}}}}}"
    ".chart{display:block;width:100%;height:auto;font:12.5px system-ui,'DejaVu Sans',sans-serif}"
    ".chart text{fill:var(--word)}.chart .tick{fill:var(--axis);font-size:12px}"
    ".chart .title{font-size:12.5px}.chart .key{font-size:12.5px}"
    ".chart path,.chart circle{fill:none;vector-effect:non-scaling-stroke}"
    ".chart .grid{stroke:var(--grid)}.chart .frame{stroke:var(--axis)}"
    ".chart .gutter{stroke:var(--axis);stroke-dasharray:2 3}"
    ".chart .line{stroke-width:2;stroke-linejoin:round}.chart .bar{stroke-width:1.6}"
    ".chart .limit{stroke:var(--word);stroke-width:1;stroke-dasharray:4 3}"
    + "".join(
        f".c{n}{{--own:var(--c{n});--faded:var(--f{n})}}.d{n} {{--dash:{dash or 'none'}}}"
        for n, dash in enumerate(DASHES)
    )
    + ".chart .line{stroke:var(--own);stroke-dasharray:var(--dash)}"
    ".chart .line.few{stroke:var(--faded)}"
    ".chart .line.sampled{stroke-dasharray:.1 5;stroke-linecap:round;stroke-width:2.6}"
    ".chart .bar{stroke:var(--own)}"
    ".chart .full>*{fill:var(--own);stroke:var(--plot)}"
    ".chart .hollow>*{fill:var(--plot);stroke:var(--own);stroke-width:1.6}"
    ".chart .area{fill:var(--own);fill-opacity:.16;stroke:var(--own);stroke-width:1.4;"
    "stroke-dasharray:var(--dash)}"
)
"""The style sheet of all charts; to be on the page once."""
