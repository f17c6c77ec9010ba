"""What a submission is worth, and whose fault it is when that cannot be told."""

from __future__ import annotations

import threading
import zipfile
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("fsspec")

from server.challenge.judged import (
    GOOD,
    ODD,
    ROWS,
    SHOTS,
    TOY,
    TRACK,
    alive,
    names,
    stops_after,
    submission,
    write,
)
from tiny_models import DIMENSION, Net, honest
from tronie.data.readers.features import write_features
from tronie.errors import NotFound
from tronie.evaluation.protocols import lfr19_image
from tronie.server.challenge import judging as judging_file
from tronie.server.challenge import scoring
from tronie.server.challenge.checks import Verdict
from tronie.server.challenge.judging import Judging, bounds_for, open_data
from tronie.server.challenge.sandbox import Bounds, Sandbox
from tronie.server.challenge.scoring import TrackData, protocol_version
from tronie.server.challenge.submission import State
from tronie.server.challenge.track import open_track
from tronie.server.challenge.validate import validate
from tronie.server.challenge.worker import BrokeRule, Unwanted

pytestmark = [pytest.mark.server, pytest.mark.onnx]


def nan_for_red():
    """NaN where red is far above blue; the root of 1.8 - the difference of their means."""
    net = Net(seed=23)
    weights = net.store(np.array([1, 0, -1], np.float32).reshape(1, 3, 1, 1))
    mean = net.add("Conv", net.add("GlobalAveragePool", "x"), weights)
    root = net.add("Sqrt", net.add("Sub", net.store(1.8), net.add("Flatten", mean)))
    return net.model(net.add("Mul", net.head(net.body(), 392), root))


@pytest.mark.slow
def test_the_score_is_that_of_rows_made_without_a_sandbox(judging, home, work, upload, tmp_path):
    verdict = judging.check(submission(state=State.CHECKING), upload, alive)
    assert verdict.accepted, verdict.refusals
    scored = judging.score(submission(verdict=verdict), upload, alive)

    data = TrackData.open(home, TOY)
    pixels = (data.crops.batch(0, ROWS).astype(np.float32) - 127.5) / 127.5
    session = onnxruntime.InferenceSession(upload.read_bytes())
    [rows] = session.run(None, {"x": pixels.transpose(0, 3, 1, 2)})
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    write_features(tmp_path / "rows.npy", rows)
    direct = scoring.score(TOY, data, tmp_path / "rows.npy")

    assert 0 < direct.values["tar_at_far_0.001"].value < 1, "a number that says something"
    told = {name: value["value"] for name, value in scored.report["values"].items()}
    assert told == pytest.approx({name: v.value for name, v in direct.values.items()}, abs=1e-9)
    assert scored.protocol_version == protocol_version(TOY)
    assert any("in a sandbox (memory" in note for note in scored.report["notes"])
    assert names(work) == []


@pytest.mark.slow
def test_the_checks_are_those_of_a_participant_on_the_organizers_crops(judging, home, upload):
    verdict = judging.check(submission(state=State.CHECKING), upload, alive)
    crops = TrackData.open(home, TOY).crops.sample(64)
    own = validate(upload, TOY, name=TRACK, crops=crops, factor=1.0)
    assert [(c.rule, c.passed) for c in verdict.checks] == [(c.rule, c.passed) for c in own.checks]
    assert verdict.track == TRACK


@pytest.mark.slow
def test_nan_for_one_crop_that_the_checks_did_not_see_is_refused_while_it_runs(
    judging, work, tmp_path
):
    upload = write(tmp_path / "odd", nan_for_red())
    verdict = judging.check(submission(state=State.CHECKING), upload, alive)
    assert verdict.accepted, verdict.refusals
    with pytest.raises(BrokeRule, match=rf"one finite row .* row {ODD} of 32 holds NaN") as broke:
        judging.score(submission(verdict=verdict), upload, alive)
    *before, last = broke.value.verdict.checks
    assert tuple(before) == verdict.checks
    assert (last.rule, last.passed, last.reason) == ("running.rows", False, str(broke.value))
    assert str(tmp_path) not in str(broke.value)
    assert names(work) == []


@pytest.mark.slow
def test_a_model_that_takes_longer_than_its_bounds_is_refused_while_it_runs(
    home, work, upload, monkeypatch
):
    monkeypatch.setattr(judging_file, "CROP_S", 0.0)
    data = {TRACK: TrackData.open(home, TOY)}
    judging = Judging({TRACK: TOY}, data, work=work, bounds=Bounds(call_s=1e-4))
    with pytest.raises(BrokeRule, match=r"model the model took longer than 0.0001 s and was stop"):
        judging.score(submission(), upload, alive)
    assert names(work) == []


@pytest.mark.slow
def test_checks_stop_between_calls_of_the_model(judging, upload):
    with pytest.raises(Unwanted, match="no more"):
        judging.check(submission(state=State.CHECKING), upload, stops_after(4))


@pytest.fixture
def matrix_track(tmp_path, monkeypatch):
    """LFR19 with pairs enough for its headline, its data, and a matrix that is worth something."""
    monkeypatch.setattr(lfr19_image, "HEADLINE", 1e-3)
    folder = tmp_path / "lfr19"
    folder.mkdir()
    people = np.arange(ROWS) // SHOTS
    (folder / "META.csv").write_text("\n".join(["subject", *map(str, people)]) + "\n")
    rows = np.random.default_rng(0).normal(size=(14, DIMENSION))[people]
    rows += np.random.default_rng(1).normal(size=(ROWS, DIMENSION))
    return folder, open_track("lfr19-deepglint-light"), rows.astype(np.float32)


def zipped(path, model, matrix):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model.onnx", model.SerializeToString())
        file.write(matrix, "features.bin")
    return path


@pytest.mark.slow
def test_a_matrix_is_checked_and_scored_as_it_was_sent(matrix_track, work, tmp_path):
    folder, track, rows = matrix_track
    write_features(tmp_path / "M.bin", rows)
    upload = zipped(tmp_path / "upload.zip", honest(), tmp_path / "M.bin")
    data = TrackData.open(folder, track)
    name = "lfr19-deepglint-light"
    judging = Judging({name: track}, {name: data}, work=work, threads=1)
    verdict = judging.check(submission(track=name, state=State.CHECKING), upload, alive)
    assert verdict.accepted, verdict.refusals
    scored = judging.score(submission(track=name, verdict=verdict), upload, alive)
    direct = scoring.score(track, data, tmp_path / "M.bin", verdict=verdict)
    assert 0.1 < direct.values["score"].value < 1
    told = {key: value["value"] for key, value in scored.report["values"].items()}
    assert told == {key: value.value for key, value in direct.values.items()}
    assert tuple(scored.report["notes"]) == direct.notes
    assert names(work) == []


def test_a_matrix_of_fewer_rows_than_the_organizers_list_is_refused(matrix_track, work, tmp_path):
    folder, track, rows = matrix_track
    write_features(tmp_path / "M.bin", rows[:-1])
    upload = zipped(tmp_path / "upload.zip", honest(), tmp_path / "M.bin")
    name = "lfr19-deepglint-light"
    data = {name: TrackData.open(folder, track)}
    judging = Judging({name: track}, data, work=work, threads=1)
    verdict = judging.check(submission(track=name, state=State.CHECKING), upload, alive)
    assert not verdict.accepted
    assert "70" in verdict.refusals[0].reason
    with pytest.raises(BrokeRule, match=r"must have 70 rows, .* got 69"):
        judging.score(submission(track=name), upload, alive)


def test_the_machine_is_measured_once_for_a_track_and_never_where_no_time_is_given(
    home, work, upload, monkeypatch
):
    measured, seen = [], []

    def measure(reference, crops, *, open_sandbox):
        assert open_sandbox is Sandbox
        measured.append((reference.latency_ms, crops.shape))
        return 7.0

    def check(path, track, *, name, factor, **_):
        seen.append((name, factor, track.rows))
        return Verdict(track=name, checks=())

    monkeypatch.setattr(judging_file, "calibration_factor", measure)
    monkeypatch.setattr(judging_file, "validate", check)
    tracks = {name: open_track(name) for name in ("mfr21-a", "mfr21-b", TRACK)}
    data = dict.fromkeys(tracks, TrackData.open(home, TOY))
    judging = Judging(tracks, data, work=work)

    def ask():
        for name in tracks:
            judging.check(submission(track=name, state=State.CHECKING), upload, alive)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    limits = {tracks[name].reference.latency_ms for name in ("mfr21-a", "mfr21-b")}
    assert len(measured) == 2
    assert {ms for ms, _ in measured} == limits
    assert measured[0][1] == (64, 112, 112, 3)
    factors = {"mfr21-a": 7.0, "mfr21-b": 7.0, TRACK: 1.0}
    assert set(seen) == {(name, factor, ROWS) for name, factor in factors.items()}
    assert len(seen) == 9


def test_a_track_without_data_here_is_our_fault(judging, upload):
    for judge in (judging.check, judging.score):
        with pytest.raises(NotFound, match=r"has no data of the track mfr21-a; it has those of de"):
            judge(submission(track="mfr21-a"), upload, alive)


def test_bounds_grow_with_the_crops_and_with_the_time_that_one_took_at_the_checks():
    least = Bounds(wall_s=100, cpu_s=200, call_s=60, threads=2)
    quick = replace(GOOD, facts={"latency_here_p95_ms": 20.0})
    slow = replace(GOOD, facts={"latency_here_p95_ms": 1500.0})
    for verdict in (GOOD, quick):
        found = bounds_for(1000, verdict, least)
        assert (found.wall_s, found.cpu_s, found.call_s) == (1100, 2200, 60)
    found = bounds_for(1000, slow, least)  # four times 1.5 s a crop, and 32 crops a call
    assert (found.wall_s, found.cpu_s, found.call_s) == (6100, 12200, 192)
    assert replace(found, wall_s=100, cpu_s=200, call_s=60) == least


def test_data_that_cannot_be_used_are_told_by_track(home, tmp_path):
    tracks = {name: open_track(name) for name in (TRACK, "mfr21-a", "mfr21-b")}
    opened, faults = open_data(tracks, {TRACK: home, "mfr21-a": tmp_path / "none"})
    assert {name: data.rows for name, data in opened.items()} == {TRACK: ROWS}
    assert faults["mfr21-a"].endswith(f"there is no {tmp_path / 'none'}")
    assert faults["mfr21-b"] == "no folder of data is named for mfr21-b"
