"""All pairs with templates that failed, against every pair counted one by one."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

import pairs_oracle
from tronie.errors import BadArray, BadInput, NotEnoughData
from tronie.evaluation.pairs.enrolled import (
    enroll,
    group_rates,
    judged_genuine,
    measure_enrolled,
    plan_enrolled,
)
from tronie.evaluation.pairs.scores import NumpyScreen
from tronie.evaluation.pairs.sets import HowToRun
from tronie.geometry.hypersphere import normalize

FARS = (0.001, 0.05)


def toy(seed=0, people=20, each=4, noise=1.5):
    rng = np.random.default_rng(seed)
    whose = np.repeat(np.arange(people), each)
    rows = rng.normal(size=(people, 16))[whose] + noise * rng.normal(size=(len(whose), 16))
    return normalize(rows)[0], whose


def failing(rows, which):
    rows = rows.copy()
    rows[which] = np.nan
    return rows


def all_pairs(rows, people, failed=(), group=None, against=None):
    """(score or None, i, j, same) of every pair that is compared; None: a template failed."""
    found = []
    for i, j in combinations(range(len(rows)), 2):
        if group is not None:
            met = (group[i] and against[j]) or (group[j] and against[i])
            if not met:
                continue
        lost = i in failed or j in failed
        score = None if lost else pairs_oracle.score(rows[i], rows[j])
        found.append((score, i, j, people[i] == people[j]))
    return found


def judged(pairs, far):
    """The threshold and both counts, by the words of NIST."""
    impostor = sorted((-2 if s is None else s for s, _, _, same in pairs if not same), reverse=True)
    allowed = math.floor(Fraction(str(far)) * len(impostor))
    threshold = math.nextafter(impostor[allowed], math.inf)
    false = sum(s >= threshold for s in impostor)
    misses = sum(same and (s is None or s < threshold) for s, _, _, same in pairs)
    return threshold, false, misses, len(impostor), sum(same for *_, same in pairs)


def measured(rows, people, fars=FARS, **sides):
    planned = plan_enrolled(enroll(rows), people, fars=fars, screens=[NumpyScreen()], **sides)
    return measure_enrolled(planned, labels=people, how=HowToRun(sample_pairs=0))


@pytest.mark.parametrize("failed", [(), (0,), (3, 4, 5, 41, 79), tuple(range(0, 80, 3))])
def test_points_are_those_of_every_pair_counted_one_by_one(failed):
    rows, people = toy()
    pairs = all_pairs(rows, people, failed)
    found = measured(failing(rows, list(failed)), people)
    assert [point.far for point in found.details.points] == [0.05, 0.001]
    for point in found.details.points:
        threshold, false, misses, impostors, genuine = judged(pairs, point.far)
        assert point.threshold == threshold
        assert (point.false_matches, point.impostor_pairs) == (false, impostors)
        assert (point.misses, point.genuine_pairs) == (misses, genuine)
        assert point.achieved_far == false / impostors
        assert point.tar == 1 - misses / genuine or point.tar == (genuine - misses) / genuine
        assert point.achieved_far <= point.far
        if point.tar_interval is not None:
            assert point.tar_interval.low <= point.tar <= point.tar_interval.high
            held = "failures to enroll held" in point.tar_interval.method
            assert held is bool(failed)
    assert (found.templates, found.failed) == (80, len(failed))


def test_two_sides_that_meet_each_other_count_failures_on_both():
    rows, people = toy(seed=1)
    group = np.arange(80) % 4 == 0
    failed = (0, 1, 7, 40)
    pairs = all_pairs(rows, people, failed, group=group, against=~group)
    found = measured(
        failing(rows, list(failed)), people, fars=(0.01,), group=group, against=~group, of="masked"
    )
    point = found.point(0.01)
    threshold, false, misses, impostors, genuine = judged(pairs, 0.01)
    assert (point.threshold, point.false_matches, point.misses) == (threshold, false, misses)
    assert (point.impostor_pairs, point.genuine_pairs) == (impostors, genuine)
    assert (point.of, found.templates, found.failed) == ("masked", 80, 4)


def test_at_a_threshold_refusing_photographs_never_makes_fewer_misses():
    rows, people = toy(seed=2)
    order = np.random.default_rng(5).permutation(80)
    misses = []
    for count in (0, 5, 10, 40):
        planned = plan_enrolled(
            enroll(failing(rows, order[:count])), people, fars=FARS, screens=[NumpyScreen()]
        )
        misses.append(sum((~pairs.accepted).sum() for pairs in judged_genuine(planned, 0.4)))
    assert misses == sorted(misses)


def test_two_fmrs_that_allow_equally_many_pairs_are_both_answered():
    rows, people = toy()
    found = measured(rows, people, fars=(0.001, 0.00101))
    assert [point.far for point in found.details.points] == [0.00101, 0.001]
    assert found.point(0.001).threshold == found.point(0.00101).threshold


def test_rows_and_labels_of_examples_are_those_of_the_matrix():
    rows, people = toy()
    failed = (0, 10, 20)
    found = measured(failing(rows, list(failed)), people)
    for pair in found.details.pairs:
        first, second = pair.rows
        assert pair.labels == (people[first], people[second])
        assert pair.score == pairs_oracle.score(rows[first], rows[second])
    worst = next(pair for pair in found.details.pairs if pair.kind == "impostor")
    scores = [s for s, _, _, same in all_pairs(rows, people, failed) if not same and s is not None]
    assert worst.score == max(scores)


def test_the_curve_counts_failures_too():
    rows, people = toy()
    failed = (0, 10, 20)
    pairs = all_pairs(rows, people, failed)
    (curve,) = measured(failing(rows, list(failed)), people).details.curves
    assert curve.points
    for point in curve.points:
        misses = sum(same and (s is None or s < point.threshold) for s, _, _, same in pairs)
        false = sum(not same and s is not None and s >= point.threshold for s, _, _, same in pairs)
        assert (point.misses, point.false_matches) == (misses, false)
        assert point.fnmr == misses / 120
        assert point.fmr == pytest.approx(false / 3040)


def test_judged_pairs_are_all_genuine_ones_and_failures_are_never_accepted():
    rows, people = toy()
    failed = (0, 10, 20)
    genuine = [pair for pair in all_pairs(rows, people, failed) if pair[3]]
    threshold = next(s for s, *_ in genuine if s is not None)  # reached by that pair exactly
    planned = plan_enrolled(
        enroll(failing(rows, list(failed))), people, fars=FARS, screens=[NumpyScreen()]
    )
    found = {}
    for pairs in judged_genuine(planned, threshold):
        for first, second, accepted in zip(*(side.tolist() for side in pairs), strict=True):
            found[first, second] = accepted
    assert found == {(i, j): s is not None and s >= threshold for s, i, j, _ in genuine}


def test_groups_of_photographs_are_compared_among_themselves_at_the_threshold_of_all():
    rows, people = toy(seed=3)
    failed = (0, 10, 20, 21)
    rng = np.random.default_rng(4)
    scene = np.array(["indoor", "outdoor", ""])[rng.integers(3, size=80)]  # of photographs
    found = measured(failing(rows, list(failed)), people)
    groups = group_rates(found, scene, far=0.05, of="scene")
    threshold = found.point(0.05).threshold
    assert (groups.of, groups.far, groups.threshold) == ("scene", 0.05, threshold)
    assert [rate.group for rate in groups.rates] == ["indoor", "outdoor"]
    for rate in groups.rates:
        inside = [
            (s, same)
            for s, i, j, same in all_pairs(rows, people, failed)
            if scene[i] == scene[j] == rate.group
        ]
        impostor = [s for s, same in inside if not same]
        genuine = [s for s, same in inside if same]
        assert rate.impostor_pairs == len(impostor)
        assert rate.false_matches == sum(s is not None and s >= threshold for s in impostor)
        assert rate.genuine_pairs == len(genuine)
        assert rate.misses == sum(s is None or s < threshold for s in genuine)
    one, two = (rate.fnmr for rate in groups.rates)
    assert groups.fnmr_max_over_geomean == pytest.approx(max(one, two) / math.sqrt(one * two))


def test_groups_need_the_accepted_pairs(monkeypatch):
    from tronie.evaluation.pairs import plan

    monkeypatch.setattr(plan, "LOOSE_KEPT_AT_MOST", 0)
    rows, people = toy()
    found = measured(rows, people)
    with pytest.raises(BadInput, match=r"accepted at FMR 0\.05 were counted and not kept"):
        group_rates(found, np.full(80, "x"), far=0.05, of="scene")


def test_rows_without_failures_stay_where_they_are_and_others_are_copied():
    rows, _ = toy()
    assert np.shares_memory(enroll(rows).unit, rows)
    flagged = np.zeros(80, bool)
    flagged[7] = True
    found = enroll(rows, failed=flagged)
    assert not np.shares_memory(found.unit, rows)
    assert found.row_of.tolist() == [n for n in range(80) if n != 7]
    assert flagged.sum() == 1


def test_rows_of_any_length_are_normalized_only_when_that_is_said():
    rows, _ = toy()
    with pytest.raises(BadArray, match=r"has length 3, .* normalize"):
        enroll(3 * rows)
    np.testing.assert_array_equal(enroll(3 * rows, lengths="any").unit, normalize(3 * rows)[0])
    with pytest.raises(BadInput, match='"unit" or "any"; got \'both\''):
        enroll(rows, lengths="both")


def test_a_flagged_row_is_not_looked_at_and_any_other_must_be_whole():
    rows, _ = toy()
    rows[5, 3] = np.inf
    flagged = np.arange(80) == 5
    assert len(enroll(rows, failed=flagged).unit) == 79
    with pytest.raises(BadArray, match="row 5 of 80 features holds NaN or infinity"):
        enroll(rows)


def test_a_checkpoint_knows_which_rows_failed(tmp_path):
    """Two rows of one person: the people that are left are the same, the rows are not."""

    class Stopped(Exception):
        pass

    def stop(done, total):
        if (tmp_path / "c.pairs").exists():
            raise Stopped("stopped")

    rows, people = toy()
    screen = NumpyScreen()
    screen.panel_rows = 16

    def go(failed, progress=None):
        planned = plan_enrolled(enroll(failing(rows, failed)), people, fars=FARS, screens=[screen])
        how = HowToRun(checkpoint=tmp_path / "c", progress=progress, sample_pairs=0)
        return measure_enrolled(planned, labels=people, features_sha256="0" * 64, how=how)

    from tronie.evaluation.pairs import all_pairs as engine

    real = engine.run_pass
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "run_pass", lambda *a, **k: real(*a, **{**k, "save_every_s": 0}))
        with pytest.raises(Stopped, match="stopped"):
            go([0], progress=stop)
    with pytest.raises(BadInput, match="belongs to another run"):
        go([1])
    resumed = go([0])
    assert resumed.details.points == measured(failing(rows, [0]), people).details.points


def test_too_few_pairs_and_all_failed_are_refused():
    rows, people = toy()
    with pytest.raises(NotEnoughData, match="all 80 templates failed; there is nothing"):
        enroll(failing(rows, slice(None)))
    with pytest.raises(NotEnoughData, match=r"got 3040. Add pairs, or ask for FAR >= 3\.3e-04"):
        plan_enrolled(enroll(rows), people, fars=[1e-5], screens=[NumpyScreen()])
    one_each = np.arange(80) % 4 != 0
    with pytest.raises(NotEnoughData, match=r"0 genuine .*; 60 of 80 templates failed"):
        plan_enrolled(enroll(rows, failed=one_each), people, fars=FARS, screens=[NumpyScreen()])
    few = np.arange(80) >= 8
    with pytest.raises(BadInput, match=r"FMR of 0\.05 of 3040 impostor pairs accepts all 16"):
        plan_enrolled(enroll(rows, failed=few), people, fars=FARS, screens=[NumpyScreen()])


@pytest.mark.parametrize(
    ("features", "failed", "message"),
    [
        (np.ones(5, np.float32), None, r"floats of shape \(N, D\); got float32 of shape \(5,\)"),
        (np.ones((5, 2), int), None, r"got int64 of shape \(5, 2\)"),
        (np.ones((5, 2), np.float32), np.zeros(4, bool), r"each of the 5 rows; got shape \(4,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(features, failed, message):
    with pytest.raises(BadArray, match=message):
        enroll(features, failed=failed)
