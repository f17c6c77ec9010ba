"""Running a protocol over a folder with any callable that embeds."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tronie.data.readers.lfw import LfwPhotos, Photo
from tronie.errors import BadArray, NotFound
from tronie.evaluation.run import embed_photos, evaluate_lfw

PEOPLE = ["Ada", "Bo", "Cy", "Di"]


@pytest.fixture
def lfw(tmp_path) -> Path:
    """Four people, two photographs each; a "photograph" holds its person's number as text."""
    for number, name in enumerate(PEOPLE):
        (tmp_path / name).mkdir()
        for shot in (1, 2):
            (tmp_path / name / f"{name}_000{shot}.jpg").write_bytes(f"{number} {shot}".encode())
    lines = ["2\t2", "Ada\t1\t2", "Bo\t1\t2", "Ada\t1\tBo\t1", "Ada\t2\tCy\t1"]
    lines += ["Cy\t1\t2", "Di\t1\t2", "Cy\t1\tDi\t1", "Bo\t2\tDi\t2"]
    (tmp_path / "pairs.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def by_person(photos):
    return np.eye(4, dtype=np.float32)[[int(photo.split()[0]) for photo in photos]]


def test_an_embedder_that_knows_everybody_is_always_right(lfw):
    flat = evaluate_lfw(lfw, by_person).to_dict()
    assert (flat["accuracy"], flat["std"], flat["pairs"]) == (1, 0, 8)


def test_each_photograph_is_embedded_once_in_chunks_and_progress_is_told(lfw):
    seen, told = [], []

    def embed(photos):
        seen.append(list(photos))
        return by_person(photos)

    evaluate_lfw(lfw, embed, chunk=3, progress=lambda done, total: told.append((done, total)))
    assert [len(chunk) for chunk in seen] == [3, 3, 2]
    flat = [photo for chunk in seen for photo in chunk]
    assert sorted(flat) == sorted(set(flat))
    assert told == [(0, 8), (3, 8), (6, 8), (8, 8)]


def test_the_report_carries_the_checksums_of_what_went_in(lfw):
    report = evaluate_lfw(lfw, by_person, inputs={"model": "a" * 64})
    pairs = hashlib.sha256((lfw / "pairs.txt").read_bytes()).hexdigest()
    assert report.provenance.inputs == {"pairs.txt": pairs, "model": "a" * 64}


def test_photographs_without_a_face_are_counted(lfw):
    def embed(photos):
        rows = by_person(photos)
        rows[[photo == b"3 2" for photo in photos]] = np.nan
        return rows

    assert evaluate_lfw(lfw, embed).to_dict()["photos_without_face"] == 1


def test_rows_come_in_the_order_of_the_photographs(lfw):
    asked = [Photo("Di", 1), Photo("Ada", 2), Photo("Cy", 1)]
    with LfwPhotos(lfw) as source:
        rows = embed_photos(source, asked, embed=by_person, chunk=2)
    assert rows.argmax(axis=1).tolist() == [3, 0, 2]


def test_no_photographs_give_no_rows(lfw):
    with LfwPhotos(lfw) as source:
        assert embed_photos(source, [], embed=by_person).shape == (0, 0)


@pytest.mark.parametrize(
    "answer", [np.zeros((1, 4)), np.zeros(8), np.zeros(()), np.zeros((8, 4, 1))]
)
def test_an_answer_of_another_shape_is_refused(lfw, answer):
    with pytest.raises(BadArray, match=r"one row a photograph, .* asked for 8 rows, got shape"):
        evaluate_lfw(lfw, lambda photos: answer)


def test_rows_that_change_their_length_are_refused(lfw):
    def embed(photos):
        return np.ones((len(photos), 4 if b"0 1" in photos else 5), np.float32)

    with pytest.raises(BadArray, match=r"asked for 3 rows, got shape \(3, 5\)"):
        evaluate_lfw(lfw, embed, chunk=3)


def test_a_missing_photograph_is_named(lfw):
    (lfw / "Cy" / "Cy_0001.jpg").unlink()
    with pytest.raises(NotFound, match=r"has no photograph Cy/Cy_0001\.jpg"):
        evaluate_lfw(lfw, by_person)


def test_a_folder_without_pairs_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"there is no pairs file .*pairs\.txt"):
        evaluate_lfw(tmp_path, by_person)


@pytest.mark.data
def test_the_official_pairs_and_a_perfect_embedder_give_one(test_data):
    """Every photograph is read; what is embedded is whose it is, known from its order."""
    with LfwPhotos(test_data / "lfw") as source:
        owner = {hashlib.sha256(source.read(*photo)).digest(): photo.name for photo in source.all()}

    def embed(photos):
        names = [owner[hashlib.sha256(photo).digest()] for photo in photos]
        seeds = [int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) for name in names]
        return np.stack([np.random.default_rng(seed).normal(size=64) for seed in seeds])

    flat = evaluate_lfw(test_data / "lfw", embed).to_dict()
    assert (flat["accuracy"], flat["pairs"], flat["photos"]) == (1, 6000, 7701)
