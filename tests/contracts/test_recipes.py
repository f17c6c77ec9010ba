"""Every entry of lab/recipes keeps the same promises."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tronie import catalog

torch = pytest.importorskip("torch")

from toy_detection import write_photos  # noqa: E402 - only where torch is
from toy_training import tiny_backbone, write_crops  # noqa: E402
from tronie.data.augment.square_crops import PLAIN_SCALES  # noqa: E402
from tronie.lab.nn.backbone import build_backbone  # noqa: E402
from tronie.lab.nn.cost import on_meta  # noqa: E402
from tronie.lab.nn.detector import variant_of  # noqa: E402
from tronie.lab.training import recognition  # noqa: E402
from tronie.lab.training.detection import Detection  # noqa: E402
from tronie.lab.training.detection_crops import crops  # noqa: E402
from tronie.lab.training.detection_loader import FaceLoader  # noqa: E402
from tronie.lab.training.detection_recipe import DetectionRecipe  # noqa: E402
from tronie.lab.training.detection_source import open_faces  # noqa: E402
from tronie.lab.training.loaders import Loader  # noqa: E402
from tronie.lab.training.recipe import Data, RecognitionRecipe  # noqa: E402
from tronie.lab.training.recognition import Recognition, open_head  # noqa: E402
from tronie.lab.training.redistribute.recipe import (  # noqa: E402
    RedistributionRecipe,
    template_layout,
)
from tronie.lab.training.redistribute.samples import SampleRecipe  # noqa: E402
from tronie.lab.training.run_folder import RECIPES, find_recipe, recipe_names  # noqa: E402
from tronie.lab.training.settings import check_entries, from_dict, to_dict  # noqa: E402
from tronie.lab.training.sources import open_source  # noqa: E402

pytestmark = pytest.mark.lab

NAMES = recipe_names()
CPU = torch.device("cpu")
SEARCHES = (RedistributionRecipe, SampleRecipe)


def names_of(kind):
    return [name for name in NAMES if isinstance(find_recipe(name).recipe, kind)]


def test_the_recipes_that_are_spoken_of_are_there():
    assert {
        "recognition/ms1mv3_iresnet50_arcface",
        "recognition/lfw_small_resnet_arcface",
        "recognition/lfw_small_resnet_cosface",
        "recognition/lfw_small_resnet_normface",
        "recognition/lfw_small_resnet_arcface_long",
        "recognition/lfw_small_resnet_arcface_pfc01",
        "recognition/webface42m_iresnet100_pfc02",
        "recognition/webface42m_vit_large_pfc03",
        "detection/scrfd_500m",
        "detection/scrfd_2500m",
        "detection/wider708_scrfd_500m",
        "detection/wider708_scrfd_500m_no_redistribution",
        "detection/redistribute_500m",
        "detection/redistribute_samples",
    } <= set(NAMES)


def test_a_recipe_is_of_a_kind_that_is_held_to_its_promises_here():
    known = (RecognitionRecipe, DetectionRecipe, *SEARCHES)
    assert sorted(name for kind in known for name in names_of(kind)) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_states_its_price_and_its_promise(name):
    task, key = name.split("/")
    text = catalog.docstring(f"{RECIPES}.{task}", key)
    for word in ("Command   ", "Cost      ", "Expect    ", "Source    "):
        assert f"\n{word}" in text
    command = text.split("\nCommand   ")[1].split("\nCost ")[0]
    is_search = name in names_of(SEARCHES)
    assert ("tronie redistribute" if is_search else "tronie train") in command
    assert name in command


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_round_trips_through_json(name):
    recipe = find_recipe(name).recipe
    assert from_dict(type(recipe), json.loads(json.dumps(to_dict(recipe)))) == recipe


@pytest.mark.parametrize("name", names_of(RecognitionRecipe))
def test_what_an_entry_names_exists_and_embeds_as_it_says(name):
    recipe = find_recipe(name).recipe
    check_entries(recipe)
    with torch.device("meta"):
        backbone = on_meta(build_backbone(recipe.backbone, embedding_size=recipe.embedding_size))
        rows = backbone.eval()(torch.empty(2, 3, 112, 112))
    assert rows.shape == (2, recipe.embedding_size)
    assert open_head(recipe, classes=7).memory_plan(2)["centers"] > 0


@pytest.mark.parametrize("name", names_of(RecognitionRecipe))
def test_an_entry_takes_two_steps_on_drawn_crops(name, tmp_path, monkeypatch):
    """With the tiny network: that its margin, head, data and optimizer work together."""
    monkeypatch.setattr(recognition, "build_backbone", tiny_backbone)
    recipe = replace(find_recipe(name).recipe, batch_size=6, accumulate=1, data=Data(threads=1))
    with ExitStack() as closing:
        source = open_source(write_crops(tmp_path, people=3), Data(), closing=closing)
        loader = closing.enter_context(Loader(source, batch_size=6, seed=0, threads=1))
        task = Recognition(recipe, loader, device=CPU)
        for (part,) in task.steps(0, 2):
            loss = task.loss(part)
            loss.backward()
            task.update(lr=0.01)
            assert torch.isfinite(loss)


@pytest.mark.parametrize("name", names_of(DetectionRecipe))
def test_a_detector_takes_two_steps_on_drawn_photographs(name, tmp_path):
    """On small crops: that its network, crops, average and optimizer work together."""
    recipe = find_recipe(name).recipe
    assert variant_of(recipe.detector).flops > 0
    data = replace(recipe.data, sizes=(64,), threads=1)
    recipe = replace(recipe, batch_size=2, accumulate=1, data=data)
    with ExitStack() as closing:
        source = open_faces(write_photos(tmp_path), closing=closing)
        loader = closing.enter_context(
            FaceLoader(
                source, augment=crops(data), batch_size=2, seed=0, sizes=data.sizes, threads=1
            )
        )
        task = Detection(recipe, loader, device=CPU)
        for (part,) in task.steps(0, 2):
            loss = task.loss(part)
            loss.backward()
            task.update(lr=0.01)
            assert torch.isfinite(loss)


def test_the_recipe_that_is_compared_with_redistribution_differs_in_its_crops_alone():
    with_it = find_recipe("detection/wider708_scrfd_500m").recipe
    without = find_recipe("detection/wider708_scrfd_500m_no_redistribution").recipe
    assert replace(without, data=with_it.data) == with_it
    assert replace(without.data, scales=with_it.data.scales) == with_it.data
    plain = tuple(round(scale * with_it.data.sizes[0] / 640, 4) for scale in PLAIN_SCALES)
    assert without.data.scales == plain


@pytest.mark.parametrize("name", names_of(RedistributionRecipe))
def test_a_search_starts_from_a_network_within_its_budget(name):
    recipe = find_recipe(name).recipe
    assert template_layout(recipe).block in recipe.blocks
    flops = variant_of(recipe.template).flops
    assert abs(flops / recipe.flops - 1) <= recipe.tolerance
    assert find_recipe(recipe.trained_by).recipe.detector
