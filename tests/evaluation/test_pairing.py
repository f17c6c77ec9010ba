"""Which pairs are compared, against a double loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pairs_oracle
from tronie.errors import BadArray, BadInput, NotEnoughData
from tronie.evaluation.pairs import pairing as module
from tronie.evaluation.pairs.pairing import Pairing, pairing


def visited(chosen: Pairing, panel: int, tile: int):
    """Every impostor pair that a pass over panels and tiles would meet."""
    found = []
    for left in range(0, len(chosen.right), panel):
        right = min(left + panel, len(chosen.right))
        for top in range(0, chosen.visited(left, right), tile):
            bottom = min(top + tile, chosen.visited(left, right))
            mask = chosen.impostor_tile(top, bottom, left, right)
            i, j = np.nonzero(np.ones_like(mask))
            single = chosen.are_impostors(i + top, j + left)
            np.testing.assert_array_equal(single.reshape(mask.shape), mask)
            i, j = np.nonzero(mask)
            found += zip(
                chosen.left[i + top].tolist(), chosen.right[j + left].tolist(), strict=True
            )
    return found


@st.composite
def choices(draw):
    n = draw(st.integers(4, 14))
    people = draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n))
    side = draw(st.lists(st.sampled_from("abx"), min_size=n, max_size=n))
    kind = draw(st.sampled_from(["all", "group", "against"]))
    pairs = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] != p[1])
    return np.array(people), np.array(side), kind, draw(st.lists(pairs, max_size=4))


@given(choices(), st.integers(1, 5), st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_pairs_and_counts_are_those_of_the_double_loop(choice, panel, tile):
    people, side, kind, left_out = choice
    group = None if kind == "all" else side == "a"
    against = side == "b" if kind == "against" else None
    unit = np.ones((len(people), 1), np.float32)
    genuine, impostor = pairs_oracle.every_pair(
        unit, people, group=group, against=against, left_out=left_out
    )
    if not genuine or not impostor:
        with pytest.raises(NotEnoughData, match="pairs of one person and pairs of two"):
            pairing(people, group=group, against=against, left_out=left_out)
        return
    chosen = pairing(people, group=group, against=against, left_out=left_out)
    assert (chosen.genuine_pairs, chosen.impostor_pairs) == (len(genuine), len(impostor))
    found = [frozenset(pair) for pair in visited(chosen, panel, tile)]
    assert sorted(map(sorted, found)) == sorted([i, j] for _, i, j in impostor)
    pieces = [frozenset(p) for a, b in chosen.genuine() for p in zip(a, b, strict=True)]
    assert sorted(map(sorted, pieces)) == sorted([i, j] for _, i, j in genuine)
    if not left_out:
        touched = np.bincount([r for _, i, j in impostor for r in (i, j)], minlength=len(people))
        np.testing.assert_array_equal(chosen.pairs_of_rows(), touched)


def test_genuine_pairs_come_in_pieces_of_bounded_size(monkeypatch):
    monkeypatch.setattr(module, "GENUINE_CHUNK", 16)
    chosen = pairing(np.array([0] * 30 + [1]))
    pieces = list(chosen.genuine())
    assert len(pieces) > 10
    assert max(len(first) for first, _ in pieces) <= 2 * 30
    assert sum(len(first) for first, _ in pieces) == chosen.genuine_pairs == 435


def test_blocks_of_distractors_only_are_not_visited():
    people = np.array([-1] * 50 + [0, 0, 1])
    chosen = pairing(people)
    assert chosen.left[:3].tolist() == [50, 51, 52]
    assert chosen.visited(10, 20) == 3
    assert chosen.impostor_pairs == 2 + 3 * 50


def test_pairs_left_out_count_once_however_often_they_are_named():
    people = np.array([0, 0, 1, 1])
    chosen = pairing(people, left_out=[(0, 1), (1, 0), (2, 0), (3, 3)])
    assert (chosen.genuine_pairs, chosen.impostor_pairs) == (1, 3)


def test_the_numbers_of_the_largest_protocol_do_not_overflow():
    # Two people of 400,000 rows each: N^2 does not fit into 32 bits.
    people = np.repeat([0, 1], 400_000)
    chosen = pairing(people)
    assert chosen.impostor_pairs == 400_000**2
    assert chosen.genuine_pairs == 400_000 * 399_999


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"people": np.zeros((2, 2), int)}, BadArray, r"labels must have shape \(N,\)"),
        ({"people": np.array([0, -2])}, BadArray, r"-1 \(distractor\) or more"),
        ({"people": np.zeros(4, int)}, NotEnoughData, r"6 genuine and 0 impostor .*1 identities"),
        ({"people": np.arange(4)}, NotEnoughData, "0 genuine and 6 impostor"),
        ({"people": np.zeros(0, int)}, NotEnoughData, "0 genuine and 0 impostor"),
        (
            {"people": np.array([0, 0, 1]), "group": np.array([0, 1, 1])},
            BadArray,
            "group must be true or false for each of the 3 rows; got int64",
        ),
        (
            {"people": np.array([0, 0, 1]), "against": np.array([True, False, False])},
            BadInput,
            "the two groups share 1 rows, the first of them 0",
        ),
        (
            {"people": np.array([0, 0, 1]), "left_out": [(0, 3)]},
            BadArray,
            "a pair to be left out names a row outside 0 to 2",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        pairing(**arguments)


@pytest.mark.parametrize(
    "wrong", [np.arange(4), np.zeros((2, 3), int), np.array([[0.9, 1.9]]), np.ones((4, 4), "f4")]
)
def test_pairs_to_be_left_out_are_two_whole_numbers_each(wrong):
    with pytest.raises(BadArray, match=r"must be whole numbers of shape \(X, 2\), two rows each"):
        pairing(np.repeat(np.arange(4), 2), left_out=wrong)
