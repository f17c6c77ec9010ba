"""Landmark protocols on small files with errors known by hand, and a detector that is planted."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import BadArray, BadFile, NotEnoughData
from tronie.evaluation.run_landmarks import (
    evaluate_detected_points,
    evaluate_landmarks_300w,
    evaluate_landmarks_aflw,
    evaluate_landmarks_wflw,
)


def table(path, points, columns=None):
    """Faces a, b, ... with these points, a column more for each of `columns`."""
    columns = columns or {}
    count = len(points[0])
    axes = [f"{axis}{n}" for n in range(count) for axis in "xy"]
    lines = [",".join(["face", *axes, *columns])]
    for n, face in enumerate(points):
        numbers = ["" if np.isnan(v) else f"{v:g}" for v in np.ravel(face)]
        lines.append(",".join(["abcdef"[n], *numbers, *(str(c[n]) for c in columns.values())]))
    path.write_text("\n".join(lines) + "\n")
    return path


BOXES = {"left": [0, 0, 0], "top": [0, 0, 0], "right": [100, 40, 10], "bottom": [100, 10, 10]}


def test_aflw_divides_by_the_size_of_the_box(tmp_path):
    """Lengths 100, 20 and 10; distances 3, 4 and none: 0.03, 0.2 and not found."""
    truth = np.array([[[10.0, 10], [20, 20]], [[1, 1], [2, 2]], [[5, 5], [6, 6]]])
    found = truth[:2] + np.array([[[3, 0]], [[0, 4]]])
    known = table(tmp_path / "t.csv", truth, BOXES)
    report = evaluate_landmarks_aflw(known, table(tmp_path / "p.csv", found))
    assert report.name == "landmarks-aflw"
    assert report.values["nme"].value == pytest.approx((0.03 + 0.2) / 2)
    assert (report.values["nme"].count, report.values["nme"].total) == (2, 3)
    assert report.values["failure_rate_0.1"].count == 2
    assert report.values["auc_0.1"].value == pytest.approx(0.7 / 3)
    (curve,) = report.details.error_curves
    assert (curve.faces, curve.limit, len(curve.shares)) == (3, 0.1, 101)
    assert (curve.shares[29], curve.shares[31], curve.shares[-1]) == (0.0, 1 / 3, 1 / 3)
    assert set(report.provenance.inputs) == {"truth", "predictions"}


def test_a_true_point_that_is_not_known_is_not_asked_for(tmp_path):
    truth = np.array([[[10.0, 10], [np.nan, np.nan]]])
    found = np.array([[[13.0, 14], [99, 99]]])
    boxes = {name: column[:1] for name, column in BOXES.items()}
    known = table(tmp_path / "t.csv", truth, boxes)
    report = evaluate_landmarks_aflw(known, table(tmp_path / "p.csv", found))
    assert report.values["nme"].value == pytest.approx(0.05)


def test_another_number_of_points_is_refused(tmp_path):
    known = table(tmp_path / "t.csv", np.ones((3, 2, 2)), BOXES)
    with pytest.raises(BadFile, match=r"p.csv has 1 points a face; 2 are needed"):
        evaluate_landmarks_aflw(known, table(tmp_path / "p.csv", np.ones((3, 1, 2))))


def faces_of(count, *, corners, width):
    """Faces of `count` points, their outer eye corners `width` pixels apart."""
    points = np.random.default_rng(0).uniform(0, 100, (2, count, 2)).round(2)
    points[:, corners[1]] = points[:, corners[0]] + [width, 0]
    return points


def test_300w_tells_both_parts_apart(tmp_path):
    truth = faces_of(68, corners=(36, 45), width=50)
    found = truth + np.array([[[1, 0]], [[0, 5]]])
    known = table(tmp_path / "t.csv", truth, {"challenging": [0, 1]})
    report = evaluate_landmarks_300w(known, table(tmp_path / "p.csv", found))
    assert report.values["common_nme"].value == pytest.approx(0.02)
    assert report.values["challenging_nme"].value == pytest.approx(0.1)
    assert report.values["failure_rate_0.08"].value == 0.5
    assert [curve.of for curve in report.details.error_curves] == ["", "common", "challenging"]


def test_300w_must_know_which_faces_are_challenging(tmp_path):
    known = table(tmp_path / "t.csv", faces_of(68, corners=(36, 45), width=50))
    with pytest.raises(BadFile, match="does not say of each face whether it is challenging"):
        evaluate_landmarks_300w(known, known)


def test_wflw_reads_its_published_list_and_tells_attributes(tmp_path):
    truth = faces_of(98, corners=(60, 72), width=40)
    lines = [
        " ".join([*(f"{v:g}" for v in face.ravel()), "0 0 9 9", flags, "a/photo.jpg"])
        for face, flags in zip(truth, ["1 0 0 0 0 0", "0 0 0 0 1 0"], strict=True)
    ]
    known = tmp_path / "list_98pt_rect_attr_test.txt"
    known.write_text("\n".join(lines) + "\n")
    found = {
        f"a/photo.jpg#{n + 1}": {"points": (face + np.array([0, 2 * n + 2])).tolist()}
        for n, face in enumerate(truth)
    }
    (tmp_path / "p.json").write_text(str(found).replace("'", '"'))
    report = evaluate_landmarks_wflw(known, tmp_path / "p.json")
    assert report.values["pose_nme"].value == pytest.approx(0.05)
    assert report.values["occlusion_nme"].value == pytest.approx(0.1)
    assert report.values["nme"].value == pytest.approx(0.075)
    assert "blur_nme" not in report.values
    assert [curve.of for curve in report.details.error_curves] == ["", "pose", "occlusion"]


# --- a detector ---------------------------------------------------------------------------------

FIVE = np.array([[20.0, 20], [40, 20], [30, 30], [22, 40], [38, 40]])


def face_line(x, size=60.0, points=True):
    box = f"{x} 0 {x + size} {size}"
    return box + ("" if not points else " " + " ".join(f"{p[0] + x} {p[1]}" for p in FIVE))


@pytest.fixture
def photos(tmp_path):
    """Two photographs: faces at 0, 100 and, without points, 200; then one at 0."""
    for name in ("one.jpg", "two.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    lines = ["# one.jpg", face_line(0), face_line(100), face_line(200, points=False)]
    (tmp_path / "labels.txt").write_text("\n".join([*lines, "# two.jpg", face_line(0)]) + "\n")
    return tmp_path


def found_at(*places, size=60.0, shift=0.0):
    boxes = np.array([[x, 0, x + size, size] for x in places]).reshape(-1, 4)
    return boxes, np.array([FIVE + np.array([x + shift, 0]) for x in places]).reshape(-1, 5, 2)


def test_each_face_gets_the_points_of_the_box_that_shows_it(photos):
    answers = {b"one.jpg": found_at(101, 1, 200, shift=5), b"two.jpg": found_at()}
    seen = []
    report = evaluate_detected_points(
        photos, answers.__getitem__, progress=lambda done, total: seen.append((done, total))
    )
    assert report.values["nme"].value == pytest.approx(6 / 60)
    assert (report.values["nme"].count, report.values["nme"].total) == (2, 3)
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert "3 faces of 2 photographs have labeled points" in report.notes[0]
    assert set(report.provenance.inputs) == {"labels"}


def test_a_box_serves_one_face_and_the_nearer_one_comes_first(tmp_path):
    (tmp_path / "one.jpg").write_bytes(b"")
    (tmp_path / "labels.txt").write_text(f"# one.jpg\n{face_line(0)}\n{face_line(10)}\n")
    report = evaluate_detected_points(tmp_path, lambda photo: found_at(8))
    assert report.values["nme"].value == pytest.approx(2 / 60)
    assert report.values["nme"].count == 1


def test_a_box_that_overlaps_less_than_half_shows_no_face(photos):
    report = evaluate_detected_points(photos, lambda photo: found_at(30))
    assert "nme" not in report.values
    assert report.values["failure_rate_0.1"].value == 1.0


def test_a_face_without_points_keeps_its_box(tmp_path):
    """The face at 0 has no points; its box must not be given to the other one."""
    (tmp_path / "one.jpg").write_bytes(b"")
    text = f"# one.jpg\n{face_line(0, points=False)}\n{face_line(15)}\n"
    (tmp_path / "labels.txt").write_text(text)
    report = evaluate_detected_points(tmp_path, lambda photo: found_at(2))
    assert report.values["failure_rate_0.1"].value == 1.0


def test_labels_without_points_are_refused(tmp_path):
    (tmp_path / "one.jpg").write_bytes(b"")
    (tmp_path / "labels.txt").write_text("# one.jpg\n0 0 9 9\n3 3 3 3 " + "1 1 " * 5 + "\n")
    with pytest.raises(NotEnoughData, match=r"labels.txt has no face with a known point"):
        evaluate_detected_points(tmp_path, lambda photo: found_at())


def test_what_is_no_five_points_is_refused(photos):
    with pytest.raises(BadArray, match=r"got \(1, 4\) and \(1, 68, 2\) for one.jpg"):
        evaluate_detected_points(photos, lambda photo: (np.ones((1, 4)), np.ones((1, 68, 2))))
