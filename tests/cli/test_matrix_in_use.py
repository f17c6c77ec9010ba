"""Photographs to a matrix: what has no face leaves, and takes its label along."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.cli import matrix_in_use as module
from tronie.cli.matrix_in_use import embed_crops, matrix_in_use
from tronie.cli.models_in_use import Chosen, open_embedder
from tronie.errors import BadInput, NotEnoughData
from tronie.images.io import encode_image

CHOSEN = Chosen(detector="d", model="m")


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Four files; a file's text is its row, "x" for one without a face."""
    for n, text in enumerate(["1", "x", "3", "4"]):
        (tmp_path / f"{n}.jpg").write_text(text)
    (tmp_path / "list.txt").write_text("0.jpg\n1.jpg\n2.jpg\n3.jpg\n")

    def embed(files):
        rows = [np.nan if file == b"x" else float(file) for file in files]
        return np.outer(rows, [1, 2]).astype(np.float32)

    monkeypatch.setattr(module, "_embed_with", lambda chosen, aligned: (embed, "run"))
    return tmp_path


def made(photos, **rest):
    words = {"images": [str(photos / "list.txt")], "aligned": False, "out": photos / "M.npy"}
    return matrix_in_use(CHOSEN, None, **(words | rest))


@pytest.mark.parametrize("kind", ["L.txt", "L.npy", "META"])
def test_rows_without_a_face_leave_with_their_labels(photos, kind):
    if kind == "L.npy":
        np.save(photos / kind, np.array([7, 8, 9, 10]))
    elif kind == "L.txt":
        (photos / kind).write_text("a\nb\nc\nd\n")
    else:
        (photos / kind).write_text("set,subject\np,a\nq,b\nr,c\ns,d\n")
    found = made(photos, **{"meta" if kind == "META" else "labels": photos / kind})
    assert found.embedded
    np.testing.assert_array_equal(np.load(found.features), np.outer([1, 3, 4], [1, 2]))
    if kind == "L.npy":
        assert np.load(found.labels).tolist() == [7, 9, 10]
    else:
        expected = {"L.txt": ["a", "c", "d"], "META": ["set,subject", "p,a", "r,c", "s,d"]}
        assert found.labels.read_text().splitlines() == expected[kind]


def test_where_every_row_has_a_face_the_files_are_used_as_they_are(photos):
    (photos / "1.jpg").write_text("2")
    (photos / "L.txt").write_text("a\nb\nc\nd\n")
    found = made(photos, labels=photos / "L.txt")
    assert (found.features, found.labels) == (photos / "M.npy", photos / "L.txt")


def test_no_face_at_all_and_two_sources_are_refused(photos):
    (photos / "list.txt").write_text("1.jpg\n")
    (photos / "L.txt").write_text("b\n")
    with pytest.raises(NotEnoughData, match="none of 1 photographs shows a face"):
        made(photos, labels=photos / "L.txt")
    with pytest.raises(BadInput, match=r"give --features M.npy, or --images DIR to embed; one of"):
        matrix_in_use(CHOSEN, photos / "M.npy", images=["a"], aligned=False, out=photos / "M.npy")


def test_aligned_crops_go_straight_to_the_recognizer(toy):
    embedder, sha256 = open_embedder(Chosen(detector="d", model=str(toy.model)))
    assert len(sha256) == 64
    side = embedder.contract.height
    crops = np.random.default_rng(0).integers(0, 255, (3, side, side, 3), dtype=np.uint8)
    encoded = [encode_image(crop, ".png") for crop in crops]
    np.testing.assert_array_equal(embed_crops(embedder, encoded), embedder.embed(crops))
    with pytest.raises(BadInput, match=rf"an aligned crop of this model is {side}x{side}; got"):
        embed_crops(embedder, [encode_image(crops[0, :-1], ".png"), b"not looked at"])
