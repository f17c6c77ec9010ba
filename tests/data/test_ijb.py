"""IJB's files: the columns of hand-made ones, and each wrong line named."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.data.readers import whole_numbers
from tronie.data.readers.ijb import read_gallery, read_media, read_pairs, read_points
from tronie.errors import BadFile, NotFound


def written(path, text: str):
    path.write_bytes(text.encode())
    return path


def test_media_are_read_in_the_order_of_the_file(tmp_path):
    path = written(tmp_path / "m.txt", "1.jpg 1 69544\n2.jpg 1 69544\n10.jpg 24 7\n\n")
    images, templates, media = read_media(path)
    assert images == ("1.jpg", "2.jpg", "10.jpg")
    assert templates.tolist() == [1, 1, 24]
    assert media.tolist() == [69544, 69544, 7]
    assert templates.dtype == media.dtype == np.int64


def test_pairs_are_read_in_the_order_of_the_file_over_many_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(whole_numbers, "BLOCK_BYTES", 64)
    rows = np.random.default_rng(0).integers(0, 30_000, (300, 3))
    rows[:, 2] %= 2
    path = written(tmp_path / "p.txt", "".join(f"{a} {b} {c}\r\n" for a, b, c in rows))
    first, second, same = read_pairs(path)
    assert first.tolist() == rows[:, 0].tolist()
    assert second.tolist() == rows[:, 1].tolist()
    assert same.tolist() == (rows[:, 2] == 1).tolist()


def test_points_are_x_and_y_of_five_and_a_score(tmp_path):
    numbers = "30.5 51.5 65.5 51.25 48 71 33 92 62 92"
    path = written(tmp_path / "n.txt", f"1.jpg {numbers} 0.999\n2.jpg  {numbers}\t-1e-3 \n")
    images, points, scores = read_points(path)
    assert images == ("1.jpg", "2.jpg")
    assert points.shape == (2, 5, 2)
    assert points[1].tolist() == [[30.5, 51.5], [65.5, 51.25], [48, 71], [33, 92], [62, 92]]
    np.testing.assert_array_equal(scores, np.array([0.999, -0.001], np.float32))
    assert points.dtype == np.float32


def test_a_gallery_names_each_template_once(tmp_path):
    text = "TEMPLATE_ID,SUBJECT_ID,FILENAME\n7,1,a\n7,1,b\n3,1,c\n 5 , 2 \n"
    templates, subjects = read_gallery(written(tmp_path / "g.csv", text))
    assert templates.tolist() == [7, 3, 5]
    assert subjects.tolist() == [1, 1, 2]


@pytest.mark.parametrize(
    ("read", "text", "what"),
    [
        (read_media, "a 1 1\na 1\n", r"x:2: must read 'IMAGE TEMPLATE MEDIA', .* got 'a 1'"),
        (read_media, "a 1 1 1\n", "x:1: must read"),
        (read_media, "a 1 1\n\na 1 1\n", "x:2: must read"),
        (read_media, "a 1 -1\n", "x:1: must read .*, the last two whole numbers; got 'a 1 -1'"),
        (read_media, "a 1 ²\n", "x:1: must read"),
        (read_media, "a 1 1_0\n", "x:1: must read"),
        (read_media, "a 1 " + "9" * 19, "x:1: must read"),
        (read_media, "", "x is empty; each line must read 'IMAGE TEMPLATE MEDIA'"),
        (read_pairs, "1 2 1\n1 2\n", r"x:2: must read 'TEMPLATE TEMPLATE 0\|1' in whole numbers"),
        (read_pairs, "1 2 1\n1 2 2\n", r"x:2: a pair ends in 1 .* or 0 .*; got 2"),
        (read_pairs, "", "x holds no pair of templates"),
        (read_points, "a 1 2 3 4 5 6 7 8 9 10\n", "x:1: must read 'IMAGE x1.*; got 10 numbers"),
        (read_points, "a" + " 1" * 12, "x:1: must read .*; got 12 numbers after 'a'"),
        (read_points, "a" + " 1" * 10 + " nan", "x:1: must hold finite numbers"),
        (read_points, "a" + " 1" * 10 + " b", "x:1: must hold numbers only"),
        (read_points, "\n\n", "x is empty"),
        (read_gallery, "T,S\n1,2\n1,x\n", "x:3: must begin 'TEMPLATE,SUBJECT' .*; got '1,x'"),
        (read_gallery, "T,S\n1\n", "x:2: must begin"),
        (read_gallery, "T,S\n1,2\n\n3,4\n", "x:3: must begin .*; got ''"),
        (read_gallery, "1,2\n3,4\n", "x:1: must be a row of column names; got '1,2'"),
        (read_gallery, "T,S\n1,2\n1,3\n", "x:3: template 1 shows subject 3 .* subject 2 above"),
        (read_gallery, "T,S\n", "x holds no template"),
        (read_gallery, "", "x is empty"),
    ],
)
def test_a_line_that_breaks_the_form_is_named(read, text, what, tmp_path):
    with pytest.raises(BadFile, match=what):
        read(written(tmp_path / "x", text))


def test_a_line_of_a_later_block_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(whole_numbers, "BLOCK_BYTES", 64)
    path = written(tmp_path / "x", "1 2 1\n" * 99 + "1 2 5\n")
    with pytest.raises(BadFile, match=r"x:100: a pair ends in 1 .*; got 5"):
        read_pairs(path)


@pytest.mark.parametrize("read", [read_media, read_pairs, read_points, read_gallery])
def test_a_file_that_is_not_there_is_named(read, tmp_path):
    with pytest.raises(NotFound, match=r"there is no file .*x\.txt"):
        read(tmp_path / "x.txt")
