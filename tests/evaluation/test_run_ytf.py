"""From frames on disk to a Report over videos."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.data.readers.features import write_features
from tronie.errors import BadArray, BadInput, NotFound
from tronie.evaluation.run_ytf import evaluate_ytf


@pytest.fixture
def toy(tmp_path):
    """Ten folds of a genuine pair (A, A) and an impostor pair (A, B); three frames a video."""
    lines, videos = ["split number, pair number, first name, second name, is same"], []
    for n in range(10):
        lines += [f"{n + 1}, 1, A{n}/0, A{n}/1, 1", f"{n + 1}, 2, A{n}/0, B{n}/0, 0"]
        videos += [f"A{n}/0", f"A{n}/1", f"B{n}/0"]
    (tmp_path / "splits.txt").write_text("\n".join(lines) + "\n")
    frames = [video for video in videos for _ in range(3)][::-1]
    (tmp_path / "META.csv").write_text("video,frame\n" + "".join(f"{v},1.jpg\n" for v in frames))
    rng = np.random.default_rng(0)
    rows = np.array([[1.0, 0.0] if v[0] == "A" else [0.0, 1.0] for v in frames])
    rows *= rng.uniform(1, 5, (len(rows), 1))
    write_features(tmp_path / "M.npy", rows.astype(np.float32))
    return tmp_path


def run(folder, **rest):
    return evaluate_ytf(folder / "splits.txt", folder / "M.npy", folder / "META.csv", **rest)


def changed(folder, change):
    rows = np.load(folder / "M.npy")
    change(rows)
    write_features(folder / "M.npy", rows)


def test_frames_are_pooled_by_their_video(toy):
    report = run(toy)
    flat = report.to_dict()
    assert (flat["accuracy"], flat["pairs"], flat["videos"]) == (1, 20, 30)
    assert set(report.provenance.inputs) == {"splits.txt", "features", "meta"}


def test_the_pooling_decides_what_a_long_row_counts(toy):
    def spoil(rows):  # one frame of B9/0, the first of the file, looks like A and is very long
        rows[0] = [1000.0, 0.0]

    changed(toy, spoil)
    assert run(toy).to_dict()["counts"]["accuracy_exact"] == [20, 20]
    raw = run(toy, pooling="mean_of_raw")
    assert raw.to_dict()["counts"]["accuracy_exact"] == [19, 20]
    assert raw.notes[0] == "frames were pooled by mean_of_raw"


def test_frames_without_a_face_are_left_out_and_videos_without_any_are_counted(toy):
    def spoil(rows):  # two frames of B9/0; all of A9/1, which comes next
        rows[[0, 2, 3, 4, 5]] = np.nan

    changed(toy, spoil)
    report = run(toy)
    assert report.to_dict()["videos_without_face"] == 1
    assert "1 videos without a face, their pairs score -1: A9/1" in report.notes
    assert report.to_dict()["counts"]["accuracy_exact"] == [19, 20]


def test_no_face_anywhere_is_always_different(toy):
    changed(toy, lambda rows: rows.fill(np.nan))
    assert run(toy).to_dict()["accuracy"] == 0.5


def test_what_does_not_fit_is_refused(toy):
    with pytest.raises(BadInput, match="there is no pooling 'median'"):
        run(toy, pooling="median")
    write_features(toy / "M.npy", np.ones((89, 2), np.float32))
    with pytest.raises(BadArray, match=r"M\.npy has 89 rows and .*META\.csv has 90 lines"):
        run(toy)


def test_a_video_without_a_frame_is_refused(toy):
    text = (toy / "META.csv").read_text().replace("B3/0", "C3/0")
    (toy / "META.csv").write_text(text)
    with pytest.raises(NotFound, match="1 videos have no template, the first is B3/0"):
        run(toy)
