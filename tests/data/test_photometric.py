"""Photometric: each change against its formula, its range, and how often it happens."""

import numpy as np
import pytest

from tronie.data.augment.photometric import adjusted, distort, grey, jitter
from tronie.errors import BadArray, BadInput
from tronie.images.colors import recolored

RNG = np.random.default_rng(5)
IMAGE = RNG.integers(60, 180, (9, 7, 3), dtype=np.uint8)


def rounded(values):
    return np.rint(values).clip(0, 255)


def luma(image):
    return (0.299 * image[..., 0] + 0.587 * image[..., 1] + 0.114 * image[..., 2])[..., None]


def test_brightness_is_a_factor():
    np.testing.assert_array_equal(adjusted(IMAGE, brightness=0.2), rounded(IMAGE * 1.2))
    assert adjusted(IMAGE, brightness=1.0).max() == 255  # cut, and not wrapped around


def test_contrast_spreads_around_the_mean_grey():
    mean = luma(IMAGE.astype(float)).mean()
    found = adjusted(IMAGE, contrast=-0.5)
    assert np.abs(found - (mean + (IMAGE - mean) * 0.5)).max() <= 0.51  # float32, then rounded
    assert adjusted(IMAGE, contrast=-1.0).std() == 0


def test_saturation_spreads_around_the_grey_of_each_pixel():
    grey_of = luma(IMAGE.astype(float))
    found = adjusted(IMAGE, saturation=0.5)
    assert np.abs(found - rounded(grey_of + (IMAGE - grey_of) * 1.5)).max() <= 1


def test_grey_has_three_equal_channels_and_keeps_what_is_grey():
    found = grey(IMAGE, np.random.default_rng(0), p=1)
    assert (np.ptp(found, axis=2) == 0).all()
    assert np.abs(found[..., :1] - luma(IMAGE.astype(float))).max() <= 0.51
    np.testing.assert_array_equal(grey(found, np.random.default_rng(0), p=1), found)


def test_no_change_is_no_change():
    np.testing.assert_array_equal(adjusted(IMAGE), IMAGE)
    still = jitter(IMAGE, np.random.default_rng(0), brightness=0, contrast=0, saturation=0)
    np.testing.assert_array_equal(still, IMAGE)


def test_jitter_reaches_its_ranges_and_does_not_pass_them():
    flat = np.full((4, 4, 3), 100, np.uint8)
    found = [
        int(jitter(flat, np.random.default_rng(n), brightness=0.3, contrast=0)[0, 0, 0])
        for n in range(400)
    ]
    assert min(found) in (70, 71)
    assert max(found) in (129, 130)


@pytest.mark.parametrize("change", [jitter, grey])
def test_at_probability_0_the_image_itself_comes_back(change):
    assert change(IMAGE, np.random.default_rng(0), p=0) is IMAGE


def test_the_same_seed_gives_the_same_image_and_the_original_is_kept():
    before = IMAGE.copy()
    first = jitter(IMAGE, np.random.default_rng(9), saturation=0.5)
    np.testing.assert_array_equal(first, jitter(IMAGE, np.random.default_rng(9), saturation=0.5))
    np.testing.assert_array_equal(IMAGE, before)
    assert (first != IMAGE).any()


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
@pytest.mark.parametrize("most", [-0.1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(name, most):
    with pytest.raises(BadInput, match=rf"{name} changes by a share in \[0, 1\] at most; got"):
        jitter(IMAGE, np.random.default_rng(0), **{name: most})


def test_floats_are_refused():
    with pytest.raises(BadArray, match="an image must be uint8"):
        jitter(IMAGE / 255, np.random.default_rng(0))
    with pytest.raises(BadArray, match="an image must be uint8"):
        grey(IMAGE / 255, np.random.default_rng(0))


class Scripted:
    """A generator whose numbers are known."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def random(self):
        return self.numbers.pop(0)


NEVER = (0.9, 0.5)


def distorted(brightness=NEVER, contrast=NEVER, early=0.0, saturation=NEVER, hue=NEVER):
    rng = Scripted(0.0, *brightness, *contrast, early, *saturation, *hue)
    found = distort(IMAGE, rng)
    assert not rng.numbers
    return found.astype(float)


def test_a_distortion_adds_and_multiplies_levels():
    np.testing.assert_array_equal(distorted(), IMAGE)
    np.testing.assert_array_equal(distorted(brightness=(0, 1.0)), rounded(IMAGE + 32.0))
    np.testing.assert_array_equal(distorted(contrast=(0, 0.0)), rounded(IMAGE * 0.5))
    both = distorted(brightness=(0, 0.0), contrast=(0, 1.0))
    np.testing.assert_array_equal(both, rounded((IMAGE - 32.0) * 1.5))


def test_contrast_comes_before_the_colors_or_after():
    """At 1.5 times its levels a bright color is cut, and then has another hue to turn."""
    early = distorted(contrast=(0, 1.0), early=0.0, saturation=(0, 0.0))
    late = distorted(contrast=(0, 1.0), early=0.9, saturation=(0, 0.0))
    np.testing.assert_array_equal(late, rounded(distorted(saturation=(0, 0.0)) * 1.5))
    assert (early != late).any()


def test_colors_are_changed_as_images_changes_them():
    np.testing.assert_array_equal(distorted(saturation=(0, 1.0)), recolored(IMAGE, saturation=1.5))
    np.testing.assert_array_equal(distorted(hue=(0, 0.0)), recolored(IMAGE, hue=-np.pi / 10))


def test_a_distortion_that_does_not_happen_takes_one_number():
    rng = Scripted(0.7)
    assert distort(IMAGE, rng, p=0.5) is IMAGE
    assert not rng.numbers


@pytest.mark.parametrize(
    "odd", [{"brightness": -1}, {"contrast": (-0.1, 1)}, {"saturation": (-1, 1)}, {"hue": 4}]
)
def test_a_distortion_out_of_range_is_refused(odd):
    with pytest.raises(BadInput, match="brightness changes by 0 to 255 levels, contrast and sat"):
        distort(IMAGE, np.random.default_rng(0), **odd)


def test_a_distortion_takes_images_only():
    with pytest.raises(BadArray, match="an image must be uint8"):
        distort(IMAGE / 255, np.random.default_rng(0))
