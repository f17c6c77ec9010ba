"""Every entry of lab/recipes keeps the same promises."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tronie import catalog

torch = pytest.importorskip("torch")

from toy_training import tiny_backbone, write_crops  # noqa: E402 - only where torch is
from tronie.lab.nn.backbone import build_backbone  # noqa: E402
from tronie.lab.nn.cost import on_meta  # noqa: E402
from tronie.lab.training import recognition  # noqa: E402
from tronie.lab.training.loaders import Loader  # noqa: E402
from tronie.lab.training.recipe import Data, RecognitionRecipe  # noqa: E402
from tronie.lab.training.recognition import Recognition, open_head  # noqa: E402
from tronie.lab.training.run_folder import RECIPES, find_recipe, recipe_names  # noqa: E402
from tronie.lab.training.settings import check_entries, from_dict, to_dict  # noqa: E402
from tronie.lab.training.sources import open_source  # noqa: E402

pytestmark = pytest.mark.lab

NAMES = recipe_names()


def test_the_recipes_that_are_spoken_of_are_there():
    assert {
        "recognition/ms1mv3_iresnet50_arcface",
        "recognition/lfw_small_resnet_arcface",
        "recognition/lfw_small_resnet_cosface",
        "recognition/lfw_small_resnet_normface",
        "recognition/lfw_small_resnet_arcface_pfc01",
        "recognition/webface42m_iresnet100_pfc02",
        "recognition/webface42m_vit_large_pfc03",
    } <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_states_its_price_and_its_promise(name):
    task, key = name.split("/")
    text = catalog.docstring(f"{RECIPES}.{task}", key)
    for word in ("Command   ", "Cost      ", "Expect    ", "Source    "):
        assert f"\n{word}" in text
    command = text.split("\nCommand   ")[1].split("\nCost ")[0]
    assert "tronie train" in command
    assert name in command


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_round_trips_through_json(name):
    recipe = find_recipe(name).recipe
    assert from_dict(RecognitionRecipe, json.loads(json.dumps(to_dict(recipe)))) == recipe


@pytest.mark.parametrize("name", NAMES)
def test_what_an_entry_names_exists_and_embeds_as_it_says(name):
    recipe = find_recipe(name).recipe
    check_entries(recipe)
    with torch.device("meta"):
        backbone = on_meta(build_backbone(recipe.backbone, embedding_size=recipe.embedding_size))
        rows = backbone.eval()(torch.empty(2, 3, 112, 112))
    assert rows.shape == (2, recipe.embedding_size)
    assert open_head(recipe, classes=7).memory_plan(2)["centers"] > 0


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_takes_two_steps_on_drawn_crops(name, tmp_path, monkeypatch):
    """With the tiny network: that its margin, head, data and optimizer work together."""
    monkeypatch.setattr(recognition, "build_backbone", tiny_backbone)
    recipe = replace(find_recipe(name).recipe, batch_size=6, accumulate=1, data=Data(threads=1))
    with ExitStack() as closing:
        source = open_source(write_crops(tmp_path, people=3), Data(), closing=closing)
        loader = closing.enter_context(Loader(source, batch_size=6, seed=0, threads=1))
        task = Recognition(recipe, loader, device=torch.device("cpu"))
        for (part,) in task.steps(0, 2):
            loss = task.loss(part)
            loss.backward()
            task.update(lr=0.01)
            assert torch.isfinite(loss)
