"""Drawn crops are the same each time, all different, and unlike their mirror images."""

from __future__ import annotations

import numpy as np

from tronie.server.challenge.probe_crops import drawn_crops


def test_crops_are_seeded():
    crops = drawn_crops(4)
    assert (crops.shape, crops.dtype) == ((4, 112, 112, 3), np.uint8)
    np.testing.assert_array_equal(crops, drawn_crops(4))
    np.testing.assert_array_equal(crops, drawn_crops(6)[:4])
    assert (drawn_crops(4, seed=1) != crops).any()


def test_crops_differ_from_each_other_and_their_mirrors_by_more_than_noise():
    crops = drawn_crops(8).astype(float)
    for n, crop in enumerate(crops):
        others = [np.abs(crop - other).mean() for m, other in enumerate(crops) if m != n]
        assert min(others) > 10
        assert np.abs(crop - crop[:, ::-1]).mean() > 6
