"""Similarity: against numpy's least squares and against Umeyama's decomposition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tronie.errors import BadArray
from tronie.geometry.similarity import apply_affine, fit_similarity


def by_lstsq(source, target):
    """a, b, x, y of [[a, -b, x], [b, a, y]] from 2K linear equations."""
    rows, right = [], []
    for (sx, sy), (tx, ty) in zip(source, target, strict=True):
        rows += [[sx, -sy, 1, 0], [sy, sx, 0, 1]]
        right += [tx, ty]
    (a, b, x, y), *_ = np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)
    return np.array([[a, -b, x], [b, a, y]])


def by_umeyama(source, target):
    """Umeyama 1991, equations 40 to 43."""
    mean_s, mean_t = source.mean(axis=0), target.mean(axis=0)
    s, t = source - mean_s, target - mean_t
    u, d, vt = np.linalg.svd(t.T @ s / len(s))
    sign = np.diag([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ sign @ vt
    scale = np.trace(np.diag(d) @ sign) / (s**2).sum(axis=1).mean()
    return np.column_stack([scale * rotation, mean_t - scale * rotation @ mean_s])


def some_sets(seed, count=40, points=5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, points, 2)) * 50 + rng.uniform(0, 900, (count, 1, 2))


@pytest.mark.parametrize("points", [2, 5, 68])
def test_it_is_the_least_squares_answer(points):
    source, target = some_sets(0, points=points), some_sets(1, points=points)
    expected = np.array([by_lstsq(s, t) for s, t in zip(source, target, strict=True)])
    np.testing.assert_allclose(fit_similarity(source, target), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mirrored", [False, True])
def test_it_is_umeyamas_answer_even_for_mirrored_points(mirrored):
    source, target = some_sets(2), some_sets(3)
    if mirrored:
        target = source * [-1.0, 1.0] + np.random.default_rng(4).normal(size=source.shape)
    found = fit_similarity(source, target)
    expected = np.array([by_umeyama(s, t) for s, t in zip(source, target, strict=True)])
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert (np.linalg.det(found[:, :, :2]) > 0).all()  # never a reflection


@settings(max_examples=100, deadline=None)
@given(angle=st.floats(-3.1, 3.1), scale=st.floats(1e-3, 1e3), seed=st.integers(0, 1000))
def test_a_similarity_is_found_again(angle, scale, seed):
    (source,) = some_sets(seed, count=1)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    true = np.array([[c, -s, 12.5], [s, c, -7.0]])
    found = fit_similarity(source, source @ true[:, :2].T + true[:, 2])
    np.testing.assert_allclose(found, true, rtol=1e-9, atol=1e-9 * max(1, scale) * 1000)


def test_a_batch_is_each_one_alone_and_one_target_serves_all():
    source, target = some_sets(5, count=6).reshape(2, 3, 5, 2), some_sets(6, count=1)[0]
    together = fit_similarity(source, target)
    assert together.shape == (2, 3, 2, 3)
    for i in range(2):
        for j in range(3):
            np.testing.assert_array_equal(together[i, j], fit_similarity(source[i, j], target))


def test_no_sets_give_no_matrices():
    assert fit_similarity(np.zeros((0, 5, 2)), np.zeros((5, 2))).shape == (0, 2, 3)


def test_points_and_matrices_multiply_as_written_out():
    points, matrices = some_sets(7, count=3), np.random.default_rng(8).normal(size=(3, 2, 3))
    found = apply_affine(points, matrices)
    for n in range(3):
        for k in range(5):
            x, y = points[n, k]
            (a, b, c), (d, e, f) = matrices[n]
            np.testing.assert_allclose(found[n, k], [a * x + b * y + c, d * x + e * y + f])


@pytest.mark.parametrize("place", [0.0, 0.1, 1e6 / 3])
def test_points_in_one_place_are_refused_and_counted(place):
    source = some_sets(11, count=3)
    source[1] = place
    with pytest.raises(
        BadArray, match=r"all points of 1 of 3 sets lie in one place \(first: set 1"
    ):
        fit_similarity(source, source[0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_points_that_are_not_finite_are_refused(bad):
    with pytest.raises(BadArray, match="points must be finite to be aligned; got NaN or infinity"):
        fit_similarity(np.full((5, 2), bad), np.zeros((5, 2)))


def test_other_shapes_are_refused():
    with pytest.raises(BadArray, match=r"source must have shape \(\.\.\., K, 2\), K >= 2"):
        fit_similarity(np.zeros((1, 2)), np.zeros((1, 2)))
    with pytest.raises(BadArray, match=r"target must have shape \(5, 2\) or that of the source"):
        fit_similarity(np.ones((3, 5, 2)), np.ones((4, 2)))
    with pytest.raises(BadArray, match=r"matrices must have shape \(\.\.\., 2, 3\)"):
        apply_affine(np.ones((5, 2)), np.eye(3))
    with pytest.raises(BadArray, match=r"points must have shape \(\.\.\., K, 2\)"):
        apply_affine(np.ones((5, 3)), np.ones((2, 3)))
