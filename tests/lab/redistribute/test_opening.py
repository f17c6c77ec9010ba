"""How a search is opened: what it draws, what it takes over, and what it holds on to."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

pytest.importorskip("torch")

from toy_detection import write_photos
from toy_redistribution import NAME, toy_search
from tronie.errors import BadInput
from tronie.lab.nn.scrfd_layout import spelled_out
from tronie.lab.training.redistribute.opening import candidate_layout, opened
from tronie.lab.training.redistribute.search_folder import write_asked

pytestmark = pytest.mark.lab


@pytest.fixture
def begin(tmp_path):
    data = write_photos(tmp_path / "data", photos=12)

    def begin(*changes, recipe=None):
        return opened(
            NAME, recipe or toy_search(), list(changes), data=data, out=tmp_path / "search"
        )

    return begin


def test_a_new_one_draws_its_backbones_by_name(begin):
    with begin("backbones=3") as asked:
        assert len(asked.backbones) == asked.recipe.backbones == 3
        assert asked.networks == ()
        assert 0 < asked.images < 12  # some are held out
        for name in asked.backbones:
            assert f"scrfd-{spelled_out(candidate_layout(name))}" == name


def test_one_that_goes_on_keeps_what_was_drawn_and_its_own_recipe(begin, tmp_path):
    """Even where this version of tronie would have drawn others."""
    with begin("seed=5") as first:
        write_asked(tmp_path / "search", first, {})
    path = tmp_path / "search" / "search.json"
    record = json.loads(path.read_text())
    record["drawn"]["backbones"][0] = "scrfd-0.5g"
    record["drawn"]["backbones"][0] = "scrfd-depthwise-1.1.1.1-8.8.8.8.8.8-n8-h8x1-gn8"
    path.write_text(json.dumps(record))
    with begin() as again:
        assert again.recipe == first.recipe
        assert again.backbones[0] == "scrfd-depthwise-1.1.1.1-8.8.8.8.8.8-n8-h8x1-gn8"
        assert again.backbones[1:] == first.backbones[1:]


def test_more_are_drawn_where_more_are_asked_for_as_if_from_the_start(begin, tmp_path):
    with begin("backbones=2") as first:
        write_asked(tmp_path / "search", first, {})
    with begin("backbones=5") as more:
        assert more.backbones[:2] == first.backbones
    other = tmp_path / "elsewhere"
    with opened(NAME, toy_search(backbones=5), [], data=tmp_path / "data", out=other) as straight:
        assert more.backbones == straight.backbones


def test_the_folder_is_held_while_it_is_open_and_free_where_it_came_to_nothing(begin, tmp_path):
    with begin(), pytest.raises(BadInput, match="another process trains in"), begin():
        raise AssertionError("it is open twice")
    assert not (tmp_path / "search").exists()


def test_the_data_are_seen_before_anything_is_drawn(tmp_path):
    damaged = write_photos(tmp_path / "data", photos=12)
    for photo in damaged.glob("EVENT/*.png"):
        photo.write_bytes(b"no picture")
    with (
        pytest.raises(BadInput, match="EVENT"),
        opened(NAME, toy_search(), [], data=damaged, out=tmp_path / "search"),
    ):
        raise AssertionError("it is open")


def test_the_recipe_itself_stays_as_it_is(begin):
    recipe = toy_search()
    with begin("networks=1", recipe=recipe) as asked:
        assert asked.recipe == replace(recipe, networks=1)
    assert recipe == toy_search()
