"""Shards: what was packed comes back; what is missing, cut off or hostile is refused by name."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading

import numpy as np
import pytest

import toys
from tronie.data.pack import Encoded, write_shards
from tronie.data.readers.shards import INDEX_TYPE, Shards, shard_name
from tronie.errors import BadFile, NotFound
from tronie.images.io import encode_image

PEOPLE, SHOTS = 4, 3
IMAGES = [
    Encoded(f"p{n}", f"p{n}/{k}.png", encode_image(toys.toy_face(n, shot=k)[:40, :40], ".png"))
    for n in range(PEOPLE)
    for k in range(SHOTS)
]


@pytest.fixture
def folder(tmp_path):
    out = tmp_path / "shards"
    write_shards(IMAGES, out, shard_bytes=10_000)
    return out


def rewritten(folder, name, data):
    """Replace a file and mend the list of checksums, as somebody with bad intentions would."""
    (folder / name).write_bytes(data)
    lines = [line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines()]
    new = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for _, n in lines}
    (folder / "SHA256SUMS").write_text("".join(f"{s}  {n}\n" for n, s in new.items()))


def with_index(folder, **columns):
    """Write values over the first entry of the index."""
    index = np.load(folder / "index.npy")
    for name, value in columns.items():
        index[name][0] = value
    np.save(folder / "index.npy", index)
    rewritten(folder, "index.npy", (folder / "index.npy").read_bytes())


def test_every_image_comes_back_with_its_label(folder):
    with Shards(folder) as shards:
        assert len(shards) == len(IMAGES)
        assert [shards.read(n) for n in range(len(shards))] == [image.data for image in IMAGES]
        assert [shards.classes[label] for label in shards.labels] == [i.person for i in IMAGES]
        assert shards.labels.dtype == np.int64
        assert not shards.labels.flags.writeable
        assert len(list(folder.glob("shard-*.bin"))) > 2


def test_the_files_are_as_the_reference_page_states(folder):
    """Read without the reader: plain numpy, and offsets into plain bytes."""
    index = np.load(folder / "index.npy")
    assert index.dtype == INDEX_TYPE
    assert INDEX_TYPE.itemsize == 24
    names = (folder / "classes.txt").read_text().splitlines()
    for entry, image in zip(index, IMAGES, strict=True):
        data = (folder / f"shard-{entry['shard']:05d}.bin").read_bytes()
        start = int(entry["offset"])
        assert data[start : start + int(entry["length"])] == image.data
        assert names[entry["label"]] == image.person
    about = json.loads((folder / "shards.json").read_text())
    sizes = [path.stat().st_size for path in sorted(folder.glob("shard-*.bin"))]
    assert (about["images"], about["classes"]) == (len(IMAGES), PEOPLE)
    assert about["shard_bytes"] == sizes


def test_the_checksums_are_those_of_sha256sum(folder):
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True
    )
    assert done.returncode == 0, done.stdout
    listed = {line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    assert listed == {path.name for path in folder.iterdir()} - {"SHA256SUMS"}


def test_the_checksum_names_the_content_and_not_the_place(folder, tmp_path):
    write_shards(IMAGES, tmp_path / "again", shard_bytes=10_000)
    write_shards(IMAGES[:-1], tmp_path / "other", shard_bytes=10_000)
    sums = [Shards(tmp_path / name).sha256 for name in ("shards", "again", "other")]
    assert sums[0] == sums[1] != sums[2]


def test_many_threads_read_what_one_reads(folder):
    shards = Shards(folder)
    wrong = []

    def read_all(order):
        wrong.extend(n for n in order if shards.read(n) != IMAGES[n].data)

    orders = [np.random.default_rng(n).permutation(len(IMAGES)).tolist() * 5 for n in range(8)]
    threads = [threading.Thread(target=read_all, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    shards.close()


def test_more_shards_than_may_be_open_are_read_all_the_same(folder, monkeypatch):
    monkeypatch.setattr("tronie.data.readers.shards._MOST_OPEN", 1)
    with Shards(folder) as shards:
        for _ in range(2):
            assert [shards.read(n) for n in range(len(shards))] == [i.data for i in IMAGES]
        assert len(shards._files) == 1


def test_there_is_no_image_before_the_first_and_after_the_last(folder):
    with Shards(folder) as shards:
        for n in (-1, len(IMAGES)):
            with pytest.raises(NotFound, match=f"has no image {n}; it has 0 to {len(IMAGES) - 1}"):
                shards.read(n)


# --- what is missing or cut off


def test_a_missing_shard_is_named_with_its_number(folder):
    (folder / shard_name(1)).unlink()
    with pytest.raises(NotFound, match=r"shard 1 of \d+ \(.*shard-00001\.bin\) is missing; copy"):
        Shards(folder)


def test_a_truncated_shard_is_named_with_its_number_and_sizes(folder):
    path = folder / shard_name(2)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])
    told = rf"shard 2 of \d+ \(.*\) is cut off: {size - 1} bytes of {size}; copy it again"
    with pytest.raises(BadFile, match=told):
        Shards(folder)
    path.write_bytes(bytes(size + 5))
    with pytest.raises(BadFile, match="is longer than it was"):
        Shards(folder)


def test_a_shard_that_shrinks_while_it_is_read_is_named(folder):
    with Shards(folder) as shards:
        (folder / shard_name(0)).write_bytes(b"")
        with pytest.raises(
            BadFile, match=r"image 0 of .*: shard 0 \(shard-00000\.bin\) has been cut"
        ):
            shards.read(0)


def test_one_bit_that_flipped_is_noticed_when_its_image_is_read(folder):
    path = folder / shard_name(0)
    data = bytearray(path.read_bytes())
    data[17] ^= 4
    path.write_bytes(data)
    with Shards(folder) as shards:
        with pytest.raises(BadFile, match=r"shard 0 .* has other bytes than were packed at byte 0"):
            shards.read(0)
        assert shards.read(1) == IMAGES[1].data


@pytest.mark.parametrize("name", ["index.npy", "classes.txt", "shards.json", "SHA256SUMS"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(NotFound, match=rf"has no {name}"):
        Shards(folder)


@pytest.mark.parametrize("name", ["index.npy", "classes.txt", "shards.json"])
def test_an_altered_file_is_named(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[-3] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(
        BadFile, match=rf"{name} has the SHA-256 \w+\.\.\.; SHA256SUMS has \w+\.\.\."
    ):
        Shards(folder)


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"no folder of shards .*; `tronie pack` makes one"):
        Shards(tmp_path / "nowhere")
    with pytest.raises(NotFound, match="has no SHA256SUMS, and so is no whole folder of shards"):
        Shards(tmp_path)


# --- what is hostile: its checksums are right


@pytest.mark.parametrize(
    "columns",
    [
        {"shard": 1000},
        {"label": 1000},
        {"length": 0},
        {"length": 2**32 - 1},
        {"offset": 2**64 - 1},
        {"offset": 2**64 - 8, "length": 16},
        {"offset": 10_000_000},
    ],
)
def test_an_index_that_points_outside_is_refused(folder, columns):
    with_index(folder, **columns)
    with pytest.raises(
        BadFile, match=r"index\.npy: image 0 is said to be of class \d+ at byte \d+"
    ):
        Shards(folder)


def test_a_class_without_an_image_is_refused(folder):
    (folder / "classes.txt").write_text("p0\np1\np2\np3\nnobody\n")
    rewritten(folder, "classes.txt", (folder / "classes.txt").read_bytes())
    with pytest.raises(
        BadFile, match=r"class 4 \('nobody'\) has no image; labels must have no holes"
    ):
        Shards(folder)


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((3, 4)), r"it holds float64 of shape \(3, 4\)"),
        (np.zeros((2, 3), INDEX_TYPE), r"of shape \(2, 3\)"),
        (np.zeros(5, INDEX_TYPE), "lists 5 images; shards.json states 12"),
        (np.array([{"a": 1}]), "is no index of shards"),
    ],
)
def test_an_index_of_another_form_is_refused_and_nothing_is_unpickled(folder, array, told):
    np.save(folder / "index.npy", array)
    rewritten(folder, "index.npy", (folder / "index.npy").read_bytes())
    with pytest.raises(BadFile, match=told):
        Shards(folder)


@pytest.mark.parametrize("cut", [0, 5, 60, 200])
def test_a_cut_index_is_refused(folder, cut):
    rewritten(folder, "index.npy", (folder / "index.npy").read_bytes()[:cut])
    with pytest.raises(BadFile, match=r"index\.npy is no index of shards"):
        Shards(folder)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "does not describe shards"),
        ("{", "does not describe shards"),
        ('{"version": 1, "images": 12, "shard_bytes": []}', "at least one shard"),
        ('{"version": 1, "images": 12, "shard_bytes": [-1]}', "must be whole numbers"),
        ('{"version": 1, "images": true, "shard_bytes": [1]}', "must be whole numbers"),
        ('{"version": 2, "images": 12, "shard_bytes": [1]}', "is of version 2; this package reads"),
        ("[" * 100_000, "does not describe shards"),
    ],
)
def test_a_description_that_breaks_its_form_is_refused(folder, text, told):
    rewritten(folder, "shards.json", text.encode())
    with pytest.raises(BadFile, match=told):
        Shards(folder)


@pytest.mark.parametrize("names", ["p0\np0\np1\np2\n", "p0\n\np1\np2\n"])
def test_names_that_are_twice_or_empty_are_refused(folder, names):
    rewritten(folder, "classes.txt", names.encode())
    with pytest.raises(BadFile, match=r"classes\.txt must name each class once"):
        Shards(folder)


def test_names_that_are_no_text_are_refused(folder):
    rewritten(folder, "classes.txt", b"p0\n\xff\n")
    with pytest.raises(BadFile, match=r"classes\.txt is not UTF-8 text"):
        Shards(folder)


def test_a_line_of_checksums_that_is_none_is_named(folder):
    (folder / "SHA256SUMS").write_text("abc  index.npy\n")
    with pytest.raises(BadFile, match="SHA256SUMS:1: must read as sha256sum writes it; got 'abc"):
        Shards(folder)
