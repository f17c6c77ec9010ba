"""LFW's rule, on pairs whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.data.readers.lfw import Pair, Photo
from tronie.errors import BadArray, NotFound
from tronie.evaluation.protocols.lfw_type import PROTOCOL, score

FOLDS = tuple(
    (
        Pair(Photo(f"A{n}", 1), Photo(f"A{n}", 2), True),
        Pair(Photo(f"A{n}", 1), Photo(f"B{n}", 1), False),
    )
    for n in range(10)
)
PHOTOS = sorted({photo for fold in FOLDS for pair in fold for photo in pair[:2]})


def perfect() -> dict[Photo, np.ndarray]:
    """A person's photographs point one way, another person's at a right angle, any length."""
    return {
        photo: np.array([3.0, 0.0] if photo.name[0] == "A" else [0.0, 0.5], np.float32)
        for photo in PHOTOS
    }


def test_perfect_embeddings_make_no_mistake():
    found = score(FOLDS, perfect()).to_dict()
    assert (found["accuracy"], found["std"], found["accuracy_exact"]) == (1, 0, 1)
    assert (found["pairs"], found["photos"], found["photos_without_face"]) == (20, 30, 0)
    assert found["counts"]["accuracy"] == [20, 20]
    assert found["notes"] == []


def test_one_wrong_pair_is_one_of_twenty():
    embeddings = perfect()
    embeddings[Photo("B3", 1)] = np.array([1.0, 0.0], np.float32)
    found = score(FOLDS, embeddings).to_dict()
    # Nine folds are all right, one is half right: mean 0.95, deviation sqrt(0.09 * 0.25) = 0.15.
    assert found["accuracy"] == pytest.approx(0.95)
    assert found["std"] == pytest.approx(0.15)
    assert found["counts"]["accuracy"] == [19, 20]


def test_photographs_without_a_face_are_never_the_same_person_and_are_counted():
    embeddings = perfect()
    nobody = np.full(2, np.nan, np.float32)
    # A0's genuine pair is missed; the impostor pairs of A0, B1 and B2 are refused, rightly. If
    # photographs without a face were all alike, it would be the other way round: 17 right.
    for photo in (Photo("A0", 1), Photo("A0", 2), Photo("B1", 1), Photo("B2", 1)):
        embeddings[photo] = nobody
    found = score(FOLDS, embeddings)
    flat = found.to_dict()
    assert flat["photos_without_face"] == 4
    assert flat["counts"]["accuracy"] == [19, 20]
    assert "4 photographs without a face, their pairs score -1: A0/A0_0001.jpg" in found.notes[0]


def test_a_set_without_any_face_is_judged_as_always_different():
    embeddings = {photo: np.full(2, np.nan, np.float32) for photo in PHOTOS}
    assert score(FOLDS, embeddings).to_dict()["accuracy"] == 0.5


def test_tar_is_read_where_a_thousandth_of_the_impostors_pass():
    # 2 folds of 1000 genuine and 1000 impostor pairs on a half circle; impostor k at angle
    # k * 0.05 degrees from the first axis; two of 2000 may pass, so the threshold is cos 0.1.
    def at(degrees):
        return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])

    folds, embeddings = [], {Photo("base", 1): at(0)}
    for fold in range(2):
        same, other = [], []
        for n in range(1000):
            k = fold * 1000 + n
            embeddings[Photo(f"I{k}", 1)] = at(0.05 * k)
            other.append(Pair(Photo("base", 1), Photo(f"I{k}", 1), False))
            embeddings[Photo(f"G{k}", 1)] = at(0)
            embeddings[Photo(f"G{k}", 2)] = at(0.02 if k < 300 else 90)
            same.append(Pair(Photo(f"G{k}", 1), Photo(f"G{k}", 2), True))
        folds.append((*same, *other))
    found = score(folds, embeddings)
    assert found.to_dict()["counts"]["tar_at_far_0.001"] == [300, 2000]
    assert "tar_at_far_0.001 rests on 2 of 2000 impostor pairs" in found.notes


def test_the_report_says_which_rules_made_it():
    found = PROTOCOL.score(FOLDS, perfect())
    assert (found.name, found.version) == (PROTOCOL.name, PROTOCOL.version) == ("lfw", "1")


def test_a_photograph_without_an_entry_is_refused():
    embeddings = perfect()
    del embeddings[Photo("B3", 1)]
    with pytest.raises(NotFound, match=r"1 photographs have no embedding, .* B3/B3_0001\.jpg"):
        score(FOLDS, embeddings)


def test_embeddings_of_two_lengths_are_refused():
    embeddings = perfect() | {Photo("B3", 1): np.ones(3, np.float32)}
    with pytest.raises(BadArray, match=r"share one shape \(D,\); got \[\(2,\), \(3,\)\]"):
        score(FOLDS, embeddings)


@pytest.mark.parametrize("row", [[np.nan, 1.0], [np.inf, 1.0]])
def test_a_row_that_is_broken_in_part_is_refused(row):
    embeddings = perfect() | {Photo("B3", 1): np.array(row, np.float32)}
    with pytest.raises(BadArray, match=r"embedding of B3/B3_0001\.jpg must be finite, or all NaN"):
        score(FOLDS, embeddings)


def test_a_zero_row_is_refused():
    embeddings = perfect() | {Photo("B3", 1): np.zeros(2, np.float32)}
    with pytest.raises(BadArray, match="all zeros"):
        score(FOLDS, embeddings)
