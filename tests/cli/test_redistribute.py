"""tronie redistribute: what it tells on the way and at the end, and what it refuses."""

from __future__ import annotations

from functools import partial

import pytest

torch = pytest.importorskip("torch")

from toy_detection import write_photos  # noqa: E402 - only where torch is
from toy_redistribution import NAME, Planted, toy_search  # noqa: E402
from tronie.lab.nn.detector_names import is_detector  # noqa: E402
from tronie.lab.training import run_folder  # noqa: E402
from tronie.lab.training.redistribute import search  # noqa: E402

pytestmark = pytest.mark.lab

REAL = search.redistribute


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    """The toy recipe answers to the name toy, and candidates have planted scores."""
    found = run_folder.find_recipe

    def find(name):
        if name == "toy":
            return run_folder.NamedRecipe(name=NAME, recipe=toy_search(backbones=9, networks=2))
        return found(name)

    monkeypatch.setattr(run_folder, "find_recipe", find)
    monkeypatch.setattr(search, "redistribute", partial(REAL, start=Planted))


@pytest.fixture
def ask(cli_here, tmp_path):
    data = write_photos(tmp_path / "data", photos=12)

    def run(*words, recipe="toy"):
        out = tmp_path / "search"
        return cli_here("redistribute", recipe, "--data", data, "--out", out, *words)

    return run


def test_a_line_a_candidate_then_the_best_and_what_to_do_with_it(ask, tmp_path):
    told = ask()
    assert (told.code, told.err) == (0, "")
    lines = told.out.splitlines()
    assert lines[0].startswith("1 of 11  step 1  score 0.")
    assert ", the best so far  scrfd-depthwise-" in lines[0]
    assert any("  step 2  score 0." in line for line in lines[9:11])
    assert sum(", the best so far" in line for line in lines) < 11
    assert any("(best 0." in line for line in lines)
    assert "search holds all 11 candidates in candidates.csv and search.svg" in told.out
    assert "best share" in told.out
    winner = lines[-2].split()[1].rstrip(",")
    assert is_detector(winner)
    data, out = tmp_path / "data", tmp_path / "search-winner"
    assert lines[-1] == (
        f"next: tronie train detection/scrfd_500m --data {data} --out {out} --set detector={winner}"
    )


def test_the_same_as_json_is_a_line_each(ask):
    told = ask("--json").json_lines()
    assert len(told) == 12
    assert told[0]["candidate"] == "1-0000"
    assert (told[0]["done"], told[0]["count"], told[0]["left_s"]) == (1, 11, None)
    end = told[-1]
    assert (end["judged"], end["left"], end["failed"]) == (11, 0, {})
    assert end["best_score"] == max(line["score"] for line in told[:-1])
    assert end["next"].endswith(f"--set detector={end['best']}")
    assert {one["part"] for one in end["best_shares"]} == {"stem", "C2", "C3", "C4", "C5"}


def test_the_same_command_goes_on(ask):
    none = ask("--budget-minutes", "0")
    assert none.code == 0
    assert none.out == ("no candidate is judged yet; give it more time: the same command goes on\n")
    assert ask().out.startswith("1 of 11")
    assert ask().out.startswith("candidate ")  # all are done: the table at once


def test_a_candidate_that_fails_is_told_beside_the_answer(ask, monkeypatch):
    class Failing(Planted):
        def fault(self):
            return "it diverged" if self._job.run.name == "1-0001" else super().fault()

    monkeypatch.setattr(search, "redistribute", partial(REAL, start=Failing))
    told = ask()
    assert told.code == 0
    assert "tronie: 1-0001 scrfd-depthwise-" in told.err
    assert "came to nothing: it diverged" in told.err
    assert "0 candidates are left, 1 came to nothing: the same command goes on" in told.out


def test_settings_are_changed_by_name(ask):
    assert ask("--set", "backbones=2", "--set", "networks=0").out.startswith("1 of 2")


def test_a_recipe_of_one_network_is_no_search(ask):
    told = ask(recipe="detection/scrfd_500m")
    assert told.code == 2
    assert "detection/scrfd_500m trains one network and searches for none; run tronie train" in (
        told.err
    )


def test_an_unknown_recipe_is_answered_with_the_nearest(ask):
    told = ask(recipe="detection/redistribute_400m")
    assert told.code == 2
    assert "Did you mean 'detection/redistribute_500m'?" in told.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--budget-minutes", "-1"), "--budget-minutes"),
        (("--workers", "0"), "--workers"),
        (("--set", "backbones=x"), "backbones must be a whole number; got 'x'"),
    ],
)
def test_values_out_of_range_are_refused(ask, words, text):
    told = ask(*words)
    assert told.code == 2
    assert text in told.err


@pytest.mark.slow
def test_two_candidates_are_trained_for_real(ask, monkeypatch, tmp_path):
    monkeypatch.setattr(search, "redistribute", REAL)
    told = ask("--json", "--set", "backbones=1", "--set", "networks=1", "--workers", "2")
    assert told.code == 0, told.err
    first, second, end = told.json_lines()
    assert 0 <= first["score"] <= 1
    assert (end["judged"], end["left"], end["failed"]) == (2, 0, {})
    assert (tmp_path / "search" / "candidates" / second["candidate"] / "recipe.json").is_file()
