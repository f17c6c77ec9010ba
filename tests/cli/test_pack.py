"""pack: from folders, archives and LFW's zip to shards, aligned or as they are."""

from __future__ import annotations

import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

import toys
from cli.toy_models import write_detector
from tronie.data.readers.shards import Shards
from tronie.images.io import decode_image, encode_image, read_image
from tronie.images.warp import aligned_crops


@pytest.fixture
def people(tmp_path):
    toys.write_people(tmp_path / "people", people=3, shots=2)
    return tmp_path / "people"


def archive(path, labels):
    """A .rec and its .idx in im2rec's form: every record an image."""
    rec, idx = bytearray(), []
    for key, label in enumerate(labels):
        payload = struct.pack("<IfQQ", 0, label, key, 0)
        payload += encode_image(toys.toy_face(key)[:112, :112], ".png")
        idx.append(f"{key}\t{len(rec)}\n")
        rec += struct.pack("<II", 0xCED7230A, len(payload)) + payload + bytes(-len(payload) % 4)
    path.write_bytes(rec)
    path.with_suffix(".idx").write_text("".join(idx))
    return path


def lfw_zip(folder, people, shots=2):
    folder.mkdir()
    with zipfile.ZipFile(folder / "lfw.zip", "w") as opened:
        for person in people:
            for shot in range(shots):
                data = encode_image(toys.toy_face(person, shot=shot), ".jpg")
                opened.writestr(f"lfw/p_{person}/p_{person}_{shot + 1:04d}.jpg", data)
    return folder


def test_a_folder_a_person_is_packed_byte_for_byte(people, tmp_path, cli_here):
    out = tmp_path / "shards"
    ran = cli_here("pack", people, "--out", out)
    assert ran.code == 0
    assert ran.out.startswith(f"{out}: 6 images of 3 people in 1 shard, ")
    assert "6 images are not 112 x 112 pixels" in ran.err
    with Shards(out) as shards:
        assert shards.classes == ("person_0", "person_1", "person_2")
        files = sorted(people.rglob("*.png"))
        assert [shards.read(n) for n in range(6)] == [file.read_bytes() for file in files]


def test_aligned_crops_are_those_of_the_face(people, toy, tmp_path, cli_here):
    out = tmp_path / "shards"
    ran = cli_here("pack", people, "--align", "--out", out, "--detector", toy.detector, "--json")
    (told,) = ran.json_lines()
    assert told["sizes"] == [{"width": 112, "height": 112, "images": 6}]
    assert told["warnings"] == []
    with Shards(out) as shards:
        assert told["sha256"] == shards.sha256
        photo = read_image(sorted(people.rglob("*.png"))[3])
        points = np.array([toys.FIVE_POINTS], np.float32)
        asked = encode_image(aligned_crops(photo, points)[0], ".jpg", quality=95)
        assert shards.read(3) == asked


def test_photographs_without_a_face_are_counted_and_their_people_named(people, tmp_path, cli_here):
    nobody = write_detector(tmp_path / "nobody.onnx", scores=())
    out = tmp_path / "shards"
    ran = cli_here("pack", people, "--align", "--out", out, "--detector", nobody)
    assert ran.code == 2
    assert "nothing to pack into" in ran.err
    assert "6 show no face" in ran.err
    assert not out.exists()


def test_the_face_nearest_the_center_is_taken(people, tmp_path, cli_here):
    two = write_detector(tmp_path / "two.onnx", scores=(0.9, 0.8), step=-60.0)
    cli_here("pack", people, "--align", "--out", tmp_path / "shards", "--detector", two)
    photo = read_image(sorted(people.rglob("*.png"))[0])
    middle = aligned_crops(photo, np.array([toys.FIVE_POINTS], np.float32))[0]
    with Shards(tmp_path / "shards") as shards:
        assert np.abs(decode_image(shards.read(0)).astype(int) - middle).mean() < 3


@pytest.mark.parametrize("word", ["train.rec", "."])
def test_an_archive_is_packed_by_its_labels(tmp_path, cli_here, monkeypatch, word):
    monkeypatch.chdir(tmp_path)
    archive(tmp_path / "train.rec", [10, 9, 10, 2])
    ran = cli_here("pack", word, "--out", "shards", "--json")
    (told,) = ran.json_lines()
    assert (told["images"], told["classes"], told["warnings"]) == (4, 3, [])
    with Shards(tmp_path / "shards") as shards:
        assert shards.classes == ("2", "9", "10")
        assert shards.labels.tolist() == [2, 1, 2, 0]
        np.testing.assert_array_equal(decode_image(shards.read(1)), toys.toy_face(1)[:112, :112])


def test_an_archive_whose_label_is_no_class_is_refused_by_the_record(tmp_path, cli_here):
    archive(tmp_path / "train.rec", [1, 0.5])
    ran = cli_here("pack", tmp_path / "train.rec", "--out", tmp_path / "shards")
    assert ran.code == 2
    assert "train.rec: record 1 must have a class from 0 as its first label; got 0.5" in ran.err
    assert not (tmp_path / "shards").exists()


def test_people_of_lfw_are_taken_from_the_zip_and_who_is_not_there_is_counted(
    tmp_path, toy, cli_here
):
    data = lfw_zip(tmp_path / "lfw", people=[0, 1, 2])
    (data / "some.txt").write_text("3\np_0\t2\np_2\t3\np_9\t1\n")
    out = tmp_path / "shards"
    words = ("pack", data, "--people", "some.txt", "--align", "--out", out)
    ran = cli_here(*words, "--detector", toy.detector, "--json")
    (told,) = ran.json_lines()
    assert (told["images"], told["classes"]) == (4, 2)
    assert "2 of 6 photographs are not in" in told["warnings"][0]
    assert "nor any of 1 of 3 people" in told["warnings"][0]
    assert Shards(out).classes == ("p_0", "p_2")


def test_a_zip_without_a_list_of_people_is_refused_with_what_to_give(tmp_path, cli_here):
    data = lfw_zip(tmp_path / "lfw", people=[0])
    ran = cli_here("pack", data, "--out", tmp_path / "shards")
    assert ran.code == 2
    assert "holds no photograph" in ran.err
    assert "of the zip of LFW name people with --people LIST" in ran.err


def test_a_damaged_picture_refuses_or_is_skipped_and_named(people, tmp_path, cli_here):
    bad = people / "person_1" / "person_1_0001.png"
    bad.write_bytes(bad.read_bytes()[:300])
    out = tmp_path / "shards"
    ran = cli_here("pack", people, "--out", out)
    assert ran.code == 2
    assert "person_1_0001.png' is a damaged" in ran.err
    assert not out.exists()
    ran = cli_here("pack", people, "--out", out, "--skip-unreadable", "--json")
    (told,) = ran.json_lines()
    assert (ran.code, told["images"], told["unreadable"]) == (0, 5, 1)
    assert "person_1_0001.png' is a damaged" in told["warnings"][0]


def test_a_damaged_picture_is_named_when_crops_are_made_too(people, toy, tmp_path, cli_here):
    for shot in (1, 2):
        bad = people / "person_1" / f"person_1_{shot:04d}.png"
        bad.write_bytes(bad.read_bytes()[:300])
    words = ("pack", people, "--align", "--out", tmp_path / "shards", "--detector", toy.detector)
    assert "person_1_0001.png' is a damaged" in cli_here(*words).err
    (told,) = cli_here(*words, "--skip-unreadable", "--json").json_lines()
    assert told["empty_classes"] == ["person_1"]
    assert "1 person has no picture left and no label: person_1" in told["warnings"]


def test_twins_are_told(people, tmp_path, cli_here):
    first = people / "person_0" / "person_0_0001.png"
    (people / "person_1" / "twin.png").write_bytes(first.read_bytes())
    ran = cli_here("pack", people, "--out", tmp_path / "shards")
    assert "1 image is there before, byte for byte" in ran.err
    assert "1 image stands under two people: person_0 and person_1" in ran.err


def test_a_file_that_is_no_archive_is_refused(tmp_path, cli_here):
    photo = tmp_path / "a.png"
    Image.fromarray(toys.toy_face(0)).save(photo)
    ran = cli_here("pack", photo, "--out", tmp_path / "shards")
    assert ran.code == 2
    assert "a.png is no archive; give a folder of pictures, or a train.rec" in ran.err


def test_shards_are_not_packed_again(people, tmp_path, cli_here):
    assert cli_here("pack", people, "--out", tmp_path / "shards").code == 0
    ran = cli_here("pack", tmp_path / "shards", "--out", tmp_path / "again")
    assert ran.code == 2
    assert "shards holds shards already; train from them, or give their pictures" in ran.err


@pytest.mark.data
@pytest.mark.network
def test_crops_of_real_people_come_from_the_zip_of_lfw(test_data, tmp_path, cli_here, monkeypatch):
    few = tmp_path / "few.txt"
    few.write_text("2\nAaron_Peirsol\t4\nAdam_Sandler\t4\n")
    monkeypatch.delenv("TRONIE_HOME")
    words = ("pack", test_data / "lfw", "--people", few, "--align", "--out", tmp_path / "shards")
    (told,) = cli_here(*words, "--json").json_lines()
    assert told["images"] == 8
    assert told["sizes"] == [{"width": 112, "height": 112, "images": 8}]


def test_pictures_of_one_person_alone_are_told(people, tmp_path, cli_here):
    ran = cli_here("pack", people / "person_1", "--out", tmp_path / "shards")
    assert ran.code == 0
    assert "all pictures are one person's, and training needs two or more; put those" in ran.err
    assert "one person's" not in cli_here("pack", people, "--out", tmp_path / "all").err
