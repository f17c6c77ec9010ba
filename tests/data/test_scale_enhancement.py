"""Scale enhancement: the released shares of sizes, and what they make of a face."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.data.augment.face_photo import boxes_only, photographed
from tronie.data.augment.scale_enhancement import (
    enhanced_size,
    scale_enhanced_crop,
    scale_enhanced_window,
)
from tronie.errors import BadInput


def test_levels_get_their_shares():
    """p5 0.20, p6 0.16; the even range below splits into p2 .0759, p3 .1937 and p4 .3704."""
    rng = np.random.default_rng(0)
    drawn = [enhanced_size(rng, 40.0) for _ in range(10_000)]
    counts, _ = np.histogram(drawn, [0, 16, 26.7, 54, 106.2, 212.4, 420.8, 1000])
    shares = counts / 10_000
    np.testing.assert_allclose(
        shares, [0, 0.0759, 0.1937, 0.3704, 0.20, 0.16, 0], atol=4 * 0.5 / 100
    )
    assert shares[0] == shares[-1] == 0


def test_a_face_is_brought_to_a_size_of_its_shares_whatever_it_has():
    labels = boxes_only([[500, 300, 530, 330]])
    sizes = []
    for n in range(500):
        window = scale_enhanced_window(
            labels, np.random.default_rng(n), width=1024, height=768, size=640
        )
        sizes.append(30 * 640 / window.side)
    assert 16 <= min(sizes) < 25
    assert 400 < max(sizes) <= 420.8
    assert 0.29 < np.mean(np.array(sizes) > 106.2) < 0.43


def test_the_crop_is_the_windows_picture():
    image = np.zeros((80, 90, 3), np.uint8)
    photo = photographed(image, boxes_only([[30, 30, 50, 50]]))
    found = scale_enhanced_crop(photo, np.random.default_rng(2), size=320)
    assert found.image.shape == (320, 320, 3)
    assert len(found) == 1
    assert found.boxes.min() >= 0
    assert found.boxes.max() <= 320


def test_a_size_below_1_is_refused():
    photo = photographed(np.zeros((8, 9, 3), np.uint8), boxes_only([]))
    with pytest.raises(BadInput, match="a picture's size is at least 1 pixel"):
        scale_enhanced_crop(photo, np.random.default_rng(2), size=0)
