"""Masks: the same face, the same mask; the shares of kinds; pixels that are not touched."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

import toys
from tronie.data.augment.mask_shapes import worn
from tronie.data.augment.masks import KIND_SHARES, mask_for, put_on, sometimes_masked
from tronie.errors import BadArray, BadInput, NotFound
from tronie.geometry.alignment import five_point_template
from tronie.images.warp import aligned_crops
from working_tree import environment

POINTS = np.array(toys.FIVE_POINTS, np.float32)
FACE = toys.toy_face(1)
CROP = aligned_crops(FACE, POINTS[None])[0]


def test_the_same_key_gets_the_same_mask_and_another_another():
    assert mask_for("Ada") == mask_for("Ada")
    assert mask_for(7, seed=3) == mask_for(np.int64(7), seed=3)
    masks = {mask_for(f"person {n}") for n in range(200)}
    assert len(masks) == 200  # the phase of the creases alone tells them apart
    assert mask_for("Ada", seed=1) != mask_for("Ada")
    assert mask_for("7") != mask_for(7)


def test_the_same_key_gets_the_same_mask_in_another_process():
    code = "from tronie.data.augment.masks import mask_for; print(mask_for('Ada', seed=5))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment(), "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(mask_for("Ada", seed=5))


def test_kinds_have_their_shares_over_many_keys():
    keys = 4000
    found = Counter(mask_for(n, seed=11).kind for n in range(keys))
    assert sum(KIND_SHARES.values()) == pytest.approx(1)
    assert set(found) == set(KIND_SHARES)
    asked = [keys * share for share in KIND_SHARES.values()]
    assert chisquare([found[kind] for kind in KIND_SHARES], asked).pvalue > 0.001


@pytest.mark.parametrize("kind", KIND_SHARES)
def test_a_kind_can_be_asked_for(kind):
    assert {mask_for(n, kind=kind).kind for n in range(20)} == {kind}


def test_an_unknown_kind_is_refused_with_a_proposal():
    with pytest.raises(NotFound, match=r"no entry 'surgica' in the kinds of masks\. Did you mean"):
        mask_for("Ada", kind="surgica")


def test_crops_are_masked_with_their_probability():
    masked = sum(
        sometimes_masked(CROP, np.random.default_rng([9, n]), key=n % 7, p=0.2) is not CROP
        for n in range(300)
    )
    assert chisquare([masked, 300 - masked], [60, 240]).pvalue > 0.001


def test_at_probability_0_the_image_itself_comes_back():
    assert all(
        sometimes_masked(CROP, np.random.default_rng(n), key=n, p=0) is CROP for n in range(50)
    )


def test_which_mask_it_is_does_not_depend_on_the_generator():
    one = sometimes_masked(CROP, np.random.default_rng(1), key="Ada", p=1)
    other = sometimes_masked(CROP, np.random.default_rng(2), key="Ada", p=1)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(one, put_on(CROP, five_point_template(), mask_for("Ada")))


@pytest.mark.parametrize("kind", KIND_SHARES)
def test_pixels_outside_the_mask_keep_every_bit_and_those_inside_change(kind):
    mask = mask_for("Ada", kind=kind)
    before = FACE.copy()
    found = put_on(FACE, POINTS, mask)
    on = worn(POINTS, kind, lowered=mask.lowered, size=FACE.shape[:2])
    covered = np.zeros(FACE.shape[:2], bool)
    covered[on.rows, on.columns] = True
    np.testing.assert_array_equal(found[~covered], FACE[~covered])
    assert (found[covered] != FACE[covered]).any(axis=1).mean() > 0.95
    np.testing.assert_array_equal(FACE, before)


def test_the_eyes_are_seen_through_no_mask():
    for n in range(12):
        found = put_on(FACE, POINTS, mask_for(n))
        for x, y in POINTS[:2].astype(int):
            window = np.s_[y - 6 : y + 7, x - 10 : x + 11]
            np.testing.assert_array_equal(found[window], FACE[window])


def test_light_from_one_side_lights_that_side_of_the_mask():
    ramp = np.linspace(60, 200, 160).astype(np.uint8)
    lit = np.tile(ramp[None, :, None], (160, 1, 3))
    found = put_on(lit, POINTS, mask_for("Ada", kind="cup")).astype(int)
    left, right = found[105:112, 60:66].mean(), found[105:112, 94:100].mean()
    assert right > 1.15 * left
    mirrored = put_on(np.ascontiguousarray(lit[:, ::-1]), POINTS, mask_for("Ada", kind="cup"))
    assert mirrored[105:112, 60:66].mean() > 1.15 * mirrored[105:112, 94:100].mean()


def test_a_dark_photograph_darkens_the_mask_and_one_without_colors_bleaches_it():
    mask = mask_for("Ada", kind="cloth")
    dark = put_on(FACE // 4, POINTS, mask)
    assert dark[100:120, 70:90].mean() < 0.5 * put_on(FACE, POINTS, mask)[100:120, 70:90].mean()
    plain = np.repeat(FACE.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    assert np.ptp(put_on(plain, POINTS, mask).astype(int), axis=2).max() <= 1


def test_a_mask_outside_the_photograph_leaves_it():
    assert put_on(FACE, POINTS + 2000, mask_for("Ada")) is FACE
    assert put_on(FACE, 50 * POINTS + 90_000, mask_for("Ada")) is FACE


def test_a_very_large_face_is_masked_as_a_smaller_one_is_and_keeps_its_eyes():
    side = 12  # 45 eye pixels become 530
    large = np.repeat(np.repeat(FACE, side, axis=0), side, axis=1)
    points = (POINTS.astype(float) + 0.5) * side - 0.5
    mask = mask_for("Ada", kind="surgical")
    found = put_on(large, points, mask)
    small = put_on(FACE, POINTS, mask)
    shrunk = found.reshape(160, side, 160, side, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - small).mean() < 2
    for x, y in points[:2].astype(int):
        window = np.s_[y - 80 : y + 81, x - 120 : x + 121]
        np.testing.assert_array_equal(found[window], large[window])
    np.testing.assert_array_equal(found[: 50 * side], large[: 50 * side])


def test_points_far_apart_in_a_small_picture_take_little_memory():
    found = put_on(FACE, POINTS * 1e5, mask_for("Ada"))
    assert found.shape == FACE.shape


def test_crops_of_other_templates_are_masked_too_and_others_refused():
    large = aligned_crops(FACE, POINTS[None], size=224)[0]
    found = sometimes_masked(large, np.random.default_rng(0), key="Ada", p=1)
    assert (found != large).any()
    with pytest.raises(BadInput, match="aligned crops are squares of a multiple of 112"):
        sometimes_masked(FACE, np.random.default_rng(0), key="Ada", p=1)


def test_what_is_no_image_or_no_face_is_refused():
    with pytest.raises(BadArray, match="an image must be uint8"):
        put_on(FACE / 255, POINTS, mask_for("Ada"))
    with pytest.raises(BadArray, match=r"a mask needs five points, shape \(5, 2\)"):
        put_on(FACE, POINTS[:4], mask_for("Ada"))
    with pytest.raises(BadInput, match=r"a probability must be in \[0, 1\]; got 2"):
        sometimes_masked(CROP, np.random.default_rng(0), key="Ada", p=2)
