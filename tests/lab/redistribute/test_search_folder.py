"""What a search writes is what it reads, and damage is named."""

from __future__ import annotations

import csv
import json

import pytest

pytest.importorskip("torch")

from toy_redistribution import NAME, TEMPLATE, toy_search
from tronie.errors import BadFile, BadInput, NotFound
from tronie.lab.training.redistribute.budget import PARTS, flops_by_part
from tronie.lab.training.redistribute.search_folder import (
    Asked,
    Candidate,
    Result,
    candidate_folder,
    expect_free,
    is_search,
    read_asked,
    read_result,
    write_asked,
    write_result,
    write_table,
)

pytestmark = pytest.mark.lab

CANDIDATE = Candidate(step=1, number=3, detector=TEMPLATE)
RESULT = Result(
    detector=TEMPLATE,
    score=0.25,
    validation={"held-out": 0.25},
    parameters=1234,
    steps=2,
    seconds=1.5,
)


def asked(**changes):
    settings = {
        "name": NAME,
        "recipe": toy_search(backbones=2),
        "folder": "/photos",
        "images": 8,
        "fingerprint": "abc",
        "backbones": ("a", "b", "c"),
        "networks": ("d",),
        "template": "a",
    }
    return Asked(**{**settings, **changes})


def place(folder, result=RESULT):
    run = candidate_folder(folder, CANDIDATE)
    run.mkdir(parents=True)
    write_result(run, result)
    return run / "result.json"


def test_what_is_asked_is_read_as_it_was_written(tmp_path):
    assert not is_search(tmp_path)
    write_asked(tmp_path, asked(), {"judged": 1})
    assert is_search(tmp_path)
    assert read_asked(tmp_path) == asked()
    assert json.loads((tmp_path / "search.json").read_text())["found"] == {"judged": 1}


def test_candidates_are_those_of_the_recipe_however_many_were_drawn():
    assert [one.key for one in asked().candidates(1)] == ["1-0000", "1-0001"]
    assert [one.detector for one in asked().candidates(2)] == ["d"]


def test_a_folder_without_a_search_says_so(tmp_path):
    with pytest.raises(NotFound, match=r"holds no search: there is no search.json in it"):
        read_asked(tmp_path)


def test_another_version_is_refused(tmp_path):
    write_asked(tmp_path, asked(), {})
    record = json.loads((tmp_path / "search.json").read_text())
    (tmp_path / "search.json").write_text(json.dumps({**record, "format": 9}))
    with pytest.raises(
        BadFile, match=r"search.json is of format 9; this version of tronie reads 1"
    ):
        read_asked(tmp_path)


@pytest.mark.parametrize("lacking", ["recipe", "data", "drawn", "name"])
def test_a_damaged_search_is_named(tmp_path, lacking):
    write_asked(tmp_path, asked(), {})
    record = json.loads((tmp_path / "search.json").read_text())
    del record[lacking]
    (tmp_path / "search.json").write_text(json.dumps(record))
    with pytest.raises(BadFile, match=f"search.json is no search of this version.*'{lacking}'"):
        read_asked(tmp_path)


def test_a_folder_with_other_things_is_not_taken(tmp_path):
    expect_free(tmp_path / "new")
    (tmp_path / "lock").touch()
    expect_free(tmp_path)
    (tmp_path / "letters.txt").touch()
    with pytest.raises(BadInput, match="is a folder with other things in it, and no search"):
        expect_free(tmp_path)


def test_a_result_is_read_as_it_was_written_and_none_is_none(tmp_path):
    assert read_result(tmp_path, CANDIDATE) is None
    place(tmp_path)
    assert read_result(tmp_path, CANDIDATE) == RESULT


def test_a_result_of_another_network_is_refused(tmp_path):
    place(tmp_path)
    other = Candidate(step=1, number=3, detector="scrfd-0.5g")
    with pytest.raises(BadFile, match=r"is of scrfd-depthwise.* the candidate is scrfd-0.5g; rem"):
        read_result(tmp_path, other)


def test_a_damaged_result_is_named(tmp_path):
    path = place(tmp_path)
    path.write_text('{"detector": "x"}')
    with pytest.raises(BadFile, match=r"result.json is no result of a candidate: KeyError"):
        read_result(tmp_path, CANDIDATE)
    path.write_text("{")
    with pytest.raises(BadFile, match=r"result.json cannot be read"):
        read_result(tmp_path, CANDIDATE)


def test_the_table_has_a_line_for_each_with_what_each_part_costs(tmp_path):
    write_table(tmp_path, [])
    assert not (tmp_path / "candidates.csv").exists()
    write_table(tmp_path, [(CANDIDATE, RESULT)])
    with (tmp_path / "candidates.csv").open() as file:
        (row,) = csv.DictReader(file)
    flops = flops_by_part(CANDIDATE.layout)
    assert (row["candidate"], row["detector"], row["score"]) == ("1-0003", TEMPLATE, "0.25")
    assert int(row["flops"]) == sum(flops.values())
    assert sum(float(row[part]) for part in PARTS) == pytest.approx(1, abs=1e-5)
    assert float(row["C3"]) == pytest.approx(flops["C3"] / sum(flops.values()), abs=1e-6)
    assert (row["parameters"], row["train_steps"], row["seconds"]) == ("1234", "2", "1.5")
