"""Arrays from strangers: what NumPy wrote comes back, and no header asks for more than its file."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest

from tronie.data.readers.npy import read_npy, read_npy_header
from tronie.errors import BadFile


def written(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npy(shape: str, *, descr: str = "'<i8'", data: bytes = b"") -> bytes:
    head = f"{{'descr':{descr},'fortran_order':False,'shape':{shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


def read(data: bytes):
    return read_npy(io.BytesIO(data), size=len(data), name="L.npy")


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6),
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array(["ann", "ü", ""]),
        np.array(["ann"]).astype(">U3"),
        np.array([True, False]),
        np.array("one"),
        np.empty((0, 4), np.int16),
        np.array([1, -2], ">i4"),
    ],
    ids=repr,
)
def test_what_numpy_wrote_comes_back_and_can_be_written_to(array):
    found = read(written(array))
    np.testing.assert_array_equal(found, array)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.flags.writeable


def test_a_header_says_where_the_numbers_begin_and_how_long_the_file_is():
    data = written(np.ones((3, 2), np.float32))
    head = read_npy_header(io.BytesIO(data), name="M.npy")
    assert (head.shape, head.fortran, head.dtype) == ((3, 2), False, np.float32)
    assert (head.start, head.size_bytes) == (len(data) - 24, len(data))


HOSTILE = [
    (npy(f"({10**12},)"), "8000000000073 bytes .* has 73$"),
    (npy(f"({2**63 - 1},{2**63 - 1})"), r"bytes in all; it has \d+$"),
    (npy("(3,)", descr="'<U500000000'"), "<U500000000 of shape .* 6000000069 bytes"),
    (npy("(-5,)"), r"L\.npy announces the shape \(-5,\); no side of an array is below 0"),
    (npy("(-2,-2)", data=bytes(32)), r"announces the shape \(-2, -2\)"),
    (npy("(2,)", data=bytes(17)), "int64 of shape .*, 77 bytes in all; it has 78$"),
    (npy("(1,)", descr="'|O'", data=bytes(8)), "holds Python objects; save an array of num"),
    (npy("(3,)", descr="'<U0'"), "holds entries of no bytes"),
    (npy("(" + 9000 * "-" + "1,)"), "begins as an .npy, but its header cannot be read"),
    (npy(4000 * "(" + "1" + 4000 * ")"), "its header cannot be read"),
    (npy("(True,2)", descr="'<i'"), "int32 of shape .*1, 2.*, 72 bytes in all; it has 64$"),
    (npy("[" * 3000), "its header cannot be read"),
    (npy("(3,)", descr="5"), "its header cannot be read"),
    (b"\x93NUMPY\x01\x00\x05\x00  [[\n", "its header cannot be read"),
    (b"\x93NUMPY", "its header cannot be read"),
    (b"\x93NUMPY\x03\x00" + written(np.ones(2))[8:], r"unknown version \(3, 0\); save it"),
    (written(np.array(["a"]))[:-4] + b"\xff\xff\xff\x7f", "with codes that are no characters"),
    (written(np.array(["a"]))[:-4] + b"\x00\xd8\x00\x00", "with codes that are no characters"),
]


@pytest.mark.parametrize(("data", "message"), HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_header_is_refused_in_a_sentence(data, message):
    with pytest.raises(BadFile, match=message) as caught:
        read(data)
    assert len(str(caught.value)) < 200


def test_a_file_that_shrinks_while_it_is_read_is_refused():
    data = written(np.arange(9))
    with pytest.raises(BadFile, match=r"L\.npy was cut off while it was read"):
        read_npy(io.BytesIO(data[:-8]), size=len(data), name="L.npy")
