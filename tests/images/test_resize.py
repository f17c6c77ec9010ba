"""Letterbox and resize: the size rule, the scales, and pixels against a double loop."""

import numpy as np
import pytest

from tronie.errors import BadArray, BadInput
from tronie.images.resize import letterbox, resize

RNG = np.random.default_rng(17)


def bilinear(image, width, height):
    """Each new pixel's centre is looked up in the old image; edges repeat."""
    old_h, old_w = image.shape[:2]
    out = np.zeros((height, width, 3))
    for y in range(height):
        for x in range(width):
            sy = min(max((y + 0.5) * old_h / height - 0.5, 0), old_h - 1)
            sx = min(max((x + 0.5) * old_w / width - 0.5, 0), old_w - 1)
            y0, x0 = int(sy), int(sx)
            y1, x1 = min(y0 + 1, old_h - 1), min(x0 + 1, old_w - 1)
            fy, fx = sy - y0, sx - x0
            top = image[y0, x0] * (1 - fx) + image[y0, x1] * fx
            low = image[y1, x0] * (1 - fx) + image[y1, x1] * fx
            out[y, x] = top * (1 - fy) + low * fy
    return out


@pytest.mark.parametrize(("width", "height"), [(7, 5), (30, 44), (13, 40)])
def test_resize_mixes_the_four_pixels_around(width, height):
    image = RNG.integers(0, 255, (20, 24, 3), dtype=np.uint8)
    found = resize(image, width=width, height=height)
    assert found.shape == (height, width, 3)
    assert np.abs(found - bilinear(image, width, height)).max() <= 1  # OpenCV's weights: 1 / 2048


def test_area_takes_the_mean_of_all_pixels_that_fall_into_one():
    image = RNG.integers(0, 255, (30, 40, 3), dtype=np.uint8)
    means = image.reshape(10, 3, 10, 4, 3).mean(axis=(1, 3))
    found = resize(image, width=10, height=10, method="area")
    assert np.abs(found - means).max() <= 0.5 + 1e-9
    assert np.abs(resize(image, width=10, height=10) - means).max() > 20  # bilinear skips pixels


def test_area_is_bilinear_where_an_image_shrinks_by_less_than_two():
    image = RNG.integers(0, 255, (30, 40, 3), dtype=np.uint8)
    for width, height in ((21, 16), (80, 60)):
        np.testing.assert_array_equal(
            resize(image, width=width, height=height, method="area"),
            resize(image, width=width, height=height),
        )


@pytest.mark.parametrize(
    ("old", "canvas", "new"),
    [
        ((400, 100), (320, 320), (320, 80)),
        ((100, 400), (320, 320), (80, 320)),
        ((640, 640), (640, 640), (640, 640)),
        ((1000, 333), (640, 640), (640, 213)),  # 333 * 640 / 1000 = 213.12
        ((1000, 334), (640, 640), (640, 214)),  # 213.76
        ((334, 1000), (640, 640), (214, 640)),
        ((50, 20), (640, 640), (640, 256)),  # small images grow
        ((1, 1), (64, 32), (32, 32)),
        ((10000, 2), (640, 640), (640, 1)),
        ((2, 10000), (640, 640), (1, 640)),
        ((7680, 4320), (640, 640), (640, 360)),  # 8K
    ],
)
def test_the_longer_way_fits_and_the_other_is_rounded(old, canvas, new):
    width, height = old
    image = RNG.integers(1, 255, (height, width, 3), dtype=np.uint8)
    boxed = letterbox(image, width=canvas[0], height=canvas[1])
    assert boxed.image.shape == (canvas[1], canvas[0], 3)
    new_width, new_height = boxed.scale_x * width, boxed.scale_y * height
    assert (round(new_width, 9), round(new_height, 9)) == new
    expected = resize(image, width=new[0], height=new[1])
    np.testing.assert_array_equal(boxed.image[: new[1], : new[0]], expected)


def test_the_rest_of_the_canvas_is_filled():
    image = np.full((10, 20, 3), 9, np.uint8)
    for pad_value in (0, 114, 255):
        boxed = letterbox(image, width=40, height=40, pad_value=pad_value)
        assert (boxed.image[:20] == 9).all()
        assert (boxed.image[20:] == pad_value).all()


def test_each_axis_has_the_scale_that_was_used():
    image = np.zeros((333, 1000, 3), np.uint8)
    boxed = letterbox(image, width=640, height=640)
    assert boxed.scale_x == 640 / 1000
    assert boxed.scale_y == 213 / 333  # the published code would say 0.64 or 0.6396 for both


def test_the_image_that_was_given_is_not_changed_nor_shared_by_a_letterbox():
    image = np.full((64, 64, 3), 7, np.uint8)
    boxed = letterbox(image, width=64, height=64)
    assert not np.shares_memory(boxed.image, image)
    assert boxed.scale_x == boxed.scale_y == 1.0
    np.testing.assert_array_equal(boxed.image, image)


@pytest.mark.parametrize("function", [letterbox, resize])
def test_what_is_no_image_is_refused(function):
    with pytest.raises(BadArray, match="an image must be uint8 of shape"):
        function(np.zeros((4, 4)), width=8, height=8)


@pytest.mark.parametrize("function", [letterbox, resize])
@pytest.mark.parametrize(("width", "height"), [(0, 8), (8, -1)])
def test_a_size_below_one_is_refused(function, width, height):
    with pytest.raises(BadInput, match="an image needs at least 1 x 1 pixels; asked for"):
        function(np.zeros((4, 4, 3), np.uint8), width=width, height=height)


@pytest.mark.parametrize("pad_value", [-1, 256])
def test_a_filling_that_is_no_pixel_value_is_refused(pad_value):
    with pytest.raises(BadInput, match="pad_value must be from 0 to 255; got"):
        letterbox(np.zeros((4, 4, 3), np.uint8), width=8, height=8, pad_value=pad_value)


def test_the_nearest_pixel_is_taken_where_that_is_asked():
    image = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    found = resize(image, width=12, height=8, method="nearest")
    np.testing.assert_array_equal(found, image.repeat(2, axis=0).repeat(2, axis=1))


@pytest.mark.parametrize("method", ["cubic", "lanczos"])
def test_finer_ways_follow_a_wave_closer_than_two_pixels_do(method):
    """Against the wave itself at the middles of the pixels, away from the edges."""

    def wave(count):
        places = (np.arange(count) + 0.5) / count
        return 127.5 + 100 * np.sin(2 * np.pi * 8 * places)

    image = np.repeat(np.rint(wave(64)).astype(np.uint8)[None, :, None], 3, axis=2).repeat(
        8, axis=0
    )
    wide = {
        one: resize(image, width=256, height=8, method=one)[4, 20:-20, 0].astype(float)
        for one in ("bilinear", method)
    }
    off = {one: np.abs(row - wave(256)[20:-20]).mean() for one, row in wide.items()}
    assert off[method] < 0.6 * off["bilinear"]
