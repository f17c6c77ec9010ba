"""DET curves: points stand at the probit of their rates, and doubt is drawn as doubt."""

from __future__ import annotations

import re
from dataclasses import replace
from statistics import NormalDist
from xml.etree import ElementTree

import pytest

from tronie.evaluation.charts.det_curves import DetLine, det_chart
from tronie.evaluation.charts.frame import LEFT, RIGHT, WIDTH
from tronie.evaluation.metrics.intervals import Interval
from tronie.evaluation.report_parts import CurvePoint, OperatingPoint

SVG = "{http://www.w3.org/2000/svg}"
probit = NormalDist().inv_cdf
EVIL = "<script>alert(1)</script>\"'&"


def at(fmr: float, fnmr: float, **changes) -> CurvePoint:
    told = {"threshold": 0.5, "fmr": fmr, "fnmr": fnmr, "false_matches": 99, "misses": 99}
    return CurvePoint(**{**told, **changes})


def mark(fmr: float, misses: int, **changes) -> OperatingPoint:
    told = {
        "far": 1e-3,
        "threshold": 0.5,
        "achieved_far": fmr,
        "false_matches": 99 if fmr else 0,
        "impostor_pairs": round(99 / fmr) if fmr else 10**6,
        "tar": 1 - misses / 1000,
        "accepted": 1000 - misses,
        "genuine_pairs": 1000,
    }
    return OperatingPoint(**{**told, **changes})


def drawn(*lines: DetLine):
    return ElementTree.fromstring(det_chart(lines, title="DET"))


def classes(svg, word: str) -> list[str]:
    return [e.attrib["class"] for e in svg.iter() if word in e.attrib.get("class", "").split()]


def curve_paths(svg) -> list:
    """Paths of curves: those of the legend begin at 0."""
    return [
        path
        for path in svg.iter(f"{SVG}path")
        if "line" in path.attrib.get("class", "").split() and not path.attrib["d"].startswith("M0 ")
        and not path.attrib["d"].startswith("M1 ")
    ]  # fmt: skip


def places(path) -> list[tuple[float, float]]:
    numbers = [float(n) for n in re.findall(r"[\d.]+", path.attrib["d"])]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def line(*points: CurvePoint, marks=(), style: int = 0, name: str = "A") -> DetLine:
    return DetLine(name=name, style=style, points=points, marks=tuple(marks))


def test_both_axes_are_linear_in_probit():
    rates = [(1e-5, 0.3), (1e-4, 0.1), (1e-3, 0.02), (1e-2, 0.004), (0.1, 0.001)]
    (path,) = curve_paths(drawn(line(*(at(*rate) for rate in rates))))
    found = places(path)
    for axis in (0, 1):
        ends = (found[0][axis], found[-1][axis])
        values = [probit(rate[axis]) for rate in rates]
        for value, place in zip(values, (p[axis] for p in found), strict=True):
            part = (value - values[0]) / (values[-1] - values[0])
            assert place == pytest.approx(ends[0] + part * (ends[1] - ends[0]), abs=0.15)
    assert found == sorted(found)  # further right and further down
    assert found[0][1] < found[-1][1]


def test_a_curve_between_normal_scores_is_straight():
    # genuine N(3, 1), impostor N(0, 1): FNMR(t) = Phi(t - 3), FMR(t) = 1 - Phi(t)
    phi = NormalDist().cdf
    points = [at(phi(-t), phi(t - 3)) for t in (3.5, 3.0, 2.5, 2.0, 1.5, 1.0)]
    (path,) = curve_paths(drawn(line(*points)))
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(*_neighbors(places(path)), strict=True)]
    for dx, dy in steps:
        assert dy / dx == pytest.approx(steps[0][1] / steps[0][0], rel=0.02)


def _neighbors(found):
    return found[:-1], found[1:]


def test_ticks_are_decades_and_round_percentages():
    svg = drawn(line(at(1e-6, 0.3), at(0.4, 1e-4)))
    texts = {t.text.replace("\u202f", " ") for t in svg.iter(f"{SVG}text") if t.text}
    assert {"10⁻⁶", "10⁻⁵", "10⁻⁴", "0.1 %", "1 %", "5 %", "20 %", "40 %"} <= texts
    assert "FMR, false match rate" in texts
    assert "10⁻⁷" not in texts


@pytest.mark.parametrize(
    ("false_matches", "misses", "faded"), [(30, 30, 0), (29, 30, 1), (30, 29, 1)]
)
def test_a_piece_is_faded_where_one_end_has_fewer_than_thirty_errors(false_matches, misses, faded):
    doubtful = at(1e-5, 0.2, false_matches=false_matches, misses=misses)
    paths = curve_paths(drawn(line(doubtful, at(1e-4, 0.1), at(1e-3, 0.01))))
    few = [path for path in paths if "few" in path.attrib["class"]]
    assert len(few) == faded
    assert len(paths) == 1 + faded
    assert all(len(places(path)) == 2 for path in few)


def test_both_pieces_beside_a_doubtful_point_are_faded():
    points = [at(10.0**-n, 0.4 / n, misses=9 if n == 3 else 99) for n in (5, 4, 3, 2, 1)]
    paths = curve_paths(drawn(line(*points)))
    told = [("few" in path.attrib["class"], len(places(path))) for path in paths]
    assert told == [(False, 2), (True, 3), (False, 2)]


def test_a_piece_is_dotted_where_impostor_pairs_were_sampled():
    paths = curve_paths(drawn(line(at(1e-4, 0.1), at(1e-3, 0.01), at(1e-2, 0.002, sampled=True))))
    assert [("sampled" in p.attrib["class"]) for p in paths] == [False, True]
    assert places(paths[0])[-1] == places(paths[1])[0]  # no gap between them


def test_a_rate_of_zero_stands_in_the_margin_without_a_line():
    svg = drawn(line(at(1e-3, 0.01), at(1e-2, 0.001), at(0.1, 0.0), at(0.2, 0.0)))
    (path,) = curve_paths(svg)
    assert len(places(path)) == 2
    dots = [g.find(f"{SVG}circle") for g in svg.iter(f"{SVG}g") if "zero" in g.get("class", "")]
    assert len(dots) == 2
    lowest = max(y for _, y in places(path))
    assert all(float(dot.attrib["cy"]) > lowest for dot in dots)
    assert "0" in {t.text for t in svg.iter(f"{SVG}text")}


def test_without_a_zero_there_is_no_margin():
    svg = drawn(line(at(1e-3, 0.01), at(1e-2, 0.001)))
    assert "0" not in {t.text for t in svg.iter(f"{SVG}text")}
    assert classes(svg, "gutter") == []


def test_points_beyond_an_fmr_of_one_half_and_an_fnmr_of_one_are_left_out():
    (path,) = curve_paths(drawn(line(at(1e-5, 1.0), at(1e-4, 0.1), at(0.5, 0.01), at(0.51, 0.005))))
    found = places(path)
    assert len(found) == 2
    assert found[-1][0] == pytest.approx(WIDTH - RIGHT)


def test_an_operating_point_stands_at_its_rates_with_its_intervals_as_bars():
    point = mark(
        1e-3,
        100,
        tar_interval=Interval(low=0.85, high=0.93, method="x"),
        far_interval=Interval(low=5e-4, high=2e-3, method="x"),
    )
    points = (at(5e-4, 0.15), at(1e-3, 0.1), at(2e-3, 0.07))
    svg = drawn(line(*points, marks=[point]))
    (path,) = curve_paths(svg)
    (low, here, high) = places(path)
    bar = next(p for p in svg.iter(f"{SVG}path") if p.get("class", "").startswith("bar"))
    x, top, bottom, left, y, right = map(float, re.findall(r"[\d.]+", bar.attrib["d"]))
    assert (x, y) == here
    assert {top, bottom} == {low[1], high[1]}  # FNMR 0.15 and 0.07
    assert (left, right) == (low[0], high[0])
    circle = next(c for c in svg.iter(f"{SVG}circle"))
    assert (float(circle.attrib["cx"]), float(circle.attrib["cy"])) == here


def test_an_interval_that_reaches_zero_ends_at_the_margin_and_not_beyond():
    point = mark(1e-3, 100, far_interval=Interval(low=0.0, high=2e-3, method="x"))
    svg = drawn(line(marks=[point]))
    bar = next(p for p in svg.iter(f"{SVG}path") if p.get("class", "").startswith("bar"))
    left = float(re.findall(r"[\d.]+", bar.attrib["d"])[0])
    assert left == pytest.approx(LEFT)


@pytest.mark.parametrize(("misses", "kind"), [(30, "full"), (29, "hollow")])
def test_a_marker_is_hollow_where_errors_are_few(misses, kind):
    svg = drawn(line(marks=[mark(1e-3, misses)]))
    found = [c for word in ("full", "hollow") for c in classes(svg, word)]
    assert found[0].startswith("full")  # the legend's
    assert f"{kind} c0 d0" in found
    assert ("hollow c0 d0" in found) == (kind == "hollow")


def test_a_marker_tells_its_numbers():
    (tip,) = {
        t.text for g in drawn(line(marks=[mark(1e-3, 40)])).iter(f"{SVG}g")
        for t in g.findall(f"{SVG}title")
    }  # fmt: skip
    assert tip.replace("\u202f", " ") == (
        "A at FAR 0.1 %: FNMR 4.00 % (40 of 1 000), 99 false matches"
    )


def test_the_legend_explains_only_what_is_drawn():
    def keys(*lines):
        texts = drawn(*lines).iter(f"{SVG}text")
        return [t.text for t in texts if t.get("class") == "key"]

    plain = line(at(1e-4, 0.1), at(1e-3, 0.01))
    assert keys(plain) == ["A"]
    doubtful = line(at(1e-4, 0.1, misses=3), at(1e-3, 0.01, sampled=True), name="B", style=1)
    assert keys(plain, doubtful) == [
        "A",
        "B",
        "faded: fewer than 30 errors, rough",
        "dotted: impostor pairs sampled",
    ]


def test_names_from_strangers_stay_names():
    text = det_chart([line(marks=[mark(1e-3, 40)], name=EVIL)], title=EVIL)
    assert "<script" not in text
    assert ElementTree.fromstring(text).findtext(f"{SVG}title") == EVIL


def test_points_that_would_lie_on_one_another_are_drawn_once():
    points = [at(1e-3 * (1 + n * 1e-6), 0.1) for n in range(5000)]
    (path,) = curve_paths(drawn(line(*points)))
    assert len(places(path)) <= 3


@pytest.mark.parametrize("lines", [[], [line()], [line(at(0.9, 0.1))], [line(at(0.1, 1.0))]])
def test_nothing_to_draw_is_no_chart(lines):
    assert det_chart(lines, title="x") is None


def test_extreme_rates_have_places_too():
    svg = drawn(line(at(1e-15, 0.9999), at(1e-11, 0.5), at(0.3, 1e-9)))
    (path,) = curve_paths(svg)
    assert all(0 <= x <= WIDTH for x, _ in places(path))
    only_zero = drawn(line(at(0.0, 0.0)), line(marks=[replace(mark(0.0, 0), tar=1.0)]))
    assert curve_paths(only_zero) == []
