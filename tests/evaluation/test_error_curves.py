"""Cumulative curves stand where their shares are, and say in words what they show."""

from __future__ import annotations

from xml.etree import ElementTree

from tronie.evaluation.charts.error_curves import ErrorLine, error_chart
from tronie.evaluation.charts.frame import LEFT, RIGHT, WIDTH
from tronie.evaluation.error_curve import ErrorCurve

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "<script>alert(1)</script>\"'&"


def line(name="A", style=0, limit=0.1, shares=(0.0, 0.5, 0.75)):
    curve = ErrorCurve(faces=8, limit=limit, shares=shares)
    return ErrorLine(name=name, style=style, curve=curve)


def drawn(*lines):
    return ElementTree.fromstring(error_chart(lines, title="CED"))


def curves(svg):
    paths = [path for path in svg.iter(f"{SVG}path") if "line" in path.attrib.get("class", "")]
    return [path.attrib["d"] for path in paths if path.attrib["d"] != "M0 0H34"]


def test_points_stand_at_even_errors_and_at_their_shares():
    (told,) = curves(drawn(line()))
    middle = (LEFT + WIDTH - RIGHT) / 2
    assert told == f"M{LEFT:.1f} 270.0L{middle:.1f} 140.0L{WIDTH - RIGHT:.1f} 75.0"


def test_a_curve_with_a_smaller_limit_ends_before_the_axis_does():
    _, short = curves(drawn(line(), line("B", 1, limit=0.05, shares=(0.0, 1.0))))
    assert short == f"M{LEFT:.1f} 270.0L{(LEFT + WIDTH - RIGHT) / 2:.1f} 10.0"


def test_what_is_seen_is_told_in_words_and_names_are_escaped():
    svg = drawn(line(EVIL), line("B", 1))
    told = svg.find(f"{SVG}desc").text
    assert "B: 75.00 % of 8 faces have an error up to 0.1" in told.replace(
        "\N{NO-BREAK SPACE}", " "
    ).replace("\u202f", " ")
    assert EVIL in told
    assert not list(svg.iter(f"{SVG}script"))


def test_nothing_is_drawn_of_nothing():
    assert error_chart([], title="CED") is None
