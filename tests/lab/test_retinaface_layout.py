"""The layouts that have names: what they share, and what sets them apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.detectors.retinaface import VARIANTS  # noqa: E402 - only where torch is
from tronie.lab.nn.retinaface_layout import LAYOUTS  # noqa: E402

pytestmark = pytest.mark.lab


def test_each_name_has_a_layout_and_declares_its_numbers():
    assert list(LAYOUTS) == list(VARIANTS)


def test_a_name_says_what_is_in_it():
    for name, layout in LAYOUTS.items():
        words = name.split("-")
        assert layout.deformable == ("dcn" in words)
        assert layout.dense == ("dense" in words)
        plain = "-".join(word for word in words if word not in ("dcn", "dense"))
        assert replace(layout, deformable=False, dense=False) == LAYOUTS[plain]


def test_anchors_of_the_paper_are_those_of_its_table():
    table = {
        4: (16, 20.16, 25.40),
        8: (32, 40.32, 50.80),
        16: (64, 80.63, 101.59),
        32: (128, 161.26, 203.19),
        64: (256, 322.54, 406.37),
    }
    sides = LAYOUTS["resnet-152"].sides
    assert sides.keys() == table.keys()
    for stride, row in sides.items():
        assert row == pytest.approx(table[stride], abs=0.01)  # printed rounded, or cut off
    share = 3 * 160**2 / VARIANTS["resnet-152"].anchors
    assert round(100 * share, 2) == 75.07


def test_weights_of_the_losses_are_the_papers_and_those_of_its_pytorch_form():
    paper, small = LAYOUTS["resnet-152"].rules, LAYOUTS["mobilenet-0.25"].rules
    assert (paper.boxes, paper.points, paper.pixels, paper.negatives) == (0.25, 0.1, 0.01, 3)
    assert (small.boxes, small.points, small.negatives) == (2, 1, 7)
    assert (paper.overlaps.positive, paper.overlaps.negative, paper.overlaps.least) == (
        0.5,
        0.3,
        None,
    )
