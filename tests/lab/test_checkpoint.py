"""A checkpoint is whole or not there, and is read in other pieces than it was written in."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys

import pytest

from tronie.errors import BadFile, BadInput, NotFound
from working_tree import environment

torch = pytest.importorskip("torch")

from tronie.lab.training.checkpoint import (  # noqa: E402 - only where torch is
    checkpoints,
    newest_checkpoint,
    save_checkpoint,
)
from tronie.lab.training.checkpoint_parts import LIST, Rows, sum_of_list  # noqa: E402

pytestmark = pytest.mark.lab

MATRIX = torch.arange(30.0).reshape(10, 3)


def state(*, rows=MATRIX):
    return {
        "weight": torch.arange(6.0).reshape(2, 3),
        "count": torch.tensor(7),
        "half": torch.tensor([0.5, -2.0], dtype=torch.bfloat16),
        "rows": Rows(rows.clone(), 0, len(rows)),
    }


def test_what_is_written_is_read(tmp_path):
    save_checkpoint(tmp_path, state(), step=12, note={"bad": 3})
    stored = newest_checkpoint(tmp_path)
    assert (stored.step, stored.note) == (12, {"bad": 3})
    assert set(stored.names()) == {"weight", "count", "half", "rows"}
    for name, tensor in state().items():
        wanted = tensor.local if isinstance(tensor, Rows) else tensor
        assert torch.equal(stored.tensor(name), wanted)
        assert stored.tensor(name).dtype == wanted.dtype


@pytest.mark.parametrize(("start", "count"), [(0, 10), (4, 3), (9, 1), (10, 0)])
def test_any_rows_are_read_by_themselves(tmp_path, start, count):
    save_checkpoint(tmp_path, state(), step=1, note={})
    found = torch.full((count, 3), -1.0)
    newest_checkpoint(tmp_path).fill({"rows": Rows(found, start, 10)})
    assert torch.equal(found, MATRIX[start : start + count])


def test_the_newest_are_kept_and_counted_as_numbers(tmp_path):
    for step in (8, 9, 10):
        save_checkpoint(tmp_path, state(), step=step, note={}, keep=2)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000009", "step-00000010"]
    assert newest_checkpoint(tmp_path).step == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000009", "step-00000010"]


def test_the_same_step_may_be_written_again(tmp_path):
    save_checkpoint(tmp_path, state(), step=1, note={})
    save_checkpoint(tmp_path, state(rows=MATRIX + 1), step=1, note={})
    assert torch.equal(newest_checkpoint(tmp_path).tensor("rows"), MATRIX + 1)


def test_a_full_disk_leaves_the_one_before_whole(tmp_path):
    save_checkpoint(tmp_path, state(), step=1, note={})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(BadInput, match=r"step 2 cannot be written .* step-00000001 is whole"):
            save_checkpoint(tmp_path, {"large": torch.zeros(100_000)}, step=2, note={})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    assert torch.equal(newest_checkpoint(tmp_path).tensor("rows"), MATRIX)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"step 1 cannot be written to .*: Not a directory"):
        save_checkpoint(tmp_path / "file" / "run", state(), step=1, note={})


@pytest.mark.parametrize("step", [2, 3])
def test_a_half_written_one_is_not_seen_and_is_cleared_away(tmp_path, step):
    part = tmp_path / f".step-0000000{step}.part"
    part.mkdir()
    (part / "__0_0.distcp").write_text("half")
    assert checkpoints(tmp_path) == []
    save_checkpoint(tmp_path, state(), step=2, note={})
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]
    assert len(list((tmp_path / "step-00000002").iterdir())) == 2


KILLED = """
import os, signal, sys, torch
from tronie.lab.training import checkpoint, checkpoint_parts
from tronie.lab.training.checkpoint import save_checkpoint
save_checkpoint(sys.argv[1], {"a": torch.ones(3)}, step=1, note={})
class Killed(checkpoint_parts.PartsWriter):
    def finish(self, metadata, results):
        if sys.argv[2] == "after":
            super().finish(metadata, results)
        os.kill(os.getpid(), signal.SIGKILL)
checkpoint.PartsWriter = Killed
save_checkpoint(sys.argv[1], {"a": torch.zeros(3)}, step=2, note={})
"""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_it_writes_the_one_before_is_the_newest(tmp_path, when):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), when], env=environment(), timeout=300
    )
    assert done.returncode == -signal.SIGKILL
    stored = newest_checkpoint(tmp_path)
    assert stored.step == 1
    assert torch.equal(stored.tensor("a"), torch.ones(3))


def test_there_is_none_yet(tmp_path):
    with pytest.raises(NotFound, match="checkpoints holds no checkpoint"):
        newest_checkpoint(tmp_path / "checkpoints")


def test_another_number_of_classes_is_refused(tmp_path):
    save_checkpoint(tmp_path, state(), step=1, note={})
    with pytest.raises(BadFile, match=r"rows has the shape \(10, 3\); \(11, 3\) is asked for"):
        newest_checkpoint(tmp_path).fill({"rows": Rows(torch.zeros(2, 3), 0, 11)})


def test_a_tensor_that_is_not_there_is_refused(tmp_path):
    save_checkpoint(tmp_path, state(), step=1, note={})
    with pytest.raises(BadFile, match="holds no bias; it was written by another recipe"):
        newest_checkpoint(tmp_path).tensor("bias")


def test_a_part_that_was_cut_off_is_refused(tmp_path):
    place = save_checkpoint(tmp_path, state(), step=1, note={})
    (part,) = (path for path in place.iterdir() if path.suffix == ".distcp")
    os.truncate(part, 500)
    told = r"is damaged .*__0_0.distcp has other bytes .*; there is none before it: restore it from"
    with pytest.raises(BadFile, match=told):
        newest_checkpoint(tmp_path).tensor("rows")


@pytest.mark.parametrize("name", ["weight", "count", "half", "rows"])
def test_one_flipped_bit_is_told_and_the_checkpoint_before_is_read_once_it_is_deleted(
    tmp_path, name
):
    save_checkpoint(tmp_path, state(), step=1, note={})
    place = save_checkpoint(tmp_path, state(), step=2, note={})
    (part,) = json.loads((place / LIST).read_text())["tensors"][name]["parts"]
    data = bytearray((place / part["file"]).read_bytes())
    data[part["at"] + part["bytes"] // 2] ^= 1
    (place / part["file"]).write_bytes(data)
    stored = newest_checkpoint(tmp_path)
    told = f"step-00000002 is damaged .{part['file']} has other bytes than were written for {name}"
    with pytest.raises(BadFile, match=told + r".; delete it .* before, step-00000001"):
        stored.tensor(name)
    for other in {"weight", "count", "half", "rows"} - {name}:
        stored.tensor(other)
    shutil.rmtree(place)
    newest_checkpoint(tmp_path).tensor(name)


@pytest.mark.parametrize("name", ["step", "skipped"])
def test_a_list_with_another_digit_is_told(tmp_path, name):
    place = save_checkpoint(tmp_path, {"count": torch.tensor(5)}, step=17, note={"skipped": 17})
    text = (place / LIST).read_text()
    (place / LIST).write_text(text.replace(f'"{name}": 17', f'"{name}": 19'))
    with pytest.raises(BadFile, match=r"tensors.json has other bytes than were written"):
        newest_checkpoint(tmp_path)


@pytest.mark.parametrize("note", [{}, {"loop": 3}, {"loop": {"bad": "x"}}, {"loop": {"bad": -1}}])
def test_a_number_that_is_not_noted_is_told(tmp_path, note):
    save_checkpoint(tmp_path, state(), step=1, note=note)
    with pytest.raises(BadFile, match=r"is damaged .tensors.json notes loop.bad as"):
        newest_checkpoint(tmp_path).count_of("loop", "bad")


def test_a_number_that_should_be_whole_is_told(tmp_path):
    save_checkpoint(tmp_path, state(), step=1, note={"loop": {"bad": 0.5}})
    assert newest_checkpoint(tmp_path).number_of("loop", "bad") == 0.5
    with pytest.raises(BadFile, match=r"notes loop.bad as 0.5"):
        newest_checkpoint(tmp_path).count_of("loop", "bad")


def test_a_checkpoint_without_sums_is_read(tmp_path):
    """As versions before wrote them."""
    place = save_checkpoint(tmp_path, state(), step=1, note={})
    record = json.loads((place / LIST).read_text())
    del record["crc32"]
    for one in record["tensors"].values():
        for part in one["parts"]:
            del part["crc32"]
    (place / LIST).write_text(json.dumps({**record, "format": 1}))
    assert torch.equal(newest_checkpoint(tmp_path).tensor("rows"), MATRIX)


@pytest.mark.parametrize("change", [{"step": -1}, {"step": 1.5}, {"note": [3]}, {"note": None}])
def test_a_list_of_nonsense_is_refused(tmp_path, change):
    place = save_checkpoint(tmp_path, state(), step=1, note={})
    record = json.loads((place / LIST).read_text()) | change
    (place / LIST).write_text(json.dumps({**record, "crc32": sum_of_list(record)}))
    with pytest.raises(BadFile, match=r"is damaged .*tensors.json has step .* and note"):
        newest_checkpoint(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}'])
def test_a_list_that_is_none_is_refused(tmp_path, text):
    place = save_checkpoint(tmp_path, state(), step=1, note={})
    (place / LIST).write_text(text)
    with pytest.raises(BadFile, match="is damaged"):
        newest_checkpoint(tmp_path)


def test_another_version_is_refused(tmp_path):
    place = save_checkpoint(tmp_path, state(), step=1, note={})
    record = json.loads((place / LIST).read_text())
    (place / LIST).write_text(json.dumps({**record, "format": 9}))
    with pytest.raises(BadFile, match="has the format 9; this version of tronie reads 1 and 2"):
        newest_checkpoint(tmp_path)
