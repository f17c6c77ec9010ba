"""LFW, all pairs, from a folder: who takes part, and how many pairs there are."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.data.readers.lfw import read_pairs
from tronie.errors import NotEnoughData
from tronie.evaluation.protocols import lfw_all
from tronie.evaluation.run_lfw_all import evaluate_lfw_all


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Four people, three photographs each; a photograph's bytes are its embedding."""
    monkeypatch.setattr(lfw_all, "ROW", (0.1,))
    rng = np.random.default_rng(0)
    for name in "ABCD":
        (tmp_path / name).mkdir()
        center = rng.normal(size=6)
        for n in (1, 2, 3):
            row = (center + 0.1 * rng.normal(size=6)).astype(np.float32)
            (tmp_path / name / f"{name}_{n:04d}.jpg").write_bytes(row.tobytes())
    lines = ["2\t2", "A\t1\t2", "B\t2\t3", "A\t3\tC\t1", "C\t2\tD\t3"]
    lines += ["C\t1\t3", "D\t1\t2", "B\t1\tC\t2", "A\t1\tD\t3"]
    (tmp_path / "pairs.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def embed(photos):
    return np.stack([np.frombuffer(photo, np.float32) for photo in photos])


def test_every_photograph_of_the_protocol_meets_every_other(folder):
    told = evaluate_lfw_all(folder, embed, inputs={"model": "0" * 64})
    point = told.details.points[0]
    assert point.genuine_pairs == 4 * 3
    assert point.impostor_pairs == 12 * 11 // 2 - 12
    assert told.values["tar_at_far_0.1"].value == 1
    assert told.notes[0] == "12 photographs, 0 of them without a face and left out"
    assert set(told.provenance.inputs) == {"pairs.txt", "model"}


def test_a_photograph_without_a_face_is_left_out_and_named(folder):
    (folder / "B" / "B_0003.jpg").write_bytes(np.full(6, np.nan, np.float32).tobytes())
    told = evaluate_lfw_all(folder, embed)
    assert told.details.points[0].genuine_pairs == 3 * 3 + 1
    assert "1 of them without a face and left out: B/B_0003.jpg" in told.notes[0]


def test_no_face_at_all_is_said(folder):
    with pytest.raises(NotEnoughData, match="0 of 12 photographs show a face"):
        evaluate_lfw_all(folder, lambda photos: np.full((len(photos), 6), np.nan))


@pytest.mark.data
def test_the_protocol_has_7701_photographs_and_the_pairs_that_follow(test_data):
    folds = read_pairs(test_data / "lfw" / "pairs.txt")
    photos = {photo for fold in folds for pair in fold for photo in pair[:2]}
    assert len(photos) == 7701
    names = [photo.name for photo in photos]
    sizes = np.unique(names, return_counts=True)[1]
    genuine = int((sizes * (sizes - 1) // 2).sum())
    assert genuine == 8101
    assert 7701 * 7700 // 2 - genuine == 29_640_749
