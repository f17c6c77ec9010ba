"""LFW's pairs files and photographs, from folders and from zip files."""

from __future__ import annotations

import os
import re
import threading
import zipfile
from pathlib import Path

import pytest

import tronie.data.readers.lfw as lfw
from tronie.data.readers.lfw import LfwPhotos, Pair, Photo, read_pairs, read_people
from tronie.errors import BadFile, BadInput, NotFound

TWO_FOLDS = """2\t2
Ada\t1\t2
Bo\t1\t3
Ada\t1\tBo\t2
Cy\t1\tBo\t1
Cy\t1\t2
Di\t2\t1
Cy\t1\tDi\t1
Ada\t4\tDi\t2
"""


@pytest.fixture
def pairs(tmp_path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "pairs.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def unpacked(folder: Path, *photos: str, content: bytes = b"jpeg") -> None:
    for photo in photos:
        path = folder / photo
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def zipped(path: Path, *photos: str, content: bytes = b"zipped jpeg") -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for photo in photos:
            archive.writestr(photo, content)


def test_folds_come_in_the_order_of_the_file_same_before_different(pairs):
    assert read_pairs(pairs(TWO_FOLDS)) == (
        (
            Pair(Photo("Ada", 1), Photo("Ada", 2), True),
            Pair(Photo("Bo", 1), Photo("Bo", 3), True),
            Pair(Photo("Ada", 1), Photo("Bo", 2), False),
            Pair(Photo("Cy", 1), Photo("Bo", 1), False),
        ),
        (
            Pair(Photo("Cy", 1), Photo("Cy", 2), True),
            Pair(Photo("Di", 2), Photo("Di", 1), True),
            Pair(Photo("Cy", 1), Photo("Di", 1), False),
            Pair(Photo("Ada", 4), Photo("Di", 2), False),
        ),
    )


def test_a_header_of_one_number_is_a_single_fold(pairs):
    ((same, different),) = read_pairs(pairs("1\nAda 1 2\nAda 1 Bo 1\n"))
    assert (same.same, different.same) == (True, False)


def test_windows_line_ends_a_byte_order_mark_and_blank_lines_at_the_end_do_no_harm(pairs):
    text = TWO_FOLDS.replace("\n", "\r\n") + "\r\n\r\n"
    assert read_pairs(pairs(b"\xef\xbb\xbf" + text.encode())) == read_pairs(pairs(TWO_FOLDS))


@pytest.mark.parametrize("header", ["", "ten 300", "0 300", "1 2 3", "-1 2", "1.0 2"])
def test_a_header_that_is_none_is_refused(pairs, header):
    with pytest.raises(BadFile, match=r"pairs\.txt:1: must be '10 300'"):
        read_pairs(pairs(f"{header}\nAda 1 2\n"))


def test_an_empty_file_is_refused(pairs):
    with pytest.raises(BadFile, match=r"pairs\.txt:1: must be '10 300'.*got ''"):
        read_pairs(pairs(""))


def test_a_missing_line_is_refused(pairs):
    text = "\n".join(TWO_FOLDS.splitlines()[:-1])
    with pytest.raises(BadFile, match="announces 2 x 2 x 2 = 8 pairs; 7 lines follow"):
        read_pairs(pairs(text))


@pytest.mark.parametrize(
    "line", ["Ada 1", "Ada 1 2 3", "Ada 0 1", "Ada x 1", "Ada 1 x", "Ada 1 Bo 2", ""]
)
def test_a_line_of_the_first_half_that_names_no_one_person_is_refused(pairs, line):
    with pytest.raises(BadFile, match=r"pairs\.txt:3: must read 'NAME 1 2'"):
        read_pairs(pairs(TWO_FOLDS.replace("Bo\t1\t3", line)))


@pytest.mark.parametrize("line", ["Cy 1 2", "Cy 1 Bo", "Cy x Bo 1", "Cy 1 Bo 0", "a b c d e"])
def test_a_line_of_the_second_half_that_names_no_two_people_is_refused(pairs, line):
    with pytest.raises(BadFile, match=r"pairs\.txt:5: must read 'NAME 1 NAME 2'"):
        read_pairs(pairs(TWO_FOLDS.replace("Cy\t1\tBo\t1", line)))


def test_a_photograph_paired_with_itself_is_refused(pairs):
    with pytest.raises(BadFile, match=r"pairs\.txt:2: a photograph is paired with itself"):
        read_pairs(pairs(TWO_FOLDS.replace("Ada\t1\t2", "Ada\t1\t1")))


def test_one_person_in_the_second_half_is_refused(pairs):
    with pytest.raises(BadFile, match=r"pairs\.txt:4: pairs of this half must be of two people"):
        read_pairs(pairs(TWO_FOLDS.replace("Ada\t1\tBo\t2", "Ada\t1\tAda\t2")))


@pytest.mark.parametrize("name", ["../Ada", "a/b", "a\\b", "..", "/etc/passwd"])
def test_a_name_that_is_a_path_is_refused(pairs, name):
    with pytest.raises(BadFile, match=r"pairs\.txt:2: a person's name must not be a path"):
        read_pairs(pairs(TWO_FOLDS.replace("Ada\t1\t2", f"{name}\t1\t2")))


def test_bytes_that_are_no_text_are_refused(pairs):
    with pytest.raises(BadFile, match=r"is not UTF-8 text: .* at byte 4"):
        read_pairs(pairs(b"1 1\n\xff\xfe"))


def test_a_missing_pairs_file_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"there is no pairs file .*none\.txt"):
        read_pairs(tmp_path / "none.txt")


def test_photographs_are_found_below_any_folder_and_in_any_zip(tmp_path):
    unpacked(tmp_path, "some/where/Ada/Ada_0001.jpg")
    zipped(tmp_path / "x.zip", "lfw/Bo/Bo_0012.jpg")
    with LfwPhotos(tmp_path) as photos:
        assert photos.all() == (Photo("Ada", 1), Photo("Bo", 12))
        assert photos.read("Ada", 1) == b"jpeg"
        assert photos.read("Bo", 12) == b"zipped jpeg"


def test_unpacked_comes_before_zipped(tmp_path):
    unpacked(tmp_path, "Ada/Ada_0001.jpg")
    zipped(tmp_path / "x.zip", "Ada/Ada_0001.jpg")
    with LfwPhotos(tmp_path) as photos:
        assert photos.read("Ada", 1) == b"jpeg"


def test_files_of_another_form_are_no_photographs_of_lfw(tmp_path):
    unpacked(tmp_path, "Ada/Ada_0001.jpg", "Ada/Bo_0001.jpg", "Ada/Ada_1.jpg", "Ada_0001.jpg")
    with LfwPhotos(tmp_path) as photos:
        assert photos.all() == (Photo("Ada", 1),)


def test_many_threads_read_the_same_bytes_as_one(tmp_path):
    names = [f"P{n}" for n in range(40)]
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(f"{name}/{name}_0001.jpg", name.encode() * 5000)
    wrong: list[str] = []

    def read_all(photos: LfwPhotos) -> None:
        for name in names * 3:
            if photos.read(name, 1) != name.encode() * 5000:
                wrong.append(name)

    with LfwPhotos(tmp_path) as photos:
        threads = [threading.Thread(target=read_all, args=(photos,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_a_missing_photograph_is_named(tmp_path):
    unpacked(tmp_path, "Ada/Ada_0001.jpg")
    with (
        LfwPhotos(tmp_path) as photos,
        pytest.raises(NotFound, match=r"has no photograph Ada/Ada_0002\.jpg, neither unpacked"),
    ):
        photos.read("Ada", 2)


@pytest.mark.parametrize("name", ["../Ada", "..", "", "a\\b", "/etc/passwd"])
def test_reading_by_a_path_is_refused(tmp_path, name):
    unpacked(tmp_path / "lfw", "Bo/Bo_0001.jpg")
    unpacked(tmp_path, "Ada/Ada_0001.jpg")
    with (
        LfwPhotos(tmp_path / "lfw") as photos,
        pytest.raises(BadInput, match="a person's name must not be a path"),
    ):
        photos.read(name, 1)


def test_a_photograph_unpacked_twice_is_refused(tmp_path):
    unpacked(tmp_path, "lfw/Ada/Ada_0001.jpg", "lfw_funneled/Ada/Ada_0001.jpg")
    with pytest.raises(BadInput, match=r"Ada/Ada_0001\.jpg is there twice, as .* and .*; keep one"):
        LfwPhotos(tmp_path)


def test_a_photograph_in_two_zips_is_refused(tmp_path):
    zipped(tmp_path / "a.zip", "Ada/Ada_0001.jpg")
    zipped(tmp_path / "b.zip", "Ada/Ada_0001.jpg")
    with pytest.raises(BadInput, match=r"is there twice, in .*a\.zip and in .*b\.zip; keep one"):
        LfwPhotos(tmp_path)


def test_a_folder_without_photographs_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"holds no photograph NAME/NAME_0001\.jpg"):
        LfwPhotos(tmp_path)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"the LFW folder .* is not there"):
        LfwPhotos(tmp_path / "none")


def test_a_file_that_is_no_zip_is_refused(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"nothing")
    with pytest.raises(BadFile, match=r"x\.zip cannot be read as a zip file"):
        LfwPhotos(tmp_path)


def test_a_damaged_member_is_refused(tmp_path):
    zipped(tmp_path / "x.zip", "Ada/Ada_0001.jpg", content=bytes(range(256)) * 40)
    raw = bytearray((tmp_path / "x.zip").read_bytes())
    raw[60:80] = b"\xff" * 20
    (tmp_path / "x.zip").write_bytes(raw)
    with (
        LfwPhotos(tmp_path) as photos,
        pytest.raises(BadFile, match=r"x\.zip: cannot unpack Ada/Ada_0001\.jpg"),
    ):
        photos.read("Ada", 1)


def test_a_member_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    zipped(tmp_path / "x.zip", "Ada/Ada_0001.jpg", content=bytes(1000))
    monkeypatch.setattr(lfw, "MAX_PHOTO_BYTES", 999)
    with (
        LfwPhotos(tmp_path) as photos,
        pytest.raises(BadFile, match="unpacks to 1000 bytes; the limit is 999"),
    ):
        photos.read("Ada", 1)


@pytest.mark.data
def test_the_official_files_have_their_published_sizes(test_data):
    folds = read_pairs(test_data / "lfw" / "pairs.txt")
    assert [len(fold) for fold in folds] == [600] * 10
    assert [sum(pair.same for pair in fold) for fold in folds] == [300] * 10
    assert [len(fold) for fold in read_pairs(test_data / "lfw" / "pairsDevTest.txt")] == [1000]
    assert [len(fold) for fold in read_pairs(test_data / "lfw" / "pairsDevTrain.txt")] == [2200]


@pytest.mark.data
def test_every_photograph_of_the_pairs_is_there_and_is_a_jpeg(test_data):
    folds = read_pairs(test_data / "lfw" / "pairs.txt")
    named = {photo for fold in folds for pair in fold for photo in pair[:2]}
    with LfwPhotos(test_data / "lfw") as photos:
        assert len(photos.all()) == 10_630
        assert named <= set(photos.all())
        for photo in sorted(named)[::200]:
            assert photos.read(*photo)[:3] == b"\xff\xd8\xff"


# --- people files


def test_people_of_all_folds_come_together_with_their_counts(pairs):
    several = "2\n2\nAda\t5\nBo\t1\n1\nCy\t3\n"
    assert read_people(pairs(several)) == {"Ada": 5, "Bo": 1, "Cy": 3}
    assert read_people(pairs("2\nAda\t5\nBo\t1\n")) == {"Ada": 5, "Bo": 1}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "names nobody"),
        ("Ada\t5\n", ":1: must hold the number of people; got 'Ada"),
        ("3\nAda\t5\n", ":1: announces 3 people; 1 lines follow"),
        ("1\nAda\t5\nBo\t1\n", ":3: must hold the number of people"),
        ("1\nAda\n", ":2: must read 'NAME 5'"),
        ("1\nAda\t0\n", ":2: must read 'NAME 5'"),
        ("2\nAda\t5\nAda\t1\n", ":3: Ada is there twice"),
        ("1\n../Ada\t5\n", ":2: a person's name must not be a path"),
    ],
)
def test_a_people_file_that_breaks_its_form_is_refused_by_the_line(pairs, text, told):
    with pytest.raises(BadFile, match=re.escape(told)):
        read_people(pairs(text))


@pytest.mark.data
def test_the_real_lists_of_people_hold_their_numbers(test_data):
    sizes = {"people": 5749, "peopleDevTrain": 4038, "peopleDevTest": 1711}
    found = {name: read_people(test_data / "lfw" / f"{name}.txt") for name in sizes}
    assert {name: len(people) for name, people in found.items()} == sizes
    assert sum(found["people"].values()) == 13233
    assert not found["peopleDevTrain"].keys() & found["peopleDevTest"].keys()


def test_a_missing_people_file_is_called_that(tmp_path):
    with pytest.raises(NotFound, match=r"there is no people file .*none\.txt"):
        read_people(tmp_path / "none.txt")


@pytest.mark.parametrize("read", [read_pairs, read_people])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, read):
    os.mkfifo(tmp_path / "list.txt")
    with pytest.raises(BadInput, match=r"the (pairs|people) file .*list\.txt is no plain file"):
        read(tmp_path / "list.txt")


def test_a_pipe_among_photographs_is_refused_and_not_waited_for(tmp_path):
    (tmp_path / "Ada").mkdir()
    os.mkfifo(tmp_path / "Ada" / "Ada_0001.jpg")
    with LfwPhotos(tmp_path) as photos, pytest.raises(BadInput, match="is no plain file; move it"):
        photos.read("Ada", 1)
