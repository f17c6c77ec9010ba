"""Pixels: what counts as an image."""

import numpy as np
import pytest

from tronie.errors import BadArray
from tronie.images.pixels import expect_image


@pytest.mark.parametrize("shape", [(1, 1, 3), (10000, 2, 3)])
def test_uint8_rgb_of_any_size_is_an_image(shape):
    expect_image(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((3, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_anything_else_is_refused_with_what_it_is(image):
    with pytest.raises(
        BadArray, match=rf"uint8 of shape \(H, W, 3\) .* got {image.dtype} of shape"
    ):
        expect_image(image)
