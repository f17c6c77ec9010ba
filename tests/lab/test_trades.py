"""Which recipe is trained how."""

from __future__ import annotations

from typing import get_args

import pytest

from tronie.errors import BadInput

pytest.importorskip("torch")

from tronie.lab.training.run_folder import TASKS, TrainedRecipe, find_recipe, recipe_names
from tronie.lab.training.trades import TRADES, trade_of

pytestmark = pytest.mark.lab


def test_every_recipe_that_a_run_can_hold_has_its_trade():
    assert set(TRADES) == set(TASKS.values()) == set(get_args(TrainedRecipe))


def test_every_recipe_is_trained_or_refused_as_a_search():
    trained = {name for name in recipe_names() if type(find_recipe(name).recipe) in TRADES}
    assert {trade_of(find_recipe(name)).measure for name in trained} == {"accuracy", "AP"}
    for name in set(recipe_names()) - trained:
        with pytest.raises(BadInput, match=f"{name} is a search; run tronie redistribute {name}"):
            trade_of(find_recipe(name))
