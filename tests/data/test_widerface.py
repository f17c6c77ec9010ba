"""WIDER FACE's files: ground truth, text labels and predictions in both forms."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from scipy.io import savemat

from tronie.data.readers.widerface import read_faces, read_labels, read_predictions, read_truth
from tronie.errors import BadFile, NotFound


def cells(values: list) -> np.ndarray:
    array = np.empty((len(values), 1), object)
    for n, value in enumerate(values):
        array[n, 0] = value
    return array


def write_truth(folder, *, counted=((1,), (1, 2), (1, 2))) -> None:
    """Two events: one photograph with two faces, and one with none."""
    faces = [[np.array([[10, 20, 30, 40], [0, 0, 5, 6]], np.int32)], [np.zeros((0, 4))]]
    whole = {
        "event_list": cells(["0--Parade", "1--Handshaking"]),
        "file_list": cells([cells(["a"]), cells(["b"])]),
        "face_bbx_list": cells([cells(photos) for photos in faces]),
    }
    savemat(folder / "wider_face_val.mat", whole)
    for subset, rows in zip(("easy", "medium", "hard"), counted, strict=True):
        lists = [cells([np.array(rows, np.uint8)[:, None]]), cells([np.zeros((0, 1))])]
        savemat(folder / f"wider_{subset}_val.mat", {"gt_list": cells(lists)})


def test_the_ground_truth_has_corners_and_what_counts(tmp_path):
    write_truth(tmp_path)
    truth = read_truth(tmp_path)
    assert list(truth) == ["0--Parade/a", "1--Handshaking/b"]
    assert truth["0--Parade/a"].boxes.tolist() == [[10, 20, 40, 60], [0, 0, 5, 6]]
    assert truth["0--Parade/a"].counted["easy"].tolist() == [True, False]
    assert truth["1--Handshaking/b"].boxes.shape == (0, 4)
    assert truth["1--Handshaking/b"].counted["hard"].shape == (0,)


def test_a_face_that_is_not_there_cannot_count(tmp_path):
    write_truth(tmp_path, counted=((3,), (1,), (1,)))
    with pytest.raises(BadFile, match="do not belong together: face 3 of a photograph with 2"):
        read_truth(tmp_path)


def test_a_missing_file_of_the_ground_truth_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"wider_face_val\.mat"):
        read_truth(tmp_path)


def labels(tmp_path, text: str):
    path = tmp_path / "labelv2.txt"
    path.write_text(text)
    return read_labels(path)


def test_every_form_of_a_face_is_read(tmp_path):
    points = "1 2 0 3 4 0 -1 -1 -1 7 8 1 9 10 0"
    first, second, last = labels(
        tmp_path,
        "# e/a.jpg 100 50\n1 2 3 4\n1 2 3 4 1\n1 2 3 4 0\n"
        f"# e/b.jpg\n1 2 3 4 {points}\n1 2 3 4 1 2 3 4 5 6 7 8 9 10\n\n# e/c.jpg 9 9\n",
    )
    assert (first.name, first.size, second.size) == ("e/a.jpg", (100, 50), None)
    assert first.boxes.tolist() == [[1, 2, 3, 4]] * 3
    assert first.ignored.tolist() == [False, True, False]
    assert np.isnan(first.landmarks).all()
    np.testing.assert_array_equal(
        second.landmarks[0], [[1, 2], [3, 4], [np.nan, np.nan], [7, 8], [9, 10]]
    )
    assert second.landmarks[1].tolist() == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]
    assert last.boxes.shape == (0, 4)


def test_label_v1_has_a_width_and_a_height(tmp_path):
    (photo,) = labels(tmp_path, "# e/a.jpg\n10 20 5 6 1 2 0 3 4 0 -1 -1 -1 7 8 1 9 10 0 0.8\n")
    assert photo.boxes.tolist() == [[10, 20, 15, 26]]
    np.testing.assert_array_equal(
        photo.landmarks[0], [[1, 2], [3, 4], [np.nan, np.nan], [7, 8], [9, 10]]
    )


def test_every_face_of_an_official_list_is_read(tmp_path):
    write_truth(tmp_path)
    first, second = read_faces(tmp_path / "wider_face_val.mat")
    assert (first.name, second.name) == ("0--Parade/a.jpg", "1--Handshaking/b.jpg")
    assert first.boxes.tolist() == [[10, 20, 40, 60], [0, 0, 5, 6]]
    assert np.isnan(first.landmarks).all()
    assert first.landmarks.shape == (2, 5, 2)
    assert not first.ignored.any()
    assert first.size is None
    assert second.boxes.shape == (0, 4)


def test_a_list_that_is_none_of_faces_is_refused(tmp_path):
    write_truth(tmp_path)
    with pytest.raises(NotFound, match="has no variable event_list"):
        read_faces(tmp_path / "wider_easy_val.mat")
    savemat(tmp_path / "x.mat", {"event_list": 1, "file_list": 2, "face_bbx_list": 3})
    with pytest.raises(BadFile, match=r"x\.mat is no list of faces of WIDER FACE: a list of cells"):
        read_faces(tmp_path / "x.mat")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3 4\n", r"labelv2.txt:1: a face stands before the first"),
        ("# a.jpg 5\n", r"labelv2.txt:1: must read '# PHOTO' or"),
        ("# a.jpg\n1 2 3\n", r"labelv2.txt:2: a face has 4 numbers, .* got 3"),
        (
            "# a.jpg\n1 2 3 4\n" + "1 " * 21 + "\n",
            r"labelv2.txt:3: a face has 4 numbers, .* got 21",
        ),
        ("# a.jpg\n1 2 -3 4" + " 0" * 16 + "\n", r"labelv2.txt:2: a box must read"),
        ("# a.jpg\n1 2 3 x\n", r"labelv2.txt:2: must hold numbers only"),
        ("# a.jpg\n5 2 3 4\n", r"labelv2.txt:2: a box must read x1 y1 x2 y2"),
    ],
)
def test_a_line_that_breaks_the_format_is_named(text, message, tmp_path):
    with pytest.raises(BadFile, match=message):
        labels(tmp_path, text)


def write_npz(path, **changed):
    arrays = {
        "names": np.array(["e/a", "e/b", "e/c"]),
        "counts": np.array([1, 0, 2]),
        "xywh": np.array([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]], np.float32),
        "score": np.array([0.5, 0.25, 0.125], np.float32),
    }
    np.savez(path, **{**arrays, **changed})
    return path


def test_predictions_of_one_file_and_of_a_folder_are_equal(tmp_path):
    packed = read_predictions(write_npz(tmp_path / "p.npz"))
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "a.txt").write_text("a.jpg\n1\n1 2 3 4 0.5\n")
    (tmp_path / "e" / "b.txt").write_text("b\n0\n\n")
    (tmp_path / "e" / "c.txt").write_text("e/c.jpg\n2\n5 6 7 8 0.25\n9 10 11 12 0.125\n")
    unpacked = read_predictions(tmp_path)
    assert list(packed) == list(unpacked) == ["e/a", "e/b", "e/c"]
    for name in packed:
        np.testing.assert_array_equal(packed[name].boxes, unpacked[name].boxes)
        np.testing.assert_array_equal(packed[name].scores, unpacked[name].scores)
    assert packed["e/c"].boxes.tolist() == [[5, 6, 12, 14], [9, 10, 20, 22]]


def test_a_set_without_a_single_detection_is_read(tmp_path):
    path = write_npz(
        tmp_path / "p.npz", counts=np.zeros(3, int), xywh=np.zeros((0, 4)), score=np.zeros(0)
    )
    assert [len(found.scores) for found in read_predictions(path).values()] == [0, 0, 0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"counts": np.array([1, 1, 2])}, "counts add up to 4; it holds 3 detections"),
        ({"counts": np.array([-1, 2, 2])}, r"must hold names \(P,\)"),
        ({"score": np.array([0.5, np.nan, 0.1])}, "boxes and scores must be finite"),
        ({"names": np.array(["e/a", "e/a", "e/c"])}, "a photograph is named twice"),
        ({"names": np.array(["a"], object)}, "names holds object, which is not read"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(changed, message, tmp_path):
    with pytest.raises(BadFile, match=message):
        read_predictions(write_npz(tmp_path / "p.npz", **changed))


def test_an_array_with_a_false_header_is_refused_before_it_fills_the_memory(tmp_path):
    path = write_npz(tmp_path / "p.npz")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}
    )
    members["score.npy"] = header.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(BadFile, match="score is cut off, or has a false header"):
        read_predictions(path)


def test_a_missing_array_is_named(tmp_path):
    np.savez(tmp_path / "p.npz", names=np.array(["a"]))
    with pytest.raises(BadFile, match=r"lacks an array .*counts\.npy"):
        read_predictions(tmp_path / "p.npz")


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    (tmp_path / "p.npz").write_bytes(b"nothing of the kind")
    with pytest.raises(BadFile, match=r"cannot be read as an \.npz file"):
        read_predictions(tmp_path / "p.npz")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n", r"a.txt: must hold a name, a count"),
        ("b.jpg\n0\n", r"a.txt:1: is about b.jpg; a file is named after its photograph"),
        ("a\n2\n1 2 3 4 0.5\n", r"a.txt:2: announces 2 faces; 1 lines follow"),
        ("a\n1\n1 2 3 4\n", r"a.txt:3: must read 'x y w h score'"),
        ("a\n1\n1 2 3 4 inf\n", r"a.txt:3: must hold finite numbers"),
    ],
)
def test_a_text_of_predictions_that_breaks_the_format_is_named(text, message, tmp_path):
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "a.txt").write_text(text)
    with pytest.raises(BadFile, match=message):
        read_predictions(tmp_path)


def test_a_folder_without_predictions_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"holds no predictions EVENT/PHOTO\.txt"):
        read_predictions(tmp_path)


@pytest.mark.data
def test_the_real_files_have_the_published_counts(test_data):
    truth = read_truth(test_data / "wider")
    assert len(truth) == 3226
    assert sum(len(photo.boxes) for photo in truth.values()) == 39_708
    counted = {
        subset: sum(int(photo.counted[subset].sum()) for photo in truth.values())
        for subset in ("easy", "medium", "hard")
    }
    assert counted == {"easy": 7211, "medium": 13319, "hard": 31958}
    labeled = read_labels(test_data / "wider" / "val_labelv2.txt")
    assert len(labeled) == 3226
    assert sum(len(photo.boxes) for photo in labeled) == 39_708 - 11  # those without area
