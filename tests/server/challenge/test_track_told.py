"""A track in plain text: all that a team must know, in 80 columns."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tronie.server.challenge.track import Column, Limits, Phase, Reference, Track, names, open_track
from tronie.server.challenge.track_told import told_limits, told_phase, told_track

TRACK = Track(
    title="Faces",
    summary="Recognize\n faces.",
    rules=("Be fair.", "Be quick. " * 12),
    protocol="mfr21",
    takes="model",
    limits=Limits(upload_bytes=3 << 20),
    columns=(Column(key="score", title="Score"), Column(key="mask", title="Mask")),
)
MAY = datetime(2026, 5, 1, 12, tzinfo=UTC)
JUNE = datetime(2026, 6, 1, tzinfo=UTC)


def test_a_track_is_told_from_its_title_to_its_source():
    told = told_track(replace(TRACK, tie_breaks=("mask",), source="Somebody, 2026"))
    assert told.startswith("Faces\n\nRecognize faces.\n\nLimits\n")
    assert "    Score (score), Mask (mask)\n" in told
    assert "    ranked by Score; equal scores by mask, then the earlier submission\n" in told
    assert "Dates\n    open: at any time\n" in told
    assert "Rules\n    Be fair.\n    Be quick." in told
    assert told.endswith("\n\nSource: Somebody, 2026")


@pytest.mark.parametrize("name", names())
def test_every_track_fits_into_80_columns_and_tells_all_its_rules(name):
    told = told_track(open_track(name))
    assert max(map(len, told.splitlines())) <= 80
    flat = " ".join(told.split())
    assert all(" ".join(rule.split()) in flat for rule in open_track(name).rules)


def test_only_limits_that_are_there_are_told():
    assert told_limits(TRACK) == [
        "model.onnx, alone or in a zip, at most 3 MiB",
        "embeddings of at most 512 numbers",
        "3 submissions of an organization in a day of UTC",
    ]


def test_every_limit_is_told_in_its_unit():
    limits = Limits(
        upload_bytes=1 << 30, model_bytes=20 << 20, flops_lfr=10**9, dimension=256, latency_ms=10.0
    )
    reference = Reference(machine="a Tesla V100", network="iresnet-18", latency_ms=1.9)
    track = replace(TRACK, takes="features", rows=9, limits=limits, reference=reference, per_day=1)
    assert told_limits(track) == [
        "a zip of a feature matrix of 9 rows and the model.onnx that made it, at most 1024 MiB",
        "embeddings of at most 256 numbers",
        "a model of at most 20 MiB",
        "at most 1 GFLOPs, as LFR19 counts them",
        "at most 10 ms a crop on a Tesla V100",
        "1 submission of an organization in a day of UTC",
    ]
    here = replace(track, reference=None)
    assert "at most 10 ms a crop on the machine of the challenge" in told_limits(here)


@pytest.mark.parametrize(
    ("phase", "text"),
    [
        (Phase(name="open"), "open: at any time"),
        (Phase(name="first", opens=MAY), "first: from 2026-05-01 12:00 UTC"),
        (Phase(name="last", closes=JUNE), "last: to 2026-06-01 00:00 UTC"),
        (
            Phase(name="final", opens=MAY, closes=JUNE, hidden=True),
            "final: from 2026-05-01 12:00 UTC to 2026-06-01 00:00 UTC, scores hidden until it "
            "closes",
        ),
    ],
)
def test_a_phase_is_told_with_its_moments(phase, text):
    assert told_phase(phase) == text


def test_prizes_stand_by_place_and_a_share_where_no_prize_is():
    track = replace(TRACK, prizes={2: "a medal", 1: "a cup"}, bonus_shares={1: 0.5, 3: 0.2})
    told = told_track(track)
    assert "Prizes\n    place 1: a cup\n    place 2: a medal\n    place 3: 20% of the bonus" in told
    assert "Prizes" not in told_track(TRACK)
