"""Pairs of crops: thresholds from other pairs, accuracy by hand, and Reports that are written."""

from __future__ import annotations

import io
import os
import pickle

import numpy as np
import pytest
from PIL import Image

from tronie.errors import BadFile, BadImage, BadInput, NotEnoughData, NotFound
from tronie.evaluation.report import Report

pytest.importorskip("torch")

from toy_training import crop, write_crops
from tronie.lab.training.recipe import Validation
from tronie.lab.training.validation import (
    check_validation,
    evaluate_named_pairs,
    validate,
)

pytestmark = pytest.mark.lab

LISTS = {"pairs": "pairsDevTest.txt", "threshold_pairs": "pairsDevTrain.txt"}


def by_person(crops):
    """Embeddings that are the same for all crops of a drawn person: the corner's color."""
    return crops[:, 0, 0, :].astype(np.float32) - 128.5


def evaluated(folder, embed=by_person, **given):
    return evaluate_named_pairs(
        folder, embed, **{name: folder / file for name, file in LISTS.items()}, **given
    )


def test_an_embedding_that_knows_everybody_is_always_right(tmp_path):
    report = evaluated(write_crops(tmp_path))
    accuracy = report.values["accuracy"]
    assert (accuracy.value, accuracy.count, accuracy.total) == (1.0, 4, 4)
    assert report.values["photos_without_face"].value == 0


def test_the_threshold_is_that_of_the_other_pairs_and_the_accuracy_is_counted(tmp_path):
    """Scores by hand: the training pairs have cosines 1 and 0, so the threshold is a half."""
    write_crops(tmp_path, people=4, shots=2)
    angles = {0: 0.0, 1: np.pi / 2, 2: 0.0, 3: np.pi / 4}
    folder_of = {tuple(crop(p, s)[0, 0]): p for p in range(4) for s in range(2)}

    def embed(crops):
        whose = [folder_of[tuple(one[0, 0])] for one in crops]
        return np.array([[np.cos(angles[p]), np.sin(angles[p])] for p in whose], np.float32)

    report = evaluated(tmp_path, embed, flip=False)
    assert report.values["threshold"].value == pytest.approx(0.5, abs=1e-6)
    # P2 and P3 with themselves: 1, right; with each other: cos 45 degrees = 0.71, wrong twice
    assert report.values["accuracy"].count == 2
    assert any("chosen on 2 other pairs" in note for note in report.notes)


def test_a_pair_of_a_crop_that_is_not_there_is_taken_for_two_people(tmp_path):
    write_crops(tmp_path)
    (tmp_path / "P3" / "P3_0002.png").unlink()
    report = evaluated(tmp_path)
    assert report.values["accuracy"].count == 3  # P3 1 2 is missed; P3 2 with P4 2 is right
    assert report.values["photos_without_face"].value == 1


def test_the_mirror_image_is_added_where_that_is_asked(tmp_path):
    seen = []

    def embed(crops):
        seen.append(crops.copy())
        return by_person(crops)

    evaluated(write_crops(tmp_path), embed, flip=True)
    np.testing.assert_array_equal(seen[1], seen[0][:, :, ::-1])
    seen.clear()
    evaluated(tmp_path, embed, flip=False)
    assert len(seen) == 1


def write_bin(path, *, pairs=20):
    """A .bin of pairs of drawn people, as InsightFace pickles them."""
    images, same = [], []
    for n in range(pairs):
        for person in (n % 4, n % 4 if n % 2 else (n + 1) % 4):
            out = io.BytesIO()
            Image.fromarray(crop(person, n)).save(out, "PNG")
            images.append(out.getvalue())
        same.append(bool(n % 2))
    path.write_bytes(pickle.dumps((images, same), protocol=4))


def test_each_set_is_reported_and_its_accuracy_returned(tmp_path):
    write_crops(tmp_path / "data")
    write_bin(tmp_path / "data" / "small.bin")
    asked = Validation(bins=("small.bin",), **LISTS)
    check_validation(asked, tmp_path / "data")
    found = validate(asked, tmp_path / "data", tmp_path / "run", 7, by_person)
    assert found.keys() == {"small", "pairsDevTest"}
    for name, accuracy in found.items():
        text = (tmp_path / "run" / "reports" / f"{name}-step-00000007.json").read_text()
        report = Report.from_json(text)
        assert report.values["accuracy"].value == accuracy
        assert "of the network after 7 steps" in report.notes


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"bins": ("lfw.bin",)}, "asks for .*lfw.bin, which is not there"),
        ({**LISTS, "photos": "crops"}, "asks for crops in .*crops, which is no folder"),
    ],
)
def test_what_is_not_there_is_told_before_the_run(tmp_path, asked, told):
    write_crops(tmp_path)
    with pytest.raises(NotFound, match=told):
        check_validation(Validation(**asked), tmp_path)


def test_a_threshold_from_the_pairs_themselves_is_refused(tmp_path):
    write_crops(tmp_path)
    (tmp_path / "pairsDevTrain.txt").write_text((tmp_path / "pairsDevTest.txt").read_text())
    with pytest.raises(BadInput, match="share 4 pairs"):
        evaluated(tmp_path)


def test_no_crop_of_the_pairs_is_refused(tmp_path):
    write_crops(tmp_path)
    (tmp_path / "pairsDevTest.txt").write_text("1\nX\t1\t2\nX\t1\tY\t1\n")
    (tmp_path / "pairsDevTrain.txt").write_text("1\nZ\t1\t2\nZ\t1\tY\t1\n")
    with pytest.raises(NotFound, match="holds no crop of the pairs"):
        evaluated(tmp_path)


def test_a_crop_of_another_size_is_refused(tmp_path):
    write_crops(tmp_path)
    Image.new("RGB", (160, 160)).save(tmp_path / "P0" / "P0_0001.png")
    with pytest.raises(BadImage, match="has 160 x 160 pixels; validation takes aligned crops"):
        evaluated(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("pairsDevTest.txt", "no list\n", "pairsDevTest.txt:1: must be"),
        ("pairsDevTrain.txt", "1\nP0\t1\t2\n", "announces 1 x 2 x 1 = 2 pairs; 1 lines"),
    ],
)
def test_a_list_that_breaks_its_form_is_told_before_the_run(tmp_path, name, text, told):
    (write_crops(tmp_path) / name).write_text(text)
    with pytest.raises(BadFile, match=told):
        check_validation(Validation(**LISTS), tmp_path)


def test_lists_that_share_a_pair_are_told_before_the_run(tmp_path):
    write_crops(tmp_path)
    (tmp_path / "pairsDevTrain.txt").write_text((tmp_path / "pairsDevTest.txt").read_text())
    with pytest.raises(BadInput, match="share 4 pairs"):
        check_validation(Validation(**LISTS), tmp_path)


def test_a_bin_is_judged_before_the_run(tmp_path):
    asked = Validation(bins=("small.bin",))
    (tmp_path / "small.bin").write_bytes(b"no pickle")
    with pytest.raises(BadFile, match=r"small.bin is no LFW-type .bin that can be read"):
        check_validation(asked, tmp_path)
    write_bin(tmp_path / "small.bin", pairs=9)
    with pytest.raises(NotEnoughData, match="has 9 pairs; ten-fold accuracy needs at least 10"):
        check_validation(asked, tmp_path)
    write_bin(tmp_path / "small.bin")
    assert check_validation(asked, tmp_path) == ()
    images, same = pickle.loads((tmp_path / "small.bin").read_bytes())
    images[7] = images[7][:300]
    (tmp_path / "small.bin").write_bytes(pickle.dumps((images, same), protocol=4))
    with pytest.raises(BadImage, match=r"crop 7 of .*small.bin' is a damaged or truncated PNG"):
        check_validation(asked, tmp_path)


def test_a_crop_that_cannot_be_read_is_told_before_the_run(tmp_path):
    """Its header is whole, so that only decoding it tells."""
    write_crops(tmp_path)
    crop_of_pairs = tmp_path / "P3" / "P3_0002.png"
    crop_of_pairs.write_bytes(crop_of_pairs.read_bytes()[:700])
    with pytest.raises(BadImage, match=r"P3_0002.png' is a damaged or truncated PNG picture"):
        check_validation(Validation(**LISTS), tmp_path)


def test_a_pipe_among_the_crops_is_told_and_not_waited_for(tmp_path):
    write_crops(tmp_path)
    (tmp_path / "P3" / "P3_0002.png").unlink()
    os.mkfifo(tmp_path / "P3" / "P3_0002.png")
    with pytest.raises(BadImage, match=r"P3_0002.png' is no plain file but a pipe"):
        check_validation(Validation(**LISTS), tmp_path)


def test_crops_that_may_be_skipped_count_as_missing_and_are_noted(tmp_path):
    write_crops(tmp_path)
    (tmp_path / "P3" / "P3_0002.png").write_bytes(b"no picture")
    (note,) = check_validation(Validation(**LISTS), tmp_path, skip_unreadable=True)
    told = "1 crop of validation counts as missing, because "
    assert note.startswith(told)
    assert "P3_0002.png" in note
    report = evaluated(tmp_path, skip_unreadable=True)
    assert report.values["accuracy"].count == 3  # as where it is not there
    assert report.values["photos_without_face"].value == 1
    assert "1 crops of the pairs could not be read and count as missing" in report.notes


def test_where_no_crop_can_be_read_it_is_refused_even_then(tmp_path):
    for file in write_crops(tmp_path).glob("*/*.png"):
        file.write_bytes(b"no picture")
    with pytest.raises(BadImage, match=r"no crop of the pairs in .* can be read"):
        evaluated(tmp_path, skip_unreadable=True)
