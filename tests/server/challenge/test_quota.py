"""Days of UTC, slots and sentences, against a calendar and counting by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.errors import BadInput
from tronie.server.challenge import quota

MOMENTS = st.datetimes(
    min_value=datetime(2000, 1, 2),
    max_value=datetime(2100, 1, 1),
    timezones=st.just(UTC),
)


def test_a_day_is_one_of_utc_wherever_the_clock_hangs():
    auckland = timezone(timedelta(hours=13))
    assert quota.day_of(datetime(2030, 1, 2, 12, 59, tzinfo=auckland)) == date(2030, 1, 1)
    assert quota.day_of(datetime(2030, 1, 2, 13, 0, tzinfo=auckland)) == date(2030, 1, 2)


def test_the_next_day_begins_at_midnight_and_midnight_is_of_the_day_that_begins():
    last = datetime(2030, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    midnight = datetime(2031, 1, 1, tzinfo=UTC)
    assert quota.next_day(last) == midnight
    assert quota.next_day(midnight) == datetime(2031, 1, 2, tzinfo=UTC)


@given(MOMENTS)
def test_the_next_day_is_another_day_and_not_before(moment):
    again = quota.next_day(moment)
    assert moment < again <= moment + timedelta(days=1)
    assert quota.day_of(again - timedelta(microseconds=1)) == quota.day_of(moment)
    assert quota.day_of(again) == quota.day_of(moment) + timedelta(days=1)


@given(st.sets(st.integers(0, 6)), st.integers(1, 5))
def test_slots_are_used_up_one_by_one_and_never_more_than_allowed(taken, per_day):
    taken, given_out = set(taken), 0
    before = len(taken)
    while (slot := quota.free_slot(taken, per_day=per_day)) is not None:
        assert slot not in taken
        assert slot == min(set(range(per_day)) - taken)
        taken.add(slot)
        given_out += 1
    assert given_out == max(0, per_day - before)
    assert quota.left(taken=before, uploads=0, per_day=per_day) == given_out


def test_files_that_cost_no_slot_are_counted_too():
    assert quota.left(taken=0, uploads=28, per_day=3) == 2
    assert quota.left(taken=0, uploads=31, per_day=3) == 0
    assert quota.left(taken=0, uploads=31, per_day=50) == 19


def test_the_sentences_say_when_the_next_is_possible():
    now = datetime(2030, 6, 15, 20, 54, 30, tzinfo=UTC)
    assert quota.slots_are_taken("mfr21-a", per_day=3, now=now) == (
        "mfr21-a takes 3 submissions of an organization in a day of UTC, and all are used; "
        "the next is possible at 2030-06-16 00:00 UTC, in 3 h 6 min"
    )
    assert quota.slots_are_taken("x", per_day=1, now=now).startswith(
        "x takes 1 submission of an organization in a day of UTC, and it is used;"
    )
    assert "takes 30 files" in quota.too_many_uploads("x", per_day=3, now=now)


@given(MOMENTS)
def test_waiting_as_long_as_the_sentence_says_is_long_enough(moment):
    *_, hours, _, minutes, _ = quota.when_again(moment).split()
    waited = moment + timedelta(hours=int(hours), minutes=int(minutes))
    assert quota.next_day(moment) <= waited < quota.next_day(moment) + timedelta(minutes=1)


def test_a_moment_without_a_time_zone_is_refused():
    with pytest.raises(BadInput, match=r"a moment needs a time zone; got 2030-01-01 00:00:00"):
        quota.day_of(datetime(2030, 1, 1))
