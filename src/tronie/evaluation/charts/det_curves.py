r"""DET curves on normal-deviate axes, as inline SVG.

    x = probit(FMR), y = probit(FNMR)         where scores are normal, a DET curve is straight

probit is the inverse of the standard normal distribution function. A rate of 0 has no probit:
it is drawn in a margin of its own, labelled 0, without a line to its neighbors. The FMR axis
ends at 0.5; points beyond it, and points where nothing genuine is accepted, are left out.
A line is faded between two points of which one has fewer than 30 errors behind it, and dotted
where impostor pairs were sampled.

Source: Martin et al., "The DET curve in assessment of detection task performance",
Eurospeech 1997; ISO/IEC 19795-1:2021. Differs from them: the margin for 0, and the fading.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

from tronie.evaluation.charts.frame import (
    BOTTOM,
    LEFT,
    RIGHT,
    ROW,
    WIDTH,
    Axis,
    drawing,
    frame,
    legend,
    marker,
    style_class,
)
from tronie.evaluation.report_parts import FEW_ERRORS, CurvePoint, OperatingPoint
from tronie.evaluation.report_text import asked_text, count_text, rate_text

HIGHEST_FMR = 0.5
LOWEST_RATE = 1e-12
_ROUND_TICKS = (0.01, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 0.99, 0.999)
_MARGIN = 22.0
"""Width of the margin for rates of 0."""
_HEIGHT = 400.0
_NEAR = 0.4
"""Points of a curve nearer than this to the last one drawn are skipped; units of the drawing."""

probit = NormalDist().inv_cdf


@dataclass(frozen=True, kw_only=True)
class DetLine:
    """One model on a DET chart."""

    name: str
    style: int
    """Which color, dash and marker: the place of the model on the page."""
    points: tuple[CurvePoint, ...] = ()
    """By rising FMR; none where only marks were measured."""
    marks: tuple[OperatingPoint, ...] = ()


def det_chart(lines: Sequence[DetLine], *, title: str) -> str | None:
    """DET curves and operating points of several models; None if there is nothing to draw."""
    drawn = [line for line in lines if any(_places(line))]
    if not drawn:
        return None
    x, y = _det_axes(drawn)
    body = [frame(x, y, x_title="FMR, false match rate", y_title="FNMR, false non-match rate")]
    for line in drawn:
        body.extend(_curve(line.points, line.style, x, y))
        body.extend(_zeros(line.points, line.style, x, y))
    for line in drawn:
        body.extend(_mark(line, point, x, y) for point in line.marks if _is_drawn(point))
    entries = _det_legend(drawn)
    top = (y.zero or y.start) + (12 if y.zero else 0) + BOTTOM + 14
    body.append(legend(entries, top=top))
    return drawing(
        "".join(body),
        height=top + ROW * len(entries) - 4,
        title=title,
        description=_det_description(drawn),
    )


def _is_drawn(mark: OperatingPoint) -> bool:
    return _has_place(mark.achieved_far, 1 - mark.tar)


def _has_place(fmr: float, fnmr: float) -> bool:
    return 0 <= fmr <= HIGHEST_FMR and 0 <= fnmr < 1


def _fnmr(mark: OperatingPoint) -> float:
    return mark.misses / mark.genuine_pairs if mark.genuine_pairs else 1 - mark.tar


def _places(line: DetLine) -> Iterator[tuple[float, float]]:
    yield from ((p.fmr, p.fnmr) for p in line.points if _has_place(p.fmr, p.fnmr))
    yield from ((m.achieved_far, _fnmr(m)) for m in line.marks if _is_drawn(m))


def _det_axes(lines: Sequence[DetLine]) -> tuple[Axis, Axis]:
    places = [place for line in lines for place in _places(line)]
    fmr = [x for x, _ in places if x > 0] or [0.001]
    fnmr = [y for _, y in places if y > 0] or [0.001]
    zero_x = any(x == 0 for x, _ in places)
    zero_y = any(y == 0 for _, y in places)
    highest = next(tick for tick in (HIGHEST_FMR, *_ROUND_TICKS[4:], 1 - 1e-9) if max(fnmr) <= tick)
    low_x, low_y = _axis_low(min(fmr)), _axis_low(min(fnmr))
    bottom = 10 + _HEIGHT
    x = Axis(
        low=low_x,
        high=HIGHEST_FMR,
        start=LEFT + (_MARGIN if zero_x else 0),
        end=WIDTH - RIGHT,
        transform=probit,
        ticks=tuple(_rate_ticks(low_x, HIGHEST_FMR)),
        zero=LEFT + 12 if zero_x else None,
    )
    y = Axis(
        low=low_y,
        high=highest,
        start=bottom - (_MARGIN if zero_y else 0),
        end=10,
        transform=probit,
        ticks=tuple(_rate_ticks(low_y, highest)),
        zero=bottom - 12 if zero_y else None,
    )
    return x, y


def _axis_low(least: float) -> float:
    """A decade below the least rate, and a little more, so that its marker is off the frame."""
    rate = max(least, LOWEST_RATE)
    decade = 10.0 ** min(math.floor(math.log10(rate) + 1e-9), -3)
    return min(decade, 0.7 * rate)


def _rate_ticks(low: float, high: float) -> Iterator[tuple[float, str]]:
    decades = (10.0**exponent for exponent in range(-12, -2))
    for tick in (*decades, *_ROUND_TICKS):
        if low * 0.999 <= tick <= high:
            yield (
                max(tick, low),
                asked_text(float(f"{tick:.0e}")) if tick < 0.9 else asked_text(tick),
            )


def _curve(points: Sequence[CurvePoint], style: int, x: Axis, y: Axis) -> Iterator[str]:
    """The line of a curve, in pieces that are drawn alike."""
    kept: list[tuple[float, float, CurvePoint]] = []
    usable = [p for p in points if _has_place(p.fmr, p.fnmr) and p.fmr > 0 and p.fnmr > 0]
    for n, p in enumerate(usable):
        place = (x.at(p.fmr), y.at(p.fnmr))
        edge = n in (0, len(usable) - 1)
        if kept and not edge and _alike(kept[-1][2], p) and math.dist(kept[-1][:2], place) < _NEAR:
            continue
        kept.append((*place, p))
    piece: list[str] = []
    drawn = ""
    for a, b in pairwise(kept):
        few, sampled = (a[2].few_errors or b[2].few_errors), (a[2].sampled or b[2].sampled)
        kind = f"line {style_class(style)}{' few' * few}{' sampled' * sampled}"
        if kind != drawn:
            if piece:
                yield f'<path class="{drawn}" d="{"L".join(piece)}"/>'
            piece, drawn = [f"M{a[0]:.1f} {a[1]:.1f}"], kind
        piece.append(f"{b[0]:.1f} {b[1]:.1f}")
    if piece:
        yield f'<path class="{drawn}" d="{"L".join(piece)}"/>'


def _alike(a: CurvePoint, b: CurvePoint) -> bool:
    return (a.few_errors, a.sampled) == (b.few_errors, b.sampled)


def _zeros(points: Sequence[CurvePoint], style: int, x: Axis, y: Axis) -> Iterator[str]:
    """Points of a curve with a rate of 0, as dots in the margin; one for each place."""
    found = [p for p in points if _has_place(p.fmr, p.fnmr) and not (p.fmr > 0 and p.fnmr > 0)]
    for px, py in sorted({(round(x.at(p.fmr)), round(y.at(p.fnmr))) for p in found}):
        yield (
            f'<g class="full zero {style_class(style)}"><circle cx="{px}" cy="{py}" r="1.8"/></g>'
        )


def _mark(line: DetLine, mark: OperatingPoint, x: Axis, y: Axis) -> str:
    """An operating point with its intervals as bars."""
    px, py = x.at(mark.achieved_far), y.at(_fnmr(mark))
    bars = []
    if mark.tar_interval is not None:
        ends = (y.at(max(1 - mark.tar_interval.high, 0)), y.at(max(1 - mark.tar_interval.low, 0)))
        bars.append(f"M{px:.1f} {ends[0]:.1f}V{ends[1]:.1f}")
    if mark.far_interval is not None:
        ends = (x.at(mark.far_interval.low), x.at(mark.far_interval.high))
        bars.append(f"M{ends[0]:.1f} {py:.1f}H{ends[1]:.1f}")
    tip = (
        f"{line.name} at FAR {asked_text(mark.far)}: FNMR {rate_text(_fnmr(mark))} "
        f"({count_text(mark.misses)} of {count_text(mark.genuine_pairs)}), "
        f"{count_text(mark.false_matches)} false matches"
    )
    drawn = f'<path class="bar {style_class(line.style)}" d="{"".join(bars)}"/>' if bars else ""
    return drawn + marker(line.style, px, py, hollow=mark.few_errors, tip=tip)


def _det_legend(lines: Sequence[DetLine]) -> list[tuple[str, str]]:
    entries = []
    for line in lines:
        stroke = f'<path class="line {style_class(line.style)}" d="M0 0H34"/>'
        symbol = marker(line.style, 17, 0, hollow=False, tip="") if line.marks else ""
        entries.append(((stroke if line.points else "") + symbol, line.name))
    points = [p for line in lines for p in line.points]
    marks = [m for line in lines for m in line.marks]
    any_style = style_class(lines[0].style)
    if any(p.few_errors for p in points) or any(m.few_errors for m in marks):
        sample = f'<path class="line few {any_style}" d="M0 0H34"/>'
        hollow = marker(lines[0].style, 17, 0, hollow=True, tip="") if marks else ""
        words = "faded, hollow" if marks else "faded"
        entries.append((sample + hollow, f"{words}: fewer than {FEW_ERRORS} errors, rough"))
    if any(p.sampled for p in points):
        sample = f'<path class="line sampled {any_style}" d="M1 0H34"/>'
        entries.append((sample, "dotted: impostor pairs sampled"))
    if any(m.tar_interval or m.far_interval for m in marks):
        sample = f'<path class="bar {any_style}" d="M0 0H34M17 -7V7"/>'
        entries.append((sample, "bars: interval of each operating point"))
    return entries


def _det_description(lines: Sequence[DetLine]) -> str:
    told = [
        f"{line.name}: "
        + (
            ", ".join(
                f"FNMR {rate_text(_fnmr(m))} at FMR {rate_text(m.achieved_far)}" for m in line.marks
            )
            or f"a curve of {len(line.points)} points"
        )
        for line in lines
    ]
    return f"DET curves, lower and further left is better. {'; '.join(told)}."
