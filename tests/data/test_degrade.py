"""Degrade: each kind loses what it should, within its range, as often as it should."""

import numpy as np
import pytest

from tronie.data.augment.degrade import degrade, gaussian, jpeg, low_resolution, median, motion
from tronie.errors import BadArray, BadInput
from tronie.images.blur import gaussian_blur, median_blur, motion_blur
from tronie.images.io import decode_image, encode_image
from tronie.images.resize import resize

RNG = np.random.default_rng(5)
NOISE = RNG.integers(0, 256, (40, 36, 3), dtype=np.uint8)
KINDS = [low_resolution, jpeg, gaussian, median, motion]


def sharpness(image):
    return np.abs(np.diff(image.astype(float), axis=1)).mean()


def rng(seed=0):
    return np.random.default_rng(seed)


def test_low_resolution_is_shrunk_and_enlarged():
    small = resize(NOISE, width=18, height=20, method="area")
    found = low_resolution(NOISE, rng(), factor=(0.5, 0.5), p=1)
    np.testing.assert_array_equal(found, resize(small, width=36, height=40))


def test_jpeg_is_what_a_file_of_that_quality_gives():
    found = jpeg(NOISE, rng(), quality=(40, 40), p=1)
    np.testing.assert_array_equal(found, decode_image(encode_image(NOISE, ".jpg", quality=40)))


def test_gaussian_and_median_are_those_of_their_sizes():
    np.testing.assert_array_equal(
        gaussian(NOISE, rng(), sigma=(1, 1), p=1), gaussian_blur(NOISE, sigma=1)
    )
    np.testing.assert_array_equal(
        median(NOISE, rng(), side=(5, 5), p=1), median_blur(NOISE, side=5)
    )


def test_all_odd_sides_of_a_range_are_drawn_and_no_others():
    sides = [median_blur(NOISE, side=side) for side in (1, 3, 5, 7)]
    drawn = [median(NOISE, rng(n), p=1) for n in range(60)]
    which = [next(k for k, s in enumerate(sides) if (s == found).all()) for found in drawn]
    assert set(which) == {0, 1, 2, 3}


@pytest.mark.parametrize("seed", range(6))
def test_a_smear_has_any_direction_and_an_odd_length_of_its_range(seed):
    drawn = rng(seed).random(3)  # whether, the angle, the length
    angle, length = np.pi * drawn[1], 5 + 2 * int(4 * drawn[2])
    np.testing.assert_array_equal(
        motion(NOISE, rng(seed), p=1), motion_blur(NOISE, length=length, angle=angle)
    )


@pytest.mark.parametrize("change", KINDS)
def test_what_is_degraded_has_lost_something_and_kept_its_size(change):
    before = NOISE.copy()
    found = change(NOISE, rng(4), p=1)
    assert found.shape == NOISE.shape
    assert found.dtype == np.uint8
    assert (found != NOISE).any()
    assert change is jpeg or sharpness(found) < sharpness(NOISE)  # a JPEG rings at edges
    np.testing.assert_array_equal(NOISE, before)
    np.testing.assert_array_equal(found, change(NOISE, rng(4), p=1))


@pytest.mark.parametrize("change", KINDS)
def test_it_happens_as_often_as_asked(change):
    assert change(NOISE, rng(), p=0) is NOISE
    small = NOISE[:8, :8]
    happened = sum(change(small, rng(n), p=0.3) is not small for n in range(300))
    # A median of side 1, a quarter of them, gives the image itself.
    share = 0.225 if change is median else 0.3
    assert abs(happened / 300 - share) < 0.08  # three standard deviations


@pytest.mark.parametrize(
    ("change", "odd", "told"),
    [
        (low_resolution, {"factor": (0.0, 0.5)}, r"a range of factors in \(0, 1\]; got"),
        (low_resolution, {"factor": (0.5, 1.5)}, r"a range of factors in \(0, 1\]; got"),
        (jpeg, {"quality": (0, 50)}, "quality is a range in 1 to 100; got"),
        (jpeg, {"quality": (80, 30)}, "quality is a range in 1 to 100; got"),
        (gaussian, {"sigma": (-1, 2)}, "sigma is a range in 0 to 40 pixels; got"),
        (median, {"side": (2, 6)}, "a median's window has a range of odd pixels"),
        (motion, {"length": (5, 12)}, "a smear has a range of odd pixels"),
    ],
)
def test_a_range_that_is_none_is_refused(change, odd, told):
    with pytest.raises(BadInput, match=told):
        change(NOISE, rng(), p=0, **odd)


@pytest.mark.parametrize("change", KINDS)
def test_floats_are_refused(change):
    with pytest.raises(BadArray, match="an image must be uint8"):
        change(NOISE / 255, rng(), p=0)


def test_faults_come_together_or_not_at_all():
    image = np.random.default_rng(3).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    assert degrade(image, np.random.default_rng(0), p=0.0) is image
    rng, other = np.random.default_rng(5), np.random.default_rng(5)
    want = jpeg(low_resolution(image, other, p=1.0), other, p=1.0)
    other.random()
    blur = (gaussian, median, motion)[int(other.random() * 3)]
    want = blur(want, other, p=1.0)
    np.testing.assert_array_equal(degrade(image, rng, p=1.0), want)
    assert rng.random() == other.random()
