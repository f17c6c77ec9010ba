"""The tensor a network takes, against the formula written as a loop."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.runtime.contract import Contract
from tronie.runtime.pixels import network_input

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3), np.uint8)


@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize(
    ("mean", "std"),
    [((0, 0, 0), (1, 1, 1)), ((127.5,) * 3, (128.0,) * 3), ((1, 2, 3), (4, 5, 6))],
)
def test_each_value_is_the_nearest_float32_to_the_formula(color, mean, std):
    contract = Contract(kind="embedder", format="embedding", color=color, mean=mean, std=std)
    got = network_input(IMAGES, contract)
    assert got.dtype == np.float32
    assert got.flags.c_contiguous
    for n in range(2):
        for channel in range(3):
            source = channel if color == "rgb" else 2 - channel
            for row in range(3):
                for column in range(4):
                    shifted = np.float32(IMAGES[n, row, column, source]) - np.float32(mean[channel])
                    assert got[n, channel, row, column] == shifted / np.float32(std[channel])


def test_the_images_are_left_alone_even_where_nothing_is_subtracted():
    before = IMAGES.copy()
    contract = Contract(kind="embedder", format="embedding", mean=(0, 0, 0), std=(1, 1, 1))
    network_input(IMAGES, contract)[...] = 7
    np.testing.assert_array_equal(IMAGES, before)


def test_no_image_gives_an_empty_tensor():
    contract = Contract(kind="embedder", format="embedding")
    assert network_input(IMAGES[:0], contract).shape == (0, 3, 3, 4)
