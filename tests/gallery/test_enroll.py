"""The warning about a photograph that does not belong to its person's others."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import BadArray
from tronie.gallery.enroll import unlike_the_others


def at_degrees(*angles: float) -> np.ndarray:
    radians = np.radians(angles)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_a_photograph_unlike_the_others_is_named_and_the_others_are_not():
    # c stands at 90 degrees to a and b, which lie 10 degrees apart: c scores cos 85 = 0.087.
    told = unlike_the_others("Ada", at_degrees(0, 10, 90), sources=["a", "b", "c"], threshold=0.3)
    assert told == (
        "c does not look like the others of Ada: it scores 0.087 against them, "
        "below 0.300. Is it the same person?",
    )


def test_of_two_photographs_that_differ_both_are_named():
    told = unlike_the_others("Ada", at_degrees(0, 90), sources=["a", "b"], threshold=0.3)
    assert [warning.split()[0] for warning in told] == ["a", "b"]


def test_others_that_cancel_out_are_like_nothing():
    unit = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], np.float32)
    assert unlike_the_others("Ada", unit, sources=["a", "b", "c"], threshold=-0.9) == ()


def test_a_single_photograph_has_no_others_to_differ_from():
    assert unlike_the_others("Ada", at_degrees(0), sources=["a"], threshold=0.99) == ()


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(BadArray, match="one source an embedding is needed; got 3 for 2"):
        unlike_the_others("Ada", at_degrees(0, 1), sources=list("abc"), threshold=0)
