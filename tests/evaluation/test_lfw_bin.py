"""The ten-fold rule over aligned pairs, on embeddings whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import BadArray, NotEnoughData
from tronie.evaluation.protocols.lfw_bin import PROTOCOL, score


def perfect(pairs=20):
    """Of each two pairs one shows one person; lengths 3 and 0.5 tell nothing."""
    same = np.arange(pairs) % 2 == 0
    rows = np.zeros((2 * pairs, 2), np.float32)
    rows[0::2, 0] = 3.0
    rows[1::2, 0] = np.where(same, 0.5, 0.0)
    rows[1::2, 1] = np.where(same, 0.0, 0.5)
    return rows, same


def test_perfect_embeddings_make_no_mistake():
    rows, same = perfect()
    found = score(rows, same, name="toy", mirrored=rows).to_dict()
    assert (found["accuracy"], found["std"], found["accuracy_exact"], found["pairs"]) == (
        1, 0, 1, 20,
    )  # fmt: skip
    assert (found["val_step"], found["val_step_far"]) == (1, 0)
    assert found["xnorm"] == pytest.approx(1.75)
    assert found["notes"][0] == "the set is toy: 10 of its 20 pairs show one person"


def test_one_wrong_pair_is_one_of_twenty():
    rows, same = perfect()
    rows[7] = [1.0, 0.0]  # the second crop of pair 3, of two people: now like the first
    found = score(rows, same, name="toy", mirrored=rows).to_dict()
    # Nine folds of two are all right, one is half right.
    assert found["accuracy"] == pytest.approx(0.95)
    assert found["std"] == pytest.approx(0.15)
    assert found["counts"]["accuracy"] == [19, 20]


def test_the_order_of_pairs_makes_the_folds():
    """Of 13 pairs the first three folds have two: fold 0 is pairs 0 and 1, fold 3 is pair 6."""
    rows, same = perfect(13)
    rows[2 * 6 + 1] = [0.0, 1.0]  # pair 6, of one person, is missed
    first = score(rows, same, name="toy", mirrored=rows).to_dict()
    assert first["accuracy"] == pytest.approx(0.9)  # a whole fold is wrong
    rows, same = perfect(13)
    rows[2 * 0 + 1] = [0.0, 1.0]  # pair 0, one of two in its fold
    assert score(rows, same, name="toy", mirrored=rows).to_dict()["accuracy"] == pytest.approx(0.95)


def test_the_mirror_image_is_added():
    """Seen straight, pairs of one person are at a right angle and those of two are equal; the
    mirror images, five times as long, turn both round."""
    same = np.arange(20) % 2 == 0
    rows = np.tile(np.array([[1.0, 0.0]], np.float32), (40, 1))
    rows[1::2][same] = [0.0, 1.0]
    mirrored = np.full((40, 2), 5.0, np.float32)
    mirrored[0::2][~same] = [0.0, 5.0]
    mirrored[1::2][~same] = [0.0, -5.0]
    alone = score(rows, same, name="toy").to_dict()
    summed = score(rows, same, name="toy", mirrored=mirrored).to_dict()
    assert (alone["val_step"], summed["val_step"]) == (0, 1)
    assert (alone["accuracy_exact"], summed["accuracy_exact"]) == (0.5, 1)
    assert alone["xnorm"] == 1
    # Of 80 rows 40 have length 1; of their mirror images 20 sqrt(50) and 20 have 5.
    assert summed["xnorm"] == pytest.approx((40 + 20 * np.sqrt(50) + 20 * 5) / 80)
    assert any("mirror images were left out" in note for note in alone["notes"])
    assert not any("mirror images were left out" in note for note in summed["notes"])


def test_scores_are_cosines_of_the_sums():
    rng = np.random.default_rng(0)
    rows, mirrored = rng.normal(size=(2, 80, 5)).astype(np.float32)
    same = rng.random(40) < 0.5
    sums = rows.astype(float) + mirrored
    unit = sums / np.linalg.norm(sums, axis=1)[:, None]
    cosines = (unit[0::2] * unit[1::2]).sum(axis=1)
    found = score(rows, same, name="toy", mirrored=mirrored).to_dict()
    # By hand: for each fold the best grid threshold of the rest, first of the best.
    grid, right = np.arange(0, 4, 0.01), []
    for fold in range(10):
        test = np.arange(40) // 4 == fold
        correct = [((2 - 2 * cosines[~test] < t) == same[~test]).sum() for t in grid]
        best = grid[int(np.argmax(correct))]
        right.append(((2 - 2 * cosines[test] < best) == same[test]).mean())
    assert found["accuracy"] == pytest.approx(np.mean(right))
    assert found["std"] == pytest.approx(np.std(right))
    lengths = np.linalg.norm(np.concatenate([rows, mirrored]), axis=1)
    assert found["xnorm"] == pytest.approx(lengths.mean(), rel=1e-6)


def test_the_report_says_which_rules_made_it():
    rows, same = perfect()
    found = PROTOCOL.score(rows, same, name="toy", mirrored=rows)
    assert (found.name, found.version) == (PROTOCOL.name, PROTOCOL.version) == ("lfw-bin", "1")


def test_shapes_that_do_not_fit_are_refused():
    rows, same = perfect()
    with pytest.raises(BadArray, match=r"20 pairs need embeddings of shape \(40, D\).*\(39, 2\)"):
        score(rows[:-1], same, name="toy")
    with pytest.raises(BadArray, match=r"got \(40, 2\) and \(40, 1\)"):
        score(rows, same, name="toy", mirrored=rows[:, :1])


def test_a_crop_without_an_embedding_is_refused():
    rows, same = perfect()
    rows[5] = np.nan
    with pytest.raises(BadArray, match="must be finite; row 5 of 40"):
        score(rows, same, name="toy")
    rows[5] = 0
    with pytest.raises(BadArray, match="row 5 of 40 embeddings is all zeros"):
        score(rows, same, name="toy")


def test_fewer_than_ten_pairs_are_refused():
    rows, same = perfect(9)
    with pytest.raises(NotEnoughData, match="10 folds need at least 10 pairs; got 9"):
        score(rows, same, name="toy", mirrored=rows)
