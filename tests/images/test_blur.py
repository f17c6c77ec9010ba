"""Blur: against sums written out, and the edges."""

import math

import numpy as np
import pytest

from tronie.errors import BadArray, BadInput
from tronie.images.blur import gaussian_blur, median_blur, motion_blur

RNG = np.random.default_rng(3)
NOISE = RNG.integers(0, 256, (14, 17, 3), dtype=np.uint8)


def by_hand(image, kernel):
    """The weighted mean around each pixel; edges are reflected, the outermost pixel once."""
    reach = len(kernel) // 2
    wide = np.pad(image.astype(float), ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    out = np.zeros(image.shape)
    for y, row in enumerate(kernel):
        for x, weight in enumerate(row):
            out += weight * wide[y : y + image.shape[0], x : x + image.shape[1]]
    return out


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.7])
def test_a_gaussian_weighs_by_the_distance(sigma):
    reach = math.ceil(3 * sigma)
    along = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    kernel = np.outer(along, along) / along.sum() ** 2
    found = gaussian_blur(NOISE, sigma=sigma)
    assert np.abs(found - by_hand(NOISE, kernel)).max() <= 2  # weights are whole 256ths, twice


def test_a_median_is_the_middle_value_of_the_window():
    wide = np.pad(NOISE, ((1, 1), (1, 1), (0, 0)), mode="edge")
    windows = [wide[y : y + 14, x : x + 17] for y in range(3) for x in range(3)]
    np.testing.assert_array_equal(median_blur(NOISE, side=3), np.median(windows, axis=0))


@pytest.mark.parametrize(
    ("angle", "direction"), [(0.0, (0, 1)), (math.pi / 2, (1, 0)), (math.pi / 4, (1, 1))]
)
def test_a_smear_is_the_mean_along_its_line(angle, direction):
    image = np.zeros((15, 15, 3), np.uint8)
    image[7, 7] = 250
    found = motion_blur(image, length=5, angle=angle)[..., 0]
    lit = {(int(y) - 7, int(x) - 7) for y, x in np.argwhere(found)}
    on_line = {(direction[0] * n, direction[1] * n) for n in range(-2, 3)}
    assert lit <= on_line
    assert int(found.sum()) == pytest.approx(250, abs=3)  # light is spread and not lost


def test_what_leaves_no_trace_returns_the_image_itself():
    assert gaussian_blur(NOISE, sigma=0) is NOISE
    assert median_blur(NOISE, side=1) is NOISE
    assert motion_blur(NOISE, length=1, angle=0.3) is NOISE


def test_the_image_is_not_written_to():
    before = NOISE.copy()
    gaussian_blur(NOISE, sigma=2)
    median_blur(NOISE, side=5)
    motion_blur(NOISE, length=5, angle=1)
    np.testing.assert_array_equal(NOISE, before)


def test_a_window_wider_than_the_image_is_fine():
    small = NOISE[:2, :3]
    for found in (
        gaussian_blur(small, sigma=5),
        median_blur(small, side=9),
        motion_blur(small, length=9, angle=0.5),
    ):
        assert found.shape == small.shape


@pytest.mark.parametrize("sigma", [-1.0, 41.0, math.nan])
def test_a_sigma_out_of_range_is_refused(sigma):
    with pytest.raises(BadInput, match="sigma must be from 0 to 40 pixels; got"):
        gaussian_blur(NOISE, sigma=sigma)


@pytest.mark.parametrize("side", [0, 2, -3, 257])
def test_an_even_or_endless_window_is_refused(side):
    with pytest.raises(BadInput, match=f"odd side from 1 to 255; got {side}"):
        median_blur(NOISE, side=side)
    with pytest.raises(BadInput, match=f"odd length from 1 to 255 .* got {side} and 0"):
        motion_blur(NOISE, length=side, angle=0)


def test_floats_are_refused():
    with pytest.raises(BadArray, match="an image must be uint8"):
        gaussian_blur(NOISE.astype(float), sigma=1)
