"""The machine agrees with Python's own on data, and does nothing else whatever it is told."""

from __future__ import annotations

import contextlib
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tronie.data.readers import restricted_pickle
from tronie.data.readers.restricted_pickle import ArrayBytes, read_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)

leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**59), 2**59), st.text(), st.binary(min_size=1)
)
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.lists(inner).map(tuple))


def plain(value: object) -> object:
    """What was read, with arrays as the bytes that they hold."""
    if isinstance(value, ArrayBytes):
        return value.data
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    return value


@settings(max_examples=60, deadline=None)
@given(values, st.sampled_from(PROTOCOLS))
def test_lists_tuples_numbers_text_and_bytes_are_read_as_python_reads_them(value, protocol):
    assert read_pickle(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_of_bytes_and_bools_of_numpy_become_bytes_and_bools(protocol):
    encoded = np.arange(256, dtype=np.uint8)
    written = [encoded, encoded[:, None].copy(), encoded[None].copy(), encoded]
    flags = [np.bool_(True), np.bool_(False), True]
    found = plain(read_pickle(pickle.dumps((written, flags), protocol)))
    assert found == ([encoded.tobytes()] * 4, [True, False, True])


# What Python 2.7 (pickle and cPickle) wrote for ([b"\xff'\n\\\x00", b'"'], [True, False]).
PYTHON_2 = [
    b"((lp0\nS\"\\xff'\\n\\\\\\x00\"\np1\naS'\"'\np2\na(lp3\nI01\naI00\natp4\n.",
    b"(]q\x01(U\x05\xff'\n\\\x00q\x02U\x01\"e]q\x03(I01\nI00\netq\x04.",
    b"\x80\x02]q\x01(U\x05\xff'\n\\\x00q\x02U\x01\"e]q\x03(\x88\x89e\x86q\x04.",
]


@pytest.mark.parametrize("data", PYTHON_2, ids=["protocol 0", "protocol 1", "protocol 2"])
def test_strings_of_python_2_are_bytes(data):
    assert read_pickle(data) == ([b"\xff'\n\\\x00", b'"'], [True, False])
    assert pickle.loads(data, encoding="bytes") == read_pickle(data)


def test_a_long_string_of_python_2_is_read():
    image = bytes(range(256)) * 4
    assert read_pickle(b"\x80\x02T" + struct.pack("<i", len(image)) + image + b".") == image


def test_an_array_of_python_2_is_read():
    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x03\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x03abctb."
    )
    assert plain(read_pickle(data)) == b"abc"


@pytest.mark.parametrize(
    ("call", "asked"),
    [
        (b"cos\nsystem\n(S'touch %s'\ntR.", "os.system"),
        (b"cposix\nsystem\n(S'touch %s'\ntR.", "posix.system"),
        (b'c__builtin__\neval\n(S\'open("%s", "w")\'\ntR.', "__builtin__.eval"),
        (b'cbuiltins\neval\n(S\'open("%s", "w")\'\ntR.', "builtins.eval"),
        (b"(S'touch %s'\nios\nsystem\n.", "os.system"),
        (b"(cos\nsystem\nS'touch %s'\no.", "os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93(S'touch %s'\ntR.", "os.system"),
        (b"cnumpy\nload\n(S'%s'\ntR.", "numpy.load"),
        (b"cnumpy.core\nmultiarray.x\n.", "numpy.core.multiarray.x"),
    ],
)
def test_nothing_is_called_and_the_name_is_told(call, asked, tmp_path):
    made = tmp_path / "made"
    data = call.replace(b"%s", str(made).encode())
    with pytest.raises(ValueError, match=rf"it asks for {asked}, which images .* nothing of it"):
        read_pickle(data)
    assert not made.exists()


def test_the_calls_above_would_have_run(tmp_path):
    """Otherwise the test above proves nothing."""
    made = tmp_path / "made"
    pickle.loads(b'cbuiltins\neval\n(S\'open("%s", "w").close()\'\ntR.' % str(made).encode())
    assert made.exists()


class Outside:
    pass


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({}, r"a dictionary \(EMPTY_DICT\)"),
        ([1.5], r"a fraction \(BINFLOAT\)"),
        ({1}, "opcode 0x8f|__builtin__.set"),
        (np.zeros(3), "numbers of type 'f8'"),
        (np.array([{}]), "numbers of type 'O8'"),
        (np.float64(1), "numbers of type 'f8'"),
        (np.zeros((4, 4, 3), np.uint8), "not one row of uint8"),
        (np.zeros((2, 2), np.uint8), "not one row of uint8"),
        (np.array([True]), "not one row of uint8"),
        (Path(), "it asks for pathlib"),
        (2**80, "a number has 11 bytes"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_other_values_are_refused_by_name(value, what, protocol):
    with pytest.raises(ValueError, match=what):
        read_pickle(pickle.dumps([value], protocol))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "it is cut off: 1 bytes are announced at byte 0, 0 follow"),
        (b".", "it ends with 0 values instead of one"),
        (b"NN.", "it ends with 2 values"),
        (b"N(.", "it ends with 1 values"),
        (b"N.N", "1 bytes follow its end"),
        (b"\x80\x06N.", "pickle protocol 6; 0 to 5"),
        (b"\x95" + b"\xff" * 8 + b"N.", "a frame of 18446744073709551615 bytes"),
        (b"B\xff\xff\xff\xffab.", "4294967295 bytes are announced at byte 5, 3 follow"),
        (b"T\xff\xff\xff\xffab.", "-1 bytes are announced"),
        (b"X\x02\x00\x00\x00\xff\xff.", "codec can't decode"),
        (b"S'\\q'\n.", "a string is not written as one"),
        (b"S'ab\n.", "a string is not written as one"),
        (b"V\\u12\n.", "truncated"),
        (b"I" + b"9" * 30 + b"\n.", "stands for a number"),
        (b"I" + b"9" * 300 + b"\n.", "a line has no end"),
        (b"I1_0\n.", "stands for a number"),
        (b"g7\n.", "value 7 is recalled, which was not stored"),
        (b"e.", "ends that has not begun"),
        (b"N(q\x00.", "a value is taken where there is none"),
        (b"NNa.", "appended to what is no list"),
        (b"N)R.", "it calls what it may not: nothing"),
        (b"cnumpy\nndarray\n)R.", "it calls what it may not: numpy.ndarray"),
        (b"cnumpy\ndtype\n)R.", "it is damaged: tuple index out of range"),
        (b"cnumpy\ndtype\n](NeR.", "it calls what it may not"),
        (b"NNb.", "a state is given to what has none"),
        (b"cnumpy.core.multiarray\n_reconstruct\n)R.", "an array of an unknown kind"),
        (b"cnumpy.core.multiarray\nscalar\n)R.", "is no true or false"),
        (b"cnumpy.core.numeric\n_frombuffer\n)R.", "an array has an unknown state"),
        (b"c_codecs\nencode\n(VA\nVrot13\ntR.", "another encoding than latin1"),
        (b"c_codecs\nencode\n(V\\u1234\nVlatin1\ntR.", "codec can't encode"),
        (b"K\x01\x8c\x01x\x93.", "a name is expected; there is a value of type int"),
        (b"\xff.", "it asks for opcode 0xff"),
    ],
)
def test_damage_is_told(data, what):
    with pytest.raises(ValueError, match=what):
        read_pickle(data)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_cut_anywhere_is_refused(protocol):
    image = np.frombuffer(b"\xff\xd8\n'\\", np.uint8)
    whole = pickle.dumps(([b"\n\xff", image], [True, np.bool_(False)]), protocol)
    for end in range(len(whole)):
        with pytest.raises(ValueError, match=r"."):
            read_pickle(whole[:end])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.lists(st.sampled_from(sorted(b"()]ltaeNI0.\nqhbR\x85\x94"))))
def test_no_bytes_do_more_than_be_refused(data):
    with contextlib.suppress(ValueError):
        read_pickle(bytes(data))


def test_lists_within_lists_need_no_recursion():
    depth = 200_000
    found = read_pickle(b"]" * depth + b"a" * (depth - 1) + b".")
    levels = 1
    while isinstance(found, list) and found:
        found, levels = found[0], levels + 1
    assert levels == depth


def test_a_list_in_itself_is_only_a_list():
    found = read_pickle(b"]q\x00h\x00a.")
    assert isinstance(found, list)
    assert found[0] is found


def test_values_that_double_are_not_unfolded():
    """Each tuple holds the one before twice: 60 steps would be 10**18 values, were they copied."""
    data = b")" + b"".join(b"q%ch%c\x86" % (n, n) for n in range(60)) + b"."
    assert len(read_pickle(data)) == 2


@pytest.mark.parametrize(
    ("limit", "data", "what"),
    [
        ("_MAX_STACK", b"N" * 20, "it holds more values than"),
        ("_MAX_STACK", b"(" * 20, "begun without end"),
        ("_MAX_REMEMBERED", b"N" + b"\x94" * 20, "it holds more values than"),
        ("_FREE_STEPS", b"N" * 11, "it takes more than 10 steps"),
    ],
)
def test_steps_and_values_are_limited(limit, data, what, monkeypatch):
    monkeypatch.setattr(restricted_pickle, limit, 10)
    with pytest.raises(ValueError, match=what):
        read_pickle(data)


def test_one_text_cannot_be_turned_into_bytes_again_and_again():
    text = b"c_codecs\nencode\nq\x00V" + b"a" * 1000 + b"\nq\x01Vlatin1\nq\x02"
    again = b"h\x00h\x01h\x02\x86R" * 10
    with pytest.raises(ValueError, match="it makes more bytes than it holds"):
        read_pickle(text + again + b".")
