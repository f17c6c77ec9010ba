"""The curve of all pairs: exact points are those of sorting, sampled ones say so."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.evaluation.pairs.curve import curve_of, curve_thresholds, histogram
from tronie.evaluation.pairs.genuine import BINS


def test_each_exact_point_is_the_lowest_threshold_of_its_fmr():
    scores = np.sort(np.random.default_rng(0).normal(size=5000))[::-1]
    places = curve_thresholds(scores[:600], np.empty(0), impostor_pairs=5000)
    assert len(places) > 20
    assert not any(place.sampled for place in places)
    for place in places:
        assert place.false_matches == (scores >= place.threshold).sum()
        below = np.nextafter(place.threshold, -np.inf)
        assert (scores >= below).sum() == place.false_matches + 1
    rising = [place.false_matches for place in places]
    assert rising == sorted(set(rising))
    assert rising[-1] == (10**-1 * 5000)  # the next tenth of a decade needs more than are kept


def test_beyond_what_is_kept_the_sample_goes_on():
    rng = np.random.default_rng(1)
    scores = np.sort(rng.normal(size=20_000))[::-1]
    sample = np.sort(rng.choice(scores, 2000))
    places = curve_thresholds(scores[:100], sample, impostor_pairs=20_000)
    kinds = [place.sampled for place in places]
    assert kinds == sorted(kinds)
    assert any(kinds)
    for place in places:
        among, size = (sample, 2000) if place.sampled else (scores, 20_000)
        assert place.pairs == size
        assert place.false_matches == (among >= place.threshold).sum()
    assert places[-1].false_matches / places[-1].pairs == pytest.approx(0.5, abs=0.01) or (
        places[-1].false_matches / 2000 > 0.35
    )


def test_ties_are_refused_together_and_give_one_point():
    places = curve_thresholds(np.array([0.9, 0.5, 0.5, 0.5, 0.1]), np.empty(0), impostor_pairs=5)
    assert [(p.false_matches, p.threshold) for p in places] == [(1, np.nextafter(0.5, 1))]


def test_a_curve_has_both_rates_with_their_counts():
    places = curve_thresholds(np.array([0.9, 0.5, 0.1]), np.empty(0), impostor_pairs=4)
    curve = curve_of(places, np.array([3] * len(places)), genuine_pairs=12)
    assert [(p.fmr, p.fnmr, p.misses) for p in curve.points] == [(0.25, 0.25, 3)]
    assert curve.points[0].few_errors


def test_a_histogram_spans_all_scores():
    told = histogram("genuine", np.arange(BINS), sampled=False)
    assert (told.low, told.high, sum(told.counts)) == (-1.0, 1.0, BINS * (BINS - 1) // 2)
