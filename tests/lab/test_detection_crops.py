"""What a recipe has cut out of a photograph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from tronie.data.augment.data_anchors import data_anchor_crop
from tronie.data.augment.face_photo import FacePhoto, boxes_only, mirrored
from tronie.data.augment.scale_enhancement import scale_enhanced_crop
from tronie.data.augment.square_crops import square_crop
from tronie.lab.training.detection_crops import crops
from tronie.lab.training.detection_recipe import DetectionData

pytestmark = pytest.mark.lab

PLAIN = DetectionData(flip=0.0, photometric=0.0)


def photo():
    pixels = np.random.default_rng(7).integers(0, 256, (120, 200, 3), dtype=np.uint8)
    faces = boxes_only([[20, 20, 60, 70], [120, 40, 126, 47]])
    return FacePhoto(image=pixels, **vars(faces))


def rng(seed=0):
    return np.random.default_rng(seed)


def same(one, other):
    return (
        np.array_equal(one.image, other.image)
        and np.array_equal(one.boxes, other.boxes)
        and np.array_equal(one.ignore, other.ignore)
    )


@pytest.mark.parametrize("seed", range(5))
def test_each_word_of_crop_is_its_function(seed):
    scales = (0.5, 1.5)
    found = crops(replace(PLAIN, scales=scales))(photo(), rng(seed), 96)
    assert same(found, square_crop(photo(), rng(seed), size=96, scales=scales, pad_value=0))
    found = crops(replace(PLAIN, crop="scale-enhanced"))(photo(), rng(seed), 96)
    assert same(found, scale_enhanced_crop(photo(), rng(seed), size=96, pad_value=0))
    found = crops(replace(PLAIN, crop="data-anchor"))(photo(), rng(seed), 96)
    assert same(found, data_anchor_crop(photo(), rng(seed), size=96, pad_value=0))


@pytest.mark.parametrize("crop", ["square", "scale-enhanced", "data-anchor"])
def test_outside_the_photograph_it_is_as_dark_as_asked(crop):
    white = replace(photo(), image=np.full((40, 200, 3), 255, np.uint8))
    for level in (0, 128):  # a crop of the short side doubled, or of a face enlarged, goes outside
        settings = replace(PLAIN, crop=crop, scales=(2.0,), pad_value=level)
        found = [crops(settings)(white, rng(n), 96).image for n in range(20)]
        assert np.concatenate(found).min() == level


def test_a_crop_is_mirrored_as_often_as_it_is_asked():
    always = crops(replace(PLAIN, flip=1.0))(photo(), rng(), 96)
    never = crops(PLAIN)(photo(), rng(), 96)
    assert same(always, mirrored(never))
    half = [crops(replace(PLAIN, flip=0.5))(photo(), rng(n), 96) for n in range(60)]
    plain = [crops(PLAIN)(photo(), rng(n), 96) for n in range(60)]
    turned = sum(not same(a, b) for a, b in zip(half, plain, strict=True))
    assert 15 <= turned <= 45  # 60 tosses: beyond five standard deviations


def test_colors_change_and_faces_stay():
    plain = crops(PLAIN)(photo(), rng(), 96)
    found = crops(replace(PLAIN, photometric=1.0))(photo(), rng(), 96)
    assert not np.array_equal(found.image, plain.image)
    np.testing.assert_array_equal(found.boxes, plain.boxes)


@pytest.mark.parametrize("crop", ["square", "scale-enhanced", "data-anchor"])
def test_faces_that_are_too_small_in_the_crop_are_ignored(crop):
    data = replace(PLAIN, crop=crop, least_side=50.0)
    seen = [crops(data)(photo(), rng(n), 192) for n in range(40)]
    boxes = np.concatenate([one.boxes for one in seen])
    ignored = np.concatenate([one.ignore for one in seen])
    longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    np.testing.assert_array_equal(ignored, longer < 50)
    assert 0 < ignored.sum() < len(ignored)
