"""Landmarks from tables, JSON and the published forms; what is wrong is told with its place."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tronie.data.readers.landmark_tables import in_order_of, landmarks_sha256, read_landmarks
from tronie.errors import BadFile, NotFound

NAN = np.nan


@pytest.fixture
def written(tmp_path):
    """`written("a.csv", text)`: the file of that text."""

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_a_table_holds_points_boxes_and_marks(written):
    path = written(
        "t.csv",
        "face,x0,y0,x1,y1,left,top,right,bottom,challenging\n"
        'a,1,2,3,4,0,0,10,20,0\n"b, c",5,6,,,1,1,2,2,1\n',
    )
    told = read_landmarks(path, box=True, marks=("challenging",))
    assert told.faces == ("a", "b, c")
    np.testing.assert_array_equal(told.points, [[[1, 2], [3, 4]], [[5, 6], [NAN, NAN]]])
    np.testing.assert_array_equal(told.boxes, [[0, 0, 10, 20], [1, 1, 2, 2]])
    np.testing.assert_array_equal(told.marks["challenging"], [False, True])


def test_json_says_the_same(written):
    faces = {
        "a": {"points": [[1, 2], [3, 4.5]], "box": [0, 0, 10, 20], "pose": True},
        "b": {"points": [[5, 6], None], "box": [1, 1, 2, 2], "pose": False},
    }
    told = read_landmarks(written("t.json", json.dumps(faces)), box=True, marks=("pose",))
    np.testing.assert_array_equal(told.points, [[[1, 2], [3, 4.5]], [[5, 6], [NAN, NAN]]])
    np.testing.assert_array_equal(told.boxes[1], [1, 1, 2, 2])
    np.testing.assert_array_equal(told.marks["pose"], [True, False])


def test_null_is_a_face_that_was_not_found(written):
    told = read_landmarks(written("t.json", '{"a": null, "b": {"points": [[1, 2]]}}'))
    np.testing.assert_array_equal(told.points, [[[NAN, NAN]], [[1, 2]]])
    nothing = read_landmarks(written("n.json", '{"a": null}'), points=5)
    assert nothing.points.shape == (1, 5, 2)
    assert np.isnan(nothing.points).all()


PTS = "version: 1\nn_points:  2\n{\n1.0 2.0\n3.5 4\n}\n"


def test_a_folder_of_300w_counts_from_one_and_knows_ibug(written, tmp_path):
    written("set/helen/a.pts", PTS)
    written("set/ibug/b.pts", PTS)
    told = read_landmarks(tmp_path / "set", points=2, marks=("challenging",))
    assert told.faces == ("helen/a", "ibug/b")
    np.testing.assert_array_equal(told.points[0], [[0, 1], [2.5, 3]])
    np.testing.assert_array_equal(told.marks["challenging"], [False, True])


def wflw_line(photo, first, flags):
    return " ".join([*map(str, range(first, first + 196)), "1 2 30 40", flags, photo])


def test_a_list_of_wflw_names_the_faces_of_a_photograph_by_number(written):
    text = "\n".join(
        [wflw_line("x/one.jpg", 0, "1 0 0 0 0 1"), wflw_line("x/one.jpg", 7, "0 0 0 0 0 0")]
    )
    told = read_landmarks(written("list.txt", text), points=98, box=True, marks=("pose", "blur"))
    assert told.faces == ("x/one.jpg#1", "x/one.jpg#2")
    np.testing.assert_array_equal(told.points[1, :2], [[7, 8], [9, 10]])
    np.testing.assert_array_equal(told.boxes[0], [1, 2, 30, 40])
    np.testing.assert_array_equal(told.marks["blur"], [True, False])


def test_marks_that_are_not_needed_may_be_absent(written):
    path = written("t.csv", "face,x0,y0,pose\na,1,2,1\n")
    told = read_landmarks(path, marks=("pose", "blur"), marks_needed=False)
    assert list(told.marks) == ["pose"]


def test_faces_are_put_in_the_order_of_the_truth(written):
    truth = read_landmarks(written("t.csv", "face,x0,y0\na,1,2\nb,3,4\nc,5,6\n"))
    found = read_landmarks(written("p.csv", "face,x0,y0\nc,50,60\na,10,20\n"))
    points = in_order_of(truth, found, path="p.csv")
    np.testing.assert_array_equal(points[:, 0], [[10, 20], [NAN, NAN], [50, 60]])


def test_a_face_that_is_not_in_the_truth_is_refused(written):
    truth = read_landmarks(written("t.csv", "face,x0,y0\na,1,2\n"))
    found = read_landmarks(written("p.csv", "face,x0,y0\na,1,2\nz,3,4\n"))
    with pytest.raises(BadFile, match=r"p.csv has points of 1 faces that are not .* 'z'"):
        in_order_of(truth, found, path="p.csv")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"t.csv:1: must name the columns face,x0,y0,x1,y1"),
        ("face,x1,y1\na,1,2\n", r"t.csv:1: must name the columns face,x0,y0"),
        ("face,x0,y0,x2,y2\na,1,2,3,4\n", r"t.csv:1: unknown column 'x2'"),
        ("face,x0\na,1\n", r"t.csv:1: lacks the column 'y0'"),
        ("face,x0,y0\na,1,two\n", r"t.csv:2: y0 must be a number, or empty; got 'two'"),
        ("face,x0,y0\na,inf,2\n", r"t.csv:2: x0 must be a number, or empty; got 'inf'"),
        ("face,x0,y0\na,1,2\nb,,2\n", r"t.csv:3: a point has an x and a y, or neither"),
        ("face,x0,y0\na,1,2\na,3,4\n", r"t.csv names the face 'a' twice"),
        ("face,x0,y0,left,top\na,1,2,3,4\n", r"t.csv:1: a box needs the columns left, top, right"),
        ("face,x0,y0,left,top,right,bottom\na,1,2,,4,5,6\n", r"t.csv:2: a side of the box is emp"),
        ("face,x0,y0,pose\na,1,2,yes\n", r"t.csv:2: pose must say 0 or 1; got 'yes'"),
    ],
)
def test_a_table_that_breaks_the_form_is_refused_with_its_line(written, text, told):
    with pytest.raises(BadFile, match=told):
        read_landmarks(written("t.csv", text), marks=("pose",), marks_needed=False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", r"t.json is no JSON: "),
        ("[1]", r"t.json must hold an object of faces by name"),
        ("{}", r"t.json must hold an object of faces by name"),
        ('{"a": 3}', r"the face 'a' must be an object with a list \"points\", or null"),
        ('{"a": {"points": [[1, 2, 3]]}}', r"the face 'a' needs 2 numbers where it says \[1, 2, 3"),
        ('{"a": {"points": [["1", 2]]}}', r"the face 'a' needs 2 numbers"),
        ('{"a": {"points": [[NaN, 2]]}}', r"the face 'a' needs 2 numbers"),
        (
            '{"a": {"points": [[1, 2]]}, "b": {"points": []}}',
            r"the face 'b' has 0 points and the first has 1",
        ),
        ('{"a": {"points": [[1, 2]], "box": [1]}}', r"the face 'a' needs 4 numbers where it says"),
    ],
)
def test_json_that_breaks_the_form_is_refused_with_its_face(written, text, told):
    with pytest.raises(BadFile, match=told):
        read_landmarks(written("t.json", text))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1 2\n3 4\n", r"a.pts must hold its points between \{ and \}"),
        ("{\n1 2 3\n}\n", r"a.pts:2: must read 'x y'; got '1 2 3'"),
        ("{\n1 x\n}\n", r"a.pts:2: must hold numbers only"),
        ("{\n}\n", r"a.pts holds no point"),
    ],
)
def test_a_pts_file_that_breaks_the_form_is_refused(written, text, told):
    path = written("set/a.pts", text)
    with pytest.raises(BadFile, match=told):
        read_landmarks(path.parent)


def test_pts_files_of_two_sizes_are_refused(written):
    written("set/a.pts", PTS)
    path = written("set/b.pts", "{\n1 2\n}\n")
    with pytest.raises(BadFile, match=r"b.pts has 1 points; .*a.pts has 2"):
        read_landmarks(path.parent)


def test_a_folder_without_pts_files_is_told(tmp_path):
    with pytest.raises(NotFound, match=r"holds no .pts files"):
        read_landmarks(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"list.txt has no line"),
        ("1 2 3 photo.jpg", r"list.txt:1: a line of WFLW has 206 numbers and .*; got 4 fields"),
        (wflw_line("p.jpg", 0, "1 0 0 0 0 7"), r"list.txt:1: the six attributes must be 0 or 1"),
    ],
)
def test_a_list_that_is_none_of_wflw_is_refused(written, text, told):
    with pytest.raises(BadFile, match=told):
        read_landmarks(written("list.txt", text))


def test_what_a_protocol_needs_must_be_there(written):
    path = written("t.csv", "face,x0,y0\na,1,2\n")
    with pytest.raises(BadFile, match=r"t.csv has 1 points a face; 68 are needed"):
        read_landmarks(path, points=68)
    with pytest.raises(BadFile, match=r"t.csv has no boxes; each face needs left, top, right, bot"):
        read_landmarks(path, box=True)
    with pytest.raises(BadFile, match=r"t.csv does not say of each face whether it is challenging"):
        read_landmarks(path, marks=("challenging",))


def test_no_file_is_told(tmp_path):
    with pytest.raises(NotFound, match=r"there is no file .*none.csv"):
        read_landmarks(tmp_path / "none.csv")


def test_the_checksum_of_a_folder_knows_names_and_contents(written, tmp_path):
    path = written("set/a.pts", PTS)
    first = landmarks_sha256(tmp_path / "set")
    path.write_text(PTS.replace("3.5", "3.6"))
    second = landmarks_sha256(tmp_path / "set")
    path.rename(path.with_name("b.pts"))
    assert len({first, second, landmarks_sha256(tmp_path / "set")}) == 3
