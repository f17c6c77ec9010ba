"""Landmark errors by hand, the area by numeric integration, and the three sets."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tronie.errors import BadArray, BadInput, NotEnoughData
from tronie.evaluation.metrics.landmark_error import (
    area_under_ced,
    box_size,
    ced,
    error_curve,
    failure_rate,
    mean_distances,
    normalized_errors,
    point_distance,
    summarized,
)
from tronie.evaluation.protocols import landmarks_300w, landmarks_aflw, landmarks_wflw

TRUTH = np.array([[[0.0, 0.0], [10.0, 0.0], [5.0, 8.0]]] * 2)
ERRORS = np.array([0.0, 0.03, 0.05, 0.08, 0.2, np.nan])


def test_distances_are_means_over_the_points_of_a_face():
    found = TRUTH + np.array([[[3.0, 4.0]], [[0.0, 1.0]]])
    found[1, 0] = TRUTH[1, 0]
    assert mean_distances(found, TRUTH).tolist() == [5.0, pytest.approx(2 / 3)]


def test_hidden_points_are_not_asked_for():
    found = TRUTH + np.array([3.0, 4.0])
    found[:, 2] = np.nan
    visible = np.array([[True, False, False]] * 2)
    assert mean_distances(found, TRUTH, visible=visible).tolist() == [5.0, 5.0]


def test_a_face_that_was_not_found_has_no_distance():
    found = TRUTH.copy()
    found[1] = np.nan
    assert np.isnan(mean_distances(found, TRUTH)).tolist() == [False, True]


def test_lengths_of_a_face():
    assert point_distance(TRUTH, 0, 2).tolist() == [math.hypot(5, 8)] * 2
    assert box_size(np.array([[1.0, 2.0, 10.0, 6.0]])).tolist() == [6.0]
    assert normalized_errors(np.array([1.0, np.nan]), np.array([4.0, 2.0]))[0] == 0.25


def test_the_curve_counts_errors_up_to_and_with_the_threshold():
    curve = ced(ERRORS, np.array([0.0, 0.03, 0.079, 0.08, 10.0]))
    assert curve.tolist() == [sum(e <= t for e in ERRORS) / 6 for t in (0, 0.03, 0.079, 0.08, 10)]


def test_a_face_that_was_not_found_fails_at_every_threshold():
    assert failure_rate(ERRORS, 0.08) == 2 / 6
    assert failure_rate(ERRORS, 100.0) == 1 / 6


@pytest.mark.parametrize("threshold", [0.05, 0.08, 0.1])
def test_the_area_is_that_of_the_step_curve(threshold):
    grid = (np.arange(200_000) + 0.5) / 200_000 * threshold
    assert area_under_ced(ERRORS, threshold) == pytest.approx(ced(ERRORS, grid).mean(), abs=1e-5)


def test_a_summary_has_counts_and_leaves_out_a_mean_of_nothing():
    values = summarized(ERRORS, threshold=0.1)
    assert (values["nme"].count, values["nme"].total) == (5, 6)
    assert values["nme"].value == pytest.approx(0.36 / 5)
    assert (values["failure_rate_0.1"].count, values["failure_rate_0.1"].total) == (2, 6)
    assert set(summarized(np.array([np.nan]), threshold=0.1, prefix="pose_")) == {
        "pose_failure_rate_0.1", "pose_auc_0.1"
    }  # fmt: skip


def test_aflw_divides_by_the_size_of_the_box():
    found = TRUTH + np.array([3.0, 4.0])
    boxes = np.array([[0.0, 0.0, 100.0, 25.0]] * 2)
    report = landmarks_aflw.PROTOCOL.score(found, TRUTH, boxes)
    assert report.values["nme"].value == pytest.approx(0.1)
    assert report.values["failure_rate_0.1"].value == 0.0


def points(number: int, first: int, second: int, apart: float):
    truth = np.random.default_rng(0).random((4, number, 2))
    truth[:, first], truth[:, second] = [0.0, 0.0], [apart, 0.0]
    shift = np.array([1.0, 1.0, 2.0, 4.0])
    return truth + np.stack([shift, np.zeros(4)], axis=1)[:, None], truth


def test_300w_divides_by_the_outer_corners_of_the_eyes_and_tells_its_parts():
    found, truth = points(68, 36, 45, apart=40.0)
    challenging = np.array([False, False, True, True])
    values = landmarks_300w.PROTOCOL.score(found, truth, challenging).values
    assert values["nme"].value == pytest.approx(0.05)
    assert values["common_nme"].value == pytest.approx(0.025)
    assert values["challenging_nme"].value == pytest.approx(0.075)
    assert values["challenging_failure_rate_0.08"].count == 1


def test_wflw_divides_by_the_outer_corners_of_the_eyes_and_tells_attributes():
    found, truth = points(98, 60, 72, apart=20.0)
    pose = np.array([False, False, False, True])
    values = landmarks_wflw.PROTOCOL.score(
        found, truth, {"pose": pose, "blur": pose & False}
    ).values
    assert values["nme"].value == pytest.approx(0.1)
    assert values["pose_nme"].value == pytest.approx(0.2)
    assert not any(name.startswith("blur") for name in values)


def test_an_attribute_that_wflw_does_not_have_is_refused():
    found, truth = points(98, 60, 72, apart=20.0)
    with pytest.raises(BadArray, match=r"called pose, .*; got 'age' of shape \(4,\)"):
        landmarks_wflw.PROTOCOL.score(found, truth, {"age": np.zeros(4, bool)})


@pytest.mark.parametrize("protocol", [landmarks_300w, landmarks_wflw])
def test_another_markup_is_refused(protocol):
    with pytest.raises(BadArray, match=rf"need points \(N, {protocol.POINTS}, 2\)"):
        protocol.PROTOCOL.score(
            TRUTH, TRUTH, {} if protocol is landmarks_wflw else np.zeros(2, bool)
        )


def test_points_found_only_in_part_are_refused():
    found = TRUTH.copy()
    found[0, 0] = np.nan
    with pytest.raises(BadArray, match="finite, or all NaN where it was not found"):
        mean_distances(found, TRUTH)


def test_a_truth_that_is_not_finite_is_refused():
    with pytest.raises(BadArray, match="the true points must be finite"):
        mean_distances(TRUTH, np.full_like(TRUTH, np.nan))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(BadArray, match=r"must share the shape \(N, K, 2\)"):
        mean_distances(TRUTH, TRUTH[:1])
    with pytest.raises(BadArray, match=r"visible must have shape \(2, 3\)"):
        mean_distances(TRUTH, TRUTH, visible=np.zeros((2, 3), bool))
    with pytest.raises(BadArray, match="points 0 and 3 are not in an array"):
        point_distance(TRUTH, 0, 3)
    with pytest.raises(BadArray, match=r"boxes must have shape \(N, 4\)"):
        box_size(np.zeros((1, 5)))
    with pytest.raises(BadArray, match="need one length a face"):
        normalized_errors(np.zeros(2), np.ones(3))


def test_a_length_of_nothing_is_refused():
    with pytest.raises(BadArray, match="the length of face 1 must be above 0"):
        normalized_errors(np.zeros(2), np.array([1.0, 0.0]))


def test_the_curve_of_a_report_is_that_of_the_faces_up_to_the_threshold():
    told = error_curve(ERRORS, threshold=0.08, of="pose")
    assert (told.of, told.faces, told.limit) == ("pose", len(ERRORS), 0.08)
    expected = [sum(e <= t for e in ERRORS) / len(ERRORS) for t in np.linspace(0, 0.08, 101)]
    assert list(told.shares) == pytest.approx(expected)


def test_no_face_has_no_rate():
    with pytest.raises(NotEnoughData, match="at least one face"):
        failure_rate(np.zeros(0), 0.1)


def test_an_area_up_to_nothing_is_refused():
    with pytest.raises(BadInput, match="the area needs a threshold above 0; got 0"):
        area_under_ced(ERRORS, 0)
