"""Templates of several photographs, and the warning about one that does not belong."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import BadArray
from tronie.gallery.enroll import group_rows, person_templates

ANGLES = np.radians([0.0, 20.0, 40.0])
PLANE = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


def test_a_template_is_the_direction_of_the_mean_of_unit_embeddings():
    # Three directions of 0, 20 and 40 degrees, of any length: their middle is 20 degrees.
    embeddings = (PLANE * [[5.0], [1.0], [0.1]]).astype(np.float32)
    made = person_templates(["Ada"] * 3, embeddings, sources=list("abc"), threshold=-1)
    np.testing.assert_allclose(made.matrix, [PLANE[1]], atol=1e-6)
    assert made.names == ("Ada",)


def test_people_come_in_the_order_of_their_first_photograph():
    embeddings = np.eye(3, dtype=np.float32)
    made = person_templates(["Bo", "Ada", "Bo"], embeddings, sources=list("abc"), threshold=-1)
    assert made.names == ("Bo", "Ada")
    half = np.sqrt(0.5)
    np.testing.assert_allclose(made.matrix, [[half, 0, half], [0, 1, 0]], atol=1e-6)


def test_a_photograph_unlike_the_others_is_named_and_the_others_are_not():
    # c stands at 90 degrees to a and b, which lie 10 degrees apart: c scores cos 85 = 0.087.
    angles = np.radians([0.0, 10.0, 90.0])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    made = person_templates(["Ada"] * 3, embeddings, sources=["a", "b", "c"], threshold=0.3)
    assert made.warnings == (
        "c does not look like the others of Ada: it scores 0.087 against them, "
        "below 0.300. Is it the same person?",
    )


def test_of_two_photographs_that_differ_both_are_named():
    made = person_templates(["Ada"] * 2, np.eye(2), sources=["a", "b"], threshold=0.3)
    assert [warning.split()[0] for warning in made.warnings] == ["a", "b"]


def test_others_that_cancel_out_are_like_nothing():
    embeddings = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    made = person_templates(["Ada"] * 3, embeddings, sources=["a", "b", "c"], threshold=-0.9)
    assert made.warnings == ()


def test_a_single_photograph_has_no_others_to_differ_from():
    made = person_templates(["Ada"], PLANE[:1], sources=["a"], threshold=0.99)
    assert made.warnings == ()


def test_rows_are_grouped_by_name():
    assert group_rows(["b", "a", "b"]) == {"b": [0, 2], "a": [1]}


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(BadArray, match="of one length; got 2, 3 and 3"):
        person_templates(["Ada", "Bo"], PLANE, sources=list("abc"), threshold=0)
