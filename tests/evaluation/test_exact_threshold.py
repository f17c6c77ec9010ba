"""The largest impostor scores, against scoring every pair with exact sums."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from tronie.evaluation.pairs import exact_threshold
from tronie.evaluation.pairs.exact_threshold import BINS, TopPairs, impostor_tail
from tronie.evaluation.pairs.scores import screen_error
from tronie.geometry.hypersphere import normalize


def faces(people: int, photos: int, *, seed: int = 0, dimension: int = 32):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(people, dimension))
    rows = np.repeat(centers, photos, axis=0) + rng.normal(size=(people * photos, dimension))
    order = rng.permutation(people * photos)
    return normalize(rows)[0][order], np.repeat(np.arange(people), photos)[order]


def every_pair(unit, people):
    """Scores of all pairs of two people, falling, each an exactly rounded sum."""
    rows = [[float(v) for v in row] for row in unit]
    scored = [
        (math.fsum(a * b for a, b in zip(rows[i], rows[j], strict=True)), i, j)
        for i, j in combinations(range(len(unit)), 2)
        if people[i] != people[j]
    ]
    return sorted(scored, key=lambda entry: (-entry[0], entry[1], entry[2]))


@pytest.mark.parametrize("keep", [1, 10, 500])
@pytest.mark.parametrize("block_rows", [7, 64])
def test_the_tail_is_the_top_of_every_pair(keep, block_rows, monkeypatch):
    monkeypatch.setattr(exact_threshold, "_SLACK", 3)  # so that the buffer is cut, often
    unit, people = faces(12, 4)
    expected = every_pair(unit, people)
    tail = impostor_tail(unit, people, keep=keep, block_rows=block_rows)
    assert tail.pairs == len(expected)
    assert len(tail.scores) == keep + 1
    # 32 float64 additions of numbers below 1, against an exactly rounded sum.
    np.testing.assert_allclose(tail.scores, [s for s, _, _ in expected[: keep + 1]], atol=1e-14)
    found = list(zip(tail.first.tolist(), tail.second.tolist(), strict=True))
    assert found == [(i, j) for _, i, j in expected[: keep + 1]]


def test_scores_that_float32_cannot_tell_apart_are_told_apart():
    # Twenty people at nearly one point: their scores differ by 1e-8, a float32 step near 1 is
    # 6e-8, so the order of the screen is noise.
    rng = np.random.default_rng(0)
    unit = normalize(np.ones(64) + 1e-4 * rng.normal(size=(20, 64)))[0]
    people = np.arange(20)
    expected = every_pair(unit, people)[:31]
    tail = impostor_tail(unit, people, keep=30)
    assert len({np.float32(score) for score in tail.scores}) < 31
    found = list(zip(tail.first.tolist(), tail.second.tolist(), strict=True))
    assert found == [(i, j) for _, i, j in expected]


def test_all_pairs_may_be_kept():
    unit, people = faces(4, 2)
    tail = impostor_tail(unit, people, keep=10_000)
    assert len(tail.scores) == tail.pairs == 24


@pytest.mark.parametrize("block_rows", [1, 5, 9, 100])
def test_the_result_does_not_depend_on_the_blocks(block_rows):
    unit, people = faces(10, 3, dimension=129)
    whole = impostor_tail(unit, people, keep=50)
    parts = impostor_tail(unit, people, keep=50, block_rows=block_rows)
    np.testing.assert_array_equal(whole.scores, parts.scores)
    np.testing.assert_array_equal(whole.first, parts.first)
    np.testing.assert_array_equal(whole.second, parts.second)


def test_copies_of_one_photograph_tie_to_the_last_bit():
    unit, people = faces(10, 2, dimension=67)
    unit[5] = unit[11] = unit[17]
    people = np.arange(20)
    tail = impostor_tail(unit, people, keep=60)
    for row in range(20):
        if row not in (5, 11, 17):
            places = [
                n
                for n, pair in enumerate(zip(tail.first, tail.second, strict=True))
                if row in pair and {5, 11, 17} & set(pair)
            ]
            assert len({tail.scores[n] for n in places}) <= 1


def test_the_coarse_count_is_never_too_low_and_hardly_too_high():
    unit, people = faces(12, 4)
    scores = np.array([s for s, _, _ in every_pair(unit, people)])
    tail = impostor_tail(unit, people, keep=1, block_rows=7)
    edges = -1 + 2 * np.arange(BINS + 1) / BINS
    truth = (scores[None, :] >= edges[:, None]).sum(axis=1)
    nearly = (scores[None, :] >= edges[:, None] - 2 * screen_error(32)).sum(axis=1)
    assert (tail.at_most >= truth).all()
    assert (tail.at_most <= nearly).all()


@pytest.mark.parametrize("keep", [1, 7, 40, 1000])
@pytest.mark.parametrize("pieces", [1, 3, 50])
def test_the_best_are_the_same_in_whatever_pieces_they_come(keep, pieces, monkeypatch):
    monkeypatch.setattr(exact_threshold, "_SLACK", 2)
    rng = np.random.default_rng(pieces)
    scores, codes = rng.integers(12, size=300) / 12, rng.permutation(300)
    top = TopPairs(keep)
    for part in np.array_split(rng.permutation(300), pieces):
        piece = TopPairs(keep, floor=top.floor)
        piece.add(scores[part], codes[part])
        top.add(*piece.best())
        top.tighten()
    expected = sorted(zip(-scores, codes, strict=True))[:keep]
    found, order = top.best()
    assert list(zip(-found, order, strict=True)) == expected
    assert top.floor == (found[-1] if keep <= 300 else -np.inf)
