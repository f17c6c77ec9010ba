"""The folder of a run: its recipe, its data, and one process at a time."""

from __future__ import annotations

import json

import pytest

from tronie.errors import BadFile, BadInput, NotFound

pytest.importorskip("torch")

from toy_training import toy_recipe
from tronie.lab.training.run_folder import (
    DataFacts,
    NamedRecipe,
    begin_folder,
    expect_free,
    find_recipe,
    held,
    read_classes,
    read_facts,
    read_recipe,
    recipe_names,
    write_recipe,
)

pytestmark = pytest.mark.lab

NAMED = NamedRecipe(name="recognition/toy", recipe=toy_recipe())
FACTS = DataFacts(folder="/faces", images=20, classes=2, fingerprint="abc")


@pytest.fixture
def folder(tmp_path):
    begin_folder(tmp_path / "run", NAMED, FACTS, ["Ada", "Bo"])
    return tmp_path / "run"


def test_what_is_written_is_read(folder):
    assert read_recipe(folder) == NAMED
    assert read_facts(folder) == FACTS
    assert read_classes(folder) == ("Ada", "Bo")
    assert "commit" in json.loads((folder / "provenance.json").read_text())


def test_changes_are_kept_with_the_recipe(folder):
    change = {"step": 3, "differences": ["epochs: 3 is now 4"]}
    write_recipe(folder, NamedRecipe(name=NAMED.name, recipe=NAMED.recipe, changes=(change,)))
    assert read_recipe(folder).changes == (change,)


def test_a_recipe_is_found_by_its_name_however_it_is_written_and_by_a_run(folder):
    named = find_recipe("recognition/ms1mv3_iresnet50_arcface")
    assert find_recipe("ms1mv3-iresnet50-arcface") == named
    assert named.name in recipe_names()
    assert find_recipe(str(folder)) == NAMED


def test_an_unknown_recipe_is_answered_with_the_nearest():
    with pytest.raises(NotFound, match="Did you mean 'recognition/ms1mv3_iresnet50_arcface'"):
        find_recipe("recognition/ms1mv3_iresnet50_arkface")


def test_a_folder_with_a_run_is_not_begun_again(folder):
    with pytest.raises(BadInput, match="holds a run of recognition/toy already; go on with it by"):
        begin_folder(folder, NAMED, FACTS, [])


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(BadInput, match="is a folder with other things in it"):
        begin_folder(tmp_path, NAMED, FACTS, [])


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"holds no run: there is no recipe.json"):
        read_recipe(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "cannot be read"),
        ('{"format": 2, "task": "recognition"}', "is of format 2"),
        ('{"format": 1, "task": "cooking"}', "for 'cooking'"),
        ('{"format": 1, "task": []}', r"for \[\]"),
        ("[]", r"recipe.json must hold an object; it holds \[\]"),
        ("null", "recipe.json must hold an object; it holds None"),
        ('{"format": 1, "task": "recognition", "name": "x", "recipe": {}}', "holds no Recognition"),
    ],
)
def test_a_recipe_that_is_damaged_is_refused(folder, text, told):
    (folder / "recipe.json").write_text(text)
    with pytest.raises(BadFile, match=told):
        read_recipe(folder)


def test_changes_that_are_none_are_refused(folder):
    record = json.loads((folder / "recipe.json").read_text())
    (folder / "recipe.json").write_text(json.dumps({**record, "changes": 3}))
    with pytest.raises(BadFile, match=r"recipe.json: changes must be a list of objects; got 3"):
        read_recipe(folder)


@pytest.mark.parametrize("margin", [{"name": "arkface"}, {"name": "cosface", "options": {"m": 1}}])
def test_a_recipe_of_entries_that_are_not_there_is_told_by_its_file(folder, margin):
    record = json.loads((folder / "recipe.json").read_text())
    record["recipe"]["margin"] = margin
    (folder / "recipe.json").write_text(json.dumps(record))
    with pytest.raises(BadFile, match=r"recipe.json holds no recipe of this version"):
        read_recipe(folder)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "data.json must hold folder, a text; got 'nothing'"),
        ("[]", r"data.json must hold an object; it holds \[\]"),
        ('{"folder": 3}', "data.json must hold folder, a text; got 3"),
        ('{"folder": "/d", "images": "x"}', "must hold images, a whole number; got 'x'"),
    ],
)
def test_facts_that_are_damaged_are_told_by_what_is_missing(folder, text, told):
    (folder / "data.json").write_text(text)
    with pytest.raises(BadFile, match=told):
        read_facts(folder)


@pytest.mark.parametrize("last", ["provenance.json", "classes.json", "data.json"])
def test_a_beginning_that_was_killed_may_begin_again(folder, last):
    """What was written before, and a file that was half written."""
    written = ["provenance.json", "classes.json", "data.json", "recipe.json"]
    for name in written[written.index(last) + 1 :]:
        (folder / name).unlink()
    (folder / f".{'0' * 16}.part").write_text("ha")
    (folder / "lock").write_text("")
    begin_folder(folder, NAMED, FACTS, ["Ada", "Bo"])
    assert read_recipe(folder) == NAMED
    assert sorted(path.name for path in folder.iterdir()) == sorted([*written, "lock"])


def test_files_of_such_names_without_a_lock_are_somebody_elses(tmp_path):
    (tmp_path / "data.json").write_text("{}")
    with pytest.raises(BadInput, match="is a folder with other things in it"):
        expect_free(tmp_path)


def test_a_folder_that_was_held_and_not_used_is_gone(tmp_path):
    with pytest.raises(KeyError, match="refused"), held(tmp_path / "run"):
        raise KeyError("refused")
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    with held(tmp_path / "run"):
        pass
    assert (tmp_path / "run").is_dir()


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    with held(tmp_path), pytest.raises(BadInput, match="another process trains in"), held(tmp_path):
        pass
    with held(tmp_path):
        pass
