"""Colors: hue and saturation against colorsys, tables against indexing."""

from __future__ import annotations

import colorsys
import math

import numpy as np
import pytest

from tronie.errors import BadArray, BadInput
from tronie.images.colors import recolored, through_table

IMAGE = np.random.default_rng(2).integers(0, 256, (13, 11, 3), dtype=np.uint8)


def by_hand(image, hue, saturation):
    out = np.zeros(image.shape)
    for place in np.ndindex(image.shape[:2]):
        h, s, v = colorsys.rgb_to_hsv(*(image[place] / 255))
        out[place] = colorsys.hsv_to_rgb((h + hue / math.tau) % 1, min(1, s * saturation), v)
    return out * 255


@pytest.mark.parametrize(
    ("hue", "saturation"), [(0, 1), (0.3, 1), (-0.3, 1), (0, 0.5), (0, 1.5), (math.pi, 1.2)]
)
def test_hue_and_saturation_are_those_of_hsv(hue, saturation):
    found = recolored(IMAGE, hue=hue, saturation=saturation)
    off = np.abs(found - by_hand(IMAGE, hue, saturation))
    assert off.max() <= 8  # a hue has 256 places: 6 levels of a full color each
    assert off.mean() <= 1.6


def test_a_third_of_a_turn_makes_red_green_and_grey_stays():
    colors = np.array([[[255, 0, 0], [77, 77, 77]]], np.uint8)
    assert recolored(colors, hue=math.tau / 3).tolist() == [[[0, 255, 0], [77, 77, 77]]]


def test_without_saturation_all_channels_are_the_greatest():
    found = recolored(IMAGE, saturation=0.0)
    np.testing.assert_array_equal(found, np.repeat(IMAGE.max(axis=2)[..., None], 3, axis=2))


def test_a_table_replaces_levels_and_leaves_the_image():
    table = np.random.default_rng(0).permutation(256).astype(np.uint8)
    before = IMAGE.copy()
    np.testing.assert_array_equal(through_table(IMAGE, table), table[IMAGE])
    np.testing.assert_array_equal(IMAGE, before)


@pytest.mark.parametrize("table", [np.zeros(255, np.uint8), np.zeros(256)])
def test_a_table_of_another_shape_is_refused(table):
    with pytest.raises(BadArray, match=r"a table is \(256,\) uint8; got"):
        through_table(IMAGE, table)


@pytest.mark.parametrize(("hue", "saturation"), [(math.nan, 1), (0, -0.1), (math.inf, 1)])
def test_numbers_out_of_range_are_refused(hue, saturation):
    with pytest.raises(BadInput, match="a hue is an angle in radians and a saturation a factor"):
        recolored(IMAGE, hue=hue, saturation=saturation)


def test_what_is_no_image_is_refused():
    with pytest.raises(BadArray, match="an image must be uint8"):
        recolored(IMAGE / 255)
    with pytest.raises(BadArray, match="an image must be uint8"):
        through_table(IMAGE[..., 0], np.zeros(256, np.uint8))
