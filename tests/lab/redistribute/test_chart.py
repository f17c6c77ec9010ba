"""The drawing of a search."""

from __future__ import annotations

import xml.etree.ElementTree as Tree

import numpy as np
import pytest

pytest.importorskip("torch")

from tronie.lab.training.redistribute.bootstrap import BestRange
from tronie.lab.training.redistribute.chart import share_chart
from tronie.lab.training.redistribute.findings import Finding

pytestmark = pytest.mark.lab

SVG = "{http://www.w3.org/2000/svg}"


def finding(part, best=None, scores=(0.1, 0.4, 0.2)):
    return Finding(
        step=1,
        part=part,
        shares=np.array([0.1, 0.3, 0.2])[: len(scores)],
        scores=np.array(scores),
        best=best,
    )


def drawn(*found):
    return Tree.fromstring(share_chart(found, title="a <search>"))


def test_each_network_is_a_dot_in_each_panel_and_the_best_is_full():
    root = drawn(finding("stem"), finding("C2"))
    dots = [
        group.get("class", "")
        for group in root.iter(f"{SVG}g")
        if group.find(f"{SVG}circle") is not None
    ]
    assert sum(kind.startswith("hollow") for kind in dots) == 2 * 2 + 1  # and one in the legend
    assert sum(kind.startswith("full") for kind in dots) == 2 + 1
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"step 1, stem", "step 1, C2"} <= set(texts)
    assert root.find(f"{SVG}title").text == "a <search>"


def test_the_best_range_is_shaded_from_end_to_end():
    best = BestRange(low=0.15, median=0.2, high=0.3)
    root = drawn(finding("stem", best))
    (area, _) = [p for p in root.iter(f"{SVG}path") if "area" in p.get("class", "")]
    left = float(area.get("d").split()[0].removeprefix("M"))
    right = float(area.get("d").split("H")[1].split("V")[0])
    places = sorted(float(c.get("cx")) for c in root.iter(f"{SVG}circle"))
    assert places[-1] == pytest.approx(right, abs=0.2)  # the share of 30 %
    assert left == pytest.approx((places[-3] + places[-2]) / 2, abs=0.2)  # between 10 and 20 %
    assert "best share 20.0 %, range 15.0 % to 30.0 %" in root.find(f"{SVG}desc").text


def test_without_a_range_nothing_is_shaded():
    root = drawn(finding("stem"))
    assert not [p for p in root.iter(f"{SVG}path") if "area" in p.get("class", "")]


def test_one_network_alone_can_be_drawn():
    assert (
        drawn(finding("stem", scores=(0.0,)))
        .find(f"{SVG}desc")
        .text.endswith("networks judged: 1.")
    )


def test_it_can_be_looked_at_alone():
    root = drawn(finding("stem"))
    assert ".chart" in root.find(f"{SVG}style").text
