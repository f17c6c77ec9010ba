"""Private data that are checked, embeddings that are resumed, and Reports."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace

import numpy as np
import pytest

from tronie.data.pack import Encoded, write_shards
from tronie.data.readers.features import write_features
from tronie.errors import BadFile, BadInput, NotEnoughData, NotFound
from tronie.evaluation.protocols import fruits, lfr19_image, mfr21
from tronie.geometry.hypersphere import normalize
from tronie.images.io import encode_image
from tronie.server.challenge import scoring
from tronie.server.challenge.checks import Check, Verdict
from tronie.server.challenge.scoring import (
    BadRows,
    TrackData,
    embed_all,
    protocol_version,
    score,
)
from tronie.server.challenge.track import Limits, open_track

PEOPLE = np.repeat(np.arange(14), 5)
TOY = open_track("demonstration-faces")


def crop(person, shot):
    """Four patches of noise around a person's own colors, (112, 112, 3) uint8."""
    rng = np.random.default_rng([person, shot])
    colors = np.random.default_rng(person).uniform(60, 195, (2, 2, 3))
    colors = np.clip(colors + rng.normal(0, 18, colors.shape), 0, 255)
    return np.kron(colors, np.ones((56, 56, 1))).astype(np.uint8)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    home = tmp_path_factory.mktemp("data")
    encoded = [
        Encoded(f"p{p:02d}", f"{n}", encode_image(crop(p, n), ".png")) for n, p in enumerate(PEOPLE)
    ]
    write_shards(encoded, home / "crops")
    (home / "META.csv").write_text("\n".join(["subject", *(f"p{p:02d}" for p in PEOPLE)]) + "\n")
    return home


def run(pixels):
    """A model: the mean of each patch of each channel, (N, 12)."""
    assert pixels.shape == (8, 3, 112, 112), "full batches only"
    assert pixels.dtype == np.float32
    assert np.abs(pixels).max() <= 1
    return pixels.reshape(len(pixels), 3, 2, 56, 2, 56).mean(axis=(3, 5)).reshape(len(pixels), 12)


def matrix_of(data):
    crops = data.crops.batch(0, data.rows).astype(np.float64).transpose(0, 3, 1, 2)
    means = ((crops - 127.5) / 127.5).reshape(-1, 3, 2, 56, 2, 56).mean(axis=(3, 5))
    return means.reshape(-1, 12) / np.linalg.norm(means.reshape(-1, 12), axis=1, keepdims=True)


def test_crops_become_unit_rows_in_their_order(packed, tmp_path):
    data = TrackData.open(packed, TOY)
    seen = []
    made = embed_all(
        data, run, tmp_path / "M.npy", name="m", batch=8, progress=lambda *told: seen.append(told)
    )
    rows = np.load(made)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, matrix_of(data), atol=1e-6)
    assert (seen[0], seen[1], seen[-1]) == ((0, 70), (8, 70), (70, 70))
    assert [path.name for path in tmp_path.iterdir()] == ["M.npy"]


def test_the_report_is_that_of_a_loop_over_all_pairs(packed, tmp_path):
    data = TrackData.open(packed, TOY)
    unit = matrix_of(data)
    report = score(TOY, data, embed_all(data, run, tmp_path / "M.npy", name="m", batch=8))
    pairs = list(itertools.combinations(range(70), 2))
    genuine = [float(unit[i] @ unit[j]) for i, j in pairs if PEOPLE[i] == PEOPLE[j]]
    others = [float(unit[i] @ unit[j]) for i, j in pairs if PEOPLE[i] != PEOPLE[j]]
    refused = sorted(others, reverse=True)[int(len(others) * 1e-3)]
    told = report.values["tar_at_far_0.001"]
    assert (told.count, told.total) == (sum(s > refused for s in genuine), len(genuine))
    assert 0.05 < told.value < 0.98
    assert report.values["pairs"].value == 2 * len(genuine)
    assert 0.6 < report.values["accuracy"].value < 1
    assert report.details.curves
    assert {c.key for c in TOY.columns} - set(report.values) == {
        "tar_at_far_0.0001", "model_mib", "latency_ms", "dimension",
    }  # fmt: skip
    assert report.version == protocol_version(TOY)


def test_a_worker_that_was_killed_goes_on_where_it_was(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "PART_BATCHES", 2)
    data = TrackData.open(packed, TOY)
    out, calls = tmp_path / "M.npy", []

    def dies(pixels):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt("stopped")
        return run(pixels)

    with pytest.raises(KeyboardInterrupt, match="stopped"):
        embed_all(data, dies, out, name="m", batch=8)
    assert not out.exists()
    calls.clear()

    def counts(pixels):
        calls.append(1)
        return run(pixels)

    embed_all(data, counts, out, name="m", batch=8)
    assert len(calls) == 9 - 4  # two parts of two batches were whole
    np.testing.assert_allclose(np.load(out), matrix_of(data), atol=1e-6)


def test_what_was_begun_lies_in_one_folder_beside_its_place(packed, tmp_path):
    data, out = TrackData.open(packed, TOY), tmp_path / "M.npy"
    with pytest.raises(BadRows, match="did not"):
        embed_all(data, lambda pixels: run(pixels) * 0, out, name="n", batch=8)
    assert [path.name for path in tmp_path.iterdir()] == ["M.npy.parts"]


def test_a_second_worker_at_the_same_rows_waits_for_the_first(packed, tmp_path):
    data, out = TrackData.open(packed, TOY), tmp_path / "M.npy"
    inside, calls = threading.Event(), []

    def slow(pixels):
        calls.append(threading.get_ident())
        if not inside.is_set():
            inside.set()
            second.start()
        return run(pixels)

    def again():
        embed_all(data, slow, out, name="m", batch=8)

    second = threading.Thread(target=again)
    again()
    second.join()
    assert len(calls) == 18
    assert len(set(calls[:9])) == len(set(calls[9:])) == 1
    np.testing.assert_allclose(np.load(out), matrix_of(data), atol=1e-6)


def test_a_report_leaves_without_rows_and_labels_of_the_private_data(packed, tmp_path):
    data = TrackData.open(packed, TOY)
    report = score(TOY, data, embed_all(data, run, tmp_path / "M.npy", name="m", batch=8))
    assert report.details.points
    assert "p03" not in report.to_json()
    assert report.details.pairs == ()
    assert report.details.most_errors == {}


def test_parts_of_another_model_are_thrown_away(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "PART_BATCHES", 1)
    data = TrackData.open(packed, TOY)

    def stops(done, total):
        if done == 32:
            raise KeyboardInterrupt("stopped")

    def other(pixels):
        return -run(pixels)

    for name, first in (("m", other), ("m", run)):
        with pytest.raises(KeyboardInterrupt, match="stopped"):
            embed_all(
                data, first, tmp_path / "M.npy", name=f"{name}{first}", batch=8, progress=stops
            )
    embed_all(data, run, tmp_path / "M.npy", name=f"m{run}", batch=8)
    np.testing.assert_allclose(np.load(tmp_path / "M.npy"), matrix_of(data), atol=1e-6)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda rows: rows[:-1], r"one finite row for each of 8 crops, .* crop 0 of 70 on .*7, 12"),
        (lambda rows: rows[:, 0], r"crop 0 of 70 on it did not: .*got shape \(8,\)"),
        (lambda rows: rows * np.nan, r"none of zeros; from crop 0 of 70 on it did not"),
        (lambda rows: rows * 0, r"none of zeros; from crop 0 of 70 on it did not"),
    ],
)
def test_a_model_that_breaks_its_promise_while_it_runs_is_refused(
    packed, tmp_path, broken, message
):
    data = TrackData.open(packed, TOY)
    with pytest.raises(BadRows, match=message):
        embed_all(data, lambda pixels: broken(run(pixels)), tmp_path / "M.npy", name="m", batch=8)


def test_limits_and_the_sandbox_are_told_in_the_notes(packed, tmp_path):
    data = TrackData.open(packed, TOY)
    made = embed_all(data, run, tmp_path / "M.npy", name="m", batch=8)
    checks = (
        Check(rule="limits.size", passed=True, reason="r", measured=3, limit=9, unit="MiB"),
        Check(rule="graph.operators", passed=True, reason="r"),
    )
    verdict = Verdict(track="t", checks=checks)
    notes = score(TOY, data, made, verdict=verdict, sandbox={"network": "seccomp"}).notes
    assert notes[-2:] == (
        "limits.size: 3 MiB, of 9 allowed",
        "the model ran in a sandbox (network: seccomp)",
    )


@pytest.fixture
def lfr19(tmp_path, monkeypatch):
    monkeypatch.setattr(lfr19_image, "HEADLINE", 1e-3)
    (tmp_path / "META.csv").write_text("\n".join(["subject", *map(str, PEOPLE)]) + "\n")
    rows = np.random.default_rng(0).normal(size=(14, 16))[PEOPLE]
    rows += np.random.default_rng(1).normal(size=(70, 16))
    return tmp_path, open_track("lfr19-deepglint-light"), rows.astype(np.float32)


def test_a_matrix_of_a_team_scores_whatever_the_length_of_its_rows(lfr19):
    home, track, rows = lfr19
    data = TrackData.open(home, track)
    write_features(home / "unit.npy", normalize(rows)[0])
    write_features(home / "raw.bin", rows)
    unit, raw = (score(track, data, home / name) for name in ("unit.npy", "raw.bin"))
    assert unit.details == raw.details
    assert set(raw.notes) - set(unit.notes) == {
        "rows were not all of length 1, and all were normalized"
    }
    keys = {column.key for column in track.columns if column.key.startswith(("score", "tar"))}
    assert {"score", "tar_at_far_0.01", "tar_at_far_0.1"} <= keys & set(unit.values)


def test_pairs_of_lfr19_can_be_left_out(lfr19):
    home, track, rows = lfr19
    write_features(home / "M.npy", rows)
    np.save(home / "left_out.npy", np.array([[0, 1]]))
    data = TrackData.open(home, track)
    assert score(track, data, home / "M.npy").values["score"].total == 14 * 10 - 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m[:-1], r"must have 70 rows, one for each line of the organizer's list; got 69"),
        (lambda m: np.tile(m, (1, 33)), r"has at most 512 numbers; got 528"),
        (lambda m: m * np.nan, r"row 0 of 70 of the feature matrix holds NaN or infinity"),
        (
            lambda m: np.vstack([m[:5], 0 * m[5:]]),
            r"row 5 of 70 of the feature matrix is all zeros",
        ),
    ],
)
def test_rows_of_a_team_that_cannot_be_scored_are_refused(lfr19, change, message):
    home, track, rows = lfr19
    write_features(home / "M.npy", change(rows).astype(np.float32))
    with pytest.raises(BadRows, match=message):
        score(track, TrackData.open(home, track), home / "M.npy")


def test_a_damaged_matrix_is_refused_without_a_path(lfr19):
    home, track, rows = lfr19
    np.save(home / "M.npy", rows.astype(np.float64))
    with pytest.raises(BadRows, match=r"^the feature matrix holds float64; features are little"):
        score(track, TrackData.open(home, track), home / "M.npy")


def test_mfr21_and_fruits_are_measured_by_their_protocols(tmp_path, monkeypatch):
    for name in ("FAR_MASK", "FAR_CHILDREN", "FAR_RACES"):
        monkeypatch.setattr(mfr21, name, 0.05)
    monkeypatch.setattr(fruits, "FMR", 0.05)
    sets = ["mask-masked", "mask-plain", "children", *mfr21.RACES]
    people = [f"{name[:3]}{n // 3}" for name in sets for n in range(12)]
    people[12:24] = people[:12]
    lines = [f"{sets[n // 12]},{who}" for n, who in enumerate(people)]
    metas = {
        "mfr21-a": ["set,subject", *lines],
        "fruits-100": ["subject,masked", *(f"{p},{n % 2}" for n, p in enumerate(people))],
    }
    rows = normalize(np.random.default_rng(0).normal(size=(84, 12)))[0]
    write_features(tmp_path / "M.npy", rows)
    images = [Encoded("x", "x", encode_image(crop(0, 0), ".png"))] * 84
    write_shards(images, tmp_path / "crops")
    for name, text in metas.items():
        (tmp_path / "META.csv").write_text("\n".join(text) + "\n")
        track = open_track(name)
        report = score(track, TrackData.open(tmp_path, track), tmp_path / "M.npy")
        checked = {"model_mib", "latency_ms", "dimension"}
        assert {column.key for column in track.columns} - checked <= set(report.values)


def test_crops_and_lines_that_do_not_fit_are_refused(packed, tmp_path):
    (tmp_path / "crops").symlink_to(packed / "crops")
    lines = (packed / "META.csv").read_text().splitlines()
    (tmp_path / "META.csv").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(BadInput, match=r"has 70 crops and .*META.csv has 69 lines below its head"):
        TrackData.open(tmp_path, TOY)


def test_a_first_crop_that_is_none_is_refused(tmp_path):
    people = [f"p{p:02d}" for p in PEOPLE]
    (tmp_path / "META.csv").write_text("\n".join(["subject", *people]) + "\n")
    small = encode_image(crop(0, 0)[:64, :64], ".png")
    write_shards([Encoded(p, f"{n}", small) for n, p in enumerate(people)], tmp_path / "crops")
    with pytest.raises(BadFile, match=r"crop (0|69) of 70 must have 112 x 112 pixels; got 64 x 64"):
        TrackData.open(tmp_path, TOY)


def test_data_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(NotFound, match=r"the data of Demonstration must lie in a folder; there is"):
        TrackData.open(tmp_path / "none", TOY)
    with pytest.raises(NotFound, match=r"there is no table .*META.csv"):
        TrackData.open(tmp_path, TOY)


def test_pairs_to_be_left_out_where_nobody_looks_are_refused(packed, tmp_path):
    (tmp_path / "crops").symlink_to(packed / "crops")
    (tmp_path / "META.csv").write_bytes((packed / "META.csv").read_bytes())
    (tmp_path / "left_out.npy").write_bytes(b"")
    with pytest.raises(BadInput, match=r"left_out.npy names pairs .* which lfw-all knows nothing"):
        TrackData.open(tmp_path, TOY)


def test_too_few_pairs_are_told_before_a_team_pays_for_them(tmp_path):
    (tmp_path / "META.csv").write_text("\n".join(["subject", *map(str, PEOPLE)]) + "\n")
    with pytest.raises(NotEnoughData, match=r"FAR 1e-08 needs at least 100000000 impostor pairs"):
        TrackData.open(tmp_path, open_track("lfr19-deepglint-large"))


def test_nothing_is_embedded_where_a_track_takes_features(lfr19):
    home, track, _ = lfr19
    with pytest.raises(BadInput, match=r"embedding needs crops, and a batch of 1 or more; got 32"):
        embed_all(TrackData.open(home, track), run, home / "M.npy", name="m")


def test_a_track_may_allow_wider_rows(lfr19):
    home, track, rows = lfr19
    write_features(home / "M.npy", np.tile(rows, (1, 33)))
    wide = replace(track, limits=Limits(upload_bytes=1, dimension=1024))
    assert score(wide, TrackData.open(home, wide), home / "M.npy").values["score"].total == 140
