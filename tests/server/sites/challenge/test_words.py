"""How values are worded."""

from __future__ import annotations

from datetime import timedelta

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from server.sites.challenge.visiting import NOW
from tronie.server.challenge.submission import State
from tronie.server.challenge.track import Limits, Phase
from tronie.server.sites.challenge import words

pytestmark = pytest.mark.server
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "ms", "–"),
        ("float32", "", "float32"),
        (261_406_720, "bytes", "249.3 MiB"),
        (933_000_000, "FLOPs", "0.933\u202fG"),
        (7.03125, "ms", "7.0312\u202fms"),
        (512, "", "512"),
    ],
)
def test_a_measured_value_stands_with_its_unit(value, unit, text):
    assert words.measured_text(value, unit) == text


def test_limits_that_a_track_has_are_listed():
    every = Limits(upload_bytes=2**20, model_bytes=2**20, flops_lfr=10**9, latency_ms=10.0)
    assert [name for name, _ in words.limit_texts(every)] == [
        "upload",
        "model",
        "FLOPs of one crop",
        "dimension of an embedding",
        "time for one crop",
    ]
    assert len(words.limit_texts(Limits(upload_bytes=1))) == 2


@pytest.mark.parametrize(
    ("phase", "text"),
    [
        (Phase(name="a"), "open"),
        (Phase(name="a", closes=NOW + DAY), "open until 2030-06-16 12:00 UTC"),
        (Phase(name="a", opens=NOW + DAY), "opens at 2030-06-16 12:00 UTC"),
        (Phase(name="a", closes=NOW), "over"),
    ],
)
def test_a_phase_says_where_it_stands(phase, text):
    assert words.phase_text(phase, NOW) == text


def test_every_state_has_its_words():
    assert set(words.STATE_TEXT) == set(State)
    assert [state for state in State if words.is_open(state)] == [
        State.RECEIVED,
        State.CHECKING,
        State.QUEUED,
        State.RUNNING,
    ]
    assert words.field_moment(None) == ""
    assert words.field_moment(NOW) == "2030-06-15T12:00"
