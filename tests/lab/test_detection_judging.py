"""What a detector is judged by: photographs held out, the official truth, and what is told."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from toy_detection import toy_recipe, write_photos  # noqa: E402 - only where torch is
from tronie.data.readers.widerface import WiderPhoto  # noqa: E402
from tronie.errors import BadImage, NotEnoughData, NotFound  # noqa: E402
from tronie.evaluation.report import Report  # noqa: E402
from tronie.lab.nn.detector import build_detector  # noqa: E402
from tronie.lab.training import detection_judging as judging  # noqa: E402
from tronie.lab.training.detection_judging import (  # noqa: E402
    JudgedSet,
    check_judging,
    judge_all,
    open_judging,
    short_name,
    split,
)
from tronie.lab.training.detection_recipe import DetectionData, DetectionValidation  # noqa: E402
from tronie.lab.training.detection_source import open_faces  # noqa: E402
from tronie.provenance import provenance  # noqa: E402

pytestmark = pytest.mark.lab

CPU = torch.device("cpu")


@pytest.fixture
def closing():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def source(tmp_path, closing):
    return open_faces(write_photos(tmp_path / "data", photos=20), closing=closing)


def names(source):
    return {source.name_of(n) for n in range(len(source))}


def official(monkeypatch, photo, name, *, boxes=((38.0, 28.0, 122.0, 136.0),)):
    """As if WIDER FACE held the one photograph that is given."""
    mask = np.ones(len(boxes), np.bool_)
    truth = {name: WiderPhoto(np.array(boxes), dict.fromkeys(("easy", "medium", "hard"), mask))}
    monkeypatch.setattr(judging, "read_truth", lambda folder: truth)
    monkeypatch.setattr(judging, "provenance", lambda files=None: provenance())
    photo.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (1024, 300)).save(photo)


def test_nothing_is_held_out_unless_it_is_asked_for(source):
    parts = split(source, 0.0)
    assert (parts.trained, parts.held_out) == (source, None)


def test_photographs_are_trained_on_or_held_out(source):
    parts = split(source, 0.4)
    assert names(parts.trained) | names(parts.held_out) == names(source)
    assert not names(parts.trained) & names(parts.held_out)
    assert 3 <= len(parts.held_out) <= 13  # 8 of 20, within two and a half standard deviations


def test_a_larger_share_holds_out_more_of_the_same(source):
    assert names(split(source, 0.2).held_out) < names(split(source, 0.6).held_out)


def test_a_photograph_is_held_out_by_its_name_and_not_by_its_place(source):
    turned = source.part(list(range(len(source)))[::-1])
    assert names(split(turned, 0.4).held_out) == names(split(source, 0.4).held_out)


@pytest.mark.parametrize(("share", "told"), [(1e-9, "keeps 0 of 20"), (1 - 1e-9, "keeps 20 of")])
def test_a_share_that_leaves_nothing_is_refused(source, share, told):
    with pytest.raises(NotEnoughData, match=f"{told}.*both parts need one or more"):
        split(source, share)


@pytest.mark.parametrize("name", ["EVENT/a.jpg", "/photos/EVENT/a.png", "x/EVENT/a"])
def test_a_photograph_has_one_short_name(name):
    assert short_name(name) == "EVENT/a"


def test_without_truth_and_share_nothing_is_judged(source, tmp_path, closing):
    parts = split(source, 0.0)
    assert open_judging(toy_recipe(), parts, tmp_path, closing=closing) == []


def test_faces_held_out_are_judged_and_reported(source, tmp_path, closing):
    judged = open_judging(toy_recipe(), split(source, 0.4), tmp_path, closing=closing)
    assert check_judging(judged) == ()
    torch.manual_seed(0)
    network = build_detector("scrfd-0.5g").eval()
    numbers = judge_all(judged, toy_recipe(), tmp_path / "run", 7, network, device=CPU)
    text = (tmp_path / "run" / "reports" / "held-out-step-00000007.json").read_text()
    report = Report.from_json(text)
    assert numbers == {"held-out": report.values["all"].value}
    assert "of the network after 7 steps" in report.notes
    assert report.values["photographs"].value == len(judged[0].names)


def test_photographs_of_the_truth_that_are_trained_on_are_told(
    source, tmp_path, closing, monkeypatch
):
    official(monkeypatch, tmp_path / "wider" / "EVENT" / "3.jpg", "EVENT/3")
    recipe = toy_recipe(validation=DetectionValidation(truth="mats", photos="wider", size=160))
    judged = open_judging(recipe, split(source, 0.0), tmp_path, closing=closing)
    (note,) = check_judging(judged)
    assert note.startswith("1 of the 1 photographs of widerface are trained on: its numbers tell")
    network = build_detector("scrfd-0.5g").eval()
    numbers = judge_all(judged, recipe, tmp_path / "run", 1, network, device=CPU)
    assert list(numbers) == ["easy", "medium", "hard"]
    text = (tmp_path / "run" / "reports" / "widerface-step-00000001.json").read_text()
    assert note in Report.from_json(text).notes


def test_photographs_that_were_resized_are_not_judged(source, tmp_path, closing, monkeypatch):
    photo = tmp_path / "wider" / "EVENT" / "3.jpg"
    official(monkeypatch, photo, "EVENT/3")
    Image.new("RGB", (800, 300)).save(photo)
    recipe = toy_recipe(validation=DetectionValidation(truth="mats", photos="wider", size=160))
    with pytest.raises(NotFound, match=r"validation.photos: .*wider holds .* all of them were res"):
        open_judging(recipe, split(source, 0.0), tmp_path, closing=closing)


def test_a_set_without_a_face_that_counts_is_refused(source, tmp_path, closing):
    large = toy_recipe(validation=DetectionValidation(least_side=900.0, size=160))
    judged = open_judging(large, split(source, 0.4), tmp_path, closing=closing)
    with pytest.raises(NotEnoughData, match="by held-out asks for faces, and none of those in its"):
        check_judging(judged)


@pytest.mark.parametrize("how", ["no picture", "damaged in the middle", "another size"])
def test_a_photograph_held_out_that_cannot_be_read_is_refused_or_left_out(
    how, source, tmp_path, closing
):
    parts = split(source, 0.4)
    gone = min(names(parts.held_out))
    path = tmp_path / "data" / gone
    whole = path.read_bytes()
    if how == "no picture":
        path.write_bytes(b"no picture")
    elif how == "another size":
        Image.new("RGB", (8, 8)).save(path)
    else:  # header and end are as they were
        path.write_bytes(whole[: len(whole) // 2] + bytes(40) + whole[len(whole) // 2 + 40 :])
    with pytest.raises(BadImage, match=gone):
        open_judging(toy_recipe(), parts, tmp_path, closing=closing)
    skipping = toy_recipe(data=DetectionData(unreadable="skip"))
    judged = open_judging(skipping, parts, tmp_path, closing=closing)
    (note,) = check_judging(judged)
    assert note.startswith("1 of the photographs of held-out cannot be read and are left out; the")
    assert set(judged[0].names) == names(parts.held_out) - {gone}


def test_a_photograph_that_is_none_is_told_by_its_name():
    truth = {"a/b": WiderPhoto(np.zeros((1, 4)), {"all": np.ones(1, np.bool_)})}
    judged = JudgedSet(
        name="held-out",
        truth=truth,
        names=("a/b",),
        read=lambda name: b"no picture",
        by_heart=0,
        provenance=provenance(),
    )
    with pytest.raises(BadImage, match="a/b"):
        check_judging([judged])
    assert replace(judged, by_heart=1).notes() != ()
