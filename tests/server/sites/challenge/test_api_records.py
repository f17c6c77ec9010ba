"""The JSON that programs are promised."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from server.sites.challenge.visiting import NOW, TRACK
from tronie.server.sites.challenge import api_records as records
from tronie.server.sites.challenge.boards import ShownBoard

pytestmark = pytest.mark.server


def test_a_track_is_told_with_its_limits():
    told = records.track_record("small", TRACK, TRACK.phases)
    assert (told.name, told.upload_bytes, told.latency_ms) == ("small", 64 * 1024, 10.0)
    assert told.columns == ("accuracy", "model_mib")
    assert told.phases == (records.PhaseRecord(name="open", opens=None, closes=None, hidden=False),)


def test_a_submission_is_told_with_its_checks(challenge):
    made = challenge.scored(challenge.account("one"))
    told = records.submission_record(made, position=None, report=None)
    assert told.checks[0].unit == "bytes"
    assert (told.state, told.report, told.received) == ("scored", None, NOW)


def test_an_empty_board_is_a_board():
    shown = ShownBoard(rows=(), hidden=())
    assert records.board_record("small", shown) == {
        "track": "small",
        "hidden_until": None,
        "rows": [],
    }
