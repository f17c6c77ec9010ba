"""Exact search: equal to sorting every score, whatever the blocks."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tronie.errors import BadArray, BadInput
from tronie.gallery.exact import expected_fpir, search, search_people
from tronie.geometry.hypersphere import normalize


def rows(count: int, *, seed: int, dimension: int = 16) -> np.ndarray:
    return normalize(np.random.default_rng(seed).normal(size=(count, dimension)))[0]


def by_sorting(probe, gallery, top, threshold):
    """Every score as an exact sum of exact products, sorted by (-score, row)."""
    scores = [
        math.fsum(float(a) * float(b) for a, b in zip(probe, row, strict=True)) for row in gallery
    ]
    order = sorted(range(len(gallery)), key=lambda n: (-scores[n], n))
    return [(n, scores[n]) for n in order if scores[n] >= threshold][:top]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(0, 40),
    top=st.integers(1, 50),
    threshold=st.sampled_from([-math.inf, -0.2, 0.3]),
    block_rows=st.sampled_from([1, 3, 7, 100]),
)
def test_search_finds_what_sorting_all_scores_finds(seed, size, top, threshold, block_rows):
    probes, gallery = rows(3, seed=seed), rows(size, seed=seed + 1)
    found = search(probes, gallery, top=top, threshold=threshold, block_rows=block_rows)
    for probe, matches in zip(probes, found, strict=True):
        expected = by_sorting(probe, gallery, top, threshold)
        assert matches.rows.tolist() == [n for n, _ in expected]
        # Sixteen float64 additions against an exact sum.
        np.testing.assert_allclose(matches.scores, [s for _, s in expected], atol=1e-14)


@pytest.mark.parametrize("block_rows", [1, 4, 5, 64])
def test_equal_rows_come_by_rising_row_and_score_alike(block_rows):
    gallery = rows(20, seed=1, dimension=67)
    gallery[[3, 11, 19]] = gallery[7]
    matches = search(gallery[7:8], gallery, top=3, block_rows=block_rows)[0]
    assert matches.rows.tolist() == [3, 7, 11]
    assert len(set(matches.scores.tolist())) == 1


def test_a_score_equal_to_the_threshold_is_a_match():
    probe, gallery = rows(1, seed=1), rows(9, seed=2)
    best = search(probe, gallery, top=1)[0].scores[0]
    assert len(search(probe, gallery, top=9, threshold=best)[0].rows) == 1
    assert len(search(probe, gallery, top=9, threshold=math.nextafter(best, 2))[0].rows) == 0


def test_an_empty_gallery_matches_nobody():
    matches = search(rows(2, seed=1), np.zeros((0, 16), np.float32), top=5)
    assert [len(found.rows) for found in matches] == [0, 0]


def test_no_probes_give_no_answers():
    assert search(np.zeros((0, 16), np.float32), rows(3, seed=1), top=1) == []


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(BadArray, match=r"\(P, D\) and \(G, D\); got \(1, 16\) and \(1, 8\)"):
        search(rows(1, seed=1), rows(1, seed=1, dimension=8), top=1)


def test_nan_in_a_probe_is_refused():
    with pytest.raises(BadArray, match="must be finite; got NaN"):
        search(np.full((1, 16), np.nan, np.float32), rows(3, seed=1), top=1)


def test_asking_for_no_match_is_refused():
    with pytest.raises(BadInput, match="top >= 1 and a threshold; got 0"):
        search(rows(1, seed=1), rows(3, seed=1), top=0)


def test_a_threshold_that_is_nan_is_refused():
    with pytest.raises(BadInput, match="top >= 1 and a threshold; got 1 and nan"):
        search(rows(1, seed=1), rows(3, seed=1), top=1, threshold=math.nan)


@pytest.mark.parametrize("fmr", ["1/10", "1/1000", "1/1000000000000"])
@pytest.mark.parametrize("size", [1, 7, 300])
def test_expected_fpir_is_the_formula_in_exact_fractions(fmr, size):
    exact = 1 - (1 - Fraction(fmr)) ** size
    assert expected_fpir(float(Fraction(fmr)), size) == pytest.approx(
        float(exact), rel=1e-12, abs=0
    )


def test_expected_fpir_keeps_rates_that_float_subtraction_would_lose():
    assert expected_fpir(1e-20, 1000) == pytest.approx(1e-17, rel=1e-9, abs=0)


def test_expected_fpir_at_its_ends():
    assert expected_fpir(0.0, 10**9) == 0
    assert expected_fpir(1.0, 1) == 1
    assert expected_fpir(0.5, 0) == 0


@pytest.mark.parametrize(("fmr", "size"), [(-0.1, 1), (1.1, 1), (math.nan, 1), (0.1, -1)])
def test_rates_and_sizes_that_are_none_are_refused(fmr, size):
    with pytest.raises(BadInput, match=r"need an FMR in \[0, 1\] and a gallery size of 0 or more"):
        expected_fpir(fmr, size)


@pytest.mark.parametrize("top", [1, 2, 5, 99])
def test_a_person_scores_as_their_likest_photograph_and_ties_go_to_the_lower_row(top):
    rng = np.random.default_rng(top)
    rows = rng.integers(-2, 3, (60, 4)).astype(np.float32)  # few values: many equal scores
    rows[np.abs(rows).sum(axis=1) == 0] = 1
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    owners = [f"person {n}" for n in rng.integers(0, 9, len(rows))]
    for probe, found in zip(rows, search_people(rows, rows, owners, top=top), strict=True):
        best: dict[str, tuple[float, int]] = {}
        for row, owner in enumerate(owners):
            score = float((rows[row].astype(np.float64) * probe).sum())
            best[owner] = min(best.get(owner, (np.inf, 0)), (-score, row))
        expected = sorted(best.values())[:top]
        assert found.rows.tolist() == [row for _, row in expected]
        assert found.scores.tolist() == [-score for score, _ in expected]


def test_people_below_the_threshold_are_left_out_and_nobody_is_nobody():
    rows = np.eye(3, dtype=np.float32)
    (found,) = search_people(rows[:1], rows, ["Ada", "Bo", "Bo"], top=2, threshold=0.5)
    assert found.rows.tolist() == [0]
    (none,) = search_people(rows[:1], rows[:0], [], top=2)
    assert none.rows.tolist() == []


def test_owners_that_do_not_fit_are_refused():
    rows = np.eye(3, dtype=np.float32)
    with pytest.raises(BadArray, match="one owner a row is needed; got 1 for 3 rows"):
        search_people(rows, rows, ["Ada"], top=1)
    with pytest.raises(BadInput, match="top >= 1"):
        search_people(rows, rows, ["Ada"] * 3, top=0)
