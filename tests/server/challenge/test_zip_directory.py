"""A zip's directory is believed only where it agrees with itself and with the file, to the byte."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from tronie.server.challenge.zip_directory import BadUpload, read_directory

DATA = b"weights" * 1000


class Unseekable(io.RawIOBase):
    """A pipe, as `zip -` writes into."""

    def __init__(self):
        self.written = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.written += bytes(data)
        return len(data)


def zipped(*names, method=zipfile.ZIP_DEFLATED, stream=False, zip64=False):
    out = Unseekable() if stream else io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name in names or ("model.onnx",):
            with archive.open(name, "w", force_zip64=zip64) as member:
                member.write(DATA)
    return bytes(out.written) if stream else out.getvalue()


def read(data):
    return read_directory(io.BytesIO(data), len(data))


def patched(data, at, fmt, value):
    out = bytearray(data)
    struct.pack_into(fmt, out, at, value)
    return bytes(out)


def central(data):
    return data.index(b"PK\1\2")


def refused(data):
    with pytest.raises(BadUpload, match=r"\w") as caught:
        read(data)
    return caught.value.rule, str(caught.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("zip64", [False, True])
def test_what_python_writes_is_read(method, stream, zip64):
    data = zipped("model.onnx", "b", method=method, stream=stream, zip64=zip64)
    members = read(data)
    with zipfile.ZipFile(io.BytesIO(data)) as oracle:
        infos = oracle.infolist()
    assert [m.raw_name.decode() for m in members] == [i.filename for i in infos]
    for member, info in zip(members, infos, strict=True):
        assert (member.size_bytes, member.packed_bytes) == (info.file_size, info.compress_size)
        assert (member.crc, member.method) == (info.CRC, info.compress_type)
        packed = data[member.data_at : member.data_at + member.packed_bytes]
        assert packed == DATA or method == zipfile.ZIP_DEFLATED


def test_a_directory_of_zip64_is_read():
    """As a zip of more than 65,535 members or 4 GiB has it, here around one member."""
    data = zipped()
    at = central(data)
    size = len(data) - 22 - at
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, at)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at + size, 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    assert read(data[:-22] + end64 + locator + end) == read(data)
    rule, words = refused(data[:-22] + end)
    assert rule == "archive.damaged"
    assert "announces a zip64 directory and has none" in words
    spanned = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 1, 0, 1, 1, size, at)
    assert "one part of several" in refused(data[:-22] + spanned + locator + end)[1]


def test_a_zip_of_nothing_has_no_members():
    assert read(zipfile_of_nothing()) == ()


def zipfile_of_nothing():
    out = io.BytesIO()
    zipfile.ZipFile(out, "w").close()
    return out.getvalue()


@pytest.mark.parametrize(
    ("spoil", "rule", "words"),
    [
        (lambda d: b"x" + d, "archive.surroundings", "should end where its end begins"),
        (lambda d: d + b"x", "archive.surroundings", "must end with the end of its directory"),
        (lambda d: patched(d, len(d) - 2, "<H", 5) + b"hello", "archive.surroundings", "must end"),
        (lambda d: d[:10], "archive.damaged", "it has 10 bytes, too few for any zip"),
        (lambda d: patched(d, len(d) - 18, "<H", 1), "archive.damaged", "one part of several"),
        (
            lambda d: patched(patched(d, len(d) - 14, "<H", 60000), len(d) - 12, "<H", 60000),
            "archive.too_many",
            "the zip announces 60000 members; at most 16",
        ),
        (
            lambda d: patched(patched(d, len(d) - 14, "<H", 2), len(d) - 12, "<H", 2),
            "archive.damaged",
            "its directory is cut off",
        ),
        (
            lambda d: patched(patched(d, len(d) - 14, "<H", 0), len(d) - 12, "<H", 0),
            "archive.damaged",
            "bytes behind the last member",
        ),
        (
            lambda d: patched(d, central(d) + 28, "<H", 999),
            "archive.damaged",
            "its directory is cut off",
        ),
        (
            lambda d: patched(d, central(d) + 42, "<L", 3),
            "archive.surroundings",
            "behind bytes that belong to nobody",
        ),
        (
            lambda d: patched(d, central(d) + 20, "<L", 3),
            "archive.headers",
            "is described in two ways",
        ),
        (
            lambda d: patched(patched(d, central(d) + 20, "<L", 3), 18, "<L", 3),
            "archive.surroundings",
            "bytes of the zip belong to no member",
        ),
        (
            lambda d: patched(patched(d, central(d) + 20, "<L", 9999), 18, "<L", 9999),
            "archive.overlap",
            "reaches into its directory",
        ),
        (lambda d: patched(d, 30, "<B", 88), "archive.headers", "is described in two ways"),
        (lambda d: patched(d, 8, "<H", 0), "archive.headers", "is described in two ways"),
        (lambda d: patched(d, 14, "<L", 7), "archive.headers", "is described in two ways"),
        (
            lambda d: patched(d, central(d) + 34, "<H", 1),
            "archive.damaged",
            "a comment or lies on another disk",
        ),
    ],
)
def test_what_does_not_agree_is_refused(spoil, rule, words):
    found = refused(spoil(zipped()))
    assert found[0] == rule, found
    assert words in found[1]


def test_two_members_in_one_place_are_refused():
    """The bomb of overlapping members: both entries point at the first."""
    data = zipped("a", "b")
    second = data.index(b"PK\1\2", central(data) + 4)
    rule, words = refused(patched(data, second + 42, "<L", 0))
    assert (rule, "inside another member" in words) == ("archive.overlap", True)


def test_a_directory_of_many_bytes_is_not_read():
    rule, words = refused(zipped(*(f"{n}" * 30000 for n in "abc")))
    assert rule == "archive.surroundings"
    assert "at most 65536 bytes" in words


def test_what_follows_a_streamed_member_must_agree():
    data = zipped(stream=True)
    at = data.index(b"PK\7\x08")
    rule, words = refused(patched(data, at + 4, "<L", 1))
    assert rule == "archive.headers"
    assert "what follows a member" in words


def test_no_flip_of_a_byte_is_anything_but_a_refusal_or_the_same_members():
    data = zipped("model.onnx", stream=True)
    good = read(data)
    allowed = 0
    for at in [*range(60), *range(central(data), len(data))]:
        spoiled = data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :]
        try:
            members = read(spoiled)
        except BadUpload:
            continue
        allowed += 1
        assert [m.data_at for m in members] == [m.data_at for m in good]
    # 6 + 14 bytes of dates, versions and attributes in the two headers, and 20 of the data.
    assert allowed == 40
