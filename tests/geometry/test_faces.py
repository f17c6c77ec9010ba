"""Faces: arrays that share their first axis."""

import numpy as np
import pytest

from tronie.errors import BadArray
from tronie.geometry.faces import Faces, joined


def three(**changes):
    arrays = {
        "boxes": np.arange(12, dtype=np.float32).reshape(3, 4),
        "scores": np.array([0.9, 0.8, 0.7], np.float32),
        "landmarks": np.arange(30, dtype=np.float32).reshape(3, 5, 2),
        "embeddings": np.arange(6, dtype=np.float32).reshape(3, 2),
        "notes": ("a note",),
    }
    return Faces(**(arrays | changes))


def test_taking_rows_takes_them_from_every_array_in_the_order_asked():
    faces = three()
    taken = faces.take([2, 0], notes=("one left out",))
    assert len(taken) == 2
    for name in ("boxes", "scores", "landmarks", "embeddings"):
        whole, part = getattr(faces, name), getattr(taken, name)
        assert part.tolist() == [whole[2].tolist(), whole[0].tolist()]
    assert taken.notes == ("a note", "one left out")


def test_a_mask_and_its_row_numbers_take_the_same():
    mask = np.array([True, False, True])
    assert three().take(mask).scores.tolist() == three().take(np.flatnonzero(mask)).scores.tolist()


def test_taking_no_rows_leaves_faces_without_any():
    assert len(three().take([])) == 0
    assert three().take([]).landmarks.shape == (0, 5, 2)


def test_faces_without_landmarks_or_embeddings_stay_without():
    taken = three(landmarks=None, embeddings=None).take([1])
    assert taken.landmarks is None
    assert taken.embeddings is None


def test_embeddings_are_added_to_a_new_record():
    bare = three(embeddings=None)
    full = bare.with_embeddings(np.ones((3, 7), np.float32))
    assert bare.embeddings is None
    assert full.embeddings.shape == (3, 7)
    assert full.boxes is bare.boxes


def test_dictionaries_hold_plain_numbers_and_no_embeddings():
    row = three().to_dicts()[1]
    assert row["box"] == [4.0, 5.0, 6.0, 7.0]
    assert row["score"] == 0.8
    assert row["landmarks"] == [
        [10.0, 11.0],
        [12.0, 13.0],
        [14.0, 15.0],
        [16.0, 17.0],
        [18.0, 19.0],
    ]
    assert set(row) == {"box", "score", "landmarks"}
    assert all(type(v) is float for v in row["box"])


def test_an_image_without_faces_says_why():
    faces = Faces.none(notes=("too small",))
    assert len(faces) == 0
    assert faces.notes == ("too small",)
    assert faces.to_dicts() == []


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("boxes", np.zeros((3, 5), np.float32)),
        ("scores", np.zeros((2,), np.float32)),
        ("landmarks", np.zeros((3, 5, 3), np.float32)),
        ("embeddings", np.zeros((2, 8), np.float32)),
    ],
)
def test_an_array_that_does_not_fit_the_boxes_is_refused_by_name(name, array):
    with pytest.raises(BadArray, match=f"{name} must have shape .* to fit the boxes; got"):
        three(**{name: array})


def test_looks_are_joined_in_their_order_without_embeddings():
    one, other = three(), three(scores=np.array([0.95, 0.1, 0.0], np.float32))
    both = joined([one, other])
    assert both.scores.tolist() == [*one.scores.tolist(), *other.scores.tolist()]
    assert both.boxes.tolist() == [*one.boxes.tolist(), *other.boxes.tolist()]
    assert both.landmarks.tolist() == [*one.landmarks.tolist(), *other.landmarks.tolist()]
    assert (both.embeddings, both.notes) == (None, ())


def test_landmarks_are_joined_only_where_every_look_has_them():
    assert joined([three(), three(landmarks=None)]).landmarks is None
    assert len(joined([])) == 0
