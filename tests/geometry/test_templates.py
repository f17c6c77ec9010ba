"""Templates: means on the sphere against sums written out."""

import numpy as np
import pytest

from tronie.errors import BadArray
from tronie.geometry.hypersphere import normalize
from tronie.geometry.templates import mean_template, norm_weighted_template

RNG = np.random.default_rng(13)


def test_the_mean_template_is_the_direction_of_the_sum_of_directions():
    raw = RNG.normal(size=(6, 32)) * RNG.uniform(1, 9, (6, 1)) + 3
    total = sum(row / np.sqrt((row**2).sum()) for row in raw)
    expected = total / np.sqrt((total**2).sum())
    template = mean_template(normalize(raw)[0])
    assert template.shape == (32,)
    assert template.dtype == np.float32
    np.testing.assert_allclose(template, expected, atol=1e-6)
    np.testing.assert_allclose(mean_template(raw), expected, atol=1e-6)


def test_the_norm_weighted_template_is_the_direction_of_the_plain_sum():
    raw = RNG.normal(size=(6, 32)) * RNG.uniform(1, 9, (6, 1)) + 3
    total = sum(raw)
    np.testing.assert_allclose(
        norm_weighted_template(raw), total / np.sqrt((total**2).sum()), atol=1e-6
    )


def test_a_weak_embedding_counts_less_only_when_weighted():
    raw = np.array([[10.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(mean_template(raw), [0.5**0.5, 0.5**0.5], atol=1e-7)
    np.testing.assert_allclose(norm_weighted_template(raw), np.array([10, 1]) / 101**0.5, atol=1e-7)


@pytest.mark.parametrize("pool", [mean_template, norm_weighted_template])
def test_the_template_of_one_embedding_is_its_direction_and_order_does_not_matter(pool):
    raw = RNG.normal(size=(5, 8))
    np.testing.assert_allclose(pool(raw[:1]), normalize(raw[:1])[0][0], atol=1e-7)
    np.testing.assert_allclose(pool(raw), pool(raw[::-1]), atol=1e-6)


@pytest.mark.parametrize("pool", [mean_template, norm_weighted_template])
def test_embeddings_that_cancel_out_are_refused(pool):
    row = normalize(RNG.normal(size=(1, 16)))[0]
    with pytest.raises(
        BadArray, match="the 2 embeddings cancel out, so their mean has no direction"
    ):
        pool(np.concatenate([row, -row]))


@pytest.mark.parametrize("pool", [mean_template, norm_weighted_template])
@pytest.mark.parametrize("shape", [(0, 8), (8,)])
def test_no_embeddings_are_refused(pool, shape):
    with pytest.raises(BadArray, match=r"made of at least one embedding, shape \(N, D\); got"):
        pool(np.ones(shape))


@pytest.mark.parametrize("pool", [mean_template, norm_weighted_template])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_embeddings_that_are_not_finite_are_refused(pool, bad):
    with pytest.raises(BadArray, match="embeddings must be finite to be pooled"):
        pool(np.array([[1.0, bad], [1.0, -bad]]))
