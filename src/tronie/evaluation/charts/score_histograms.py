"""Genuine and impostor scores of one model as densities, thresholds as lines; inline SVG.

    density of a bin        pairs in it / (all pairs of its kind * width of the bin)

The axis of densities is logarithmic, so that one impostor pair in a million is still seen: the
tail beyond a threshold is what a FAR counts. An empty bin is a gap down to the floor, which is
below the least density drawn and is no value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tronie.evaluation.charts.frame import (
    BOTTOM,
    LEFT,
    RIGHT,
    ROW,
    WIDTH,
    Axis,
    drawing,
    escaped,
    even_ticks,
    frame,
    legend,
    style_class,
)
from tronie.evaluation.report_parts import Histogram
from tronie.evaluation.report_text import count_text, power_text

_HEIGHT = 160.0


@dataclass(frozen=True, kw_only=True)
class ScoreSpan:
    """What several score charts share, so that they can be laid side by side."""

    low: float
    high: float
    lowest_density: float
    highest_density: float


def score_span(histograms: Sequence[Histogram], thresholds: Sequence[float]) -> ScoreSpan | None:
    """The range of scores and of densities of all of them.

    None if no pair was counted, or if the bins are too narrow to have a density.
    """
    bars = [bar for histogram in histograms for bar in _bars(histogram)]
    if not bars or any(low == high or not math.isfinite(density) for low, high, density in bars):
        return None
    inside = [t for t in thresholds if math.isfinite(t)]
    densities = [density for _, _, density in bars]
    floor = math.floor(math.log10(min(densities)) - 0.1)  # so that one pair is higher than none
    return ScoreSpan(
        low=min([low for low, _, _ in bars] + inside),
        high=max([high for _, high, _ in bars] + inside),
        lowest_density=10.0**floor,
        highest_density=10.0 ** max(math.ceil(math.log10(max(densities))), floor + 1),
    )


def score_chart(
    histograms: Sequence[Histogram],
    *,
    span: ScoreSpan,
    thresholds: Sequence[tuple[float, str]] = (),
    impostor_pairs: int | None = None,
    title: str,
) -> str:
    """Genuine and impostor scores of one model as densities, thresholds as lines.

    Args:
        histograms: Of one set; at most one of each kind.
        span: Of all charts beside it, from `score_span`.
        thresholds: Score and label, such as (0.42, "10⁻⁶").
        impostor_pairs: All that the set has, where they are known: a sample of a small set draws
            its pairs again and again, and is not to be taken for as many.
    """
    inside = sorted(t for t in thresholds if span.low <= t[0] <= span.high)
    x = Axis(
        low=span.low,
        high=span.high,
        start=LEFT,
        end=WIDTH - RIGHT,
        transform=float,
        ticks=tuple(even_ticks(span.low, span.high)),
    )
    labels = list(_staggered([(x.at(score), label) for score, label in inside]))
    above = 8 + 15.0 * (1 + max((row for _, _, row in labels), default=-1))
    y = Axis(
        low=span.lowest_density,
        high=span.highest_density,
        start=above + _HEIGHT,
        end=above,
        transform=math.log10,
        ticks=tuple(_decades(span.lowest_density, span.highest_density)),
    )
    body = [frame(x, y, x_title="score (cosine)", y_title="density, logarithmic")]
    kinds = sorted(histograms, key=lambda h: h.kind != "impostor")  # genuine in front
    body += [_outline(histogram, x, y) for histogram in kinds]
    for place, label, row in labels:
        top = above - 15.0 * (row + 1)
        body.append(
            f'<path class="limit" d="M{place:.1f} {top:.1f}V{y.start:.1f}"/>'
            f'<text class="tick" text-anchor="end" x="{place - 3:.1f}" y="{top + 9:.1f}">'
            f"{escaped(label)}</text>"
        )
    entries = [_score_entry(histogram, impostor_pairs) for histogram in kinds]
    if labels:
        sample = '<path class="limit" d="M0 0H34"/>'
        entries.append((sample, "threshold for the FAR written above it"))
    top = y.start + BOTTOM + 14
    body.append(legend(entries, top=top))
    told = "; ".join(text for _, text in entries[: len(kinds)])
    limits = ", ".join(f"{score:.4f} for FAR {label}" for score, label in inside)
    return drawing(
        "".join(body),
        height=top + ROW * len(entries) - 4,
        title=title,
        description=f"{told}. Thresholds: {limits}." if limits else f"{told}.",
    )


def _bars(histogram: Histogram) -> Iterator[tuple[float, float, float]]:
    """Bins that hold something: both ends and the density."""
    total, bins = sum(histogram.counts), len(histogram.counts)
    width = (histogram.high - histogram.low) / bins
    if total * width == 0:  # no pairs, or bins narrower than a float can say
        return
    for n, count in enumerate(histogram.counts):
        if count:
            low = histogram.low + n * width
            yield low, low + width, count / (total * width)


def _outline(histogram: Histogram, x: Axis, y: Axis) -> str:
    """Steps over neighboring bins, down to the floor where a bin is empty."""
    parts: list[str] = []
    end = math.nan
    for low, high, density in _bars(histogram):
        if not math.isclose(low, end, rel_tol=0, abs_tol=1e-9):
            parts.append(f"{f'V{y.start:.1f}' if parts else ''}M{x.at(low):.1f} {y.start:.1f}")
        parts.append(f"V{y.at(density):.1f}H{x.at(high):.1f}")
        end = high
    if not parts:
        return ""
    return f'<path class="{_kind_class(histogram)}" d="{"".join(parts)}V{y.start:.1f}"/>'


def _kind_class(histogram: Histogram) -> str:
    return f"area {style_class(0 if histogram.kind == 'genuine' else 1)}"


def _score_entry(histogram: Histogram, impostor_pairs: int | None) -> tuple[str, str]:
    sample = f'<path class="{_kind_class(histogram)}" d="M0 6V-5H34V6"/>'
    counted = sum(histogram.counts)
    pairs = f"{count_text(counted)} pairs{', sampled' if histogram.sampled else ''}"
    if histogram.sampled and impostor_pairs is not None and impostor_pairs < counted:
        pairs = f"{count_text(counted)} draws from {count_text(impostor_pairs)} pairs"
    return sample, f"{histogram.kind}, {pairs}"


def _decades(low: float, high: float) -> Iterator[tuple[float, str]]:
    first, last = round(math.log10(low)), round(math.log10(high))
    every = 1 + (last - first) // 9
    for exponent in range(first, last + 1, every):
        value = 10.0**exponent
        yield value, power_text(value) if exponent < 0 else f"{value:g}"


def _staggered(labels: Sequence[tuple[float, str]]) -> Iterator[tuple[float, str, int]]:
    """Labels by place, each left of its line and above the lines that it reaches over."""
    lines: list[tuple[float, int]] = []
    for place, label in labels:
        left = place - 7.2 * len(label) - 6
        row = 1 + max((r for other, r in lines if other > left), default=-1)
        lines.append((place, row))
        yield place, label, row
