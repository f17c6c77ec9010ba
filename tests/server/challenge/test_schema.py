"""Two rules that the tables keep by themselves, and values that come back as they went in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sql

from server.challenge.small_challenge import NOW, send, take, team
from tronie.errors import BadInput
from tronie.server.challenge import schema

pytest.importorskip("alembic", reason="alembic is not installed, which makes the tables")
pytestmark = pytest.mark.server


def run(store, statement):
    return store._database.write(lambda connection: connection.execute(statement).rowcount)


def test_a_slot_cannot_be_taken_twice_whatever_a_program_does(store):
    user = team(store)
    one, other = send(store, user), send(store, user)
    stolen = schema.slots.update().where(schema.slots.c.submission_id == other.id).values(slot=0)
    with pytest.raises(sql.exc.IntegrityError, match=r"(?i)unique"):
        run(store, stolen)
    assert {one.state, other.state} == {"received"}


def test_a_submission_cannot_have_two_live_leases_whatever_a_program_does(store):
    send(store, team(store))
    take(store)
    columns = [column.name for column in schema.leases.columns]
    first = sql.select(
        *(
            sql.literal("0" * 64) if name == "lease_sha256" else schema.leases.c[name]
            for name in columns
        )
    )
    with pytest.raises(sql.exc.IntegrityError, match=r"(?i)unique"):
        run(store, schema.leases.insert().from_select(columns, first))


def test_moments_come_back_to_the_microsecond_in_utc(store):
    there = timezone(timedelta(hours=5, minutes=45))
    moment = datetime(2030, 1, 1, 2, 3, 4, 567891, tzinfo=there)
    user = team(store, now=moment)
    found = store.user(user.id).created
    assert found == moment
    assert found.tzinfo is UTC


def test_a_moment_without_a_time_zone_is_refused(store):
    user = team(store)
    with pytest.raises(BadInput, match="a moment needs a time zone; got 2030-"):
        run(store, schema.users.update().values(created=NOW.replace(tzinfo=None)))
    assert store.user(user.id) == user


@pytest.mark.parametrize("text", ["a\0b", "\ud800"], ids=ascii)
def test_text_that_one_of_the_databases_cannot_hold_is_refused_by_both(store, text):
    with pytest.raises(BadInput, match="text must hold no NUL and no half characters; got "):
        store.submissions(track=text)
