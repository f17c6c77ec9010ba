"""Every unordered pair once, and which are genuine."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from tronie.evaluation.pairs.blocks import (
    genuine_pairs,
    impostor_count,
    impostor_mask,
    upper_blocks,
)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("people", [[0], [0, 0, 0], [0, 1, 2], [2, 0, 1, 0, 2, 2, 1]])
def test_blocks_and_masks_hold_each_impostor_pair_once(people, size):
    people = np.array(people)
    found = [
        (block.top + i, block.left + j)
        for block in upper_blocks(len(people), size=size)
        for i, j in np.argwhere(impostor_mask(block, people))
    ]
    expected = [(i, j) for i, j in combinations(range(len(people)), 2) if people[i] != people[j]]
    assert sorted(found) == expected
    assert impostor_count(people) == len(expected)


@pytest.mark.parametrize("people", [[0], [0, 0, 0], [0, 1, 2], [2, 0, 1, 0, 2, 2, 1]])
def test_genuine_pairs_are_those_of_one_person(people):
    first, second = genuine_pairs(np.array(people))
    expected = {(i, j) for i, j in combinations(range(len(people)), 2) if people[i] == people[j]}
    assert len(first) == len(expected)
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == expected


def test_no_rows_have_no_pairs():
    assert list(upper_blocks(0, size=4)) == []


def test_the_count_does_not_overflow():
    # Two people of 2^31 photographs each have 2^62 pairs; summed as N^2 = 2^64 they would wrap.
    n = 3_000_000
    people = np.zeros(n, np.int64)
    people[: n // 2] = 1
    assert impostor_count(people) == (n // 2) ** 2
