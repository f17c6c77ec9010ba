"""Unit vectors: lengths and cosines against exact sums."""

import math

import numpy as np
import pytest

from tronie.errors import BadArray
from tronie.geometry.hypersphere import cosine_scores, normalize

RNG = np.random.default_rng(11)


def test_rows_have_length_one_and_their_old_lengths_are_returned():
    x = (RNG.normal(size=(20, 512)) * RNG.uniform(1e-3, 1e3, (20, 1))).astype(np.float32)
    unit, norms = normalize(x)
    assert unit.dtype == norms.dtype == np.float32
    for row, length, original in zip(unit, norms, x, strict=True):
        exact = math.sqrt(math.fsum(float(v) ** 2 for v in original))
        assert length == np.float32(exact)
        np.testing.assert_allclose(row, [v / exact for v in original.astype(float)], rtol=1e-7)


def test_large_float32_rows_do_not_overflow():
    unit, norms = normalize(np.full((1, 4), 1e38, np.float32))
    np.testing.assert_allclose(unit, 0.5)
    np.testing.assert_allclose(norms, 2e38, rtol=1e-6)


def test_scores_are_exact_products_summed():
    a, _ = normalize(RNG.normal(size=(5, 128)))
    b, _ = normalize(RNG.normal(size=(4, 128)))
    scores = cosine_scores(a, b)
    assert scores.dtype == np.float64
    for n in range(5):
        for m in range(4):
            exact = math.fsum(float(p) * float(q) for p, q in zip(a[n], b[m], strict=True))
            assert scores[n, m] == pytest.approx(exact, abs=1e-15)


def test_a_row_scores_one_with_itself_and_minus_one_with_its_opposite():
    a, _ = normalize(RNG.normal(size=(3, 16)))
    np.testing.assert_allclose(np.diag(cosine_scores(a, a)), 1.0, atol=1e-6)
    np.testing.assert_allclose(np.diag(cosine_scores(a, -a)), -1.0, atol=1e-6)


def test_no_rows_give_empty_answers_of_the_right_shape():
    unit, norms = normalize(np.zeros((0, 8)))
    assert unit.shape == (0, 8)
    assert norms.shape == (0,)
    assert cosine_scores(unit, normalize(np.ones((2, 8)))[0]).shape == (0, 2)


def test_a_row_of_zeros_is_refused_by_number():
    x = np.ones((4, 3))
    x[2] = 0
    with pytest.raises(BadArray, match="row 2 of 4 embeddings is all zeros and has no direction"):
        normalize(x)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_is_refused_by_number(bad):
    x = np.ones((4, 3))
    x[1, 2] = bad
    with pytest.raises(BadArray, match="must be finite; row 1 of 4 holds NaN or infinity"):
        normalize(x)


def test_a_single_vector_is_refused():
    with pytest.raises(BadArray, match=r"embeddings must have shape \(N, D\), one row a face"):
        normalize(np.ones(5))


def test_rows_that_were_not_normalized_are_refused_with_their_length():
    unit, _ = normalize(RNG.normal(size=(2, 8)))
    with pytest.raises(BadArray, match="rows of b must have length 1; row 0 has 3"):
        cosine_scores(unit, 3 * unit)


def test_rows_with_nan_are_refused():
    unit, _ = normalize(RNG.normal(size=(2, 8)))
    with pytest.raises(BadArray, match="rows of a must have length 1; row 0 has nan"):
        cosine_scores(unit * np.float32(np.nan), unit)


def test_embeddings_of_two_models_are_refused():
    a, b = normalize(np.ones((1, 128)))[0], normalize(np.ones((1, 512)))[0]
    with pytest.raises(BadArray, match="got 128 and 512 numbers a row"):
        cosine_scores(a, b)
