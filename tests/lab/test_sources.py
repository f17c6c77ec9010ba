"""Images and whose they are, the same from a folder, an archive and shards; holes are closed."""

from __future__ import annotations

import io
import os
import struct
from contextlib import ExitStack

import numpy as np
import pytest
from PIL import Image

from tronie.data.pack import Encoded, write_shards
from tronie.errors import BadFile, BadInput, NotEnoughData, NotFound

pytest.importorskip("torch")

from toy_training import crop, write_crops
from tronie.lab.training.recipe import Data
from tronie.lab.training.sources import open_source

pytestmark = pytest.mark.lab


def png(person, shot):
    out = io.BytesIO()
    Image.fromarray(crop(person, shot)).save(out, "PNG")
    return out.getvalue()


def write_archive(folder, labels, *, identities=()):
    """Record 0 with the counts, images from key 1 on, then one record an identity."""
    payloads = [
        struct.pack("<IfQQff", 2, 0, 0, 0, len(labels) + 1, len(labels) + 1 + len(identities))
    ]
    payloads += [
        struct.pack("<IfQQ", 0, label, n, 0) + b"image %d" % n for n, label in enumerate(labels, 1)
    ]
    payloads += [struct.pack("<IfQQff", 2, 0, 0, 0, *span) for span in identities]
    data, lines = b"", []
    for key, payload in enumerate(payloads):
        lines.append(f"{key}\t{len(data)}\n")
        data += struct.pack("<II", 0xCED7230A, len(payload)) + payload + bytes(-len(payload) % 4)
    folder.mkdir(exist_ok=True)
    (folder / "train.rec").write_bytes(data)
    (folder / "train.idx").write_text("".join(lines))
    return folder


def opened(path, **data):
    with ExitStack() as closing:
        source = open_source(path, Data(**data), closing=closing)
        return source, [source.read(n) for n in range(len(source))]


def test_a_folder_gives_each_person_a_number_in_the_order_of_the_names(tmp_path):
    source, images = opened(write_crops(tmp_path, people=3, shots=2))
    assert (source.form, source.classes) == ("folder", ("P0", "P1", "P2"))
    assert source.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert images[3] == (tmp_path / "P1" / "P1_0002.png").read_bytes()
    assert source.name_of(3).endswith("P1_0002.png")


def test_only_the_people_listed_are_taken_and_only_those_with_enough_images(tmp_path):
    write_crops(tmp_path, people=5, shots=3)
    (tmp_path / "P1" / "P1_0003.png").unlink()
    (tmp_path / "list.txt").write_text("4\nP4\t3\nP1\t3\nP0\t3\nNobody\t7\n")
    source, _ = opened(tmp_path, people="list.txt")
    assert (source.classes, len(source)) == (("P0", "P1", "P4"), 8)
    source, images = opened(tmp_path, people="list.txt", min_images=3)
    assert (source.classes, source.labels.tolist()) == (("P0", "P4"), [0, 0, 0, 1, 1, 1])
    assert images[5] == (tmp_path / "P4" / "P4_0003.png").read_bytes()
    assert source.name_of(5).endswith("P4_0003.png")


@pytest.mark.parametrize("listed", [True, False])
def test_labels_of_an_archive_with_holes_are_numbered_anew(tmp_path, listed):
    spans = [(1, 3), (3, 4), (4, 6)] if listed else []
    write_archive(tmp_path, [7, 7, 90, 3, 3], identities=spans)
    source, images = opened(tmp_path)
    assert (source.form, source.classes) == ("recordio", ("3", "7", "90"))
    assert source.labels.tolist() == [1, 1, 2, 0, 0]
    assert images == [b"image %d" % n for n in range(1, 6)]
    assert source.name_of(0) == f"record 1 of {tmp_path / 'train.rec'}"


def test_an_archive_may_be_named_by_its_file(tmp_path):
    write_archive(tmp_path, [0, 1])
    assert len(opened(tmp_path / "train.rec")[0]) == 2


def test_shards_are_read_as_they_were_packed(tmp_path):
    wanted = [Encoded(f"P{n % 3}", f"{n}", png(n % 3, n)) for n in range(7)]
    write_shards(wanted, tmp_path / "shards")
    source, images = opened(tmp_path / "shards")
    assert (source.form, source.classes) == ("shards", ("P0", "P1", "P2"))
    assert sorted(images) == sorted(one.data for one in wanted)
    for n, image in enumerate(images):
        assert image in [one.data for one in wanted if one.person == f"P{source.labels[n]}"]


def test_the_fingerprint_changes_with_an_image_and_a_name_and_not_otherwise(tmp_path):
    first = opened(write_crops(tmp_path, people=3, shots=2))[0].fingerprint()
    assert opened(tmp_path)[0].fingerprint() == first
    (tmp_path / "P2").rename(tmp_path / "Q2")
    renamed = opened(tmp_path)[0].fingerprint()
    (tmp_path / "Q2" / "P2_0002.png").unlink()
    assert len({first, renamed, opened(tmp_path)[0].fingerprint()}) == 3


def test_two_forms_in_one_folder_are_refused_until_one_is_named(tmp_path):
    write_archive(tmp_path, [0, 1])
    (tmp_path / "shards.json").write_text("{}")
    with pytest.raises(
        BadInput, match=r"holds recordio and shards; say which with --set data.form"
    ):
        opened(tmp_path)
    assert opened(tmp_path, form="recordio")[0].form == "recordio"


def test_one_identity_is_refused(tmp_path):
    write_crops(tmp_path, people=1)
    with pytest.raises(NotEnoughData, match=r"at least two identities; .* has 1 with 1 or more im"):
        opened(tmp_path)


def test_nobody_of_the_list_is_refused(tmp_path):
    write_crops(tmp_path, people=3)
    (tmp_path / "list.txt").write_text("1\nNobody\t1\n")
    with pytest.raises(NotEnoughData, match="has 0 with 1 or more images among the people listed"):
        opened(tmp_path, people="list.txt")


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(NotFound, match="there is no data folder"):
        opened(tmp_path / "nowhere")


@pytest.mark.parametrize("label", [0.5, -1.0, 2.0**53, 1e30, float("inf"), float("nan")])
def test_a_label_that_is_no_whole_number_is_refused(tmp_path, label):
    write_archive(tmp_path, [0, label])
    with pytest.raises(BadFile, match="record 2 must be labeled with a whole number"):
        opened(tmp_path)


def test_labels_are_int64(tmp_path):
    assert opened(write_crops(tmp_path))[0].labels.dtype == np.int64


def test_a_pipe_among_the_images_is_refused_and_not_waited_for(tmp_path):
    write_crops(tmp_path, people=2)
    (tmp_path / "P1" / "P1_0002.png").unlink()
    os.mkfifo(tmp_path / "P1" / "P1_0002.png")
    with pytest.raises(BadInput, match=r"P1_0002.png is no plain file but a pipe, a folder or a d"):
        opened(tmp_path)


def test_shards_without_what_tells_of_them_are_no_folder_of_people(tmp_path):
    (tmp_path / "shard-00000.bin").write_bytes(b"x")
    with pytest.raises(BadInput, match=r"such as shard-00000.bin, and no shards.json that tells"):
        opened(tmp_path)


def test_a_list_of_people_that_is_not_there_is_told_as_that(tmp_path):
    write_crops(tmp_path)
    with pytest.raises(NotFound, match=r"there is no people file .*nope.txt"):
        opened(tmp_path, people="nope.txt")
