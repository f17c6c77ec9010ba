"""Boards are read once for many readers, and anew when something was changed."""

from __future__ import annotations

from datetime import timedelta

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from server.sites.challenge.visiting import NOW, TRACK, plain_report
from tronie.server.challenge.baselines import Baseline
from tronie.server.challenge.scoring import protocol_version
from tronie.server.challenge.track import Phase
from tronie.server.sites.challenge.boards import Boards

pytestmark = pytest.mark.server


def boards_of(challenge, *, seconds=2.0, baselines=dict):
    return Boards(challenge.store, {"small": TRACK}, baselines=baselines, seconds=seconds)


def accuracies(boards):
    return [row.values["accuracy"] for row in boards.shown("small", NOW).rows]


def test_a_board_is_read_once_in_its_seconds(challenge, monkeypatch):
    boards, reads = boards_of(challenge), []
    read = challenge.store.on_board

    def counted(track):
        reads.append(track)
        return read(track)

    monkeypatch.setattr(challenge.store, "on_board", counted)
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


def test_only_what_is_new_or_changed_is_read_of_the_submissions(challenge, monkeypatch):
    user = challenge.account("one")
    first, second = (challenge.scored(user, accuracy, public=True) for accuracy in (0.5, 0.6))
    boards, asked = boards_of(challenge, seconds=0.0), []
    read = challenge.store.submission

    def counted(id):
        asked.append(id)
        return read(id)

    monkeypatch.setattr(challenge.store, "submission", counted)
    assert accuracies(boards) == [0.6]
    assert set(asked) == {first.id, second.id}
    asked.clear()
    assert accuracies(boards) == [0.6]
    assert asked == []
    third = challenge.scored(user, 0.7, public=True)
    asked.clear()
    assert accuracies(boards) == [0.7]
    assert asked == [third.id]
    for one in (third, second):
        challenge.store.set_public(one.id, False, organization_id=user.organization_id, now=NOW)
    assert accuracies(boards) == [0.5]


def test_a_submission_that_is_scored_again_is_read_again(challenge):
    user = challenge.account("one")
    one = challenge.scored(user, 0.5, public=True)
    boards = boards_of(challenge, seconds=0.0)
    assert accuracies(boards) == [0.5]
    later = NOW + timedelta(hours=1)
    assert challenge.store.rescore("small", protocol_version="new", actor="us", now=later) == 1
    assert accuracies(boards) == []
    lease = challenge.store.lease("w", now=later, lifetime=timedelta(minutes=1))
    assert lease is not None
    assert lease.submission.id == one.id
    version = protocol_version(TRACK)
    challenge.store.scored(lease.token, plain_report(0.8), version, later)
    assert accuracies(boards) == [0.8]


def test_a_board_of_which_nothing_changed_keeps_what_was_made_of_it(challenge):
    user = challenge.account("one")
    challenge.scored(user, public=True)
    boards = boards_of(challenge, seconds=0.0)
    first = boards.shown("small", NOW)
    first.kept["page",] = b"a page"
    assert boards.shown("small", NOW + timedelta(seconds=9)).kept == {("page",): b"a page"}
    challenge.store.set_hidden(user.organization_id, True, NOW)
    assert boards.shown("small", NOW + timedelta(seconds=10)).kept == {}


def test_scores_appear_when_their_phase_ends_though_nothing_else_changed(challenge):
    challenge.scored(challenge.account("one"), public=True)
    ends = NOW + timedelta(hours=1)
    challenge.store.set_phases("small", (Phase(name="a", closes=ends, hidden=True),), "us", NOW)
    boards = boards_of(challenge)
    assert boards.shown("small", NOW).rows == ()
    assert len(boards.shown("small", ends).rows) == 1


def test_a_board_is_at_hand_while_it_is_fresh_or_somebody_computes_it(challenge):
    boards, later = boards_of(challenge), NOW + timedelta(seconds=2)
    assert boards.at_hand("small", NOW) is None
    shown = boards.shown("small", NOW)
    assert boards.at_hand("small", NOW) is shown
    assert boards.at_hand("small", later) is None
    with boards._locks["small"]:
        assert boards.at_hand("small", later) is shown
    boards.forget()
    assert boards.at_hand("small", NOW) is None


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
