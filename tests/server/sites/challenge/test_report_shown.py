"""A Report on its page: its numbers and curves, and nobody's photographs."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from server.sites.challenge.visiting import plain_report
from tronie.server.sites.challenge.report_shown import report_shown, without_people

pytestmark = pytest.mark.server
PAIR = {"of": "", "kind": "impostor", "score": 0.7, "rows": [1, 2], "labels": ["Anna", "Bea"]}
POINT = {
    "far": 0.001,
    "threshold": 0.4,
    "tar": 0.9,
    "achieved_far": 0.001,
    "false_matches": 10,
    "impostor_pairs": 10_000,
    "accepted": 90,
    "genuine_pairs": 100,
    "far_interval": None,
    "tar_interval": None,
    "sampled": False,
}


def with_details():
    errors = {"false matches": [{"label": "Anna", "in_pairs": 4}]}
    return {
        **plain_report(0.9),
        "details": {"points": [POINT], "pairs": [PAIR], "most_errors": errors},
    }


def test_people_of_the_private_data_are_left_out():
    kept = without_people(with_details())
    assert set(kept["details"]) == {"points"}
    assert "Anna" not in str(kept)
    page = report_shown(with_details())
    assert page is not None
    assert "Anna" not in str(page)
    (section,) = page.sections
    assert section.figures[0].points[0].threshold == "0.40000"
    assert section.figures[0].det is not None


def test_drawings_need_no_style_of_their_own():
    page = report_shown(with_details())
    assert page is not None
    det = page.sections[0].figures[0].det
    assert det is not None
    assert "style=" not in det
    assert "<script" not in det


@pytest.mark.parametrize("stored", [{}, {"values": 5}, {"report": "x", "values": {"a": 1}}])
def test_a_report_of_another_form_is_none(stored):
    assert report_shown(stored) is None
    assert without_people(stored) == stored
