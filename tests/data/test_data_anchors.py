"""Data anchors: which sizes a face may be given, and how often."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.data.augment.data_anchors import anchor_size, data_anchor_crop, data_anchor_window
from tronie.data.augment.face_photo import boxes_only, photographed


class Scripted:
    """A generator whose numbers are known."""

    def __init__(self, index, draw):
        self.index, self.draw, self.upper = index, draw, None

    def integers(self, upper):
        self.upper = upper
        return self.index

    def random(self):
        return self.draw


@pytest.mark.parametrize(
    ("face", "choices"),
    [(3, 2), (16, 2), (25, 3), (60, 4), (130, 5), (256, 6), (500, 6), (5000, 6)],
)
def test_an_anchor_is_one_up_to_the_next_after_the_nearest(face, choices):
    rng = Scripted(0, 0.5)
    assert anchor_size(rng, float(face)) == 16
    assert rng.upper == choices


@pytest.mark.parametrize(("draw", "size"), [(0.0, 32), (0.5, 64), (1.0, 128)])
def test_an_anchor_is_moved_by_an_octave_at_most(draw, size):
    assert anchor_size(Scripted(2, draw), 64.0) == size


def test_large_faces_become_small_far_more_often_than_the_other_way_round():
    labels = boxes_only([[100, 100, 356, 356]])
    sides = [
        data_anchor_window(labels, np.random.default_rng(n), width=800, height=600, size=640).side
        for n in range(400)
    ]
    sizes = 256 * 640 / np.array(sides)
    assert (sizes < 128).mean() > 0.5
    assert sizes.min() >= 8
    assert sizes.max() <= 1024


def test_the_crop_is_the_windows_picture():
    photo = photographed(np.zeros((80, 90, 3), np.uint8), boxes_only([[30, 30, 50, 50]]))
    found = data_anchor_crop(photo, np.random.default_rng(2), size=96)
    assert found.image.shape == (96, 96, 3)
    assert len(found) == 1
