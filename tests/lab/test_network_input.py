"""Pixels as a network takes them."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.lab.training.network_input import to_input  # noqa: E402 - only where torch is

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("scale", [127.5, 128.0])
def test_numbers_are_pixels_around_the_middle_over_the_scale(scale):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    found = to_input(pictures, torch.device("cpu"), scale=scale)
    wanted = (pictures.astype(np.float64).transpose(0, 3, 1, 2) - 127.5) / scale
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-6)
    assert found.dtype == torch.float32


def test_the_channels_of_a_pixel_lie_side_by_side():
    found = to_input(np.zeros((2, 5, 7, 3), np.uint8), torch.device("cpu"))
    assert found.is_contiguous(memory_format=torch.channels_last)
