"""RetinaFace's matching beside a plain loop over faces and anchors."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.geometry.boxes import iou  # noqa: E402 - only where torch is
from tronie.lab.nn.anchor_grid import anchor_grid, level_sizes  # noqa: E402
from tronie.lab.nn.assign import NONE  # noqa: E402
from tronie.lab.nn.retinaface_matching import Overlaps, match  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)

SMALL = Overlaps(positive=0.35, negative=0.35, least=0.2)
PAPER = Overlaps(positive=0.5, negative=0.3, least=None)
LEVELS = level_sizes(96, 128, (8, 16, 32))
GRID = anchor_grid(LEVELS, ((16, 32), (64, 128), (256, 512)))
SQUARES = GRID.boxes().numpy()


def brute(boxes, ignored, overlaps):
    """Faces of the anchors of one picture and which are unused, by the definition."""
    count = len(SQUARES)
    face, unused = np.full(count, NONE), np.zeros(count, bool)
    share, taken = np.zeros(count), np.zeros(count)
    table = [iou(SQUARES, box[None].astype(np.float32))[:, 0] for box in boxes]
    for f, row in enumerate(table):
        for a in range(count):
            if row[a] > share[a]:
                share[a] = row[a]
                face[a] = f if row[a] >= overlaps.positive else face[a]
    for f, row in enumerate(table):
        if overlaps.least is not None and row.max() >= overlaps.least:
            a = row.argmax()
            if row[a] > taken[a]:
                taken[a], face[a] = row[a], f
    for box in ignored:
        upper, lower = np.maximum(SQUARES[:, :2], box[:2]), np.minimum(SQUARES[:, 2:], box[2:])
        own = (SQUARES[:, 2] - SQUARES[:, 0]) ** 2
        unused |= np.clip(lower - upper, 0, None).prod(axis=1) >= own / 2
        share = np.maximum(share, iou(SQUARES, box[None].astype(np.float32))[:, 0])
    return face, (unused | (share >= overlaps.negative)) & (face == NONE)


def faces(count, seed, *, largest=120):
    draw = np.random.default_rng(seed)
    upper = draw.uniform(-10, [120, 90], (count, 2))
    return np.concatenate([upper, upper + draw.uniform(3, largest, (count, 2))], axis=1)


def ours(boxes, overlaps, *, valid=None, ignore=None):
    given = torch.tensor(np.asarray(boxes), dtype=torch.float32)
    flags = torch.ones(given.shape[:2], dtype=torch.bool)
    valid = flags if valid is None else torch.tensor(valid)
    ignore = ~flags if ignore is None else torch.tensor(ignore)
    found, unused = match(GRID, given, valid, ignore, overlaps=overlaps)
    return found.numpy(), unused.numpy()


@pytest.mark.parametrize("overlaps", [SMALL, PAPER], ids=["small", "paper"])
def test_each_anchor_answers_for_the_face_of_the_definition(overlaps):
    found = 0
    for seed in range(6):
        boxes = faces(12, seed)
        wanted, left = brute(boxes, [], overlaps)
        got, unused = ours(boxes[None], overlaps)
        np.testing.assert_array_equal(got[0], wanted)
        np.testing.assert_array_equal(unused[0], left)
        found += (wanted != NONE).sum()
    assert found > 20


def test_pictures_of_a_batch_do_not_know_each_other_and_ignored_boxes_are_unused():
    boxes = np.stack([faces(6, seed) for seed in range(3)])
    valid = np.array([[1] * 6, [0] * 6, [1, 0, 1, 1, 0, 1]], bool)
    ignore = np.array([[0, 1, 0, 0, 1, 0], [0] * 6, [0, 0, 0, 1, 0, 0]], bool)
    got, unused = ours(boxes, SMALL, valid=valid, ignore=ignore)
    for b in range(3):
        rows = np.flatnonzero(valid[b] & ~ignore[b])
        wanted, left = brute(boxes[b, rows], boxes[b, valid[b] & ignore[b]], SMALL)
        wanted = np.append(rows, NONE)[wanted]  # NONE is -1, the last
        np.testing.assert_array_equal(got[b], wanted)
        np.testing.assert_array_equal(unused[b], left)
    assert unused[0].sum() > unused[1].sum() == 0


def test_between_the_two_overlaps_nothing_is_learned():
    """A face of 32 x 32 on an anchor of 32: shifted by x it shares (32 - x) / (32 + x)."""
    for shift, kind in ((10, "positive"), (12, "unused"), (16, "unused"), (18, "background")):
        box = [[[32.0 - 16 + shift, 16, 64 - 16 + shift, 48]]]
        got, unused = ours(box, PAPER)
        anchor = next(
            a for a, square in enumerate(SQUARES) if tuple(square) == (16.0, 16.0, 48.0, 48.0)
        )
        is_face = got[0, anchor] == 0
        assert {"positive": is_face, "unused": unused[0, anchor]}.get(
            kind, not is_face and not unused[0, anchor]
        )


def test_a_small_face_gets_its_best_anchor_and_a_tiny_one_none():
    small, tiny = [[[36.0, 36, 45, 45]]], [[[36.0, 36, 42, 42]]]  # 81 / 256 and 36 / 256
    assert (ours(small, SMALL)[0] == 0).sum() == 1
    assert (ours(tiny, SMALL)[0] == NONE).all()
    assert (ours(small, PAPER)[0] == NONE).all()


def test_of_two_faces_with_one_best_anchor_the_larger_overlap_has_it():
    less, more = [36.0, 36, 44, 44], [36.0, 36, 45, 45]  # 64 / 256 and 81 / 256
    for pair, winner in (([less, more], 1), ([more, less], 0), ([more, more], 0)):
        assert set(ours([pair], SMALL)[0][0]) == {NONE, winner}


def test_what_would_be_a_face_but_is_ignored_is_unused_though_little_of_it_is_covered():
    box = [[[36.0, 36, 45.5, 45.5]]]  # 90 / 256 of the anchor, less than half of it
    got, unused = ours(box, SMALL, ignore=[[True]])
    assert (got == NONE).all()
    assert unused[0].tolist() == (ours(box, SMALL)[0][0] == 0).tolist()
    assert unused.sum() == 1


def test_boxes_without_area_or_far_away_or_no_numbers_get_no_anchor():
    nan = float("nan")
    odd = [
        [30.0, 30, 30, 60],
        [50, 50, 40, 40],
        [500, 500, 600, 600],
        [1e30, 0, 2e30, 9],
        [-1e30, -1e30, 1e30, 1e30],
        [nan] * 4,
    ]
    good = [16.0, 16, 48, 48]
    for overlaps in (SMALL, PAPER):
        assert set(ours([[*odd, good]], overlaps)[0][0]) == {NONE, 6}
        got, unused = ours([odd], overlaps)
        assert (got == NONE).all()
        assert not unused.any()


def test_no_face_at_all_is_no_anchor():
    got, unused = ours(np.zeros((2, 0, 4)), SMALL)
    assert (got == NONE).all()
    assert not unused.any()


def test_many_faces_are_matched_as_a_few_are():
    boxes = faces(150, 3, largest=40)
    wanted, _ = brute(boxes, [], SMALL)
    np.testing.assert_array_equal(ours(boxes[None], SMALL)[0][0], wanted)
