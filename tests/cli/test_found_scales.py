"""tronie redistribute with a search for crops: what it tells."""

from __future__ import annotations

import shlex

import pytest

pytest.importorskip("torch")

from toy_detection import write_photos

pytestmark = pytest.mark.lab


@pytest.fixture
def ask(cli_here, tmp_path):
    data = write_photos(tmp_path / "data", photos=3)
    changes = [
        word
        for one in ("size=64", "crops=100", "grid=0.6,0.8,1,1.4,2,3")
        for word in ("--set", one)
    ]

    def run(*words):
        out = ("--out", tmp_path / "found")
        return cli_here(
            "redistribute", "detection/redistribute_samples", "--data", data, *out, *changes, *words
        )

    return run


def test_the_nearest_scales_beside_the_published_ones_and_what_to_do_with_them(ask, tmp_path):
    told = ask()
    assert told.code == 0
    lines = told.out.splitlines()
    assert lines[0].startswith("3 photographs, 4 faces to be found, half of them below ")
    names = [line.split()[0] for line in lines if " octaves " in line]
    assert (names[0], names[-2:]) == ("nearest", ["plain", "released"])
    assert f"{tmp_path / 'found'} holds all 3 runs of scales in scales.csv" in told.out
    words = shlex.split(lines[-1])
    assert words[:3] == ["next:", "tronie", "train"]
    assert "data.sizes=64" in words
    assert words[-1].startswith("data.scales=0.")


def test_the_same_as_json(ask):
    told = ask("--json").json_lines()
    assert len(told) == 1
    (found,) = told
    assert (found["photographs"], found["faces"], found["size"]) == (3, 4, 64)
    assert found["best"]["octaves"] <= min(found["plain"]["octaves"], found["released"]["octaves"])
    scales = ",".join(f"{scale:g}" for scale in found["best"]["scales"])
    assert found["next"].endswith(f"data.scales={scales}")


def test_a_setting_that_cannot_be_is_refused(ask):
    told = ask("--set", "crops=1")
    assert told.code == 2
    assert "crops" in told.err


def test_options_that_change_nothing_are_told(ask):
    told = ask("--budget-minutes", "5", "--json")
    assert told.code == 0
    assert "--budget-minutes and --workers change nothing" in told.err
    assert "change nothing" not in ask("--json").err


def test_labels_that_were_named_are_those_to_train_with(ask, tmp_path):
    data = tmp_path / "data"
    (data / "mine.txt").write_text((data / "labels.txt").read_text())
    told = ask("--set", "labels=mine.txt", "--set", "grid=0.6,0.8,1,1.4,2")
    assert "--set data.labels=mine.txt --set data.scales=" in told.out
    assert "are at an end of the grid; others may be nearer: --set grid=..." in told.err
