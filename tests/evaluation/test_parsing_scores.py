"""Scores of label maps: by hand, as sets of pixels, and in any order."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import BadArray, NotEnoughData
from tronie.evaluation.metrics.parsing_scores import confusion, f1, iou, summarized
from tronie.evaluation.protocols import parsing_celebamask, parsing_helen, parsing_lapa

NAMES = ("background", "left", "right", "nose")


def maps(seed: int):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, (20, 30))
    found = np.where(rng.random(truth.shape) < 0.7, truth, rng.integers(0, 3, truth.shape))
    return truth.astype(np.uint8), found.astype(np.uint8)


def test_the_table_counts_true_by_rows_and_found_by_columns():
    truth, found = maps(0)
    counts = confusion(truth, found, classes=4)
    for t in range(4):
        for p in range(4):
            assert counts[t, p] == ((truth == t) & (found == p)).sum()
    assert counts.dtype == np.int64


def test_pixels_that_are_not_judged_are_not_counted_whatever_was_found():
    truth = np.array([255, 255, 1], np.uint8)
    assert confusion(truth, np.array([0, 9, 1], np.uint8), classes=2).sum() == 1


def test_photographs_can_be_added_one_by_one():
    parts = [maps(seed) for seed in range(3)]
    together = confusion(*(np.concatenate(side) for side in zip(*parts, strict=True)), classes=4)
    np.testing.assert_array_equal(sum(confusion(*p, classes=4) for p in parts), together)


@pytest.mark.parametrize("labels", [(1,), (1, 2), (0, 1, 2)])
def test_scores_are_those_of_sets_of_pixels(labels):
    truth, found = maps(1)
    counts = confusion(truth, found, classes=4)
    true = {n for n, label in enumerate(truth.flat) if label in labels}
    seen = {n for n, label in enumerate(found.flat) if label in labels}
    assert f1(counts, labels) == pytest.approx(2 * len(true & seen) / (len(true) + len(seen)))
    assert iou(counts, labels) == pytest.approx(len(true & seen) / len(true | seen))


def test_a_table_by_hand():
    counts = np.array([[4, 0, 0, 0], [0, 2, 1, 0], [1, 2, 0, 0], [0, 0, 0, 0]])
    values = summarized(counts, names=NAMES, merges={"both": ("left", "right")})
    assert values["f1_left"].value == pytest.approx(2 * 2 / (3 + 4))
    assert values["f1_right"].value == 0.0
    assert values["f1_both"].value == pytest.approx(2 * 5 / (6 + 5))  # sides may be mixed up
    assert values["mean_f1"].value == pytest.approx((4 / 7 + 0) / 2)  # nose is nowhere
    assert values["miou"].value == pytest.approx((4 / 5 + 2 / 5 + 0) / 3)
    assert (values["pixel_accuracy"].count, values["pixel_accuracy"].total) == (6, 10)
    assert "f1_nose" not in values


@pytest.mark.parametrize("protocol", [parsing_lapa, parsing_helen, parsing_celebamask])
def test_every_class_of_a_set_is_reported_and_perfect_maps_score_one(protocol):
    classes = len(protocol.CLASSES)
    report = protocol.PROTOCOL.score(np.diag(np.arange(1, classes + 1)))
    named = {f"f1_{name}" for name in (*protocol.CLASSES, *protocol.MERGES)}
    assert named <= set(report.values)
    assert {report.values[name].value for name in (*named, "mean_f1", "miou")} == {1.0}


def test_helen_takes_brows_eyes_nose_and_mouth_together_but_neither_skin_nor_hair():
    counts = np.zeros((11, 11), int)
    counts[2, 3] = counts[4, 5] = counts[6, 6] = counts[7, 9] = counts[8, 7] = 10
    counts[1, 10] = counts[10, 1] = 50
    values = parsing_helen.PROTOCOL.score(counts).values
    merged = {name: values[f"f1_{name}"].value for name in ("brows", "eyes", "mouth", "overall")}
    assert merged == {"brows": 1.0, "eyes": 1.0, "mouth": 1.0, "overall": 1.0}
    assert (values["f1_skin"].value, values["f1_left_brow"].value) == (0.0, 0.0)


def test_sets_have_their_published_number_of_classes():
    sizes = [len(p.CLASSES) for p in (parsing_lapa, parsing_helen, parsing_celebamask)]
    assert sizes == [11, 11, 19]


def test_a_label_out_of_range_is_named():
    with pytest.raises(BadArray, match=r"found labels must lie in \[0, 2\); got 7"):
        confusion(np.array([0, 1]), np.array([0, 7]), classes=2)


@pytest.mark.parametrize("found", [np.zeros(3, int), np.zeros(2)])
def test_maps_that_do_not_fit_are_refused(found):
    with pytest.raises(BadArray, match="whole numbers of one shape"):
        confusion(np.zeros(2, int), found, classes=2)


def test_a_table_of_another_set_is_refused():
    with pytest.raises(BadArray, match=r"counts must have shape \(11, 11\)"):
        parsing_lapa.PROTOCOL.score(np.ones((19, 19), int))


def test_background_alone_has_no_mean():
    with pytest.raises(NotEnoughData, match="4 pixels hold no class but the background"):
        summarized(np.diag([4, 0, 0, 0]), names=NAMES, merges={})
