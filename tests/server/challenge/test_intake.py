"""Who may hand something in, when, and what is kept of a file's name and a note."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from server.challenge.small_challenge import NOW, TRACK, send, team
from tronie.errors import BadInput
from tronie.server.challenge import intake
from tronie.server.challenge.intake import NotAllowed, NotNow
from tronie.server.challenge.store import QuotaExceeded
from tronie.server.challenge.track import Phase, open_track

DAY = timedelta(days=1)
MFR21 = open_track(TRACK)


def expect_open(store, user, track=MFR21):
    intake.expect_open(store, TRACK, track, user, NOW)


def test_a_team_hands_in_until_the_day_is_used_up(sqlite_store):
    user = team(sqlite_store)
    for _ in range(3):
        expect_open(sqlite_store, user)
        send(sqlite_store, user)
    with pytest.raises(QuotaExceeded, match="none is left today; the next is possible") as refused:
        expect_open(sqlite_store, user)
    assert refused.value.next_at == NOW.replace(day=16, hour=0, minute=0, second=0, microsecond=0)


def test_a_banned_team_and_one_that_is_not_verified_may_not(sqlite_store):
    user = team(sqlite_store)
    with pytest.raises(NotAllowed, match=r"your address 0@example\.org is not verified yet"):
        expect_open(sqlite_store, replace(user, verified=False))
    sqlite_store.ban(user.organization_id, "two accounts", user.id, NOW)
    with pytest.raises(NotAllowed, match="may not submit or publish: two accounts; ask"):
        expect_open(sqlite_store, user)


@pytest.mark.parametrize(
    ("phase", "sentence"),
    [
        (Phase(name="soon", opens=NOW + DAY), "no submissions now: it opens at 2030-06-16 12:00"),
        (Phase(name="past", closes=NOW), "no submissions now: it is over"),
    ],
)
def test_outside_of_every_phase_nothing_is_taken(sqlite_store, phase, sentence):
    with pytest.raises(NotNow, match=sentence):
        expect_open(sqlite_store, team(sqlite_store), replace(MFR21, phases=(phase,)))


def test_phases_that_the_organizer_moved_count(sqlite_store):
    user = team(sqlite_store)
    assert intake.phases_of(sqlite_store, TRACK, MFR21) == MFR21.phases
    moved = (Phase(name="later", opens=NOW + DAY),)
    sqlite_store.set_phases(TRACK, moved, user.id, NOW)
    assert intake.phases_of(sqlite_store, TRACK, MFR21) == moved
    with pytest.raises(NotNow, match="it opens at"):
        expect_open(sqlite_store, user)
    assert intake.open_phase(moved, NOW + 2 * DAY) == moved[0]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("model.onnx", "model.onnx"),
        ("../../etc/passwd", "passwd"),
        ("C:\\models\\a b.zip", "a b.zip"),
        ("<img src=x>.zip", "<img src=x>.zip"),
    ],
)
def test_a_file_name_is_its_last_part(sent, shown):
    assert intake.shown_file_name(sent) == shown


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ("", "the upload has no file in it"),
        ("..", "the upload has no file in it"),
        ("a\nb.zip", r"cannot be seen \(U\+000A\)"),
        ("gpj\u202ezip.onnx", r"cannot be seen \(U\+202E\)"),
        ("x" * 121, "at most 120 characters; got 121"),
    ],
)
def test_a_file_name_that_hides_something_is_refused(sent, sentence):
    with pytest.raises(BadInput, match=sentence):
        intake.shown_file_name(sent)


def test_a_note_may_have_lines_and_nothing_unseen():
    assert intake.shown_note(" one\r\ntwo ") == "one\ntwo"
    with pytest.raises(BadInput, match=r"the note holds a character .*U\+001B"):
        intake.shown_note("\x1b[31m")
    with pytest.raises(BadInput, match="the note must have at most 500 characters; got 501"):
        intake.shown_note("x" * 501)
