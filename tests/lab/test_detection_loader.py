"""Batches of crops: the same whoever makes them, faces with their pictures, faults by name."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
from PIL import Image

from tronie.data.augment.face_photo import boxes_only, ignored_below
from tronie.data.augment.square_crops import square_crop
from tronie.errors import BadArray, BadImage, BadInput

pytest.importorskip("torch")

import torch

from tronie.images.io import decode_image
from tronie.lab.training import detection_source
from tronie.lab.training.detection_loader import FaceLoader, targets_of
from tronie.lab.training.detection_source import open_faces

pytestmark = pytest.mark.lab

COUNT = 7


@pytest.fixture
def source(tmp_path):
    """Photograph n has n faces and the level 20 n, and is 50 pixels high."""
    text = ""
    for n in range(COUNT):
        Image.new("RGB", (60 + n, 50), (20 * n,) * 3).save(tmp_path / f"p{n}.png")
        text += f"# p{n}.png {60 + n} 50\n"
        text += "".join(f"{5 * k} 3 {5 * k + 4} 9\n" for k in range(n))
    (tmp_path / "labels.txt").write_text(text)
    with ExitStack() as closing:
        yield open_faces(tmp_path, closing=closing)


def crop(photo, rng, size):
    return square_crop(photo, rng, size=size, scales=(0.5, 2.0))


def loader(source, **given):
    return FaceLoader(
        source,
        **{"augment": crop, "batch_size": 4, "seed": 3, "sizes": (32,), "threads": 2, **given},
    )


def batches(source, first, end, **given):
    with loader(source, **given) as one:
        return list(one.steps(first, end))


def test_each_photograph_comes_once_an_epoch_with_its_own_faces(source):
    seen = []
    for (batch,) in batches(source, 0, 7):
        assert batch.images.shape == (4, 32, 32, 3)
        assert batch.images.dtype == np.uint8
        faces = batch.targets.valid.sum(dim=1)
        for image, count, n in zip(
            batch.images, faces.tolist(), batch.samples.tolist(), strict=True
        ):
            assert 20 * n in image
            assert count <= n
            assert count >= min(n, 1)
            seen.append(n)
    assert sorted(seen) == sorted([*range(COUNT)] * 4)
    assert sorted(seen[:COUNT]) == list(range(COUNT))


@pytest.mark.parametrize("parts", [1, 2])
def test_processes_cut_the_same_steps_and_make_the_same_pictures(source, parts):
    def pictures(steps):
        return {
            (step, int(n)): image.tobytes()
            for step, found in enumerate(steps)
            for part in found
            for n, image in zip(part.samples, part.images, strict=True)
        }

    whole = pictures(batches(source, 0, 5))
    cut = [pictures(batches(source, 0, 5, parts=parts, rank=rank, ranks=2)) for rank in range(2)]
    assert {**cut[0], **cut[1]} == whole
    assert not cut[0].keys() & cut[1].keys()


def test_a_run_that_goes_on_makes_what_it_would_have_made(source):
    later = batches(source, 3, 5, threads=4)
    for (a,), (b,) in zip(batches(source, 0, 5)[3:], later, strict=True):
        np.testing.assert_array_equal(a.images, b.images)
        assert torch.equal(a.targets.boxes, b.targets.boxes)


def test_a_step_has_one_size_of_those_asked_for_in_every_process(source):
    sizes = (16, 24, 32, 40)
    shapes = []
    for rank in range(2):
        found = batches(source, 0, 6, sizes=sizes, rank=rank, ranks=2, parts=2)
        shapes.append([{part.images.shape[1] for part in parts} for parts in found])
    assert shapes[0] == shapes[1]
    with loader(source, sizes=sizes) as one:
        assert shapes[0] == [{one.size_at(step)} for step in range(6)]
        counts = np.unique([one.size_at(step) for step in range(400)], return_counts=True)
    assert counts[0].tolist() == list(sizes)
    assert counts[1].min() > 65  # four standard deviations


def test_targets_are_filled_up_and_rows_that_hold_none_are_marked():
    photo = boxes_only([[1, 2, 3, 4], [5, 6, 7, 8]])
    photo.ignore[1] = True
    photo.points[0], photo.has_points[0] = 5, True
    found = targets_of([boxes_only([]), photo])
    assert found.boxes.tolist() == [[[0] * 4] * 2, [[1, 2, 3, 4], [5, 6, 7, 8]]]
    assert found.valid.tolist() == [[False, False], [True, True]]
    assert found.ignore.tolist() == [[False, False], [False, True]]
    assert found.has_points.tolist() == [[[False] * 5] * 2, [[True] * 5, [False] * 5]]
    assert found.points[1, 0].tolist() == [[5, 5]] * 5
    assert found.boxes.dtype == found.points.dtype == torch.float32


def test_pictures_without_faces_make_targets_of_none():
    found = targets_of([boxes_only([])] * 3)
    assert found.boxes.shape == (3, 0, 4)
    assert found.points.shape == (3, 0, 5, 2)


def test_kept_photographs_are_decoded_once_and_change_nothing(source, monkeypatch):
    decoded = []

    def watched(data, *, name):
        decoded.append(name)
        return decode_image(data, name=name)

    monkeypatch.setattr(detection_source, "decode_image", watched)
    kept = batches(source, 0, 21, threads=1)
    assert sorted(decoded) == sorted(f"p{n}.png" for n in range(COUNT))
    decoded.clear()
    again = batches(source, 0, 21, threads=1, keep_bytes=0)
    assert len(decoded) == 21 * 4
    for (a,), (b,) in zip(kept, again, strict=True):
        np.testing.assert_array_equal(a.images, b.images)
    decoded.clear()
    batches(source, 0, 21, threads=1, keep_bytes=2 * 67 * 50 * 3)  # room for two
    assert len(decoded) == 2 + 5 * 12


def test_a_photograph_of_another_size_than_labeled_ends_the_run(source, tmp_path):
    Image.new("RGB", (31, 50)).save(tmp_path / "p2.png")
    with pytest.raises(
        BadImage, match=r"p2\.png has 31 x 50 pixels; its faces are labeled in 62 x 50"
    ):
        batches(source, 0, 2)


def test_one_that_cannot_be_read_ends_the_run_or_gives_way_to_the_next(source, tmp_path):
    (tmp_path / "p2.png").write_bytes(b"no picture")
    with pytest.raises(BadImage, match=r"p2\.png' begins with b'no pictu'"):
        batches(source, 0, 2)
    with loader(source, skip_unreadable=True) as one:
        seen = np.concatenate([batch.samples for (batch,) in one.steps(0, 7)])
        assert list(one.unreadable) == [2]
    assert sorted(seen.tolist()) == sorted([0, 1, 3, 3, 4, 5, 6] * 4)


def test_a_picture_of_another_size_than_asked_for_is_refused(source):
    with pytest.raises(BadArray, match=r"augment must make pictures of 32 x 32; got shape \(50,"):
        batches(source, 0, 1, augment=lambda photo, rng, size: photo)


def test_what_is_ignored_stays_so(source):
    def small(photo, rng, size):
        return ignored_below(crop(photo, rng, size), 1000)

    for (batch,) in batches(source, 0, 3, augment=small):
        assert torch.equal(batch.targets.ignore, batch.targets.valid)


@pytest.mark.parametrize("sizes", [(), (0,)])
def test_sizes_out_of_range_are_refused(source, sizes):
    with pytest.raises(BadInput, match="a step needs one size or more, each above 0"):
        loader(source, sizes=sizes)


def test_more_processes_than_pictures_are_refused(source):
    with pytest.raises(BadInput, match="a part of 2 images cannot be cut over 3 processes"):
        loader(source, parts=2, ranks=3)
