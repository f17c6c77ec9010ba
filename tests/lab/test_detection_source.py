"""What a detector is trained on: labels in every form and place, and what is missing by name."""

from __future__ import annotations

import io
import tarfile
import zipfile
from contextlib import ExitStack

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from tronie.errors import BadFile, NotEnoughData, NotFound

pytest.importorskip("torch")

from tronie.lab.training.detection_source import open_faces

pytestmark = pytest.mark.lab

TEXT = (
    "# e/a.jpg 40 30\n10 5 20 17\n1 2 3 4 1\n7 7 7 9\n50 5 60 9\n"
    "# e/b.jpg 40 30\n# c.png 20 20\n1 1 9 9 2 3 0 4 5 0 -1 -1 -1 6 7 0 8 9 0\n"
)
NAMES = ("e/a.jpg", "e/b.jpg", "c.png")


def picture(width, height, *, form="JPEG"):
    file = io.BytesIO()
    Image.new("RGB", (width, height), (9, 9, 9)).save(file, form)
    return file.getvalue()


PHOTOS = {
    "e/a.jpg": picture(40, 30),
    "e/b.jpg": picture(40, 30),
    "c.png": picture(20, 20, form="PNG"),
}


def write(folder, *, labels="labels.txt", text=TEXT, photos=PHOTOS, below=""):
    for name, data in photos.items():
        (folder / below / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / below / name).write_bytes(data)
    if labels:
        (folder / labels).write_text(text)
    return folder


def pack_tar(path, files):
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


@pytest.fixture
def opened():
    with ExitStack() as closing:
        yield lambda folder, **how: open_faces(folder, closing=closing, **how)


def test_photographs_and_faces_are_those_of_the_labels(opened, tmp_path):
    source = opened(write(tmp_path))
    assert len(source) == 3
    assert tuple(map(source.name_of, range(3))) == NAMES
    assert [source.read(n) for n in range(3)] == list(PHOTOS.values())
    assert [source.size_of(n) for n in range(3)] == [(40, 30), (40, 30), (20, 20)]
    first, second, third = map(source.faces, range(3))
    assert first.boxes.tolist() == [
        [10, 5, 20, 17],
        [1, 2, 3, 4],
        [50, 5, 60, 9],
    ]  # one has no area
    assert first.ignore.tolist() == [False, True, False]
    assert not first.has_points.any()
    assert second.boxes.shape == (0, 4)
    assert third.has_points.tolist() == [[True, True, False, True, True]]
    assert third.points[0, 3].tolist() == [6, 7]


def test_faces_are_counted_that_can_be_learned_from(opened, tmp_path):
    """Neither the ignored one, nor that without area, nor that outside of its photograph."""
    assert opened(write(tmp_path)).faces_in_all == 2


@pytest.mark.parametrize("labels", ["labels.txt", "labelv2.txt", "label.txt"])
@pytest.mark.parametrize("below", ["", "images", "WIDER_train/images"])
def test_labels_and_photographs_are_found_where_they_usually_are(opened, labels, below, tmp_path):
    source = opened(write(tmp_path, labels=labels, below=below))
    assert [source.read(n) for n in range(3)] == list(PHOTOS.values())


@pytest.mark.parametrize("suffix", ["zip", "tar"])
@pytest.mark.parametrize("named", [True, False])
def test_all_of_it_may_be_packed_and_the_packed_file_may_be_named(opened, suffix, named, tmp_path):
    path, files = tmp_path / f"x.{suffix}", {**PHOTOS, "labels.txt": TEXT.encode()}
    if suffix == "tar":
        pack_tar(path, files)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    source = opened(path if named else tmp_path)
    assert source.names == NAMES
    assert source.read(2) == PHOTOS["c.png"]


def test_labels_beside_a_packed_file_of_photographs(opened, tmp_path):
    pack_tar(tmp_path / "x.tar", {f"WIDER_train/images/{name}": d for name, d in PHOTOS.items()})
    write(tmp_path, photos={})
    assert opened(tmp_path).read(0) == PHOTOS["e/a.jpg"]


def test_other_labels_may_be_named(opened, tmp_path):
    write(tmp_path)
    write(tmp_path, labels="mine.txt", text="# c.png\n1 1 2 2\n")
    assert opened(tmp_path, labels="mine.txt").names == ("c.png",)
    assert opened(tmp_path, labels="mine.txt").size_of(0) is None


def test_the_official_list_is_read_and_its_photographs_are_1024_wide(opened, tmp_path):
    def cells(values):
        array = np.empty((len(values), 1), object)
        array[:, 0] = values
        return array

    whole = {
        "event_list": cells(["e"]),
        "file_list": cells([cells(["a"])]),
        "face_bbx_list": cells([cells([np.array([[10, 20, 5, 6]], np.int32)])]),
    }
    savemat(tmp_path / "wider_face_train.mat", whole)
    source = opened(write(tmp_path, labels=""))
    assert source.names == ("e/a.jpg",)
    assert source.faces(0).boxes.tolist() == [[10, 20, 15, 26]]
    assert source.size_of(0) == (1024, None)
    assert source.faces_in_all == 1


def test_a_part_holds_the_photographs_asked_for_in_that_order(opened, tmp_path):
    source = opened(write(tmp_path))
    part = source.part([2, 0]).part([1, 0])
    assert part.names == ("e/a.jpg", "c.png")
    assert part.read(1) == PHOTOS["c.png"]
    assert len(part.faces(0)) == 3
    assert part.size_of(1) == (20, 20)
    assert part.faces_in_all == 2


def test_a_fingerprint_knows_names_boxes_points_and_what_is_ignored(opened, tmp_path):
    prints = {opened(write(tmp_path)).fingerprint()}
    assert opened(write(tmp_path)).fingerprint() in prints
    for old, new in (
        ("3 4 1", "3 4 0"),
        ("20 17", "20 18"),
        ("6 7 0", "6 8 0"),
        ("# e/b.jpg 40 30\n", ""),
    ):
        prints.add(opened(write(tmp_path, text=TEXT.replace(old, new))).fingerprint())
    assert len(prints) == 5


def test_a_folder_without_labels_says_what_was_looked_for(opened, tmp_path):
    with pytest.raises(
        NotFound,
        match=r"holds no labels of faces: looked for labels\.txt, labelv2\.txt, label\.txt, "
        r"wider_face_train\.mat, wider_face_val\.mat, and for a \*\.zip or \*\.tar",
    ):
        opened(write(tmp_path, labels=""))


def test_a_folder_or_labels_that_are_not_there_are_named(opened, tmp_path):
    with pytest.raises(NotFound, match=r"there is no data folder .*none"):
        opened(tmp_path / "none")
    with pytest.raises(NotFound, match=r"there is no file .*mine\.txt"):
        opened(write(tmp_path), labels="mine.txt")


def test_photographs_that_are_not_there_are_named_before_training(opened, tmp_path):
    write(tmp_path)
    (tmp_path / "e" / "b.jpg").unlink()
    with pytest.raises(
        NotFound,
        match=r"labels\.txt names 3 photographs, and 1 of them are not in .* first is e/b\.jpg",
    ):
        opened(tmp_path)


def test_a_photograph_named_twice_is_refused(opened, tmp_path):
    with pytest.raises(BadFile, match=r"names the photograph e/b\.jpg twice"):
        opened(write(tmp_path, text=TEXT + "# e/b.jpg\n"))


def test_labels_that_name_nothing_are_refused(opened, tmp_path):
    with pytest.raises(NotEnoughData, match=r"labels\.txt names no photograph"):
        opened(write(tmp_path, text="\n"))


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_with_the_wrong_number_of_columns_is_named(opened, packed, tmp_path):
    broken = TEXT.replace("10 5 20 17", "10 5 20 17 1 2 3")
    if packed:
        pack_tar(tmp_path / "x.tar", {**PHOTOS, "labels.txt": broken.encode()})
    else:
        write(tmp_path, text=broken)
    with pytest.raises(BadFile, match=r"labels\.txt:2: a face has 4 numbers, .* got 7"):
        opened(tmp_path)


@pytest.mark.data
def test_the_training_photographs_of_the_test_data(opened, test_data):
    source = opened(test_data / "wider" / "train_708.tar")
    assert len(source) == 708
    assert source.faces_in_all == 7983
    assert sum(int(faces.has_points.all(axis=1).sum()) for faces in source.labels) == 3648
