"""The drawing of sizes."""

from __future__ import annotations

import xml.etree.ElementTree as Tree
from itertools import pairwise

import pytest

pytest.importorskip("torch")

from tronie.lab.training.redistribute.sample_chart import SizeLine, size_chart

pytestmark = pytest.mark.lab

SVG = "{http://www.w3.org/2000/svg}"


def line(name, *, first=8.0, last=64.0):
    step = (last / first) ** (1 / 98)
    return SizeLine(name=name, percentiles=tuple(first * step**n for n in range(99)))


def curves(root):
    """Places of each curve, without the samples of the legend."""
    drawn = [p.get("d") for p in root.iter(f"{SVG}path") if "line" in p.get("class", "").split()]
    return [
        [tuple(map(float, place.split())) for place in d[1:].split("L")]
        for d in drawn
        if d != "M0 0H34"
    ]


def test_a_curve_rises_from_its_smallest_to_its_largest_faces():
    root = Tree.fromstring(size_chart([line("a <b>")], title="sizes"))
    (places,) = curves(root)
    assert len(places) == 99
    across, up = zip(*places, strict=True)
    assert list(across) == sorted(across)
    assert list(up) == sorted(up, reverse=True)
    steps = [b - a for a, b in pairwise(across)]
    assert max(steps) - min(steps) < 0.21  # octaves are even; places have one decimal
    assert "a <b>" in [text.text for text in root.iter(f"{SVG}text")]
    assert "a <b>: half below 23" in root.find(f"{SVG}desc").text


def test_larger_faces_lie_to_the_right():
    lines = [line("small"), line("large", first=16.0, last=128.0)]
    small, large = curves(Tree.fromstring(size_chart(lines, title="sizes")))
    assert all(b[0] > a[0] for a, b in zip(small, large, strict=True))


def test_faces_of_one_size_are_drawn_too():
    flat = SizeLine(name="flat", percentiles=(32.0,) * 99)
    (places,) = curves(Tree.fromstring(size_chart([flat], title="sizes")))
    assert len({across for across, _ in places}) == 1
