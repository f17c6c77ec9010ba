"""Which recipe is trained how: the one table from the class of a recipe to its `Trade`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tronie.errors import BadInput
from tronie.lab.training import detection_run, recognition_run
from tronie.lab.training.detection_recipe import DetectionRecipe
from tronie.lab.training.recipe import RecognitionRecipe
from tronie.lab.training.run_folder import NamedRecipe
from tronie.lab.training.trade import Trade

TRADES: Mapping[type, Trade[Any]] = {
    RecognitionRecipe: recognition_run.TRADE,
    DetectionRecipe: detection_run.TRADE,
}


def trade_of(named: NamedRecipe) -> Trade[Any]:
    """How a recipe is trained.

    Raises:
        BadInput: it trains no network by itself: it searches for one.
    """
    found = TRADES.get(type(named.recipe))
    if found is None:
        raise BadInput(
            f"{named.name} is a search; run tronie redistribute {named.name} --data DIR --out RUN"
        )
    return found
