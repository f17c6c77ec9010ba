"""What a Report shows of scores, against `threshold_at_far` and plain counting."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tronie.errors import BadArray, BadInput, NotEnoughData
from tronie.evaluation.metrics.verification import threshold_at_far
from tronie.evaluation.report import Report
from tronie.evaluation.score_details import (
    details_of_scores,
    histograms_of_scores,
    notes_on_fars,
    optimistic,
    tar_values,
)


def tied_scores(seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(5, 40, 300) / 40, rng.integers(-40, 25, 2000) / 40


def reach(scores, threshold):
    return sum(float(s) >= threshold for s in scores)


def test_points_are_those_of_the_exact_threshold_by_falling_far():
    genuine, impostor = tied_scores()
    points = details_of_scores(genuine, impostor, fars=[0.001, 0.3, 0.05], of="x").points
    assert [point.far for point in points] == [0.3, 0.05, 0.001]
    for point in points:
        assert point.of == "x"
        assert point.threshold == threshold_at_far(impostor, point.far)
        assert point.false_matches == reach(impostor, point.threshold)
        assert point.accepted == reach(genuine, point.threshold)
        assert (point.impostor_pairs, point.genuine_pairs) == (2000, 300)
        assert point.achieved_far == point.false_matches / 2000 <= point.far
        assert point.tar_interval.low <= point.tar <= point.tar_interval.high
        assert "optimistic" in point.tar_interval.method


def test_the_largest_scores_do_where_the_number_of_pairs_is_told():
    """The tail of 2,000 impostor scores gives the points and the curve of all, up to its end."""
    genuine, impostor = tied_scores()
    whole = details_of_scores(genuine, impostor, fars=[0.05, 0.01])
    tail = details_of_scores(
        genuine, np.sort(impostor)[-200:], fars=[0.05, 0.01], impostor_pairs=2000
    )
    assert tail.points == whole.points
    assert {p.threshold for p in tail.curves[0].points} <= {*np.nextafter(impostor, 2)}
    assert tail.curves[0].points[-1].fmr < 200 / 2000
    assert [h.kind for h in tail.histograms] == ["genuine"]
    with pytest.raises(
        BadInput, match=r"^FAR 0\.2 needs the 401 largest .* scores; got 200 of 2000"
    ):
        details_of_scores(genuine, np.sort(impostor)[-200:], fars=[0.2], impostor_pairs=2000)


def test_a_point_on_few_errors_is_marked():
    genuine, impostor = tied_scores()
    loose, strict = details_of_scores(genuine, impostor, fars=[0.1, 0.01]).points
    assert not loose.few_errors
    assert strict.few_errors


def test_the_curve_rises_and_counts_what_each_threshold_accepts():
    genuine, impostor = np.random.default_rng(1).normal(size=(2, 3000))
    details = details_of_scores(genuine, impostor, fars=[0.123])
    points = details.curves[0].points
    assert 60 < len(points) <= 101
    assert [p.fmr for p in points] == sorted({p.fmr for p in points})
    assert points[0].false_matches == 1
    assert details.points[0].threshold in {p.threshold for p in points}
    for point in points[::10]:
        assert point.false_matches == reach(impostor, point.threshold)
        assert point.misses == 3000 - reach(genuine, point.threshold)
        assert (point.fmr, point.fnmr) == (point.false_matches / 3000, point.misses / 3000)


def test_histograms_hold_every_score_once_and_cosines_stand_between_their_bounds():
    genuine, impostor = np.array([1.0, 1.0000001, 0.995]), np.array([-1.0, 0.0, 0.001, 0.3])
    same, other = histograms_of_scores(genuine, impostor, of="y")
    assert (same.kind, same.of, same.low, same.high) == ("genuine", "y", -1, 1)
    assert len(same.counts) == 200
    assert same.counts[-1] == 3
    assert (other.counts[0], other.counts[100], sum(other.counts)) == (1, 2, 4)


def test_scores_that_are_no_cosines_have_their_own_bounds():
    same, other = histograms_of_scores(np.array([80.0]), np.array([20.0, 30.0]))
    assert (same.low, same.high, other.low, other.high) == (20, 80, 20, 80)
    assert (same.counts[-1], other.counts[0]) == (1, 1)
    alone = histograms_of_scores(np.array([7.0]), np.empty(0))
    assert [(h.kind, h.low, h.high) for h in alone] == [("genuine", 6.5, 7.5)]


def test_all_of_it_survives_json():
    details = details_of_scores(*tied_scores(), fars=[0.1])
    report = Report(name="x", version="1", values=tar_values(details.points), details=details)
    assert Report.from_json(report.to_json()) == report
    assert json.loads(report.to_json())["values"]["tar_at_far_0.1"]["total"] == 300


def test_a_far_that_cannot_be_measured_is_left_out_and_named():
    genuine, impostor = tied_scores()
    fars = [1e-6, 0.1, 1e-4]
    assert [p.far for p in details_of_scores(genuine, impostor, fars=fars).points] == [0.1]
    note = "left out: FAR 0.0001, 1e-06; 2000 impostor pairs of x measure none below 0.0005"
    assert notes_on_fars(fars, 2000, of="x") == (note,)
    assert notes_on_fars([0.1], 2000) == ()


def test_values_are_named_by_their_far():
    points = details_of_scores(*tied_scores(), fars=[0.1, 0.001]).points
    names = ["tar_at_far_0.1", "tar_at_far_0.001", "genuine_pairs", "impostor_pairs"]
    assert list(tar_values(points)) == names
    assert next(iter(tar_values(points, prefix="mask_"))) == "mask_tar_at_far_0.1"
    assert tar_values([]) == {}


def test_wilson_is_labeled():
    assert optimistic(3, 10).method == "Wilson, optimistic: pairs taken as independent"


def test_no_far_that_can_be_measured_is_refused_with_the_smallest_that_can():
    with pytest.raises(NotEnoughData, match=r"^FAR 0\.0001 needs at least 10000 .* >= 5\.0e-04\."):
        details_of_scores(*tied_scores(), fars=[1e-4, 1e-6])


@pytest.mark.parametrize("far", [0, 1, 1.5])
def test_a_far_outside_is_refused(far):
    with pytest.raises(BadInput, match=r"^a FAR must lie inside \(0, 1\); got"):
        details_of_scores(*tied_scores(), fars=[far])


def test_no_far_is_refused():
    with pytest.raises(BadInput, match=r"^name at least one FAR"):
        details_of_scores(*tied_scores(), fars=[])


def test_unusable_scores_are_refused():
    with pytest.raises(BadArray, match=r"^genuine scores must be finite.* with 1 that are not"):
        details_of_scores(np.array([np.nan, 1]), np.ones(3), fars=[0.5])
    with pytest.raises(NotEnoughData, match=r"^a rate needs at least one impostor pair; got none"):
        details_of_scores(np.ones(3), np.empty(0), fars=[0.5])
