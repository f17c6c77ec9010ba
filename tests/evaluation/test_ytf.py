"""Ten folds over pairs of videos, on templates whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.data.readers.ytf import VideoPairs
from tronie.errors import BadArray, NotFound
from tronie.evaluation.protocols.ytf import PROTOCOL, score

PAIRS = VideoPairs(
    first=tuple(f"A{n}/0" for n in range(10) for _ in (0, 1)),
    second=tuple(name for n in range(10) for name in (f"A{n}/1", f"B{n}/0")),
    same=np.array([True, False] * 10),
    folds=np.repeat(np.arange(1, 11), 2),
)
VIDEOS = sorted({*PAIRS.first, *PAIRS.second})


def perfect():
    return {v: np.array([3.0, 0.0] if v[0] == "A" else [0.0, 0.5], np.float32) for v in VIDEOS}


def test_perfect_templates_make_no_mistake():
    found = score(PAIRS, perfect(), pooling="mean_of_unit").to_dict()
    assert (found["accuracy"], found["std"], found["accuracy_exact"]) == (1, 0, 1)
    assert (found["pairs"], found["videos"], found["videos_without_face"]) == (20, 30, 0)
    assert found["val_step"] == 1
    assert found["notes"][0] == "frames were pooled by mean_of_unit"


def test_one_wrong_pair_is_one_of_twenty():
    templates = perfect() | {"B3/0": np.array([1.0, 0.0])}
    found = score(PAIRS, templates, pooling="mean_of_unit").to_dict()
    assert found["counts"]["accuracy"] == [19, 20]
    assert found["accuracy"] == pytest.approx(0.95)
    assert found["std"] == pytest.approx(0.15)


def test_videos_without_a_face_are_never_the_same_person_and_are_counted():
    nobody = np.full(2, np.nan)
    templates = perfect() | {v: nobody for v in ("A0/0", "A0/1", "B1/0")}
    found = score(PAIRS, templates, pooling="mean_of_unit")
    # Only the genuine pair of A0 is missed.
    assert found.to_dict()["counts"]["accuracy"] == [19, 20]
    assert "3 videos without a face, their pairs score -1: A0/0, A0/1, B1/0" in found.notes
    nowhere = score(PAIRS, dict.fromkeys(VIDEOS, nobody), pooling="mean_of_unit")
    assert nowhere.to_dict()["accuracy"] == 0.5


def test_the_report_says_which_rules_made_it():
    found = PROTOCOL.score(PAIRS, perfect(), pooling="mean_of_unit")
    assert (found.name, found.version) == (PROTOCOL.name, PROTOCOL.version) == ("ytf", "1")


def test_a_video_without_an_entry_is_refused():
    templates = perfect()
    del templates["B3/0"]
    with pytest.raises(NotFound, match="1 videos have no template, the first is B3/0"):
        score(PAIRS, templates, pooling="mean_of_unit")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([1.0, 2.0, 3.0], r"share one shape \(D,\); got \[\(2,\), \(3,\)\]"),
        ([np.nan, 1.0], "template of B3/0 must be finite, or all NaN"),
        ([0.0, 0.0], "all zeros"),
    ],
)
def test_templates_that_are_none_are_refused(row, message):
    with pytest.raises(BadArray, match=message):
        score(PAIRS, perfect() | {"B3/0": np.array(row)}, pooling="mean_of_unit")
