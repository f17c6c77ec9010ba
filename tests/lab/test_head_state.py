"""Class centers to a checkpoint and back; what is missing or cannot be is told by name."""

from __future__ import annotations

import pytest

from tronie.errors import BadFile

torch = pytest.importorskip("torch")

from toy_training import toy_recipe  # noqa: E402 - only where torch is
from tronie.lab.training.checkpoint import newest_checkpoint, save_checkpoint  # noqa: E402
from tronie.lab.training.head_state import head_state, load_head  # noqa: E402
from tronie.lab.training.recognition import open_head  # noqa: E402

pytestmark = pytest.mark.lab

CLASSES = 5


def head_after(steps):
    """A head whose rows were drawn by turns, so that some wait."""
    head = open_head(toy_recipe(), classes=CLASSES)
    drawn = torch.Generator().manual_seed(1)
    for step in range(steps):
        head(torch.randn(2, 16, generator=drawn), torch.tensor([step % CLASSES] * 2)).backward()
        head.step(lr=0.1, momentum=0.9, weight_decay=0.01)
    return head


def written(tmp_path, head, *, note=None, **changes):
    parts = {name: one for name, one in head_state(head).items() if name not in changes}
    parts |= {name: one for name, one in changes.items() if one is not None}
    task = {"classes": CLASSES, "head_step": head.shard_state()["step"]} | (note or {})
    save_checkpoint(tmp_path, parts, step=3, note={"task": task})
    return newest_checkpoint(tmp_path)


def test_what_is_written_is_read(tmp_path):
    head, again = head_after(3), head_after(0)
    load_head(again, written(tmp_path, head))
    assert torch.equal(again.centers.take(), head.centers.take())
    assert again.shard_state()["step"] == 3


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("head/missed_from/0", None, "is damaged .it holds no head/missed_from/0"),
        ("head/missed/0", None, "holds no head/missed/0"),
        ("head/missed_from/0", torch.tensor(9), "head/missed_from/0 is 9, and its steps are 0 to"),
        ("head/missed_from/0", torch.zeros(2), r"missed_from/0 has the shape \(2,\); \(\) is"),
        ("head/missed/0", torch.zeros(1, 4), r"missed/0 has the shape \(1, 4\); \(4, 4\) is"),
        ("head/touched", torch.full((5,), 8), "head/touched has steps 8 to 8, .* are 0 to 3"),
        ("head/values", torch.zeros(7, 16), r"head/values has the shape \(7, 16\)"),
    ],
)
def test_what_cannot_be_is_told_by_its_name(name, value, told, tmp_path):
    stored = written(tmp_path, head_after(3), **{name: value})
    with pytest.raises(BadFile, match=told):
        load_head(head_after(0), stored)


@pytest.mark.parametrize("note", [{"classes": "five"}, {"head_step": None}, {"head_step": 1.5}])
def test_a_note_of_nonsense_is_told(note, tmp_path):
    stored = written(tmp_path, head_after(3), note=note)
    with pytest.raises(BadFile, match=f"tensors.json notes task.{next(iter(note))} as"):
        load_head(head_after(0), stored)
