"""Scales of crops: the nearest run is found, and it is the one that shows faces at their size."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from tronie.data.augment.face_photo import boxes_only
from tronie.data.face_scales import LabeledSize
from tronie.data.scale_matching import (
    faces_to_find,
    fit_of,
    fits_of_runs,
    octaves_apart,
    percentiles,
    sizes_by_scale,
    target_sizes,
)
from tronie.errors import BadInput, NotEnoughData


def photo(side=20, *, width=320, height=320):
    """One face in the middle of a photograph."""
    x, y = (width - side) / 2, (height - side) / 2
    return LabeledSize(boxes_only([[x, y, x + side, y + side]]), width, height)


def test_the_distance_is_that_of_scipy():
    rng = np.random.default_rng(3)
    for count in (1, 7, 200):
        one, other = rng.lognormal(3, 1, count), rng.lognormal(2.5, 1.5, 90)
        expected = wasserstein_distance(np.log2(one), np.log2(other))
        assert octaves_apart(one, other) == pytest.approx(expected, abs=1e-12)
        assert octaves_apart(other, one) == pytest.approx(expected, abs=1e-12)
    assert octaves_apart(one, one) == 0
    assert octaves_apart(2 * one, one) == pytest.approx(1)


def test_faces_to_be_found_are_seen_on_the_canvas():
    small, large = photo(8, width=320, height=160), photo(40, width=1280)
    assert target_sizes([small, large]).tolist() == pytest.approx([16, 20])
    assert target_sizes([small, large], canvas=320).tolist() == pytest.approx([8, 10])
    high = faces_to_find([small, large], least_height=10)
    assert target_sizes(high).tolist() == pytest.approx([20])
    large.labels.ignore[0] = True
    seen = faces_to_find([small, large], least_height=0)
    assert target_sizes(seen).tolist() == pytest.approx([16])
    with pytest.raises(NotEnoughData, match="2 photographs have no face that is to be found"):
        target_sizes(faces_to_find([small, large], least_height=9))


def test_crops_that_show_what_is_seen_are_no_octave_off_whatever_counts():
    """Square photographs as large as canvas and crops: scale 1 shows just what is to be found."""
    rng = np.random.default_rng(0)
    every = [photo(side, width=640, height=640) for side in rng.lognormal(2.8, 0.8, 40)]
    for least_height in (0, 16):
        photos = faces_to_find(every, least_height=least_height)
        sizes = sizes_by_scale(photos, [0.6, 1.0, 1.4], crops=40)
        fits = fits_of_runs([0.6, 1.0, 1.4], sizes, target_sizes(photos), least=1, crops=40)
        assert fits[0].scales == (1.0,)
        assert fits[0].octaves == pytest.approx(0, abs=1e-6)


def test_of_more_photographs_than_crops_some_are_drawn_anywhere():
    photos = [photo(20)] * 50 + [photo(80)] * 50
    sizes = sizes_by_scale(photos, [1.0], size=320, crops=50)[1.0]
    assert 10 < (sizes > 40).sum() < 40


def test_a_crop_of_a_scale_shows_a_face_by_its_scale():
    """A square of half the side, 160 pixels, brought to 320, shows 20 pixels as 40."""
    sizes = sizes_by_scale([photo()], [1.0, 0.5, 0.5], size=320, crops=5)
    assert list(sizes) == [0.5, 1.0]
    assert {round(float(one), 3) for one in sizes[0.5]} == {40}
    assert {round(float(one), 3) for one in sizes[1.0]} == {20}


def test_the_nearest_run_is_the_one_that_shows_faces_at_their_size():
    """Photographs of 320 pixels are seen at 640: a square of half the side shows the same."""
    photos = [photo(side) for side in (10, 20, 40)]
    grid = [0.25, 0.5, 1.0, 2.0]
    sizes = sizes_by_scale(photos, grid, size=320, crops=30)
    target = target_sizes(photos)
    fits = fits_of_runs(grid, sizes, target, least=1, crops=30)
    assert len(fits) == 10
    assert fits[0].scales == (0.5,)
    assert fits[0].octaves == pytest.approx(0, abs=1e-6)
    assert [fit.octaves for fit in fits] == sorted(fit.octaves for fit in fits)
    far = next(fit for fit in fits if fit.scales == (2.0,))
    assert (far.octaves, far.larger) == (pytest.approx(2, abs=0.01), pytest.approx(-2, abs=0.01))
    assert far.small == 1.0
    assert far.faces_per_crop == 1.0
    longer = fits_of_runs(grid, sizes, target, least=3, crops=30)
    assert [len(fit.scales) for fit in longer] == [3, 4, 3]
    assert longer[0].scales == (0.25, 0.5, 1.0)


def test_a_run_is_the_mixture_of_its_scales():
    sizes = {0.5: np.array([16.0, 16.0, 16.0]), 1.0: np.array([64.0])}
    fit = fit_of([0.5, 1.0], sizes, np.array([16.0]), crops=2)
    assert fit.octaves == pytest.approx(2 / 4)
    assert fit.faces_per_crop == 1.0
    assert fit.small == 0.75
    assert (fit.percentiles[0], fit.percentiles[-1]) == (16.0, pytest.approx(62.56))
    assert len(percentiles(sizes[0.5])) == 99


def test_what_cannot_be_matched_is_refused():
    with pytest.raises(BadInput, match=r"a rising grid of 3 or more; got 1, 2"):
        fits_of_runs([1.0, 2.0], {}, np.ones(1), least=3, crops=1)
    with pytest.raises(BadInput, match=r"a rising grid of 1 or more; got 2, 1"):
        fits_of_runs([2.0, 1.0], {}, np.ones(1), least=1, crops=1)
    with pytest.raises(
        NotEnoughData, match="4 crops of 1 of the short side hold no face; leave that"
    ):
        sizes_by_scale([LabeledSize(boxes_only([]), 99, 99)], [1.0], crops=4)
