"""MAT files: what scipy writes is read back, and nothing hostile is believed."""

from __future__ import annotations

import contextlib
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from tronie.data.readers import matlab
from tronie.data.readers.matlab import read_mat
from tronie.errors import BadFile, NotFound


def cells(*values: object) -> np.ndarray:
    array = np.empty((len(values), 1), object)
    for n, value in enumerate(values):
        array[n, 0] = value
    return array


@pytest.fixture(params=[True, False], ids=["packed", "plain"])
def written(request, tmp_path):
    path = tmp_path / "a.mat"
    content = {
        "numbers": np.arange(6, dtype=np.int32).reshape(2, 3),
        "halves": np.array([[0.5, -1e300]]),
        "names": cells("Parade", "Zürich", ""),
        "nested": cells(cells(np.array([[1, 2]])), np.zeros((0, 4))),
    }
    savemat(path, content, do_compression=request.param)
    return path


def test_arrays_names_and_cells_are_read_as_scipy_wrote_them(written):
    found = read_mat(written, ("numbers", "halves", "names", "nested"))
    assert found["numbers"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["numbers"].dtype == np.int32
    assert found["halves"].tolist() == [[0.5, -1e300]]
    assert found["names"][:2] == ("Parade", "Zürich")
    ((inner,), empty) = found["nested"]
    assert inner.tolist() == [[1, 2]]
    assert empty.size == 0


def test_only_what_is_asked_for_is_looked_into(written):
    assert set(read_mat(written, ("names",))) == {"names"}


@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_every_type_of_number_is_read(dtype, tmp_path):
    values = np.array([[0, 1, 100], [2, 3, 4]], dtype)
    savemat(tmp_path / "a.mat", {"x": values})
    found = read_mat(tmp_path / "a.mat", ("x",))["x"]
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


def test_a_variable_that_is_not_there_is_named(written):
    with pytest.raises(NotFound, match="has no variable gt_list"):
        read_mat(written, ("gt_list",))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"there is no MAT file .*a\.mat"):
        read_mat(tmp_path / "a.mat", ())


@pytest.mark.parametrize(
    ("value", "kind"),
    [({"a": 1}, "a structure"), (np.array([[1 + 2j]]), "complex numbers")],
)
def test_other_kinds_are_refused_by_name(value, kind, tmp_path):
    savemat(tmp_path / "a.mat", {"x": value})
    with pytest.raises(BadFile, match=f"it holds {kind}, which is not read"):
        read_mat(tmp_path / "a.mat", ("x",))


def test_what_is_no_mat_file_is_refused(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"\x89HDF" + bytes(200))
    with pytest.raises(BadFile, match="its header lacks the mark IM or MI"):
        read_mat(tmp_path / "a.mat", ())


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(matlab, "MAX_BYTES", 1 << 20)
    packed = zlib.compress(bytes(8 << 20))
    body = bytes(124) + struct.pack("<H", 0x0100) + b"IM" + struct.pack("<II", 15, len(packed))
    (tmp_path / "a.mat").write_bytes(body + packed)
    with pytest.raises(BadFile, match="unpacks to more than 1048576 bytes"):
        read_mat(tmp_path / "a.mat", ("x",))


def test_cells_within_cells_end(tmp_path):
    value: object = np.array([[1.0]])
    for _ in range(matlab.MAX_DEPTH + 2):
        value = cells(value)
    savemat(tmp_path / "a.mat", {"x": value})
    with pytest.raises(BadFile, match="its cells nest more than 8 deep"):
        read_mat(tmp_path / "a.mat", ("x",))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_refused_and_never_crashes(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mat")
    path = folder / "a.mat"
    savemat(path, {"x": cells("a", np.arange(5.0)[None])})
    broken = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(128, len(broken) - 1))
        broken[at] = data.draw(st.integers(0, 255))
    path.write_bytes(broken[: data.draw(st.integers(0, len(broken)))])
    with contextlib.suppress(BadFile, NotFound):  # whatever else is raised is our bug
        read_mat(path, ("x",))


@pytest.mark.data
def test_the_ground_truth_is_read_as_scipy_reads_it(test_data):
    path = test_data / "wider" / "wider_face_val.mat"
    ours, theirs = read_mat(path, ("file_list", "face_bbx_list")), loadmat(path)
    for event in range(0, 61, 7):
        names = [str(cell[0][0]) for cell in theirs["file_list"][event][0]]
        assert list(ours["file_list"][event]) == names
        for mine, other in zip(
            ours["face_bbx_list"][event], theirs["face_bbx_list"][event][0], strict=True
        ):
            np.testing.assert_array_equal(mine, other[0])
