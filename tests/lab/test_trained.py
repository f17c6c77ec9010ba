"""Other runs as a beginning or a teacher: what is not there is told by who asked for it."""

from __future__ import annotations

import pytest

from tronie.errors import NotFound

pytest.importorskip("torch")

from toy_training import toy_recipe
from tronie.lab.training.run_folder import DataFacts, NamedRecipe, begin_folder
from tronie.lab.training.trained import last_checkpoint, load_trained

pytestmark = pytest.mark.lab


def test_a_folder_that_is_not_there_is_told(tmp_path):
    told = r"^start_from: there is no folder .*nope; name the folder of a run"
    with pytest.raises(NotFound, match=told):
        last_checkpoint(tmp_path / "nope", asked_by="start_from: ")


def test_a_folder_that_is_no_run_is_told(tmp_path):
    with pytest.raises(NotFound, match=r"holds no run: there is no recipe.json in it"):
        last_checkpoint(tmp_path)


def test_a_run_without_a_checkpoint_is_told(tmp_path):
    named = NamedRecipe(name="recognition/toy", recipe=toy_recipe())
    facts = DataFacts(folder="/faces", images=20, classes=2, fingerprint="abc")
    begin_folder(tmp_path / "run", named, facts, ["Ada", "Bo"])
    told = r"^teacher.run: the run .* holds no checkpoint yet; train it until"
    with pytest.raises(NotFound, match=told):
        last_checkpoint(tmp_path / "run", asked_by="teacher.run: ")


def test_a_run_that_is_not_there_has_no_network(tmp_path):
    with pytest.raises(NotFound, match="holds no run"):
        load_trained(tmp_path)
