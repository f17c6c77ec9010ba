"""The protocol of WIDER FACE: parts of the set, what is missing, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.data.readers.widerface import SUBSETS, Detected, WiderPhoto
from tronie.errors import BadArray, NotEnoughData, NotFound
from tronie.evaluation.protocols.widerface import PROTOCOL

FACE = np.array([[0.0, 0.0, 9.0, 9.0]])


def photo(*counted: bool) -> WiderPhoto:
    """One face, which counts in the last subsets."""
    return WiderPhoto(FACE, {s: np.array([c]) for s, c in zip(SUBSETS, counted, strict=True)})


TRUTH = {"e/a": photo(True, True, True), "e/b": photo(False, True, True)}
BOTH = {
    "e/a": Detected(FACE, np.array([0.9])),
    "e/b": Detected(np.concatenate([FACE + 100, FACE]), np.array([0.1, 0.8])),
}


def test_all_three_numbers_come_with_their_counts():
    report = PROTOCOL.score(TRUTH, BOTH)
    values = {name: report.values[name] for name in SUBSETS}
    assert [v.value for v in values.values()] == [1.0, 1.0, 1.0]
    assert [(v.count, v.total) for v in values.values()] == [(1, 1), (2, 2), (2, 2)]
    assert report.values["detections"].value == 3
    assert report.notes == ()


def test_the_order_of_detections_does_not_matter():
    turned = {name: Detected(d.boxes[::-1], d.scores[::-1]) for name, d in BOTH.items()}
    assert PROTOCOL.score(TRUTH, turned) == PROTOCOL.score(TRUTH, BOTH)


def test_a_photograph_without_detections_still_has_its_faces():
    report = PROTOCOL.score(TRUTH, {"e/b": BOTH["e/b"]})
    assert (report.values["medium"].value, report.values["medium"].total) == (0.5, 2)


def test_a_part_of_the_set_is_judged_alone_and_says_so():
    report = PROTOCOL.score(TRUTH, {"e/b": BOTH["e/b"]}, names=["e/b"])
    assert report.values["medium"].value == 1.0
    assert "easy" not in report.values
    assert report.values["photographs"].count == 1
    assert report.notes[0].startswith("judged on 1 of 2 photographs")
    assert report.notes[1].startswith("no easy value")


def test_detections_that_all_have_one_score_are_noted():
    report = PROTOCOL.score(TRUTH, {"e/a": BOTH["e/a"]})
    assert report.values["easy"].value == 0.0
    assert "one score" in report.notes[0]


def test_no_detection_at_all_finds_nothing():
    assert PROTOCOL.score(TRUTH, {}).values["hard"].value == 0.0


def test_detections_of_an_unknown_photograph_are_refused_with_the_nearest():
    with pytest.raises(NotFound, match=r"no entry 'e/aa' in the ground truth .* mean 'e/a'"):
        PROTOCOL.score(TRUTH, {"e/aa": BOTH["e/a"]})


def test_a_name_that_is_not_in_the_ground_truth_is_refused():
    with pytest.raises(NotFound, match="no entry 'x/y' in the ground truth of WIDER FACE"):
        PROTOCOL.score(TRUTH, BOTH, names=["x/y"])


def test_boxes_without_their_scores_are_refused():
    with pytest.raises(BadArray, match=r"e/a: boxes must have shape \(N, 4\)"):
        PROTOCOL.score(TRUTH, {"e/a": Detected(FACE, np.array([0.1, 0.2]))})


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(BadArray, match="e/a: boxes and scores must be finite"):
        PROTOCOL.score(TRUTH, {"e/a": Detected(FACE, np.array([np.nan]))})


def test_photographs_without_a_face_that_counts_give_no_number():
    with pytest.raises(NotEnoughData, match="the 1 photographs judged hold no face"):
        PROTOCOL.score({"e/c": photo(False, False, False)}, {})


def test_a_truth_may_have_other_subsets_each_with_its_value():
    """One face is found, by the surer of two detections, and one is ignored in "near"."""
    boxes = np.array([[0.0, 0, 20, 20], [50, 0, 70, 20]])
    marks = {"all": np.array([True, True]), "near": np.array([True, False])}
    found = {"e/a": Detected(np.array([[0.0, 0, 20, 20], [200, 0, 220, 20]]), np.array([0.9, 0.1]))}
    report = PROTOCOL.score({"e/a": WiderPhoto(boxes, marks)}, found)
    assert list(report.values) == ["all", "near", "photographs", "detections"]
    assert [report.values[name].value for name in ("all", "near")] == [0.5, 1.0]
    assert [report.values[name].total for name in ("all", "near")] == [2, 1]
