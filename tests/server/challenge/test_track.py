"""Tracks: what they are made of is checked when they are made; they are found by name."""

from datetime import UTC, datetime, timedelta

import pytest

from tronie.errors import BadInput, NotFound
from tronie.server.challenge.track import Column, Limits, Phase, Track, names, open_track

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def track(**changed):
    given = {
        "title": "Faces",
        "summary": "A track.",
        "rules": ("Be fair.",),
        "protocol": "mfr21",
        "takes": "model",
        "limits": Limits(upload_bytes=1 << 20),
        "columns": (Column(key="score", title="Score"), Column(key="mask", title="Mask")),
    }
    return Track(**given | changed)


def test_every_track_is_found_by_its_name():
    for name in names():
        assert isinstance(open_track(name), Track)


def test_a_name_that_is_near_one_is_answered_with_it():
    with pytest.raises(NotFound, match="Did you mean 'mfr21-a'"):
        open_track("mfr21_a")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"columns": ()}, r"needs columns of different keys; got \[\]"),
        ({"columns": (Column(key="a", title="A"),) * 2}, "columns of different keys"),
        ({"tie_breaks": ("speed",)}, "'speed' is none of"),
        ({"per_day": 0}, "per_day must be 1 or more"),
        ({"ladder": -1.0}, "ladder 0 or more"),
        ({"limits": Limits(upload_bytes=1, latency_ms=0.0)}, "latency_ms must be above 0"),
    ],
)
def test_a_track_that_cannot_be_is_refused(changed, sentence):
    with pytest.raises(BadInput, match=sentence):
        track(**changed)


def test_a_phase_is_open_from_its_first_moment_to_before_its_last():
    phase = Phase(name="one", opens=NOON, closes=NOON + timedelta(days=1))
    assert not phase.is_open(NOON - timedelta(microseconds=1))
    assert phase.is_open(NOON)
    assert not phase.is_open(NOON + timedelta(days=1))
    assert Phase(name="ever").is_open(NOON)


def test_moments_without_a_time_zone_are_refused():
    with pytest.raises(BadInput, match="'one' needs moments with a time zone"):
        Phase(name="one", opens=datetime(2026, 5, 1))


def test_a_phase_that_closes_before_it_opens_is_refused():
    with pytest.raises(BadInput, match="must open before it closes"):
        Phase(name="one", opens=NOON, closes=NOON)
