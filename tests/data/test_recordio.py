"""RecordIO: what a writer of the published layout wrote is read, and damage is told by its byte."""

from __future__ import annotations

import itertools
import os
import random
import struct
import threading
from pathlib import Path

import numpy as np
import pytest

from tronie.data.readers import recordio
from tronie.data.readers.recordio import Record, RecordArchive
from tronie.errors import BadFile, BadInput, NotFound

MAGIC = struct.pack("<I", 0xCED7230A)


def encode(payload: bytes) -> bytes:
    """A record as dmlc's writer lays it out: parted at each magic number at a multiple of 4."""
    cuts = [at for at in range(0, len(payload) - 3, 4) if payload[at : at + 4] == MAGIC]
    bounds = [-4, *cuts, len(payload)]
    parts = [payload[a + 4 : b] for a, b in itertools.pairwise(bounds)]
    last = len(parts) - 1
    kinds = [0] if last == 0 else [1, *[2] * (last - 1), 3]
    return b"".join(
        MAGIC + struct.pack("<I", kind << 29 | len(part)) + part + bytes(-len(part) % 4)
        for kind, part in zip(kinds, parts, strict=True)
    )


def pack(label: float | list[float], number: int = 0, image: bytes = b"") -> bytes:
    if isinstance(label, list):
        head = struct.pack("<IfQQ", len(label), 0.0, number, 0)
        return head + struct.pack(f"<{len(label)}f", *label) + image
    return struct.pack("<IfQQ", 0, label, number, 0) + image


def write(folder, payloads: dict[int, bytes], *, index: bool = True):
    """Write records under their keys, in this order; the path of the .rec."""
    data, lines = b"", []
    for key, payload in payloads.items():
        lines.append(f"{key}\t{len(data)}\n")
        data += encode(payload)
    (folder / "train.rec").write_bytes(data)
    if index:
        (folder / "train.idx").write_text("".join(lines))
    return folder / "train.rec"


def insightface(folder, **changed):
    """Five images of two people: images 1 to 5, identities 6 and 7."""
    images = {n: pack(float(n > 3), n, b"image %d" % n) for n in range(1, 6)}
    people = {6: pack([1.0, 4.0]), 7: pack([4.0, 6.0])}
    payloads = {0: pack([6.0, 8.0]), **images, **people}
    payloads |= {int(key[1:]): value for key, value in changed.items()}
    return write(folder, payloads)


@pytest.mark.parametrize("index", [True, False], ids=["with .idx", "without"])
def test_a_thousand_payloads_with_the_magic_number_anywhere_come_back(index, tmp_path):
    chance = random.Random(0)
    payloads = {}
    for key in range(1000):
        body = bytearray(chance.randbytes(chance.randrange(60)))
        for _ in range(chance.randrange(4)):
            at = chance.randrange(len(body) + 1)
            body[at:at] = MAGIC * chance.randrange(1, 3)
        payloads[key] = pack(float(key), key, bytes(body))
    path = write(tmp_path, payloads, index=index)
    with RecordArchive(path) as archive:
        assert archive.keys.tolist() == list(range(1000))
        for key, payload in payloads.items():
            assert archive.read(key) == Record((float(key),), key, payload[24:])


def test_a_record_longer_than_one_read_comes_back(tmp_path):
    body = (b"\xff" * 4093 + MAGIC + b"\x01" * 3 + MAGIC * 5) * 40
    assert len(body) > 4 * recordio._READ_AHEAD_BYTES
    path = write(tmp_path, {0: pack(1.0, 0, body), 1: pack(2.0, 1, b"next")})
    with RecordArchive(path) as archive:
        assert archive.read(0).payload == body
        assert archive.read(1).payload == b"next"


@pytest.mark.parametrize("labels", [1, 2, 237])
def test_labels_behind_the_header_are_the_label(labels, tmp_path):
    values = [n / 2 for n in range(labels)]
    path = write(tmp_path, {3: pack(values, 9, b"image")})
    with RecordArchive(path) as archive:
        assert archive.read(3) == Record(tuple(values), 9, b"image")
        assert archive.images().tolist() == [3]


def test_images_and_identities_of_insightface_are_told_apart(tmp_path):
    with RecordArchive(insightface(tmp_path)) as archive:
        assert archive.keys.tolist() == list(range(8))
        assert archive.images().tolist() == [1, 2, 3, 4, 5]
        assert archive.identities().tolist() == [[1, 4], [4, 6]]
        for person, (first, end) in enumerate(archive.identities()):
            assert {archive.read(key).label for key in range(first, end)} == {(float(person),)}


def test_a_part_of_any_length_is_followed_by_padding(tmp_path):
    """dmlc's writer parts payloads at multiples of 4 only; its reader does not ask for it."""
    body = pack(1.0, 0, b"abc")
    first = MAGIC + struct.pack("<I", 1 << 29 | len(body)) + body + b"\0"
    (tmp_path / "train.rec").write_bytes(first + MAGIC + struct.pack("<I", 3 << 29 | 4) + b"defg")
    with RecordArchive(tmp_path / "train.rec") as archive:
        assert archive.read(0).payload == b"abc" + MAGIC + b"defg"


@pytest.mark.parametrize("labels", [0.0, [1.0, 2.0, 3.0], [1.0, 2.0]])
def test_without_a_first_record_of_two_labels_alone_all_records_are_images(labels, tmp_path):
    payloads = {key: pack(labels, key, b"image") for key in (0, 1)}
    with RecordArchive(write(tmp_path, payloads)) as archive:
        assert archive.images().tolist() == [0, 1]
        assert archive.identities().shape == (0, 2)


def test_keys_keep_the_order_of_the_index_and_need_not_be_sorted(tmp_path):
    payloads = {key: pack(float(key), key, b"%d" % key) for key in (7, 2, 10**9, 0)}
    with RecordArchive(write(tmp_path, payloads)) as archive:
        assert archive.keys.tolist() == [7, 2, 10**9, 0]
        assert [archive.read(key).id for key in archive.keys.tolist()] == [7, 2, 10**9, 0]
        assert not archive.keys.flags.writeable


def test_an_index_of_another_name_is_taken_where_it_is_named(tmp_path):
    path = write(tmp_path, {4: pack(1.0, 4, b"a")})
    (tmp_path / "train.idx").rename(tmp_path / "other.txt")
    with RecordArchive(path, tmp_path / "other.txt") as archive:
        assert archive.keys.tolist() == [4]


def test_many_threads_read_one_archive(tmp_path):
    payloads = {key: pack(float(key), key, bytes([key]) * 3000) for key in range(50)}
    wrong: list[int] = []

    def read_all(seed: int) -> None:
        keys = random.Random(seed).choices(range(50), k=400)
        wrong.extend(k for k in keys if archive.read(k).payload != bytes([k]) * 3000)

    with RecordArchive(write(tmp_path, payloads)) as archive:
        threads = [threading.Thread(target=read_all, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_opening_reads_nothing_of_the_records(tmp_path, monkeypatch):
    path = insightface(tmp_path)
    monkeypatch.setattr(os, "pread", lambda *_: pytest.fail("the .rec was read"))
    with RecordArchive(path) as archive:
        assert len(archive.keys) == 8


@pytest.mark.parametrize("index", [True, False])
def test_an_archive_cut_anywhere_is_told(index, tmp_path):
    path = write(tmp_path, {0: pack(1.0, 0, MAGIC * 3), 1: pack([1.0, 2.0], 1, MAGIC + b"ab")})
    whole = path.read_bytes()
    if not index:
        (tmp_path / "train.idx").unlink()
    last = len(encode(pack(1.0, 0, MAGIC * 3)))
    for end in range(len(whole) - 2):  # the last two bytes are padding
        path.write_bytes(whole[:end])
        if not index and end == last:
            continue  # cut between two records: nothing tells that there was another
        with (
            pytest.raises(BadFile, match=r"train\.(rec|idx)"),
            RecordArchive(path) as archive,
        ):
            archive.read(0), archive.read(1)


def test_a_cut_record_is_named_by_its_byte(tmp_path):
    path = write(tmp_path, {0: pack(1.0), 1: pack(1.0, 1, b"x" * 100)})
    path.write_bytes(path.read_bytes()[:-30])
    with (
        RecordArchive(path) as archive,
        pytest.raises(BadFile, match=r"train\.rec: the record at byte 32 is cut off; the file"),
    ):
        archive.read(1)


def test_an_index_of_another_archive_is_found_out(tmp_path):
    path = write(tmp_path, {0: pack(1.0, 0, b"x" * 100)})
    (tmp_path / "train.idx").write_text("0\t8\n")
    with (
        RecordArchive(path) as archive,
        pytest.raises(BadFile, match=r"at byte 8 begins with 0{8} instead of the magic .* another"),
    ):
        archive.read(0)


@pytest.mark.parametrize(
    ("index", "what"),
    [
        ("0\t0\n1\t999\n", r"train\.idx:2: record 1 begins at byte 999; .*train\.rec has 32 bytes"),
        ("0\t0\n0\t4\n", r"train\.idx:2: the key 0 is there twice"),
        ("0\t0\nx\t4\n", r"train\.idx:2: must read 'KEY BYTE' in whole numbers; got 'x\\t4'"),
        ("0\t-4\n", r"train\.idx:1: must read"),
        ("", r"train\.idx holds no record"),
    ],
)
def test_an_index_that_cannot_be_right_is_refused(index, what, tmp_path):
    path = write(tmp_path, {0: pack(1.0)})
    (tmp_path / "train.idx").write_text(index)
    with pytest.raises(BadFile, match=what):
        RecordArchive(path)


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        (b"short", "has 5 bytes, too few for its header of 24"),
        (struct.pack("<IfQQ", 237, 0, 0, 0) + bytes(8), "237 labels, 972 bytes in all; it has 32"),
        (struct.pack("<IfQQ", 2**32 - 1, 0, 0, 0), "announces 4294967295 labels"),
    ],
)
def test_a_header_that_promises_more_than_there_is_is_refused(payload, what, tmp_path):
    with (
        RecordArchive(write(tmp_path, {0: payload})) as archive,
        pytest.raises(BadFile, match=rf"train\.rec: the record at byte 0 .*{what}"),
    ):
        archive.read(0)


@pytest.mark.parametrize(
    ("kinds", "what"),
    [
        ([2], "a part of kind 2 at a record's beginning"),
        ([3], "a part of kind 3 at a record's beginning"),
        ([5], "a part of kind 5 at a record's beginning"),
        ([1, 0], "a part of kind 0 inside a record"),
        ([1, 2, 1], "a part of kind 1 inside a record"),
        ([1, 2], "is cut off|lacks its last part"),
    ],
)
@pytest.mark.parametrize("index", [True, False])
def test_parts_in_a_wrong_order_are_refused(kinds, what, index, tmp_path):
    parts = [MAGIC + struct.pack("<I", kind << 29 | 4) + b"abcd" for kind in kinds]
    (tmp_path / "train.rec").write_bytes(b"".join(parts))
    if index:
        (tmp_path / "train.idx").write_text("0\t0\n")
    with (
        pytest.raises(BadFile, match=rf"train\.rec: the record at byte \d+ .*({what})"),
        RecordArchive(tmp_path / "train.rec") as archive,
    ):
        archive.read(0)


def test_parts_that_add_up_to_more_than_a_record_may_have_are_refused(tmp_path, monkeypatch):
    path = write(tmp_path, {0: pack(1.0, 0, MAGIC * 20)})
    monkeypatch.setattr(recordio, "MAX_PAYLOAD_BYTES", 60)
    with RecordArchive(path) as archive, pytest.raises(BadFile, match="longer than the 60 bytes"):
        archive.read(0)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"_0": pack([6.5, 8.0])}, r"record 0 must hold two whole numbers below 16777216.*6\.5"),
        ({"_0": pack([6.0, 2.0**24])}, "as far as float32 tells them apart"),
        ({"_0": pack([float("nan"), 8.0])}, "record 0 must hold two whole numbers"),
        ({"_0": pack([0.0, 8.0])}, "record 0 counts images to 0, all to 8"),
        ({"_0": pack([6.0, 5.0])}, "record 0 counts images to 6, all to 5"),
        ({"_0": pack([6.0, 1e6])}, "counts 999994 identities, keys 6 to 999999; 2 of them"),
        ({"_0": pack([9.0, 9.0])}, "counts 8 images, keys 1 to 8; 7 of them are there"),
        ({"_6": pack([1.0, 7.0])}, "record 6 gives an identity the images 1 to 6; .* 1 to 5"),
        ({"_7": pack([4.0])}, "record 7 must hold two whole numbers"),
    ],
)
def test_counts_that_do_not_fit_are_refused(changed, what, tmp_path):
    with (
        RecordArchive(insightface(tmp_path, **changed)) as archive,
        pytest.raises(BadFile, match=what),
    ):
        archive.images(), archive.identities()


def test_a_key_that_is_not_there_is_told_with_those_that_are(tmp_path):
    with (
        RecordArchive(insightface(tmp_path)) as archive,
        pytest.raises(NotFound, match=r"has no record 8; it has 8, with keys from 0 to 7"),
    ):
        archive.read(8)


def test_an_archive_that_is_not_there_or_empty_is_told(tmp_path):
    with pytest.raises(NotFound, match=r"there is no archive .*a\.rec"):
        RecordArchive(tmp_path / "a.rec")
    with pytest.raises(BadInput, match="cannot read"):
        RecordArchive(tmp_path)
    (tmp_path / "a.rec").write_bytes(b"")
    with pytest.raises(BadFile, match=r"a\.rec: is empty"):
        RecordArchive(tmp_path / "a.rec")
    with pytest.raises(NotFound, match=r"there is no file .*a\.idx"):
        RecordArchive(tmp_path / "a.rec", tmp_path / "a.idx")


def test_a_file_that_shrinks_while_it_is_read_is_told(tmp_path):
    path = write(tmp_path, {0: pack(1.0, 0, b"x" * 100)})
    with RecordArchive(path) as archive:
        path.write_bytes(b"")
        with pytest.raises(BadFile, match="has become shorter while it was read"):
            archive.read(0)


def test_an_archive_that_cannot_be_opened_leaves_no_file_open(tmp_path):
    path = write(tmp_path, {0: pack(1.0)})
    (tmp_path / "train.idx").write_text("x\n")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(BadFile, match="must read"):
        RecordArchive(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_offsets_beyond_four_gigabytes_are_kept(tmp_path):
    """A sparse file: only its last record has been written."""
    at = 5 << 30
    with (tmp_path / "train.rec").open("wb") as file:
        file.seek(at)
        file.write(encode(pack(1.0, 3, b"far")))
    (tmp_path / "train.idx").write_text(f"3\t{at}\n")
    with RecordArchive(tmp_path / "train.rec") as archive:
        assert archive.read(3).payload == b"far"
        assert archive.keys.dtype == np.int64
