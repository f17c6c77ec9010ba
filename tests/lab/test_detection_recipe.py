"""What a detector's recipe refuses to be, and which of its settings may change on the way."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tronie.errors import BadFile, BadInput, NotFound

pytest.importorskip("torch")

from tronie.lab.training.detection_recipe import (
    REDISTRIBUTED,
    DetectionData,
    DetectionRecipe,
    DetectionValidation,
)
from tronie.lab.training.recipe import fixed_differences
from tronie.lab.training.schedule import Optimizer, Schedule
from tronie.lab.training.settings import from_dict, override, to_dict

pytestmark = pytest.mark.lab

PLAIN = DetectionRecipe(detector="scrfd-0.5g", schedule=Schedule(peak_lr=0.01))


def test_the_crops_are_those_of_sample_redistribution_unless_it_is_said():
    assert PLAIN.data.scales == (0.3, 0.45, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)
    assert (PLAIN.data.crop, PLAIN.data.sizes, PLAIN.data.flip) == ("square", (640,), 0.5)
    assert PLAIN.data.scales == REDISTRIBUTED


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: DetectionData(flip=1.5), r"data.flip is a probability in \[0, 1\]; got 1.5"),
        (lambda: DetectionData(photometric=-1), r"data.photometric is a probability in \[0, 1\]"),
        (lambda: DetectionData(sizes=()), "data.sizes needs the side of a crop in pixels"),
        (lambda: DetectionData(sizes=(640, 16)), "data.sizes must be 32 or more; got 16"),
        (lambda: DetectionData(sizes=(9999,)), "data.sizes must be at most 4096; got 9999"),
        (lambda: DetectionData(scales=()), "parts of the short side, above 0 and .* got none"),
        (lambda: DetectionData(scales=(0.3, 0.0)), "above 0 and at most 100; got 0.3, 0$"),
        (lambda: DetectionData(held_out=1.0), r"data.held_out is a share in \[0, 1\); got 1"),
        (lambda: DetectionData(least_side=-1), "data.least_side must be 0 or more; got -1"),
        (lambda: DetectionData(keep_gib=-1), "data.keep_gib must be 0 or more; got -1"),
        (lambda: DetectionData(threads=0), "data.threads must be 1 or more; got 0"),
        (lambda: DetectionValidation(every_steps=0), "validation.every_steps must be 1 or more"),
        (lambda: DetectionValidation(size=100), "validation.size must be a multiple of 32; got 1"),
        (lambda: DetectionValidation(size=16), "validation.size must be 32 or more; got 16"),
        (lambda: DetectionValidation(least_side=-1), "validation.least_side must be 0 or more"),
        (lambda: DetectionValidation(batch=0), "validation.batch must be 1 or more; got 0"),
        (lambda: DetectionValidation(photos="p"), "validation.photos=p needs validation.truth"),
        (lambda: replace(PLAIN, ema=1.0), "ema must be 0 or more and below 1; got 1"),
        (lambda: replace(PLAIN, batch_size=1), "batch_size must be 2 or more; got 1"),
        (lambda: replace(PLAIN, accumulate=3), "a batch of 64 cannot be cut into 3 equal parts"),
        (lambda: replace(PLAIN, epochs=0), "epochs must be above 0"),
        (
            lambda: replace(PLAIN, optimizer=Optimizer(head_lr_ratio=10.0)),
            "optimizer.head_lr_ratio is of class centers, which a detector does not have; got 10.",
        ),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(make, told):
    with pytest.raises(BadInput, match=told):
        make()


def test_settings_are_changed_by_name_and_go_through_json():
    changed = override(
        PLAIN,
        ["data.sizes=320,352", "data.scales=0.5,1", "data.crop=data-anchor", "ema=0.999"],
    )
    assert changed.data.sizes == (320, 352)
    assert changed.data.scales == (0.5, 1.0)
    assert from_dict(DetectionRecipe, json.loads(json.dumps(to_dict(changed)))) == changed


def test_a_setting_of_recognizers_is_answered_with_what_there_is():
    with pytest.raises(NotFound, match="no entry 'margin' in DetectionRecipe"):
        override(PLAIN, ["margin=arcface"])
    with pytest.raises(BadFile, match="holds no DetectionRecipe: no entry 'backbone'"):
        from_dict(DetectionRecipe, {"backbone": "iresnet-50"})


def test_what_comes_later_may_change_and_what_the_weights_rest_on_may_not():
    later = override(
        PLAIN, ["epochs=9", "validation.truth=/mats", "data.threads=2", "data.keep_gib=9"]
    )
    assert fixed_differences(PLAIN, later) == []
    other = override(PLAIN, ["detector=scrfd-2.5g", "ema=0.9", "data.held_out=0.1"])
    assert fixed_differences(PLAIN, other) == [
        "detector: scrfd-0.5g is now scrfd-2.5g",
        "ema: 0 is now 0.9",
        "data.held_out: 0 is now 0.1",
    ]
