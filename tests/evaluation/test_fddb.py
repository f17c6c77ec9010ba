"""FDDB's two rates on drawn faces."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tronie.data.readers.fddb import Regions
from tronie.errors import NotEnoughData, NotFound
from tronie.evaluation.protocols.fddb import PROTOCOL

FACE = np.array([[20.0, 10.0, 0.0, 100.0, 100.0]])
ELLIPSES = {"a": FACE, "b": FACE}
TIGHT = np.array([[80.0, 90.0, 120.0, 110.0]])  # touches the ellipse on all four sides


def test_a_tight_rectangle_is_right_and_earns_pi_over_four():
    found = {"a": Regions(TIGHT, np.array([0.9])), "b": Regions(FACE, np.array([0.8]))}
    values = PROTOCOL.score(ELLIPSES, found).values
    assert (values["discrete"].value, values["discrete"].count) == (1.0, 2)
    assert values["continuous"].value == pytest.approx((math.pi / 4 + 1) / 2, abs=1e-5)
    assert values["false_positives"].value == 0


def test_rates_are_those_at_a_thousand_false_positives():
    away = np.tile([[500.0, 500.0, 510.0, 510.0]], (1500, 1))
    found = {
        "a": Regions(np.concatenate([TIGHT, away]), np.linspace(1, 0.1, 1501)),
        "b": Regions(TIGHT, np.array([0.01])),
    }
    report = PROTOCOL.score(ELLIPSES, found)
    assert (report.values["discrete"].value, report.values["discrete_most"].value) == (0.5, 1.0)
    assert report.notes == ("regions were not cut at the borders of the photographs",)


def test_a_photograph_without_detections_still_has_its_faces():
    report = PROTOCOL.score(ELLIPSES, {"a": Regions(TIGHT, np.array([0.9]))})
    assert (report.values["discrete"].value, report.values["discrete"].total) == (0.5, 2)
    assert report.notes[0].startswith("there are 0 false positives in all")


def test_regions_are_cut_at_the_border_where_sizes_are_given():
    """Half of the face is outside: so is half of what was found."""
    half = {"a": np.array([[20.0, 20.0, 0.0, 0.0, 50.0]])}
    found = {"a": Regions(np.array([[0.0, 30.0, 20.0, 70.0]]), np.array([1.0]))}
    whole = PROTOCOL.score(half, found).values["continuous"].value
    cut = PROTOCOL.score(half, found, sizes={"a": (100, 100)}).values["continuous"].value
    assert cut == pytest.approx(math.pi / 4)
    assert whole == pytest.approx(200 * math.pi / (200 * math.pi + 800))


def test_nothing_found_is_a_rate_of_nothing():
    values = PROTOCOL.score(ELLIPSES, {}).values
    assert (values["discrete"].value, values["continuous_most"].value) == (0.0, 0.0)


def test_an_unknown_photograph_is_refused():
    with pytest.raises(NotFound, match="no entry 'c' in the faces of FDDB"):
        PROTOCOL.score(ELLIPSES, {"c": Regions(TIGHT, np.array([0.9]))})


def test_a_photograph_without_a_size_is_refused():
    with pytest.raises(NotFound, match="no entry 'a' in the sizes of the photographs"):
        PROTOCOL.score(ELLIPSES, {"a": Regions(TIGHT, np.array([0.9]))}, sizes={"b": (9, 9)})


def test_a_set_without_faces_has_no_rate():
    with pytest.raises(NotEnoughData, match="needs a face; got none"):
        PROTOCOL.score({"a": np.zeros((0, 5))}, {})
