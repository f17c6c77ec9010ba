"""Slots that are never exceeded, a queue with places, and what a team may see and change."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from server.challenge.small_challenge import (
    BAD,
    GOOD,
    MINUTE,
    NOW,
    REPORT,
    TRACK,
    found,
    left,
    queued,
    send,
    state,
    take,
    team,
)
from tronie.errors import BadInput, NotFound
from tronie.server.challenge.store import QuotaExceeded, Store
from tronie.server.challenge.store_records import Banned
from tronie.server.challenge.submission import State
from working_tree import environment

pytest.importorskip("alembic", reason="alembic is not installed, which makes the tables")
pytestmark = pytest.mark.server

HAMMER = textwrap.dedent("""
    import sys
    import threading
    from concurrent.futures import ThreadPoolExecutor

    from server.challenge.small_challenge import send
    from tronie.server.challenge.store import QuotaExceeded, Store

    url, user_id, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    ready = threading.Barrier(threads)

    def hammer(_):
        ready.wait()
        try:
            return [send(store, user).id]
        except QuotaExceeded:
            return []

    with Store.open(url, migrate=False) as store, ThreadPoolExecutor(threads) as pool:
        user = store.user(user_id)
        print(*sum(pool.map(hammer, range(threads)), []))
""")


def test_a_submission_is_kept_as_it_was_sent(store):
    user = team(store)
    one = send(store, user, file_name="../a\nb.onnx", note="first\ntry", upload="k/1")
    assert (one.organization_id, one.user_id) == (user.organization_id, user.id)
    assert (one.state, one.received, one.changed) == (State.RECEIVED, NOW, NOW)
    assert (one.file_name, one.note, one.upload) == ("../a b.onnx", "first\ntry", "k/1")
    assert (one.size_bytes, one.attempts, one.public) == (5_000_000_000, 0, False)
    assert (one.verdict, one.report, one.protocol_version, one.reason) == (None, None, "", "")
    assert store.submission(one.id) == one


def test_the_fourth_of_a_day_is_refused_with_the_time_of_the_next(store):
    user, other = team(store, 1), team(store, 2)
    for number in (2, 1, 0):
        send(store, user)
        assert left(store, user) == number
    with pytest.raises(QuotaExceeded, match="the next is possible at 2030-06-16 00:00 UTC") as no:
        send(store, user)
    assert no.value.next_at == datetime(2030, 6, 16, tzinfo=UTC)
    assert (left(store, other), len(store.submissions())) == (3, 3)
    send(store, other)
    send(store, user, track="mfr21-b")
    send(store, user, now=no.value.next_at)
    assert left(store, user, now=no.value.next_at) == 2


def hammered(store, user, *, threads: int = 50, tracks: tuple[str, ...] = (TRACK,)) -> int:
    """How many of many submissions sent at one moment were taken."""
    ready = threading.Barrier(threads)

    def hammer(number: int) -> bool:
        ready.wait()
        try:
            send(store, user, track=tracks[number % len(tracks)])
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(hammer, range(threads)))


def test_fifty_at_once_take_three_slots(store):
    user = team(store)
    assert hammered(store, user) == 3
    assert (left(store, user), len(store.submissions())) == (0, 3)
    assert store.audit_break() is None


def test_fifty_at_once_to_two_tracks_take_three_slots_each(store):
    assert hammered(store, team(store), tracks=("a", "b")) == 6
    for track in ("a", "b"):
        assert len(store.submissions(track=track)) == 3


@pytest.mark.slow
def test_processes_with_many_threads_each_take_three_slots_together(store, database_url):
    user = team(store)
    words = [sys.executable, "-W", "error", "-c", HAMMER, database_url, user.id, "17"]
    crowd = [
        subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    taken = [id for process in crowd for id in process.communicate(timeout=120)[0].split()]
    assert [process.returncode for process in crowd] == [0, 0, 0]
    assert sorted(taken) == sorted(one.id for one in store.submissions())
    assert len(taken) == 3
    assert store.audit_break() is None


def test_a_slot_given_back_can_be_taken_again_and_no_more(store):
    user = team(store)
    for _ in range(3):
        send(store, user)
    store.refuse(take(store).token, BAD, "", NOW)
    assert left(store, user) == 1
    assert hammered(store, user, threads=12) == 1


def test_refused_files_are_counted_too(sqlite_store):
    user = team(sqlite_store)
    for _ in range(30):
        send(sqlite_store, user)
        sqlite_store.refuse(take(sqlite_store).token, BAD, "", NOW)
    assert left(sqlite_store, user) == 0
    with pytest.raises(QuotaExceeded, match="takes 30 files of an organization in a day of UTC"):
        send(sqlite_store, user)
    send(sqlite_store, user, now=NOW + timedelta(days=1))


def test_a_limit_that_was_lowered_counts_what_was_sent_before(store):
    user = team(store)
    for _ in range(4):
        send(store, user, per_day=4)
    store.refuse(take(store).token, BAD, "", NOW)  # gives slot 0 back; 1, 2 and 3 are taken
    with pytest.raises(QuotaExceeded, match="takes 3 submissions"):
        send(store, user, per_day=3)
    assert left(store, user, per_day=3) == 0


def test_a_banned_organization_submits_nothing_until_it_is_pardoned(store):
    user = team(store)
    store.ban(user.organization_id, "two accounts", "organizer", NOW)
    with pytest.raises(Banned, match="this organization may not submit: two accounts; write to"):
        send(store, user)
    store.ban(user.organization_id, "", "organizer", NOW)
    send(store, user)


def test_nobody_submits_for_another_organization(store):
    ada, bo = team(store, 1), team(store, 2)
    with pytest.raises(NotFound, match=r"there is no user of this organization '[0-9a-f]{32}'; "):
        store.submit(
            organization_id=bo.organization_id,
            user_id=ada.id,
            track=TRACK,
            per_day=3,
            now=NOW,
            file_name="x",
            note="",
            upload="k",
            sha256="0" * 64,
            size_bytes=1,
        )
    assert left(store, bo) == 3


def test_lists_are_newest_first_and_by_what_is_asked(store):
    ada, bo = team(store, 1), team(store, 2)
    first = send(store, ada)
    second = send(store, bo, now=NOW + MINUTE)
    third = send(store, ada, now=NOW + MINUTE, track="other")
    assert store.submissions() == (third, second, first)
    assert store.submissions(organization_id=ada.organization_id) == (third, first)
    assert store.submissions(track=TRACK, limit=1) == (second,)


def test_a_place_in_the_queue_is_kept_through_checks_and_losses(store):
    user = team(store)
    first, second, third = (send(store, user, now=NOW + n * MINUTE) for n in range(3))
    later = NOW + 10 * MINUTE
    assert [store.position(one.id) for one in (first, second, third)] == [1, 2, 3]
    lease = take(store, now=later)
    assert [store.position(one.id) for one in (first, second, third)] == [None, 1, 2]
    store.accept(lease.token, GOOD, later)
    assert [store.position(one.id) for one in (first, second, third)] == [1, 2, 3]
    store.release(take(store, now=later).token, later)
    assert store.position(first.id) == 1
    store.scored(take(store, now=later).token, REPORT, "1", later)
    assert store.position(first.id) is None


def test_of_equals_the_one_to_be_checked_is_next_then_the_one_that_came_first(store):
    user = team(store)
    scored = queued(store, user)
    one, other = send(store, user), send(store, user)
    assert [store.position(s.id) for s in (one, other, scored)] == [1, 2, 3]
    assert [take(store).submission.id for _ in range(3)] == [one.id, other.id, scored.id]


def test_public_is_what_its_team_says(store):
    ada, bo = team(store, 1), team(store, 2)
    one = send(store, ada)
    store.set_public(one.id, True, organization_id=ada.organization_id, now=NOW)
    assert found(store, one).public
    with pytest.raises(NotFound, match=r"there is no submission '[0-9a-f]{32}'; look for its id"):
        store.set_public(one.id, False, organization_id=bo.organization_id, now=NOW)
    assert found(store, one).public
    store.set_public(one.id, False, organization_id=ada.organization_id, now=NOW)
    assert not found(store, one).public
    assert [e.action for e in store.audit(2)] == ["submission.public", "submission.private"]


def test_what_another_version_scored_is_queued_again_behind_what_waits(store):
    user = team(store)
    old = queued(store, user)
    store.scored(take(store).token, REPORT, "1", NOW)
    new = queued(store, user)
    store.scored(take(store).token, REPORT, "2", NOW)
    waits = send(store, user, now=NOW + MINUTE)
    later = NOW + 2 * MINUTE
    assert store.rescore(TRACK, protocol_version="2", actor="organizer", now=later) == 1
    assert store.rescore(TRACK, protocol_version="2", actor="organizer", now=later) == 0
    assert store.rescore("other", protocol_version="3", actor="organizer", now=later) == 0
    assert (state(store, old), state(store, new)) == (State.QUEUED, State.SCORED)
    assert found(store, old).report == REPORT, "the old one stands until there is a new one"
    assert [store.position(one.id) for one in (waits, old)] == [1, 2]
    assert left(store, user) == 0


def test_what_failed_is_judged_again_from_the_beginning(store):
    user = team(store)
    one = queued(store, user)
    store.fail(take(store).token, "our disk was full", NOW)
    assert (state(store, one), found(store, one).reason) == (State.FAILED, "our disk was full")
    assert left(store, user) == 3
    store.retry(one.id, "organizer", NOW)
    again = found(store, one)
    assert (again.state, again.reason, again.attempts) == (State.RECEIVED, "", 0)
    assert left(store, user) == 3
    with pytest.raises(BadInput, match="is received; to become received it must be failed"):
        store.retry(one.id, "organizer", NOW)


def test_a_note_that_cannot_be_shown_is_refused(store):
    user = team(store)
    with pytest.raises(BadInput, match="a note must have at most 2000 printable characters; got"):
        send(store, user, note="x" * 2001)
    assert left(store, user) == 3


def test_a_hammered_store_may_be_closed_and_opened_again(database_url):
    with Store.open(database_url) as store:
        user = team(store)
        hammered(store, user, threads=10)
    with Store.open(database_url) as store:
        assert left(store, user) == 0


def test_a_board_is_told_what_is_public_and_scored_and_since_when(store):
    user = team(store)
    assert store.on_board(TRACK) == {}
    scored, private, waits, _ = (queued(store, user) for _ in range(4))
    later = NOW + MINUTE
    for one in (scored, private):
        lease = take(store, now=later)
        assert lease.submission.id == one.id
        store.scored(lease.token, REPORT, "1", later)
    for one in (scored, waits):
        store.set_public(one.id, True, organization_id=user.organization_id, now=later)
    assert store.on_board(TRACK) == {scored.id: later}
    assert store.on_board("mfr21-b") == {}
    store.set_public(scored.id, False, organization_id=user.organization_id, now=later)
    assert store.on_board(TRACK) == {}


def test_files_of_what_was_refused_are_listed_from_a_moment_on_until_they_are_removed(store):
    user = team(store)
    old, new, waits = (
        send(store, user, per_day=9, now=NOW + n * MINUTE, upload=f"{n}") for n in range(3)
    )
    store.refuse(take(store).token, BAD, "no", NOW)
    store.refuse(take(store, now=NOW + MINUTE).token, BAD, "no", NOW + MINUTE)
    both = {old.id: "0", new.id: "1"}
    assert store.refused_uploads(NOW, limit=9) == {old.id: "0"}
    assert store.refused_uploads(NOW + MINUTE, limit=9) == both
    assert store.refused_uploads(NOW + MINUTE, limit=1) == {old.id: "0"}
    for one in (old, old, waits):
        store.upload_removed(one.id, "w1", NOW)
    assert store.refused_uploads(NOW + MINUTE, limit=9) == {new.id: "1"}
    assert [found(store, one).upload for one in (old, new, waits)] == ["", "1", "2"]
    assert [e.subject for e in store.audit() if e.action.endswith("removed")] == [old.id]
