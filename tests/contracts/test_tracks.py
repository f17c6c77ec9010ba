"""Every track keeps the same promises."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tronie import catalog
from tronie.errors import NotFound
from tronie.evaluation.protocols import fruits, lfr19_image, lfr19_video, lfw_all, mfr21
from tronie.server.challenge.baselines import BASELINES
from tronie.server.challenge.leaderboard import CHECKED
from tronie.server.challenge.measures import MEASURES
from tronie.server.challenge.track import CATALOGUE, MIB, Track, names, open_track
from working_tree import environment

NAMES = names()
TRACKS = {name: open_track(name) for name in NAMES}

REPORTED = {
    "mfr21": {"score", *mfr21.ORDER},
    "lfr19-image": {"score", *(f"tar_at_far_{far:g}" for far in lfr19_image.ROW)},
    "lfr19-video": {"score", *(f"tar_at_far_{far:g}" for far in lfr19_video.ROW)},
    "fruits": {f"fnmr_{name}" for name in fruits.SETS},
    "lfw-all": {*(f"tar_at_far_{far:g}" for far in lfw_all.ROW), "accuracy", "accuracy_exact"},
}
"""What the Report of each protocol may hold, as a challenge measures it; test_scoring sees it."""


def test_the_catalogue_has_the_tracks_of_three_challenges_and_one_to_try():
    assert set(NAMES) == {
        "demonstration-faces", "fruits-100", "fruits-1000", "fruits-500",
        "lfr19-deepglint-large", "lfr19-deepglint-light", "lfr19-iqiyi-large", "lfr19-iqiyi-light",
        "mfr21-a", "mfr21-b",
    }  # fmt: skip


def test_names_are_listed_and_no_track_is_imported():
    code = (
        "import sys; from tronie.server.challenge import track; "
        "assert 'mfr21-a' in track.names(); "
        "print([m for m in sys.modules if m.startswith(track.CATALOGUE + '.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_a_track_that_is_not_there_is_answered_with_the_nearest():
    with pytest.raises(NotFound, match=r"no entry 'mfr21-c' .* Did you mean 'mfr21-[ab]'\?"):
        open_track("mfr21-c")


@pytest.mark.parametrize("key", catalog.entries(CATALOGUE))
def test_an_entry_says_where_its_rules_come_from_and_where_it_differs(key):
    told = catalog.docstring(CATALOGUE, key)
    assert "\nSource: " in told
    assert "\nDiffers from " in told


@pytest.mark.parametrize("name", NAMES)
def test_a_track_is_measured_by_a_protocol_that_there_is(name):
    track = TRACKS[name]
    assert isinstance(track, Track)
    assert track.protocol in catalog.entries("tronie.evaluation.protocols")
    assert track.protocol in MEASURES


@pytest.mark.parametrize("name", NAMES)
def test_a_column_is_a_value_of_the_report_or_of_the_checks(name):
    track = TRACKS[name]
    keys = [column.key for column in track.columns]
    assert set(keys) <= REPORTED[track.protocol] | set(CHECKED)
    assert keys[0] in REPORTED[track.protocol]
    assert len({column.title for column in track.columns}) == len(keys)


@pytest.mark.parametrize("name", NAMES)
def test_costs_are_better_the_smaller_they_are_and_rates_the_larger(name):
    for column in TRACKS[name].columns:
        smaller = column.key in CHECKED or column.key.startswith("fnmr")
        assert column.larger_is_better is not smaller
        assert (column.form == "percent") is (column.key not in CHECKED)


@pytest.mark.parametrize("name", NAMES)
def test_a_track_tells_what_it_is_in_sentences(name):
    track = TRACKS[name]
    assert track.title
    assert track.source
    for sentence in (track.summary, *track.rules):
        assert sentence.endswith("."), sentence
        assert "  " not in sentence
        assert len(sentence) > 20
    assert any("three times a day" in rule for rule in track.rules)
    assert track.per_day == 3


@pytest.mark.parametrize("name", NAMES)
def test_limits_can_be_kept(name):
    limits = TRACKS[name].limits
    assert limits.upload_bytes >= (limits.model_bytes or MIB)
    assert 128 <= limits.dimension <= 4096
    assert (limits.flops_lfr or 1e9) >= 1e9
    if TRACKS[name].takes == "features":
        assert limits.latency_ms is None
    else:
        assert limits.latency_ms


@pytest.mark.parametrize("name", NAMES)
def test_a_pool_is_not_given_away_twice(name):
    shares = TRACKS[name].bonus_shares
    assert sum(shares.values()) <= 1 + 1e-12
    assert set(shares) == set(TRACKS[name].prizes)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_a_reference_is_a_backbone_that_there_is():
    entry = "tronie.lab.nn.backbones"
    known = {f"{key}-{v}" for key in catalog.entries(entry) for v in catalog.variants(entry, key)}
    told = [track.reference.network for track in TRACKS.values() if track.reference]
    assert told
    assert set(told) <= known


def test_the_limits_are_those_of_the_challenges():
    """From the READMEs: FLOPs, bytes, numbers in an embedding, milliseconds."""
    told = {
        name: (t.limits.flops_lfr, t.limits.model_bytes, t.limits.dimension, t.limits.latency_ms)
        for name, t in TRACKS.items()
    }
    assert told["lfr19-deepglint-light"] == (10**9, 20 * 2**20, 512, None)
    assert told["lfr19-deepglint-large"] == (30 * 10**9, None, 512, None)
    assert told["lfr19-iqiyi-light"] == told["lfr19-deepglint-light"]
    assert told["lfr19-iqiyi-large"] == told["lfr19-deepglint-large"]
    assert told["mfr21-a"] == (None, 2**30, 512, 10.0)
    assert told["mfr21-b"] == (None, 2**30, 1024, 20.0)
    for ms in (100, 500, 1000):
        assert told[f"fruits-{ms}"][3] == ms == 1000 * fruits.BUDGETS_S[f"fruits-{ms}"]


def test_a_whole_matrix_of_lfr19_fits_into_an_upload():
    for name, rows in (("lfr19-deepglint-light", 1_862_120), ("lfr19-iqiyi-light", 203_848)):
        assert TRACKS[name].limits.upload_bytes > rows * 512 * 4 + 300 * MIB


def test_fruits_says_what_cannot_be_judged_from_crops():
    rules = " ".join(TRACKS["fruits-100"].rules)
    assert "not FRUITS" in rules
    assert "only the embedding of a crop is timed" in rules
    assert "E5-2630 v4" in rules


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_has_the_column_that_ranks_and_no_other_than_the_track(name):
    keys = [column.key for column in TRACKS[name].columns]
    for row in BASELINES[name]:
        assert keys[0] in row.values
        assert set(row.values) <= set(keys)
