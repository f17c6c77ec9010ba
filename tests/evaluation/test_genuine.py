"""Genuine pairs, counted, against the same sums by plain loops."""

from __future__ import annotations

import numpy as np

import pairs_oracle
from tronie.evaluation.pairs import pairing as pairing_module
from tronie.evaluation.pairs.genuine import BINS, count_genuine, histogram_of
from tronie.evaluation.pairs.pairing import pairing
from tronie.geometry.hypersphere import normalize


def rows_of(sizes, seed=0, spread=0.8):
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(len(sizes)), sizes)
    centers = rng.normal(size=(len(sizes), 12))
    unit = normalize(centers[people] + spread * rng.normal(size=(len(people), 12)))[0]
    order = rng.permutation(len(people))
    return unit[order], people[order]


def test_counts_are_those_of_a_loop_whatever_the_pieces_and_threads(monkeypatch):
    unit, people = rows_of([1, 2, 2, 5, 9, 1, 4])
    genuine, _ = pairs_oracle.every_pair(unit, people)
    scores = sorted(s for s, _, _ in genuine)
    thresholds = [scores[len(scores) // 2], 0.9, scores[0], np.nextafter(scores[0], 2)]
    for chunk, workers in ((1 << 16, 1), (7, 3)):
        monkeypatch.setattr(pairing_module, "GENUINE_CHUNK", chunk)
        told = count_genuine(unit, pairing(people), thresholds, by_row=2, lowest=3, workers=workers)
        assert told.misses.tolist() == [sum(s < t for s in scores) for t in thresholds]
        for k in range(2):
            missed = [row for s, i, j in genuine if s < thresholds[k] for row in (i, j)]
            expected = np.bincount(np.array(missed, int), minlength=len(unit))
            np.testing.assert_array_equal(told.misses_of_row[k], expected)
        every = [row for _, i, j in genuine for row in (i, j)]
        np.testing.assert_array_equal(told.pairs_of_row, np.bincount(every, minlength=len(unit)))
        lowest = sorted(genuine)[:3]
        assert told.lowest_scores.tolist() == [s for s, _, _ in lowest]
        assert told.lowest_codes.tolist() == [i * len(unit) + j for _, i, j in lowest]
        assert told.histogram.sum() == len(genuine)


def test_bins_are_half_open_and_what_lies_outside_is_in_the_ends():
    counts = histogram_of(np.array([-1.0, -0.9951, -0.995, 0.0, 0.0049, 1.0, 1.0000001, -1.1]))
    assert counts[0] == 3
    assert counts[1] == 1
    assert counts[BINS // 2] == 2
    assert counts[-1] == 2


def test_no_thresholds_and_no_lowest_are_no_matter():
    unit, people = rows_of([3, 3])
    told = count_genuine(unit, pairing(people), [], by_row=0, lowest=0, workers=1)
    assert len(told.misses) == len(told.lowest_scores) == 0
    assert told.pairs_of_row.tolist() == [2] * 6
