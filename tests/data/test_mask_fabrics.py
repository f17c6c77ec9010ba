"""Fabrics: colors within their range, patterns where they belong, lines that no pixel loses."""

import numpy as np
import pytest

from tronie.data.augment.mask_fabrics import PATTERNS, Fabric, albedo

RED, BLUE = (200, 40, 40), (40, 40, 200)
U, V = (grid.ravel() for grid in np.meshgrid(np.linspace(-1, 1, 81), np.linspace(0, 1, 81)))
EVERY = [(kind, pattern) for kind, patterns in PATTERNS.items() for pattern in patterns]


def fabric(kind, pattern="plain", count=4):
    return Fabric(kind=kind, pattern=pattern, color=RED, second=BLUE, count=count, phase=0.3)


@pytest.mark.parametrize(("kind", "pattern"), EVERY)
def test_colors_are_shares_of_light_and_near_those_of_the_fabric(kind, pattern):
    colors = albedo(fabric(kind, pattern), U, V, pixel=0.005)
    assert colors.shape == (81 * 81, 3)
    assert (colors >= 0).all()
    assert (colors <= 1).all()
    redness = (colors[:, 0] - colors[:, 2]) * 255 / 160  # 1 is red, -1 is blue
    assert np.median(np.abs(redness)) > 0.4
    has_both = (redness > 0.5).any() & (redness < -0.5).any()
    assert has_both == (pattern in ("stripes", "dots", "waves", "checks"))


def test_stripes_run_across_and_repeat_as_often_as_stated():
    v = np.linspace(0, 1, 1000)
    colors = albedo(fabric("cloth", "stripes", count=5), np.full(1000, 0.4), v, pixel=0.001)
    blue = colors[:, 2] > colors[:, 0]
    assert abs(int((np.diff(blue.astype(int)) != 0).sum()) - 2 * 5 * 0.8) <= 1
    across = albedo(
        fabric("cloth", "stripes"), np.linspace(-0.8, 0.8, 50), np.full(50, 0.2), pixel=0.01
    )
    assert len({bool(c[2] > c[0]) for c in across}) == 1


def test_straps_have_the_second_color():
    nowhere = np.array([np.nan, np.nan])
    colors = albedo(fabric("surgical"), nowhere, nowhere, pixel=0.01)
    np.testing.assert_allclose(colors, np.tile(np.array(BLUE) / 255, (2, 1)))


def test_a_surgical_mask_has_three_pleats():
    v = np.linspace(0.15, 0.9, 2000)
    light = albedo(fabric("surgical"), np.zeros(2000), v, pixel=0.001)[:, 0]
    dark = light < 0.85 * np.median(light)
    starts = np.flatnonzero(dark[1:] & ~dark[:-1])
    np.testing.assert_allclose(v[starts], [0.3, 0.5, 0.7], atol=0.02)


def test_narrow_lines_keep_their_darkness_at_any_size_of_pixels():
    """Summed over all pixels a line takes away the same light, however coarse they are."""
    lost = []
    for pixel in (0.002, 0.01, 0.03):
        u = np.arange(-0.5, 0.5, pixel)
        v = np.full(len(u), 0.4)
        plain = albedo(fabric("cloth"), u, v, pixel=pixel)[:, 0]
        lost.append((np.median(plain) - plain).clip(0).sum() * pixel)
    assert max(lost) < 1.6 * min(lost)


@pytest.mark.parametrize("kind", PATTERNS)
def test_relief_is_the_same_left_and_right(kind):
    straight = fabric(kind)
    one = albedo(straight, U, V, pixel=0.01)
    other = albedo(straight, -U, V, pixel=0.01)
    assert np.abs(one - other).max() < 0.09  # the ripples of the cloth alone differ
