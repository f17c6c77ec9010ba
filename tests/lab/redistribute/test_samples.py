"""The search for crops: what it finds and writes, and what it refuses."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as Tree
from dataclasses import replace

import pytest

pytest.importorskip("torch")

from toy_detection import write_photos
from tronie.errors import BadFile, BadInput, NotEnoughData, NotFound
from tronie.lab.training.redistribute.samples import SampleRecipe, find_scales, listed
from tronie.lab.training.run_folder import find_recipe

pytestmark = pytest.mark.lab

TOY = SampleRecipe(size=64, canvas=128, crops=100, least=2, grid=(0.3, 0.6, 1.0, 1.5, 2.0))


@pytest.fixture
def data(tmp_path):
    return write_photos(tmp_path / "data", photos=4)


def test_what_is_found_is_written(data, tmp_path):
    found = find_scales("toy", TOY, data=data, out=tmp_path / "out")
    assert (found.photographs, found.faces) == (4, 6)
    rows = list(csv.DictReader((tmp_path / "out" / "scales.csv").read_text().splitlines()))
    assert len(rows) == len(found.fits) == 4 + 3 + 2 + 1
    assert rows[0]["scales"] == listed(found.fits[0].scales, " ")
    assert float(rows[0]["octaves"]) == pytest.approx(found.fits[0].octaves, abs=1e-4)
    record = json.loads((tmp_path / "out" / "scales.json").read_text())
    assert record["best"]["scales"] == list(found.fits[0].scales)
    assert record["recipe"]["size"] == 64
    assert record["provenance"]["date"]
    svg = (tmp_path / "out" / "scales.svg").read_text()
    assert Tree.fromstring(svg).tag.endswith("svg")
    assert f"nearest, {found.fits[0].scales[0]:g} to {found.fits[0].scales[-1]:g}" in svg


def test_it_is_the_same_again_and_scales_follow_the_size_of_crops(data, tmp_path):
    first = find_scales("toy", TOY, data=data, out=tmp_path / "out")
    again = find_scales("toy", TOY, data=data, out=tmp_path / "out")
    assert again.fits == first.fits
    assert {scale for fit in first.fits for scale in fit.scales} == {0.03, 0.06, 0.1, 0.15, 0.2}
    assert first.plain.scales == (0.03, 0.045, 0.06, 0.08, 0.1)
    assert first.released.scales[-1] == 0.2
    larger = find_scales("toy", TOY, data=data, out=tmp_path / "b", changes=["size=640"])
    assert larger.recipe == replace(TOY, size=640)
    assert larger.fits[0].scales[0] in TOY.grid


def test_other_labels_can_be_the_target(data, tmp_path):
    """Faces of a tenth of the size ask for squares that are ten times as large."""
    own = (data / "labels.txt").read_text().splitlines()
    wide = [f"{line.rsplit(' ', 2)[0]} 1600 1600" if line[0] == "#" else line for line in own]
    (data / "other.txt").write_text("\n".join(wide) + "\n")
    near = find_scales("toy", TOY, data=data, out=tmp_path / "a", changes=["canvas=32"])
    far = find_scales(
        "toy", TOY, data=data, out=tmp_path / "b", changes=["canvas=32", "target=other.txt"]
    )
    assert far.target[49] < near.target[49] / 4
    assert far.fits[0].scales[0] >= near.fits[0].scales[0]
    assert far.fits[0].larger > near.fits[0].larger
    (data / "bare.txt").write_text("# EVENT/0.png\n1 1 30 30\n")
    with pytest.raises(NotEnoughData, match=r"bare.txt tells the size of 0 of its 1 photographs"):
        find_scales("toy", TOY, data=data, out=tmp_path / "c", changes=["target=bare.txt"])
    with pytest.raises(NotFound, match=r"none.txt"):
        find_scales("toy", TOY, data=data, out=tmp_path / "d", changes=["target=none.txt"])


def test_sizes_that_labels_do_not_tell_are_read_of_the_photographs(data, tmp_path):
    told = find_scales("toy", TOY, data=data, out=tmp_path / "a")
    labels = (data / "labels.txt").read_text().splitlines()
    bare = [line.rsplit(" ", 2)[0] if line.startswith("#") else line for line in labels]
    (data / "labels.txt").write_text("\n".join(bare) + "\n")
    assert find_scales("toy", TOY, data=data, out=tmp_path / "b").fits == told.fits


def test_settings_and_folders_that_cannot_be_used_are_refused(data, tmp_path):
    with pytest.raises(BadInput, match=r"crops.*100.*got 3"):
        replace(TOY, crops=3)
    with pytest.raises(BadInput, match=r"grid needs 9 to 40 scales; got 0.3, 0.6, 1, 1.5, 2"):
        replace(TOY, least=9)
    for grid in ((1.0, 0.5), (0.0, 1.0), (1.0, 1.0), (0.00001, 0.00002)):
        with pytest.raises(BadInput, match=r"grid must rise from above 0, and for crops of 64 pix"):
            replace(TOY, grid=grid)
    with pytest.raises(BadInput, match=r"times 6.4, to 100 at most; got 1, 20"):
        replace(TOY, size=4096, grid=(1.0, 20.0))
    with pytest.raises(BadInput, match=r"at most 1,000,000; got 500,000 and 5"):
        replace(TOY, crops=500_000)
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.tex").write_text("all of it")
    with pytest.raises(BadInput, match=r"other things in it, such as thesis.tex; name a new one"):
        find_scales("toy", TOY, data=data, out=other)
    assert [path.name for path in other.iterdir()] == ["thesis.tex"]


def test_sizes_that_no_photograph_has_are_refused(data, tmp_path):
    (data / "zero.txt").write_text("# EVENT/0.png 0 160\n1 1 30 30\n")
    with pytest.raises(BadFile, match=r"0.png is said to have 0 x 160 pixels; a photograph has"):
        find_scales("toy", TOY, data=data, out=tmp_path / "o", changes=["target=zero.txt"])
    (data / "zero.txt").write_text("# EVENT/0.png 160 9999999999\n1 1 30 30\n")
    with pytest.raises(BadFile, match=r"160 x 9999999999 pixels"):
        find_scales("toy", TOY, data=data, out=tmp_path / "o", changes=["labels=zero.txt"])


def test_what_a_killed_write_left_is_not_in_the_way(data, tmp_path):
    first = find_scales("toy", TOY, data=data, out=tmp_path / "out")
    (tmp_path / "out" / ".0123456789abcdef.part").write_text("half")
    assert find_scales("toy", TOY, data=data, out=tmp_path / "out").fits == first.fits


@pytest.mark.slow
@pytest.mark.data
def test_708_photographs_ask_for_scales_near_those_of_their_recipe(test_data, tmp_path):
    changes = ["size=256", "crops=708"]
    found = find_scales(
        "detection/redistribute_samples",
        find_recipe("detection/redistribute_samples").recipe,
        data=test_data / "wider" / "train_708.tar",
        out=tmp_path / "out",
        changes=changes,
    )
    assert found.fits[0].scales == (0.48, 0.56, 0.64, 0.72, 0.8)
    assert found.fits[0].octaves < 0.25
    assert 0.5 < found.released.octaves < 0.8 < 1.6 < found.plain.octaves < 2.1
    trained = find_recipe("detection/wider708_scrfd_500m").recipe.data.scales
    (own,) = [fit for fit in found.fits if fit.scales == trained]
    assert own.octaves < 0.4
