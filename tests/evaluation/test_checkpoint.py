"""A state comes back from its file as it went in, or is refused."""

from __future__ import annotations

import struct
import zipfile

import numpy as np
import pytest

from tronie.errors import BadFile, BadInput
from tronie.evaluation.pairs.checkpoint import load_pass, save_pass
from tronie.evaluation.pairs.pairing import pairing
from tronie.evaluation.pairs.sweep import new_pass


def state():
    made = new_pass(
        pairing(np.array([0, 0, 1, 1])), panel_rows=2, keep=3, floor=0.1, brackets=[(0.2, 0.7)]
    )
    made.done[1] = True
    made.top.add(np.array([0.5, 1 / 3, 0.05]), np.array([7, 2, 3]))
    rows = np.array([0, 1]), np.array([2, 3])
    made.brackets[0].add_scored(np.array([0.3, 0.9]), *rows)
    return made


def test_a_state_survives_its_file(tmp_path):
    path = tmp_path / "run.npz"
    assert load_pass(path, run="a") is None
    save_pass(path, state(), run="a", memo={"passes": 2})
    found, memo = load_pass(path, run="a")
    assert memo == {"passes": 2}
    assert (found.floor, found.panel_rows, found.done.tolist()) == (0.1, 2, [False, True])
    for a, b in zip(found.top.best(), state().top.best(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert found.top.floor == state().top.floor
    for name, value in vars(state().brackets[0]).items():
        np.testing.assert_array_equal(getattr(found.brackets[0], name), value)
    assert [file.name for file in tmp_path.iterdir()] == ["run.npz"]


def test_the_file_of_another_run_is_refused(tmp_path):
    save_pass(tmp_path / "c", state(), run="a", memo={})
    with pytest.raises(BadInput, match=r"belongs to another run .* delete it, or name another"):
        load_pass(tmp_path / "c", run="b")


@pytest.mark.parametrize("cut", [0, 1, 100, -30])
def test_a_damaged_file_is_refused(cut, tmp_path):
    path = tmp_path / "c"
    save_pass(path, state(), run="a", memo={})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(BadFile, match=r"the checkpoint .* cannot be read .* to start anew"):
        load_pass(path, run="a")


def archived(path, *, how=zipfile.ZIP_STORED, **arrays):
    with zipfile.ZipFile(path, "w", how) as file:
        for name, data in arrays.items():
            file.writestr(f"{name}.npy", data)


def npy(shape, data=b""):
    head = f"{{'descr':'<i8','fortran_order':False,'shape':{shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


@pytest.mark.parametrize(
    "arrays",
    [
        {"head": npy("(99999999999999,)")},
        {"head": npy("[" * 3000)},
        {"head": npy("(125000,)", bytes(1_000_000)), "how": zipfile.ZIP_DEFLATED},
        {"other": npy("(1,)", bytes(8))},
    ],
)
def test_a_file_that_asks_for_more_than_it_holds_is_refused(arrays, tmp_path):
    archived(tmp_path / "c", **arrays)
    with pytest.raises(BadFile, match=r"the checkpoint .* cannot be read .* to start anew"):
        load_pass(tmp_path / "c", run="a")


@pytest.mark.parametrize(
    "changes", [{"head": np.array("[]")}, {"head": np.array("[" * 99_999)}, {"scores": np.eye(2)}]
)
def test_arrays_of_another_kind_are_refused(changes, tmp_path):
    path = tmp_path / "c"
    save_pass(path, state(), run="a", memo={})
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    with path.open("wb") as file:
        np.savez(file, **arrays | changes)
    with pytest.raises(BadFile, match=r"the checkpoint .* cannot be read .* to start anew"):
        load_pass(path, run="a")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(BadInput, match="cannot be written: No such file or directory"):
        save_pass(tmp_path / "nowhere" / "c", state(), run="a", memo={})
