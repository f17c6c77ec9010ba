"""The recipe of a search: what it cannot be, and what each candidate is trained by."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

pytest.importorskip("torch")

from toy_redistribution import TEMPLATE, toy_proxy, toy_search
from tronie.errors import BadInput, NotFound
from tronie.lab.nn.scrfd_layout import spelled_out
from tronie.lab.training.detection_recipe import DetectionData
from tronie.lab.training.redistribute.recipe import (
    RedistributionRecipe,
    fixed_differences,
    proxy_of,
    template_layout,
)
from tronie.lab.training.runs import steps_of
from tronie.lab.training.settings import from_dict, override, to_dict

pytestmark = pytest.mark.lab


def test_it_survives_json():
    recipe = toy_search()
    assert from_dict(RedistributionRecipe, to_dict(recipe)) == recipe


def test_settings_are_changed_by_name_those_of_the_proxy_too():
    changed = override(toy_search(), ["blocks=basic,bottleneck", "proxy.schedule.peak_lr=0.5"])
    assert changed.blocks == ("basic", "bottleneck")
    assert changed.proxy.schedule.peak_lr == 0.5


@pytest.mark.parametrize("steps", [1, 2, 300, 4001])
@pytest.mark.parametrize("images", [1, 7, 591])
def test_each_candidate_is_trained_for_exactly_so_many_steps(steps, images):
    proxy = proxy_of(toy_search(steps=steps), "scrfd-0.5g", images=images)
    assert proxy.detector == "scrfd-0.5g"
    assert steps_of(proxy, images) == steps


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"backbones": 0}, "backbones must be 1 or more; got 0"),
        ({"networks": -1}, "networks must be 0 or more; got -1"),
        ({"steps": 0}, "steps must be 1 or more; got 0"),
        ({"seed": -1}, "seed must be 0 or more; got -1"),
        ({"bootstrap_draws": 5}, "bootstrap_draws must be 100 or more; got 5"),
        ({"flops": 0.0}, "flops must be above 0 and at most 1e15; got 0"),
        ({"flops": math.nan}, "flops must be above 0 and at most 1e15; got nan"),
        ({"tolerance": 0.0}, r"tolerance is a share in \(0, 1\); got 0"),
        ({"ratio_tolerance": 1.0}, r"ratio_tolerance is a share in \(0, 1\); got 1"),
        ({"blocks": ()}, "blocks needs one or more of basic, bottleneck, depthwise.* got none"),
        ({"blocks": ("basic", "basic")}, "none twice; got basic, basic"),
        ({"score": "hard"}, "score=hard is a number of WIDER FACE; set proxy.validation.truth"),
    ],
)
def test_what_cannot_be_is_refused(change, told):
    with pytest.raises(BadInput, match=told):
        toy_search(**change)


def test_candidates_that_nothing_judges_are_refused():
    with pytest.raises(BadInput, match=r"set proxy.data.held_out, as in proxy.data.held_out=0.15"):
        toy_search(proxy=replace(toy_proxy(), data=DetectionData()))


def test_the_template_is_an_scrfd_by_any_of_its_names():
    assert spelled_out(template_layout(toy_search())) == TEMPLATE.removeprefix("scrfd-")
    released = template_layout(toy_search(template="scrfd-mobilenet-0.5g"))
    assert released.widths == (8, 16, 32, 64, 128, 256)
    with pytest.raises(NotFound, match="no entry 'scrfd-9g'"):
        template_layout(toy_search(template="scrfd-9g"))
    with pytest.raises(BadInput, match="cannot be built: there are 4 stages"):
        template_layout(toy_search(template="scrfd-basic-1-8-n8-h8x1-gn8"))


def test_another_kind_of_detector_is_no_template():
    from tronie.lab.nn.detector_names import names

    others = [name for name in names() if not name.startswith("scrfd-")]
    if not others:
        pytest.skip("there is no other kind of detector")
    with pytest.raises(BadInput, match=f"template must be an SCRFD.* got {others[0]}"):
        template_layout(toy_search(template=others[0]))


def test_only_how_many_and_how_often_may_change():
    old = toy_search()
    new = replace(old, backbones=9, networks=0, bootstrap_draws=500)
    assert fixed_differences(old, new) == []
    assert fixed_differences(old, replace(new, seed=4)) == ["seed: 0 is now 4"]
