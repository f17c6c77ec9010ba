"""Boards are read once for many readers, and anew when something was changed."""

from __future__ import annotations

from datetime import timedelta

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from server.sites.challenge.visiting import NOW, TRACK
from tronie.server.challenge.baselines import Baseline
from tronie.server.challenge.track import Phase
from tronie.server.sites.challenge.boards import Boards

pytestmark = pytest.mark.server


def boards_of(challenge, *, seconds=2.0, baselines=dict):
    return Boards(challenge.store, {"small": TRACK}, baselines=baselines, seconds=seconds)


def test_a_board_is_read_once_in_its_seconds(challenge, monkeypatch):
    boards, reads = boards_of(challenge), []
    read = challenge.store.submissions

    def counted(*, track=None, states=None):
        reads.append(track)
        return read(track=track, states=states)

    monkeypatch.setattr(challenge.store, "submissions", counted)
    for second in (0, 0.5, 1.9, 2.0, 2.1):
        boards.shown("small", NOW + timedelta(seconds=second))
    assert len(reads) == 2
    boards.forget()
    boards.shown("small", NOW + timedelta(seconds=2.2))
    assert len(reads) == 3


def test_who_reads_while_it_is_computed_is_given_the_one_before(challenge):
    boards = boards_of(challenge)
    before = boards.shown("small", NOW)
    challenge.scored(challenge.account("one"), public=True)
    later = NOW + timedelta(seconds=5)
    with boards._locks["small"]:
        assert boards.shown("small", later) == before
    assert len(boards.shown("small", later).rows) == 1


def test_one_reading_serves_every_viewer(challenge):
    user = challenge.account("one")
    challenge.scored(user, public=True)
    challenge.store.set_hidden(user.organization_id, True, NOW)
    boards = boards_of(challenge)
    (anybody,) = boards.shown("small", NOW).rows
    (mine,) = boards.shown("small", NOW, viewer=user.organization_id).rows
    assert (anybody.name, anybody.mine) == ("hidden", False)
    assert (mine.name, mine.mine) == ("Institute one", True)


def test_phases_under_way_are_told_with_their_end(challenge):
    day = timedelta(days=1)
    phases = (
        Phase(name="past", closes=NOW - day, hidden=True),
        Phase(name="now", opens=NOW - day, closes=NOW + day, hidden=True),
        Phase(name="coming", opens=NOW + day, hidden=True),
    )
    challenge.store.set_phases("small", phases, "test", NOW)
    shown = boards_of(challenge).shown("small", NOW)
    assert [phase.name for phase in shown.hidden] == ["now"]
    assert shown.hidden_until == NOW + day
    endless = (Phase(name="endless", hidden=True),)
    challenge.store.set_phases("small", endless, "test", NOW)
    assert boards_of(challenge).shown("small", NOW).hidden_until is None


def test_remarks_on_baselines_are_told_once_and_numbered(challenge):
    rows = [
        Baseline(name="a", values={"accuracy": 0.9}, source="paper"),
        Baseline(name="b", values={"accuracy": 0.8}, source="paper"),
        Baseline(name="c", values={"accuracy": 0.7}, source="paper", remark="other data"),
    ]
    shown = boards_of(challenge, baselines=lambda: {"small": rows}).shown("small", NOW)
    assert [shown.remark(row) for row in shown.rows] == [1, 1, 2]
    assert shown.remarks == (
        "published, not reproduced: paper",
        "published, not reproduced; other data: paper",
    )
