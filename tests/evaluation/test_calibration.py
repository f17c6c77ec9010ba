"""Calibration, against counting every pair in a double loop."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from tronie.errors import BadArray, BadInput, NotEnoughData
from tronie.evaluation.calibration import calibrate, fmr_curve
from tronie.evaluation.metrics.intervals import wilson
from tronie.evaluation.metrics.verification import threshold_at_far
from tronie.evaluation.pairs.exact_threshold import ImpostorTail
from tronie.geometry.hypersphere import normalize


def faces(people: int, photos: int, *, seed: int = 0, dimension: int = 24):
    rng = np.random.default_rng(seed)
    rows = np.repeat(rng.normal(size=(people, dimension)), photos, axis=0)
    rows += rng.normal(size=rows.shape)
    order = rng.permutation(len(rows))
    labels = np.array([f"person {n}" for n in np.repeat(np.arange(people), photos)])
    return rows[order] * rng.uniform(1, 20, size=(len(rows), 1)), labels[order]


def by_loops(embeddings, labels):
    unit = normalize(embeddings)[0]
    genuine, impostor = [], []
    for i, j in combinations(range(len(unit)), 2):
        score = math.fsum(float(a) * float(b) for a, b in zip(unit[i], unit[j], strict=True))
        (genuine if labels[i] == labels[j] else impostor).append(score)
    return np.array(genuine), np.array(impostor)


@pytest.fixture(scope="module")
def measured():
    embeddings, labels = faces(15, 4)
    return calibrate(embeddings, labels, fars=(0.1, 0.01, 0.001, 1e-9)), embeddings, labels


def test_thresholds_and_counts_are_those_of_the_double_loop(measured):
    result, embeddings, labels = measured
    genuine, impostor = by_loops(embeddings, labels)
    assert (result.photos, result.people) == (60, 15)
    assert (result.genuine_pairs, result.impostor_pairs) == (len(genuine), len(impostor))
    assert [point.far for point in result.points] == [0.1, 0.01, 0.001]
    for point in result.points:
        # Beside rounding of the last bit, as the double loop sums in another order.
        assert point.threshold == pytest.approx(threshold_at_far(impostor, point.far), abs=1e-14)
        assert point.false_matches == int(point.far * len(impostor) + 1e-9)  # no ties here
        assert point.fmr == point.false_matches / len(impostor) <= point.far
        assert point.misses == sum(score < point.threshold for score in genuine)
        assert point.tar == 1 - point.misses / len(genuine)
        assert point.fmr_wilson == wilson(point.false_matches, len(impostor))
        assert point.tar_wilson == wilson(len(genuine) - point.misses, len(genuine))


def test_intervals_of_identities_hold_the_rate(measured):
    for point in measured[0].points:
        if point.fmr_identities is not None:
            assert point.fmr_identities.low <= point.fmr <= point.fmr_identities.high
        assert point.tar_identities.low <= point.tar <= point.tar_identities.high
        assert "identities" in point.tar_identities.method


def test_few_false_matches_are_flagged_and_not_hidden(measured):
    assert [point.note for point in measured[0].points] == [
        None,
        None,
        "rests on 1 false matches",
    ]


def test_a_far_below_one_pair_is_left_out_and_named(measured):
    assert measured[0].notes == ("FAR 1e-09 is below one in 1680 impostor pairs and was left out",)


def test_the_result_is_plain_json(measured):
    record = json.loads(json.dumps(measured[0].to_dict(), allow_nan=False))
    assert record["points"][0]["false_matches"] == measured[0].points[0].false_matches
    assert record["points"][0]["tar_wilson"]["low"] == measured[0].points[0].tar_wilson.low
    assert record["curve"][-1]["false_matches"] == 0


def test_the_result_depends_neither_on_blocks_nor_on_the_order_of_photographs():
    embeddings, labels = faces(10, 3, seed=4)
    order = np.random.default_rng(1).permutation(len(labels))
    whole = calibrate(embeddings, labels, fars=(0.1, 0.01))
    assert calibrate(embeddings, labels, fars=(0.1, 0.01), block_rows=4) == whole
    shuffled = calibrate(embeddings[order], labels[order], fars=(0.1, 0.01), block_rows=11)
    assert shuffled.points == whole.points


def test_ties_at_the_boundary_are_all_refused():
    # One photograph under five names: ten impostor pairs at score 1, tied to the last bit.
    embeddings, labels = faces(10, 2, seed=2)
    embeddings[:5] = embeddings[0]
    labels[:5] = [f"copy {n}" for n in range(5)]
    result = calibrate(embeddings, labels, fars=(Fraction(9, 190), Fraction(11, 190)))
    by_far = {round(point.far * 190): point for point in result.points}
    assert by_far[9].false_matches == 0
    assert by_far[9].threshold > 1 - 1e-6
    assert by_far[11].false_matches in (10, 11)


def look_up(curve, score):
    """The rule a step table states: the last step at or below the score; 1 below the first."""
    reached = [step for step in curve if step.threshold <= score]
    return reached[-1] if reached else None


def test_the_curve_never_promises_less_than_the_measured_fmr(measured):
    result, embeddings, labels = measured
    _, impostor = by_loops(embeddings, labels)
    for score in np.linspace(-1, 1, 401):
        truth = np.count_nonzero(impostor >= score) / len(impostor)
        assert look_up(result.curve, score).fmr >= truth
    for step in result.curve:
        counted = np.count_nonzero(impostor >= step.threshold - 1e-14 * step.exact)
        if step.exact:
            assert step.false_matches in (
                counted,
                np.count_nonzero(impostor >= step.threshold + 1e-14),
            )
        else:
            assert step.false_matches >= counted


def test_the_curve_falls_from_everything_to_nothing_in_even_steps(measured):
    curve = measured[0].curve
    thresholds = [step.threshold for step in curve]
    counts = [step.false_matches for step in curve]
    assert thresholds == sorted(set(thresholds))
    assert counts == sorted(set(counts), reverse=True)
    assert (curve[0].threshold, curve[0].fmr) == (-1, 1)
    assert curve[-1].fmr == 0
    assert len(curve) <= 200


def test_a_large_tail_gives_about_as_many_steps_as_asked_for():
    scores = np.linspace(0.9, 0.3, 100_001)
    tail = ImpostorTail(
        scores=scores,
        first=np.zeros(0, int),
        second=np.zeros(0, int),
        pairs=10_000_000,
        at_most=np.linspace(10_000_000, 0, 8193).astype(int),
    )
    curve = fmr_curve(tail, points=200)
    assert 150 <= len(curve) <= 201
    ratios = np.divide(*np.array([[s.fmr for s in curve[:-2]], [s.fmr for s in curve[1:-1]]]))
    assert ratios.max() < 2.1  # even where counts are 2 and 1


def test_nan_is_refused_with_advice():
    embeddings, labels = faces(3, 2)
    embeddings[1, 3] = np.nan
    with pytest.raises(BadArray, match="1 of 6 embeddings are not finite; leave photographs"):
        calibrate(embeddings, labels)


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(BadArray, match=r"got \(6, 24\) and \(5,\)"):
        calibrate(faces(3, 2)[0], np.arange(5))


def test_people_with_one_photograph_each_are_refused():
    with pytest.raises(NotEnoughData, match="got 6 photographs of 6 people"):
        calibrate(faces(3, 2)[0], np.arange(6))


def test_a_single_person_is_refused():
    with pytest.raises(NotEnoughData, match="got 6 photographs of 1 people"):
        calibrate(faces(3, 2)[0], np.zeros(6, int))


def test_fars_that_cannot_be_measured_are_refused():
    with pytest.raises(NotEnoughData, match=r"none of the FARs 0\.001, 1e-06 .* on 12 impostor"):
        calibrate(*faces(3, 2), fars=(1e-3, 1e-6))


def test_a_far_of_one_is_refused():
    with pytest.raises(BadInput, match="a FAR of 1 accepts every pair"):
        calibrate(*faces(3, 2), fars=(1,))
