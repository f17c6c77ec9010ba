"""The frame of a chart: places, labels, colors, and texts that stay texts."""

from __future__ import annotations

import math
from itertools import combinations
from statistics import NormalDist
from xml.etree import ElementTree

import numpy as np
import pytest

from tronie.evaluation.charts.frame import (
    COLORS,
    COLORS_DARK,
    STYLE,
    Axis,
    drawing,
    escaped,
    even_ticks,
    frame,
    legend,
    marker,
    shortened,
    style_class,
)

EVIL = "</text><script>alert('x')</script>\"&"

PLANES = {  # Machado et al. 2009, severity 1: linear RGB to what is seen
    "all cones": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(color: str) -> np.ndarray:
    c = np.array([int(color[n : n + 2], 16) for n in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    x = XYZ @ np.clip(rgb, 0, 1) / [0.95047, 1, 1.08883]
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eye", PLANES)
@pytest.mark.parametrize("colors", [COLORS, COLORS_DARK], ids=["light", "dark"])
def test_any_two_colors_are_told_apart_by_any_eye(colors, eye):
    seen = [lab(np.asarray(PLANES[eye]) @ linear(color)) for color in colors]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) >= 25


@pytest.mark.parametrize(("colors", "ground"), [(COLORS, "#ffffff"), (COLORS_DARK, "#1d1c1a")])
def test_every_color_stands_out_from_its_ground(colors, ground):
    assert f"--plot:{'#fff' if ground == '#ffffff' else ground};" in STYLE
    for color in colors:
        a, b = sorted(float(XYZ[1] @ linear(c)) + 0.05 for c in (color, ground))
        assert b / a >= 3, color


def test_thirty_six_models_have_a_look_of_their_own():
    assert len({style_class(n) for n in range(36)}) == 36
    assert style_class(0) == style_class(36) == "c0 d0"


def test_the_style_sheet_knows_every_class_in_light_and_in_dark():
    for n in range(6):
        assert f".c{n}{{" in STYLE
        assert f".d{n} {{" in STYLE
    assert "@media screen and (prefers-color-scheme:dark)" in STYLE  # so that paper stays light
    assert "<" not in STYLE


def axis(**changes) -> Axis:
    told = {"low": 1.0, "high": 100.0, "start": 0.0, "end": 200.0, "transform": math.log10}
    ticks = ((1.0, "1"), (10.0, "10"), (100.0, "100"))
    return Axis(**{**told, "ticks": ticks, **changes})


def test_a_value_stands_where_its_transform_says():
    assert [axis().at(v) for v in (1, 10, 100)] == [0, 100, 200]
    probit = NormalDist().inv_cdf
    normal = axis(low=0.1, high=0.9, transform=probit)
    assert normal.at(0.5) == pytest.approx(100)
    assert normal.at(0.2) == pytest.approx(100 * (1 - probit(0.8) / probit(0.9)))


def test_what_lies_beyond_stands_at_the_end():
    assert (axis().at(0.01), axis().at(1e9)) == (0, 200)


def test_zero_stands_in_its_own_margin_where_there_is_one():
    assert axis(zero=-12.0).at(0) == -12
    assert axis().at(0) == 0


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-0.31, 0.87), (12.5, 13), (-3e-7, 2e-7)])
def test_ticks_are_round_rising_inside_and_few(low, high):
    ticks = list(even_ticks(low, high))
    values = [value for value, _ in ticks]
    assert 4 <= len(ticks) <= 10
    assert values == sorted(values)
    assert low - 1e-9 <= values[0] <= values[-1] <= high + 1e-9
    assert all(
        float(label.replace("\N{MINUS SIGN}", "-")) == pytest.approx(value, abs=1e-9)
        for value, label in ticks
    )


def test_labels_that_would_touch_are_left_out():
    close = axis(end=40.0)
    y = axis(start=300.0, end=100.0)
    drawn = ElementTree.fromstring(f"<g>{frame(close, y, x_title='x', y_title='y')}</g>")
    texts = [t.text for t in drawn.iter("text")]
    assert texts.count("100") == 2
    assert texts.count("10") == 1  # on y only: on x it would be 20 units from the next


def test_a_drawing_is_xml_and_tells_those_who_do_not_see_it():
    body = legend([(marker(3, 17, 0, hollow=True, tip=EVIL), EVIL)], top=5)
    svg = ElementTree.fromstring(drawing(body, height=99, title=EVIL, description="low is good"))
    space = "{http://www.w3.org/2000/svg}"
    assert (svg.attrib["role"], svg.attrib["viewBox"]) == ("img", "0 0 480 99")
    assert svg.findtext(f"{space}title") == EVIL
    assert svg.findtext(f"{space}desc") == "low is good"
    assert f"{space}script" not in {element.tag for element in svg.iter()}


def test_every_kind_of_marker_is_xml_and_says_its_tip():
    for n in range(8):
        drawn = ElementTree.fromstring(marker(n, 1, 2, hollow=False, tip="here"))
        assert drawn.findtext("title") == "here"
        assert drawn.attrib["class"] == f"full {style_class(n)}"


def test_text_is_escaped_and_long_names_are_shortened():
    assert escaped('<a href="x">\'&') == "&lt;a href=&quot;x&quot;&gt;&#x27;&amp;"
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"
