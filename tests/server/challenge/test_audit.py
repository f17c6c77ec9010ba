"""The sealed log: every changed byte is found, by the line it is in."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tronie.errors import BadInput
from tronie.server.challenge import audit

NOW = datetime(2030, 6, 15, 12, 30, tzinfo=UTC)
STORED = list[tuple[int, str, str]]


def log(lines: int = 4) -> STORED:
    """What a database holds after some changes."""
    rows, previous = [], audit.BEGINNING
    for number in range(1, lines + 1):
        line = audit.line_of(
            number=number,
            moment=NOW + timedelta(seconds=number),
            actor=f"worker\n{number}",
            action="submission.scored",
            subject="é" * 3,
            details={"was": "running", "n": 1.5, "list": [1, None, True], "deep": {"a": "\\'"}},
        )
        previous = audit.seal(previous, line)
        rows.append((number, line, previous))
    return rows


def first_break(rows: STORED) -> int | None:
    return audit.first_break(audit.entry_of(*row) for row in rows)


def test_a_digest_is_the_hash_of_the_one_before_and_the_line():
    line = (
        '{"action":"a.b","actor":"me","details":{"y":[1,2.5],"z":"\\u00e9"},'
        '"moment":"2030-06-15T12:30:00.000000+00:00","number":1,"subject":"s"}'
    )
    expected = hashlib.sha256(f"{'0' * 64}\n{line}".encode()).hexdigest()
    written = audit.line_of(
        number=1,
        moment=NOW.astimezone(timezone(timedelta(hours=-5))),
        actor="me",
        action="a.b",
        subject="s",
        details={"z": "é", "y": (1, 2.5)},
    )
    assert written == line
    assert audit.seal(audit.BEGINNING, written) == expected


def test_a_log_as_it_was_written_is_whole():
    assert first_break(log()) is None
    assert first_break([]) is None


def test_every_changed_byte_of_every_line_is_found():
    rows = log(3)
    for at, (number, line, digest) in enumerate(rows):
        for column, text in ((1, line), (2, digest)):
            for place in range(len(text)):
                for other in {"0", "1", " ", "x", text[place].swapcase()} - {text[place]}:
                    changed = [*rows]
                    row = [number, line, digest]
                    row[column] = text[:place] + other + text[place + 1 :]
                    changed[at] = tuple(row)
                    assert first_break(changed) == number, row


@given(st.integers(0, 2), st.data())
def test_what_is_put_in_or_taken_out_of_a_line_is_found(at, data):
    rows = log(3)
    number, line, digest = rows[at]
    place = data.draw(st.integers(0, len(line)))
    longer = line[:place] + data.draw(st.text(min_size=1, max_size=3)) + line[place:]
    shorter = line[:place] + line[place + data.draw(st.integers(1, 5)) :]
    for text in {longer, shorter} - {line}:
        assert first_break([*rows[:at], (number, text, digest), *rows[at + 1 :]]) == number


def test_lines_that_are_missing_swapped_or_added_are_found():
    rows = log(5)
    assert first_break([*rows[:2], *rows[3:]]) == 3
    assert first_break(rows[1:]) == 1
    assert first_break([rows[0], rows[2], rows[1], *rows[3:]]) == 2
    assert first_break([*rows[:3], rows[2], *rows[3:]]) == 4
    forged = audit.line_of(number=3, moment=NOW, actor="x", action="y", subject="z", details={})
    assert first_break([*rows[:2], (3, forged, audit.seal(rows[1][2], forged)), *rows[3:]]) == 4


def test_the_rest_of_a_log_is_checked_from_a_line_that_is_good():
    entries = [audit.entry_of(*row) for row in log(5)]
    assert audit.first_break(entries[3:], after=entries[2]) is None
    assert audit.first_break(entries[4:], after=entries[2]) == 4


@pytest.mark.parametrize(
    "line",
    ["", "not JSON", "[]", "{}", "null", "[" * 100_000, b"\xff", 7, '{"moment":"soon"}'],
    ids=repr,
)
def test_a_line_that_cannot_be_read_is_shown_as_such(line):
    entry = audit.entry_of(1, line, "0" * 64)
    assert (entry.action, entry.number) == (audit.UNREADABLE, 1)
    assert audit.first_break([entry]) == 1


def test_an_entry_is_what_was_logged():
    number, line, digest = log(1)[0]
    entry = audit.entry_of(number, line, digest)
    assert (entry.number, entry.actor, entry.subject) == (1, "worker\n1", "ééé")
    assert entry.moment == NOW + timedelta(seconds=1)
    assert entry.details["list"] == [1, None, True]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"x", object()])
def test_what_is_no_plain_json_is_refused(value):
    with pytest.raises(BadInput, match="what is kept must be plain JSON with finite numbers; "):
        audit.plain_json({"x": value})
