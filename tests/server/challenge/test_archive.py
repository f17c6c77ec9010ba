"""Zips from strangers: each trick is one refusal, and nothing lands but where we put it."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib

import numpy as np
import pytest

from tronie.errors import BadInput, NotFound
from tronie.server.challenge import archive
from tronie.server.challenge.archive import MODEL, open_upload
from tronie.server.challenge.track import Limits
from tronie.server.challenge.zip_directory import BadUpload

LIMITS = Limits(upload_bytes=2**20, model_bytes=2**18, dimension=4)
MODEL_BYTES = np.random.default_rng(0).bytes(5000)


def info(name, *, mode=stat.S_IFREG | 0o644, method=zipfile.ZIP_DEFLATED):
    made = zipfile.ZipInfo(name)
    made.external_attr = mode << 16
    made.compress_type = method
    made.create_system = 3
    return made


def zipped(*members):
    """A zip of (name or ZipInfo, bytes) pairs."""
    out = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch, zipfile.ZipFile(out, "w") as made:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # of duplicate names
        for name, data in members:
            made.writestr(name if isinstance(name, zipfile.ZipInfo) else info(name), data)
    return out.getvalue()


def opened(tmp_path, data, *, kind="model", limits=LIMITS, rows=None):
    path = tmp_path / "sent"
    path.write_bytes(data)
    return open_upload(path, kind=kind, limits=limits, rows=rows, workspace=tmp_path)


def refused(tmp_path, data, **options):
    with pytest.raises(BadUpload, match=r"\w") as caught:
        opened(tmp_path, data, **options)
    assert [p.name for p in tmp_path.iterdir()] == ["sent"]
    return caught.value.rule, str(caught.value)


def matrix(rows=3, columns=4):
    out = io.BytesIO()
    np.save(out, np.ones((rows, columns), np.float32))
    return out.getvalue()


def patched(data, *changes):
    out = bytearray(data)
    for at, fmt, value in changes:
        struct.pack_into(fmt, out, at, value)
    return bytes(out)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_model_in_a_zip_is_its_bytes(tmp_path, method):
    with opened(tmp_path, zipped((info(MODEL, method=method), MODEL_BYTES))) as upload:
        assert upload.model == MODEL_BYTES
        assert upload.features is None


def test_a_model_alone_is_its_bytes(tmp_path):
    assert opened(tmp_path, MODEL_BYTES).model == MODEL_BYTES


def test_a_matrix_lies_in_a_folder_of_ours_until_it_is_closed(tmp_path):
    data = zipped((MODEL, MODEL_BYTES), ("features.npy", matrix()))
    with opened(tmp_path, data, kind="features", rows=3) as upload:
        assert upload.model == MODEL_BYTES
        assert upload.features.read_bytes() == matrix()
        assert upload.features.parent.parent == tmp_path
        assert upload.features.name == "matrix"
    assert [p.name for p in tmp_path.iterdir()] == ["sent"]


def test_a_zip_that_python_wrote_as_a_stream_of_zip64_is_read(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made, made.open(MODEL, "w", force_zip64=True) as member:
        member.write(MODEL_BYTES)
    assert opened(tmp_path, out.getvalue()).model == MODEL_BYTES


LINK = info(MODEL, mode=stat.S_IFLNK | 0o777)
FOLDER = info("model/", mode=stat.S_IFDIR | 0o755)
GOOD = (MODEL, MODEL_BYTES)
NAMES = {
    "../model.onnx": "archive.path",
    "/etc/passwd": "archive.path",
    "a/model.onnx": "archive.path",
    "..\\model.onnx": "archive.path",
    "C:model.onnx": "archive.path",
    "..": "archive.path",
    "model\n.onnx": "archive.name",
    "model\x1b[2J.onnx": "archive.name",
    "model\u202e.onnx": "archive.name",
    "inner.zip": "archive.nested",
    "model.onnx.gz": "archive.nested",
    "MODEL.ONNX": "archive.duplicate",
    "ｍodel.onnx": "archive.duplicate",
    "model.onnx ": "archive.members",
    "a.onnx": "archive.members",
    "zzz.onnx": "archive.members",
    "crop.txt": "archive.members",
    "__MACOSX": "archive.members",
    "features.npy": "archive.members",
}


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_second_member_is_refused_by_what_it_is_called(tmp_path, name):
    rule, words = refused(tmp_path, zipped(GOOD, (name, b"data")))
    assert rule == NAMES[name]
    assert words.isascii()
    assert words.isprintable()


@pytest.mark.parametrize(
    ("member", "rule", "words"),
    [
        ((LINK, b"/etc/passwd"), "archive.link", "'model.onnx' in the zip is a link or a device"),
        (
            (info(MODEL, mode=stat.S_IFCHR | 0o666), b""),
            "archive.link",
            "is a link or a device; send the file itself",
        ),
        ((FOLDER, b""), "archive.folder", "is a folder; put model.onnx at the top"),
        (
            (info(MODEL, method=zipfile.ZIP_BZIP2), MODEL_BYTES),
            "archive.compression",
            "packed by method 12; only store",
        ),
        (
            (info(MODEL, method=zipfile.ZIP_LZMA), MODEL_BYTES),
            "archive.compression",
            "packed by method 14",
        ),
        ((MODEL, b"PK\3\4 and so on"), "archive.nested", "model.onnx in the zip is itself zip"),
        ((MODEL, b"\x1f\x8b and so on"), "archive.nested", "model.onnx in the zip is itself gzip"),
        ((MODEL, b"x" * 300_000), "limits.model_bytes", "model.onnx has 300000 bytes; this track"),
    ],
)
def test_a_member_is_refused_by_what_it_is(tmp_path, member, rule, words):
    found = refused(tmp_path, zipped(member))
    assert found[0] == rule
    assert words in found[1]


def test_a_name_that_is_no_utf8_is_refused(tmp_path):
    data = zipped(("modelx.onnx", MODEL_BYTES)).replace(b"modelx", b"model\xff")
    rule, words = refused(tmp_path, data)
    assert rule == "archive.name"
    assert r"b'model\xff.onnx', which is not plain UTF-8 text" in words


def test_one_name_twice_is_refused(tmp_path):
    rule, words = refused(tmp_path, zipped(GOOD, GOOD))
    assert (rule, "'model.onnx' twice" in words) == ("archive.duplicate", True)


def test_locked_members_are_refused(tmp_path):
    data = zipped(GOOD)
    at = data.index(b"PK\1\2")
    for bit in (0x1, 0x40, 0x2000):
        rule, words = refused(tmp_path, patched(data, (6, "<H", bit), (at + 8, "<H", bit)))
        assert (rule, "zip it without a password" in words) == ("archive.encrypted", True)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    limits = Limits(upload_bytes=2**20, model_bytes=2**30)
    data = zipped((MODEL, bytes(50_000_000)))
    assert len(data) < 60_000
    rule, words = refused(tmp_path, data, limits=limits)
    assert rule == "archive.ratio"
    assert "to 50000000 bytes, more than 64 times as many" in words


def test_small_members_may_be_packed_tightly(tmp_path):
    assert opened(tmp_path, zipped((MODEL, bytes(100_000)))).model == bytes(100_000)


@pytest.mark.parametrize("told", [4999, 5001, 40_000])
def test_sizes_that_lie_are_refused(tmp_path, told):
    data = zipped(GOOD)
    at = data.index(b"PK\1\2")
    rule, words = refused(tmp_path, patched(data, (22, "<L", told), (at + 24, "<L", told)))
    assert (rule, "does not unpack to the bytes" in words) == ("archive.sizes", True)


def test_no_more_is_unpacked_than_was_announced(tmp_path, monkeypatch):
    """A member that says 10 bytes and holds 200,000: 11 are asked for."""
    asked = []

    class Watched:
        def __init__(self, inner):
            self.inner = inner

        def decompress(self, block, most):
            asked.append(most)
            return self.inner.decompress(block, most)

        def __getattr__(self, name):
            return getattr(self.inner, name)

    real = zlib.decompressobj
    monkeypatch.setattr(archive.zlib, "decompressobj", lambda bits: Watched(real(bits)))
    data = zipped((MODEL, MODEL_BYTES * 40))
    at = data.index(b"PK\1\2")
    assert refused(tmp_path, patched(data, (22, "<L", 10), (at + 24, "<L", 10)))[0] == (
        "archive.sizes"
    )
    assert asked == [11]


def test_another_sum_or_broken_packing_is_refused(tmp_path):
    data = zipped(GOOD)
    at = data.index(b"PK\1\2")
    wrong = patched(data, (14, "<L", 1), (at + 16, "<L", 1))
    assert refused(tmp_path, wrong)[0] == "archive.sizes"
    broken = data[:40] + b"\xff" * 20 + data[60:]
    assert refused(tmp_path, broken)[0] == "archive.damaged"


def test_too_many_members_are_refused(tmp_path):
    rule, words = refused(tmp_path, zipped(*((f"{n}", b"") for n in range(17))))
    assert (rule, "announces 17 members" in words) == ("archive.too_many", True)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([], "takes a zip of model.onnx; the zip holds nothing"),
        ([("features.npy", b"")], "the zip also holds 'features.npy'"),
    ],
)
def test_a_zip_without_a_model_is_refused(tmp_path, members, words):
    rule, found = refused(tmp_path, zipped(*members))
    assert rule in ("archive.missing", "archive.members")
    assert words in found


@pytest.mark.parametrize(
    "members",
    [
        [GOOD],
        [("features.npy", matrix())],
        [GOOD, ("features.npy", matrix()), ("features.bin", matrix())],
    ],
)
def test_a_matrix_track_takes_one_model_and_one_matrix(tmp_path, members):
    rule, words = refused(tmp_path, zipped(*members), kind="features")
    assert rule == "archive.missing"
    assert "takes a zip of model.onnx and one of features.npy, features.bin, features.fea" in words


def test_a_matrix_larger_than_the_tracks_rows_is_not_unpacked(tmp_path):
    data = zipped(GOOD, ("features.npy", matrix(rows=2000)))
    rule, words = refused(tmp_path, data, kind="features", rows=3)
    assert rule == "archive.matrix_bytes"
    assert "features.npy has 32128 bytes; this track takes at most 4144" in words


def test_a_matrix_that_turns_out_damaged_leaves_nothing_behind(tmp_path):
    data = zipped(GOOD, ("features.npy", matrix()))
    at = data.index(b"PK\1\2", data.index(b"PK\1\2") + 4)
    start = data.index(b"PK\3\4", 4)
    wrong = patched(data, (start + 14, "<L", 1), (at + 16, "<L", 1))
    assert refused(tmp_path, wrong, kind="features", rows=3)[0] == "archive.sizes"


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"\x1f\x8b\x08", "model", "takes model.onnx, or a zip of it; got gzip"),
        (b"7z\xbc\xaf\x27\x1c", "model", "got 7-Zip"),
        (b"Rar!\x1a", "model", "got RAR"),
        (MODEL_BYTES, "features", "takes a zip of model.onnx and one of .* got a file that is no"),
    ],
)
def test_other_wrappings_are_named(tmp_path, data, kind, words):
    path = tmp_path / "sent"
    path.write_bytes(data)
    with pytest.raises(BadUpload, match=words) as caught:
        open_upload(path, kind=kind, limits=LIMITS)
    assert caught.value.rule == "archive.kind"


def test_a_file_over_the_limit_is_not_opened(tmp_path):
    rule, words = refused(tmp_path, b"x" * (2**20 + 1))
    assert rule == "archive.size"
    assert words == "the file has 1048577 bytes; this track takes at most 1048576"


def test_a_model_alone_over_the_limit_is_refused(tmp_path):
    rule, words = refused(tmp_path, b"x" * (2**18 + 1))
    assert (rule, "takes at most 262144" in words) == ("limits.model_bytes", True)


def test_no_file_and_no_room_are_not_the_teams_fault(tmp_path):
    with pytest.raises(NotFound, match=r"no file at .*nowhere"):
        open_upload(tmp_path / "nowhere", kind="model", limits=LIMITS)
    (tmp_path / "sent").write_bytes(zipped(GOOD, ("features.npy", matrix())))
    with pytest.raises(BadInput, match="sent cannot be read, or unpacked: No such file"):
        open_upload(
            tmp_path / "sent", kind="features", limits=LIMITS, workspace=tmp_path / "missing"
        )
