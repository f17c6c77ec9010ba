"""Feature matrices: what numpy and a struct wrote is mapped, and every other file is refused."""

from __future__ import annotations

import io
import mmap
import struct

import numpy as np
import pytest

from tronie.data.readers.features import open_features, write_features
from tronie.errors import BadArray, BadFile, BadInput, NotFound

ROWS = np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32)


def opencv(rows: int, columns: int, stride: int, code: int, data: bytes) -> bytes:
    return struct.pack("<4i", rows, columns, stride, code) + data


def npy(array: np.ndarray, version: tuple[int, int] = (1, 0)) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=version, allow_pickle=True)
    return stream.getvalue()


def test_an_npy_is_mapped_and_not_loaded(tmp_path):
    np.save(tmp_path / "M.npy", ROWS)
    found = open_features(tmp_path / "M.npy")
    np.testing.assert_array_equal(found, ROWS)
    assert found.dtype == np.float32
    assert type(found) is np.ndarray
    assert not found.flags.writeable
    assert isinstance(found.base.base, mmap.mmap)


def test_an_opencv_matrix_is_mapped(tmp_path):
    (tmp_path / "M.fea").write_bytes(opencv(7, 5, 20, 5, ROWS.tobytes()))
    found = open_features(tmp_path / "M.fea")
    np.testing.assert_array_equal(found, ROWS)
    assert not found.flags.writeable


def test_a_column_as_megaface_writes_it_is_one_row(tmp_path):
    (tmp_path / "a.bin").write_bytes(opencv(5, 1, 4, 5, ROWS[0].tobytes()))
    np.testing.assert_array_equal(open_features(tmp_path / "a.bin"), ROWS[:1])


def test_the_form_is_told_by_the_first_bytes_and_not_by_the_name(tmp_path):
    (tmp_path / "M.npy").write_bytes(opencv(7, 5, 20, 5, ROWS.tobytes()))
    (tmp_path / "M.bin").write_bytes(npy(ROWS, version=(2, 0)))
    for name in ("M.npy", "M.bin"):
        np.testing.assert_array_equal(open_features(tmp_path / name), ROWS)


@pytest.mark.parametrize("suffix", [".bin", ".fea", ""])
def test_an_opencv_matrix_is_written_byte_for_byte(suffix, tmp_path):
    path = tmp_path / f"M{suffix}"
    write_features(path, ROWS)
    assert path.read_bytes() == opencv(7, 5, 4 * 5, 5, ROWS.tobytes())
    assert path.stat().st_size == 16 + 4 * 7 * 5
    write_features(tmp_path / "again.bin", open_features(path))
    assert (tmp_path / "again.bin").read_bytes() == path.read_bytes()


def test_an_npy_is_written_as_numpy_writes_it(tmp_path):
    write_features(tmp_path / "M.npy", ROWS)
    assert (tmp_path / "M.npy").read_bytes() == npy(ROWS)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "M.npy"]


@pytest.mark.parametrize("rows", [ROWS[:, ::2], ROWS.T, np.asfortranarray(ROWS)])
@pytest.mark.parametrize("name", ["M.npy", "M.bin"])
def test_a_matrix_is_written_row_by_row_however_it_lies_in_memory(rows, name, tmp_path):
    write_features(tmp_path / name, rows)
    np.testing.assert_array_equal(open_features(tmp_path / name), rows)


def test_a_matrix_of_more_rows_than_are_written_at_once_is_whole(tmp_path):
    rows = np.arange(3 * 20_000, dtype=np.float32).reshape(-1, 3)
    write_features(tmp_path / "M.bin", rows)
    np.testing.assert_array_equal(open_features(tmp_path / "M.bin"), rows)


def test_a_matrix_may_be_written_over_the_file_it_is_mapped_from(tmp_path):
    write_features(tmp_path / "M.bin", ROWS)
    mapped = open_features(tmp_path / "M.bin")
    write_features(tmp_path / "M.bin", mapped[::-1])
    np.testing.assert_array_equal(open_features(tmp_path / "M.bin"), ROWS[::-1])
    np.testing.assert_array_equal(mapped, ROWS)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5)])
def test_a_single_row_comes_back_as_one(shape, tmp_path):
    write_features(tmp_path / "M.bin", np.ones(shape, np.float32))
    assert open_features(tmp_path / "M.bin").shape == shape


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (ROWS.astype(np.float64), r"holds float64; .* save M\.astype\('<f4'\)"),
        (ROWS.astype(np.float16), "holds float16; features are little-endian float32"),
        (ROWS.astype(">f4"), "holds big-endian float32"),
        (np.array([[{}]]), "holds Python objects"),
        (np.zeros((2, 2), "i4"), "holds int32"),
        (np.asfortranarray(ROWS), r"\(Fortran order\); save numpy\.ascontiguousarray\(M\)"),
        (ROWS[0], r"has the shape \(5,\); features have the shape \(N, D\)"),
        (ROWS[None], r"has the shape \(1, 7, 5\)"),
        (ROWS[:0], r"has the shape \(0, 5\): there is no number in it"),
    ],
)
def test_an_npy_of_another_kind_is_refused_with_what_to_do(array, what, tmp_path):
    (tmp_path / "M.npy").write_bytes(npy(array))
    with pytest.raises(BadFile, match=rf"M\.npy .*{what}"):
        open_features(tmp_path / "M.npy")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "has 0 bytes, too few for a feature matrix of any form"),
        (b"x" * 15, "has 15 bytes, too few"),
        (b"\xff\xd8" * 40, "is neither an .npy nor OpenCV's matrix, .* 4 . columns and 5; got"),
        (opencv(7, 5, 40, 6, bytes(280)), r"holds float64 \(type 6\); features are float32 \(5\)"),
        (opencv(7, 5, 5, 0, bytes(35)), r"holds uint8 \(type 0\)"),
        (opencv(7, 5, 24, 5, bytes(140)), "got 7, 5, 24 and 5"),
        (opencv(-7, 5, 20, 5, bytes(140)), "got -7, 5, 20 and 5"),
        (opencv(0, 5, 20, 5, b""), "got 0, 5, 20 and 5"),
        (opencv(7, 5, 20, 5, bytes(139)), "7 rows of 5 float32, 156 bytes in all; it has 155"),
        (opencv(7, 5, 20, 5, bytes(141)), "156 bytes in all; it has 157"),
        (opencv(2**31 - 1, 2**29 - 1, 2**31 - 4, 5, b""), "bytes in all; it has 16"),
        (struct.pack(">4i", 7, 5, 20, 5) + bytes(140), "is neither an .npy nor"),
        (npy(ROWS)[:-1], "7 rows of 5 float32, 268 bytes in all; it has 267"),
        (npy(ROWS)[:100], "begins as an .npy, but its header cannot be read"),
        (npy(ROWS).replace(b"(7, 5)", b"((((7,"), "but its header cannot be read"),
        (npy(ROWS)[:7], "begins as an .npy, but its header cannot be read"),
        (npy(ROWS).replace(b"<f4", b"<z4"), "begins as an .npy, but its header cannot be read"),
        (
            npy(ROWS).replace(b"(7, 5)", b"(-7,5)"),
            r"announces the shape \(-7, 5\); no side of an array is below 0",
        ),
        (b"\x93NUMPY\x03\x00" + npy(ROWS)[8:], r"an .npy of the unknown version \(3, 0\)"),
    ],
)
def test_a_file_of_another_form_or_size_is_refused(data, what, tmp_path):
    (tmp_path / "M.bin").write_bytes(data)
    with pytest.raises(BadFile, match=rf"M\.bin .*{what}"):
        open_features(tmp_path / "M.bin")


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (ROWS.astype(np.float64), r"must be float32 \(N, D\), neither 0; got float64 of shape"),
        (ROWS[0], r"got float32 of shape \(5,\)"),
        (ROWS[:0], r"got float32 of shape \(0, 5\)"),
        (ROWS[:, :1], "a matrix of one column and 7 rows cannot be told .* write an .npy"),
        (np.broadcast_to(np.float32(0), (2**31, 2)), "does not fit into OpenCV's int32"),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_nothing(rows, what, tmp_path):
    with pytest.raises(BadArray, match=what):
        write_features(tmp_path / "M.bin", rows)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(BadInput, match=r"cannot write .*M\.bin: No such file"):
        write_features(tmp_path / "no" / "M.bin", ROWS)
    (tmp_path / "M.npy").mkdir()
    with pytest.raises(BadInput, match=r"cannot write .*M\.npy: Is a directory"):
        write_features(tmp_path / "M.npy", ROWS)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "M.npy"]


def test_a_file_that_is_not_there_or_is_a_folder_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"there is no feature file .*M\.npy"):
        open_features(tmp_path / "M.npy")
    with pytest.raises(BadInput, match="cannot read"):
        open_features(tmp_path)
