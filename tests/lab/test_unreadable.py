"""Skipped images: each once, the first by name, over all processes and after a resume."""

from __future__ import annotations

import pytest

from tronie.errors import BadFile

pytest.importorskip("torch")

from tronie.lab.training import unreadable as module
from tronie.lab.training.checkpoint import newest_checkpoint, save_checkpoint
from tronie.lab.training.unreadable import Unreadable

pytestmark = pytest.mark.lab


def test_each_image_is_counted_once_and_the_first_are_named_once():
    images = Unreadable()
    assert images.told() == {"unreadable": 0}
    images.gather({4: "four", 2: "two"})
    images.gather({4: "four again", 2: "two"})
    assert images.told() == {"unreadable": 2, "unreadable_images": ["four", "two"]}
    assert images.told() == {"unreadable": 2}
    images.gather({n: str(n) for n in range(10, 20)})
    told = images.told()
    assert (told["unreadable"], len(told["unreadable_images"])) == (12, module.NAMED)


def test_what_other_processes_met_is_counted_too(monkeypatch):
    def gather(into, own):
        into[:] = [own, {1: "one", 7: "seven"}]

    monkeypatch.setattr(module, "world_size", lambda: 2)
    monkeypatch.setattr(module.dist, "all_gather_object", gather)
    images = Unreadable()
    images.gather({1: "one here"})
    assert images.told() == {"unreadable": 2, "unreadable_images": ["one here", "seven"]}


def stored(tmp_path, task):
    save_checkpoint(tmp_path, {}, step=1, note={"task": task})
    return newest_checkpoint(tmp_path)


def test_the_count_goes_on(tmp_path):
    before, after = Unreadable(), Unreadable()
    before.gather({3: "three"})
    after.load(stored(tmp_path, {"unreadable": before.note()}))
    after.gather({3: "three again", 5: "five"})
    assert after.told() == {"unreadable": 2, "unreadable_images": ["three", "five"]}


def test_checkpoints_that_hold_nothing_of_it_begin_at_none(tmp_path):
    images = Unreadable()
    images.load(stored(tmp_path, {}))
    assert images.told() == {"unreadable": 0}


@pytest.mark.parametrize("note", [3, {}, {"numbers": ["x"], "reasons": []}, {"numbers": [1]}])
def test_a_note_of_nonsense_is_told(note, tmp_path):
    with pytest.raises(BadFile, match="its note of unreadable images is"):
        Unreadable().load(stored(tmp_path, {"unreadable": note}))
