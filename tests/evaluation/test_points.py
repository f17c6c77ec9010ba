"""Operating points: intervals hold their rates, sampled ones are wider, people are counted once."""

from __future__ import annotations

import numpy as np

from tronie.evaluation.metrics.intervals import wilson
from tronie.evaluation.pairs.all_pairs import measure_pairs
from tronie.evaluation.pairs.pairing import pairing
from tronie.evaluation.pairs.plan import make_plan
from tronie.evaluation.pairs.points import _by_subject, _subjects
from tronie.evaluation.pairs.scores import NumpyScreen
from tronie.geometry.hypersphere import normalize

RNG = np.random.default_rng(2)
PEOPLE = np.repeat(np.arange(30), 4)
UNIT = normalize(RNG.normal(size=(30, 20))[PEOPLE] + 1.2 * RNG.normal(size=(120, 20)))[0]


def points(**rest):
    chosen = pairing(PEOPLE)
    plan = make_plan(
        UNIT, chosen, fars=(0.1, 0.01), screens=[NumpyScreen()], sample_pairs=3000, **rest
    )
    return measure_pairs(UNIT, chosen, plan).points


def test_an_operating_point_says_what_the_point_says():
    for point in points():
        told = point.operating_point(of="everybody")
        assert told.of == "everybody"
        assert (told.threshold, told.false_matches) == (point.threshold, point.false_matches)
        assert (told.tar, told.misses) == (point.tar, point.genuine_pairs - point.accepted)
        assert told.few_errors == point.few_errors
        assert not told.sampled


def test_a_sampled_point_has_wilsons_interval_and_a_wider_one_for_its_tar():
    exact, _ = points()
    sampled, tight = points(sampled_from=0.05)
    assert sampled.path == "sampled"
    assert sampled.operating_point().sampled
    assert sampled.false_matches_of_row is None
    assert sampled.far_interval == wilson(sampled.false_matches, 3000)
    assert "widened for a threshold from a sample" in sampled.tar_interval.method
    width = sampled.tar_interval.high - sampled.tar_interval.low
    assert width > exact.tar_interval.high - exact.tar_interval.low
    assert tight.path == "kept"


def test_every_distractor_is_a_subject_of_its_own():
    subject = _subjects(np.array([2, 0, -1, 2, -1], np.int32))
    assert len(set(subject.tolist())) == 4
    assert subject[0] == subject[3]
    assert _by_subject(subject, np.array([1, 10, 100, 1000, 10_000])).sum() == 11_111
