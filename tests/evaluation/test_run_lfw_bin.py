"""From a .bin to a Report, with any callable that embeds crops."""

from __future__ import annotations

import pickle
import weakref

import numpy as np
import pytest

from tronie.errors import BadArray, BadImage, NotFound
from tronie.evaluation import run_lfw_bin
from tronie.evaluation.run_lfw_bin import evaluate_lfw_bin
from tronie.images.io import encode_image


def crop(person, height=112, width=112):
    """Red tells who it is; the left half is brighter in green, so that mirrors differ."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = 40 + 100 * person
    image[:, : width // 2, 1] = 90
    image[..., 2] = 7
    return image


def write(path, crops, same):
    encoded = [encode_image(image, ".png") for image in crops]
    path.write_bytes(pickle.dumps((encoded, [bool(flag) for flag in same]), protocol=2))
    return path


@pytest.fixture
def toy(tmp_path):
    same = np.arange(12) % 2 == 0
    people = [person for flag in same for person in (0, 0 if flag else 1)]
    return write(tmp_path / "toy.bin", [crop(person) for person in people], same)


def by_person(crops):
    person = (crops[:, 50, 50, 0] > 90).astype(int)
    return 2 * np.eye(2, dtype=np.float32)[person]


def test_an_embedder_that_knows_everybody_is_always_right(toy):
    flat = evaluate_lfw_bin(toy, by_person).to_dict()
    assert (flat["accuracy"], flat["std"], flat["pairs"], flat["xnorm"]) == (1, 0, 12, 2)
    assert flat["notes"][0].startswith("the set is toy: 6 of its 12 pairs")


def test_crops_are_rgb_and_seen_twice_in_chunks_and_progress_is_told(toy):
    seen, told = [], []

    def embed(crops):
        seen.append(crops)
        return by_person(crops)

    evaluate_lfw_bin(toy, embed, chunk=10, progress=lambda *counts: told.append(counts))
    assert [crops.shape for crops in seen] == [(n, 112, 112, 3) for n in (10, 10, 10, 10, 4, 4)]
    assert seen[0].dtype == np.uint8
    np.testing.assert_array_equal(seen[0][0], crop(0))
    np.testing.assert_array_equal(seen[1][3], crop(1)[:, ::-1])
    assert told == [(0, 24), (10, 24), (20, 24), (24, 24)]


def test_without_flip_the_mirror_images_are_not_made(toy):
    seen = []

    def embed(crops):
        seen.append(len(crops))
        return by_person(crops)

    flat = evaluate_lfw_bin(toy, embed, flip=False, name="cfp_fp").to_dict()
    assert seen == [24]
    assert flat["notes"][0].startswith("the set is cfp_fp:")
    assert "mirror images were left out" in flat["notes"][1]


def test_the_report_carries_the_checksums_of_what_went_in(toy):
    report = evaluate_lfw_bin(toy, by_person, inputs={"model": "a" * 64})
    assert set(report.provenance.inputs) == {"toy.bin", "model"}


def test_of_a_crop_of_another_size_the_middle_square_is_taken_and_it_is_counted(tmp_path):
    marked = crop(0, height=56, width=96)
    marked[:, :20, 2] = marked[:, 76:, 2] = 255  # what is outside the middle square
    crops = [marked, *(crop(0) for _ in range(19))]
    path = write(tmp_path / "odd.bin", crops, [True] * 10)
    seen = []

    def embed(pixels):
        seen.append(pixels)
        return by_person(pixels)

    flat = evaluate_lfw_bin(path, embed).to_dict()
    assert seen[0].shape == (20, 112, 112, 3)
    assert set(seen[0][0][..., 2].ravel().tolist()) == {7}
    assert "1 of 20 crops were not 112 x 112 pixels, and were resized" in flat["notes"]


def test_a_crop_that_is_no_picture_is_named(tmp_path):
    path = tmp_path / "bad.bin"
    encoded = [encode_image(crop(0), ".png")] * 19 + [b"no picture"]
    path.write_bytes(pickle.dumps((encoded, [True] * 10), protocol=2))
    with pytest.raises(BadImage, match="'crop 19 of bad' begins with b'no pictu'"):
        evaluate_lfw_bin(path, by_person)


def test_a_crop_of_more_than_a_million_pixels_is_refused_before_it_is_decoded(tmp_path):
    bomb = np.zeros((1025, 1024, 3), np.uint8)
    path = write(tmp_path / "bomb.bin", [*(crop(0) for _ in range(19)), bomb], [True] * 10)
    assert path.stat().st_size < 30_000
    with pytest.raises(
        BadImage,
        match=r"'crop 19 of bomb' .* 1024 x 1025 = 1049600 pixels, over the limit of 1048576",
    ):
        evaluate_lfw_bin(path, by_person)


def test_no_two_decoded_crops_are_in_memory_at_once(tmp_path, monkeypatch):
    crops = [crop(0, height=300, width=300) for _ in range(20)]
    path = write(tmp_path / "large.bin", crops, [True] * 10)
    alive, decode = weakref.WeakValueDictionary(), run_lfw_bin.decode_image

    def watched(data, **rest):
        assert len(alive) <= 1  # the one before is let go as soon as this one has its name
        image = decode(data, **rest)
        alive[len(seen)] = image
        seen.append(image.shape)
        return image

    seen = []
    monkeypatch.setattr(run_lfw_bin, "decode_image", watched)
    evaluate_lfw_bin(path, by_person)
    assert seen == [(300, 300, 3)] * 20


def test_an_answer_of_another_shape_is_refused(toy):
    with pytest.raises(BadArray, match=r"shape \(24, D\); got shape \(23, 2\)"):
        evaluate_lfw_bin(toy, lambda crops: by_person(crops)[:-1])


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"none\.bin"):
        evaluate_lfw_bin(tmp_path / "none.bin", by_person)


@pytest.mark.data
def test_the_real_file_is_read_decoded_and_judged(test_data):
    """Ten pairs in InsightFace's form; pixels of the crops stand in for embeddings."""

    def embed(crops):
        return crops.reshape(len(crops), -1)[:, ::997].astype(np.float32) - 127.5

    report = evaluate_lfw_bin(test_data / "formats" / "small_lfw.bin", embed)
    flat = report.to_dict()
    # All show one person: nine folds choose their lowest score, and only the fold of the lowest
    # of all is below what the others chose.
    assert (flat["pairs"], flat["accuracy_exact"]) == (10, 0.9)
    assert "the set is small_lfw: 10 of its 10 pairs show one person" in report.notes
    assert "val_step is not given, since fold 1 has no impostor pair" in report.notes
    assert not any("resized" in note for note in report.notes)
