"""Score charts: densities against their definition, and a single impostor pair that is seen."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from tronie.evaluation.charts.frame import LEFT, RIGHT, WIDTH
from tronie.evaluation.charts.score_histograms import score_chart, score_span
from tronie.evaluation.report_parts import Histogram

SVG = "{http://www.w3.org/2000/svg}"
GENUINE = Histogram(kind="genuine", low=0.0, high=1.0, counts=(0, 10, 30, 0, 60))
IMPOSTOR = Histogram(kind="impostor", low=-1.0, high=1.0, counts=(0, 999_999, 0, 1), sampled=True)


def chart(*histograms: Histogram, thresholds=(), span=None):
    span = span or score_span(histograms, [t for t, _ in thresholds])
    return ElementTree.fromstring(
        score_chart(histograms, span=span, thresholds=thresholds, title="Scores")
    )


def outline(svg, n: int = 0) -> str:
    areas = [p for p in svg.iter(f"{SVG}path") if p.get("class", "").startswith("area")]
    return areas[n].attrib["d"]


def test_the_span_holds_every_bin_with_a_pair_and_every_threshold():
    span = score_span([GENUINE, IMPOSTOR], [0.95, -math.inf])
    assert (span.low, span.high) == (-0.5, 1.0)  # the first bins are empty
    assert score_span([GENUINE], [-0.7]).low == -0.7


def test_densities_are_counts_over_pairs_and_width_on_a_logarithmic_axis():
    svg = chart(GENUINE)
    span = score_span([GENUINE], [])
    heights = [float(y) for y in re.findall(r"V([\d.]+)H", outline(svg))]
    floor = float(outline(svg).rsplit("V", 1)[1])
    top = floor - 160
    wanted = np.array([10, 30, 60]) / (100 * 0.2)
    low, high = math.log10(span.lowest_density), math.log10(span.highest_density)
    part = (np.log10(wanted) - low) / (high - low)
    np.testing.assert_allclose(heights, floor + part * (top - floor), atol=0.06)


def test_one_impostor_pair_in_a_million_is_higher_than_none():
    counts = (10**6 - 1, 0, 0, 0, 1, 0, 0, 0, 0, 0)
    svg = chart(Histogram(kind="impostor", low=0.0, high=1.0, counts=counts))
    path = outline(svg)
    heights = [float(y) for y in re.findall(r"V([\d.]+)H", path)]
    floor = float(path.rsplit("V", 1)[1])
    assert floor - heights[1] > 5


def test_an_empty_bin_is_a_gap_down_to_the_floor():
    path = outline(chart(GENUINE))
    assert path.count("M") == 2  # two bins together, an empty one, one alone
    floor = path.rsplit("V", 1)[1]
    assert path.count(f"V{floor}") == 2
    assert path.count(f" {floor}V") == 2


def test_neighboring_bins_share_an_edge():
    counts = tuple(range(1, 2001))
    path = outline(chart(Histogram(kind="genuine", low=-1.0, high=1.0, counts=counts)))
    assert path.count("M") == 1


def test_thresholds_are_lines_at_their_scores_with_their_far():
    svg = chart(GENUINE, IMPOSTOR, thresholds=[(0.5, "10⁻⁶"), (0.25, "1 %"), (7.0, "never")])
    # 7.0 widens the span, so that the place of a score is checked on both sides
    lines = [p.attrib["d"] for p in svg.iter(f"{SVG}path") if p.get("class") == "limit"]
    xs = [float(re.match(r"M([\d.]+)", d)[1]) for d in lines if not d.startswith("M0 0")]
    scale = (WIDTH - RIGHT - LEFT) / (7.0 + 0.5)
    assert xs == pytest.approx([LEFT + (s + 0.5) * scale for s in (0.25, 0.5, 7.0)], abs=0.06)
    texts = [t.text for t in svg.iter(f"{SVG}text")]
    assert {"10⁻⁶", "1 %", "never", "threshold for the FAR written above it"} <= set(texts)


def test_a_threshold_outside_the_span_is_not_drawn():
    span = score_span([GENUINE], [])
    svg = chart(GENUINE, thresholds=[(-0.9, "never")], span=span)
    assert "never" not in {t.text for t in svg.iter(f"{SVG}text")}


def test_labels_of_near_thresholds_neither_touch_nor_are_crossed():
    near = [(0.40 + 0.01 * n, f"10⁻{n}") for n in range(6)]
    svg = chart(GENUINE, IMPOSTOR, thresholds=near)
    lines = []
    for path in svg.iter(f"{SVG}path"):
        if path.get("class") == "limit" and (m := re.match(r"M([\d.]+) ([\d.]+)V", path.get("d"))):
            lines.append((float(m[1]), float(m[2])))
    labels = [t for t in svg.iter(f"{SVG}text") if (t.text or "").startswith("10⁻")
              and t.get("text-anchor") == "end" and float(t.get("x")) > LEFT]  # fmt: skip
    assert len(labels) == len(lines) == 6
    for label in labels:
        right, base = float(label.get("x")), float(label.get("y"))
        for x, top in lines:
            crossed = right - 6.5 * len(label.text) < x < right and top < base
            assert not crossed, label.text


def test_the_legend_counts_the_pairs_and_says_what_was_sampled():
    texts = [t.text.replace("\u202f", " ") for t in chart(GENUINE, IMPOSTOR).iter(f"{SVG}text")]
    assert "impostor, 1 000 000 pairs, sampled" in texts
    assert "genuine, 100 pairs" in texts


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        (999_999, "impostor, 1 000 000 draws from 999 999 pairs"),
        (1_000_000, "impostor, 1 000 000 pairs, sampled"),
        (None, "impostor, 1 000 000 pairs, sampled"),
    ],
)
def test_a_sample_that_is_larger_than_its_set_is_not_told_as_so_many_pairs(pairs, told):
    span = score_span([IMPOSTOR], [])
    svg = score_chart([IMPOSTOR], span=span, impostor_pairs=pairs, title="Scores")
    assert told in svg.replace("\u202f", " ")


def test_a_histogram_without_pairs_has_no_span_and_draws_nothing():
    empty = Histogram(kind="genuine", low=-1.0, high=1.0, counts=(0, 0))
    assert score_span([empty], [0.5]) is None
    svg = chart(empty, IMPOSTOR, span=score_span([IMPOSTOR], []))
    areas = [p for p in svg.iter(f"{SVG}path") if p.get("class", "").startswith("area")]
    assert len(areas) == 1 + 2  # one outline, two samples in the legend
    assert all(area.attrib["d"].startswith("M") for area in areas)


@pytest.mark.parametrize("width", [5e-324, 1e-310, 1e-320])
def test_bins_that_are_too_narrow_for_a_density_have_no_span(width):
    narrow = Histogram(kind="genuine", low=0.0, high=width, counts=(3, 4))
    assert score_span([narrow], []) is None
    collapsed = Histogram(kind="genuine", low=1e16, high=1e16 + 2, counts=(1,) * 200)
    assert score_span([collapsed], []) is None


def test_text_from_strangers_stays_text():
    evil = "<script>alert(1)</script>"
    text = score_chart(
        [GENUINE], span=score_span([GENUINE], []), thresholds=[(0.5, evil)], title=evil
    )
    assert "<script" not in text
    ElementTree.fromstring(text)
