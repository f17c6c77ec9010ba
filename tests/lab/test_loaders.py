"""Batches: each sample once whoever takes it, the same pixels whoever draws, faults by name."""

from __future__ import annotations

import itertools
from contextlib import ExitStack

import numpy as np
import pytest

from tronie.errors import BadImage, BadInput

pytest.importorskip("torch")

from toy_training import crop, write_crops
from tronie.lab.training.loaders import Loader
from tronie.lab.training.recipe import Data
from tronie.lab.training.sources import open_source

pytestmark = pytest.mark.lab


@pytest.fixture
def source(tmp_path):
    with ExitStack() as closing:
        yield open_source(write_crops(tmp_path), Data(), closing=closing)


def batches(source, first, end, **given):
    given = {"batch_size": 6, "seed": 2, "threads": 2, **given}
    with Loader(source, **given) as loader:
        return list(loader.steps(first, end))


def all_samples(steps):
    return list(itertools.chain.from_iterable(samples(steps)))


def samples(steps):
    return [np.concatenate([part.samples for part in parts]).tolist() for parts in steps]


def test_images_and_labels_are_those_of_the_samples(source):
    for (batch,) in batches(source, 0, 4):
        assert batch.images.dtype == np.uint8
        for image, label, sample in zip(*batch, strict=True):
            assert label == source.labels[sample] == sample // 4
            np.testing.assert_array_equal(image, crop(sample // 4, sample % 4))


def test_every_epoch_holds_each_sample_once_though_batches_run_over_its_end(source):
    found = all_samples(batches(source, 0, 10))
    assert [sorted(found[n : n + 20]) for n in (0, 20, 40)] == [list(range(20))] * 3


def test_images_of_one_identity_come_together_where_asked(source):
    """Four of each: whole groups, side by side."""
    with Loader(source, batch_size=4, seed=2, threads=2, together=4) as loader:
        labels = [parts[0].labels.tolist() for parts in loader.steps(0, 10)]
    assert all(len(set(one)) == 1 for one in labels)
    assert sorted(one[0] for one in labels[:5]) == list(range(5))


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("ranks", [1, 2])
def test_parts_and_processes_cut_the_same_steps(source, parts, ranks):
    whole = samples(batches(source, 0, 5))
    cut = [
        samples(batches(source, 0, 5, parts=parts, rank=rank, ranks=ranks)) for rank in range(ranks)
    ]
    for step in range(5):
        assert sorted(itertools.chain.from_iterable(one[step] for one in cut)) == sorted(
            whole[step]
        )


def test_a_run_that_goes_on_with_other_processes_sees_each_sample_once(source):
    """Two processes for steps 0 and 1, then three from step 2 on: one epoch is 20 samples."""
    seen = []
    for rank in range(2):
        seen += all_samples(batches(source, 0, 2, rank=rank, ranks=2))
    for rank in range(3):
        seen += all_samples(batches(source, 2, 4, rank=rank, ranks=3))
    in_order = all_samples(batches(source, 0, 4))
    assert sorted(seen) == sorted(in_order)
    assert sorted(in_order[:20]) == list(range(20))


def test_what_is_drawn_belongs_to_the_sample_and_the_epoch_alone(source):
    def noisy(image, sample, drawn):
        return np.full_like(image, drawn.integers(256))

    def pixels(first, end, **given):
        found = {}
        for step, parts in enumerate(batches(source, first, end, augment=noisy, **given), first):
            for part in parts:
                for image, sample in zip(part.images, part.samples, strict=True):
                    found[step, int(sample)] = int(image[0, 0, 0])
        return found

    alone = pixels(0, 8)
    shared = {**pixels(0, 8, rank=0, ranks=2, threads=1), **pixels(0, 8, rank=1, ranks=2)}
    assert alone == shared
    assert {k: v for k, v in alone.items() if k[0] >= 5} == pixels(5, 8)
    first_epoch = {sample: value for (step, sample), value in alone.items() if step < 3}
    second = {sample: value for (step, sample), value in alone.items() if step >= 4}
    shared_samples = first_epoch.keys() & second.keys()
    assert any(first_epoch[s] != second[s] for s in shared_samples)


def spoil(source, sample, data=b"no picture"):
    """Write over the file of one sample."""
    from pathlib import Path

    Path(source.name_of(sample)).write_bytes(data)


def test_an_image_that_cannot_be_read_ends_the_run_by_its_name(source):
    spoil(source, 7)
    with pytest.raises(BadImage, match=r"P1_0004.png' begins with b'no pictu'"):
        batches(source, 0, 4)


def test_an_image_that_is_gone_ends_the_run_by_its_name(source, tmp_path):
    (tmp_path / "P1" / "P1_0004.png").unlink()
    with pytest.raises(BadInput, match=r"cannot read .*P1_0004.png: No such file"):
        batches(source, 0, 4)


def test_an_image_of_another_size_ends_the_run_by_its_name(source, tmp_path):
    from PIL import Image

    Image.new("RGB", (100, 90)).save(tmp_path / "P0" / "P0_0001.png")
    with pytest.raises(BadImage, match=r"P0_0001.png has 100 x 90 pixels; training takes aligned"):
        batches(source, 0, 4)


def test_where_that_is_asked_it_gives_way_to_the_next_and_is_told(source):
    spoil(source, 7)
    with Loader(source, batch_size=6, seed=2, skip_unreadable=True) as loader:
        found = all_samples(loader.steps(0, 10))
        assert len(loader.unreadable) == 1
        assert "P1_0004.png" in next(iter(loader.unreadable.values()))
    assert sorted(found[:20]) == sorted([*range(7), 8, *range(8, 20)])  # the 7th is the 8th


def test_too_many_in_a_row_end_the_run_all_the_same(source):
    for sample in range(20):
        spoil(source, sample)
    with pytest.raises(BadImage, match="20 images in a row cannot be read, the last"):
        batches(source, 0, 1, skip_unreadable=True)


def test_more_processes_than_images_in_a_part_are_refused(source):
    with pytest.raises(BadInput, match="a part of 2 images cannot be cut over 3 processes"):
        Loader(source, batch_size=6, seed=0, parts=3, ranks=3)
