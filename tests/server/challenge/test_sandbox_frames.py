"""Frames come back as they went, and bytes that are none are refused before room is made."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tronie.server.challenge import sandbox_frames as frames
from tronie.server.challenge.sandbox_frames import BadFrame, Kind


def body_of(arrays) -> bytearray:
    return bytearray(b"".join(bytes(frames.flat(a)) for a in arrays))


@pytest.mark.parametrize("dtype", sorted(frames.DTYPES))
def test_arrays_come_back_as_they_went(dtype):
    arrays = [
        np.arange(6).reshape(2, 3).astype(dtype),
        np.array(1).astype(dtype),
        np.zeros((0, 4), dtype),
        np.arange(6).reshape(2, 3).astype(dtype).T,
    ]
    head = json.loads(json.dumps(frames.described(arrays)))
    found = frames.arrays_of(head, body_of(arrays))
    for before, after in zip(arrays, found, strict=True):
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(before, after)


def test_numbers_that_are_none_pass():
    given = np.array([np.nan, np.inf, -0.0], np.float32)
    (found,) = frames.arrays_of(frames.described([given]), body_of([given]))
    assert found.tobytes() == given.tobytes()


def test_the_beginning_of_a_frame_tells_its_parts():
    text = frames.prefix(Kind.RESULT, {"arrays": []}, 7)
    begin, head = text[: frames.PREFIX.size], text[frames.PREFIX.size :]
    assert frames.sizes(begin, body_most=7) == (Kind.RESULT, len(head), 7)
    assert frames.head_of(head) == {"arrays": []}


@pytest.mark.parametrize(
    ("begin", "message"),
    [
        (frames.PREFIX.pack(b"HTTP", 5, 2, 0), "bytes arrived that begin no frame"),
        (frames.PREFIX.pack(b"TSB1", 99, 2, 0), "bytes arrived that begin no frame"),
        (frames.PREFIX.pack(b"TSB1", 5, 2, 2**63), "a frame of 2 and 9223372036854775808 bytes"),
        (frames.PREFIX.pack(b"TSB1", 5, 65537, 0), "at most 65536 and 100 are read"),
    ],
)
def test_a_frame_over_its_bounds_is_refused_from_its_numbers(begin, message):
    with pytest.raises(BadFrame, match=message):
        frames.sizes(begin, body_most=100)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff\xfe{", b"[" * 60000, b"1" * 60000, b"NaN,", b"\x00" * 10]
)
def test_a_head_that_is_no_json_is_refused(text):
    with pytest.raises(BadFrame, match="the head of a frame is no JSON"):
        frames.head_of(text)


def test_a_head_that_is_no_object_is_refused():
    with pytest.raises(BadFrame, match="is no JSON object"):
        frames.head_of(b"[1]")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (None, "lists no arrays, or more than 64"),
        ([["float32", [1]]] * 65, "lists no arrays, or more than 64"),
        ([["float32"]], "in another form than ours"),
        ([["object", [1]]], "an element type that is not sent"),
        ([["O", [1]]], "an element type that is not sent"),
        ([["float32", [1] * 9]], "more than 8 axes"),
        ([["float32", "1"]], "more than 8 axes"),
        ([["float32", [-1]]], "an axis of no possible length"),
        ([["float32", [True]]], "an axis of no possible length"),
        ([["float32", [1.0]]], "an axis of no possible length"),
        ([["float32", [2**40]]], "an axis of no possible length"),
        ([["float32", [0, 2**39, 2**39]]], "an axis of no possible length"),
        ([["float32", [2]]], "describes more than its body holds"),
        ([["float32", [2**39, 2**39, 2**39]]], "describes more than its body holds"),
        ([["uint8", [3]]], "holds more than its head describes"),
    ],
)
def test_a_head_that_does_not_fit_its_body_is_refused(arrays, message):
    with pytest.raises(BadFrame, match=message):
        frames.arrays_of({"arrays": arrays}, bytearray(4))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner),
        max_leaves=12,
    )
)
def test_whatever_json_a_child_writes_it_is_arrays_or_a_refusal(value):
    head = value if isinstance(value, dict) else {"arrays": value, "inputs": value}
    for read in (
        lambda: frames.arrays_of(head, bytearray(8)),
        lambda: frames.signatures_of(head, "inputs"),
    ):
        try:
            read()
        except BadFrame:
            continue


def test_signatures_are_read():
    head = {"inputs": [["x", "float32", [None, 3, 112, 112]], ["l", "none", []]]}
    assert frames.signatures_of(head, "inputs") == (
        ("x", "float32", (None, 3, 112, 112)),
        ("l", "none", ()),
    )


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (None, "no outputs are listed"),
        ([["y", "float32"]], "outputs are described in another form than ours"),
        ([[1, "float32", []]], "outputs are described in another form than ours"),
        ([["y", "object", []]], "outputs are described in another form than ours"),
        ([["y", ["float32"], []]], "outputs are described in another form than ours"),
        ([["y", "float32", [0]]], "outputs have an axis of no possible length"),
    ],
)
def test_signatures_in_another_form_are_refused(listed, message):
    with pytest.raises(BadFrame, match=message):
        frames.signatures_of({"outputs": listed}, "outputs")


def test_a_head_that_is_too_long_is_not_sent():
    with pytest.raises(BadFrame, match="has 70020 bytes; at most 65536 are sent"):
        frames.prefix(Kind.OPENED, {"name": "x" * 70000, "a": 1}, 0)
