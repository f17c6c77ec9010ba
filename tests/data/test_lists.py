"""Lists of images, pairs and templates: in their order, and each wrong line named."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.data.readers.lists import read_image_list, read_pair_list, read_template_list
from tronie.errors import BadFile, NotFound

READERS = [read_image_list, read_pair_list, read_template_list]


def written(path, text: str):
    path.write_bytes(text.encode())
    return path


def test_images_keep_their_order_their_spaces_and_their_repetitions(tmp_path):
    path = written(tmp_path / "l.txt", "b/1.jpg\r\na b/ü.jpg \r\nb/1.jpg\r\na/..jpg\r\n\r\n")
    assert read_image_list(path) == ("b/1.jpg", "a b/ü.jpg", "b/1.jpg", "a/..jpg")


def test_pairs_are_parted_by_spaces_or_by_tabs(tmp_path):
    path = written(tmp_path / "l.txt", "a.jpg b.jpg 1\nc d.jpg\te.jpg\t0\n")
    found = read_pair_list(path)
    assert found.first == ("a.jpg", "c d.jpg")
    assert found.second == ("b.jpg", "e.jpg")
    assert found.same.tolist() == [True, False]
    assert found.same.dtype == np.bool_


def test_a_template_gathers_its_images_in_the_order_of_the_file(tmp_path):
    path = written(tmp_path / "l.txt", "t2 a.jpg\nt1 b.jpg\nt2 c.jpg\nt1\ta.jpg\n")
    found = read_template_list(path)
    assert list(found.items()) == [("t2", ("a.jpg", "c.jpg")), ("t1", ("b.jpg", "a.jpg"))]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_file_is_refused(read, text, tmp_path):
    with pytest.raises(BadFile, match=r"l\.txt is empty; each line must read '.*IMAGE"):
        read(written(tmp_path / "l.txt", text))


@pytest.mark.parametrize("read", READERS)
def test_a_file_that_is_not_there_is_named(read, tmp_path):
    with pytest.raises(NotFound, match=r"there is no file .*l\.txt"):
        read(tmp_path / "l.txt")


@pytest.mark.parametrize("image", ["/etc/passwd", "../a.jpg", "a/../../b.jpg", "a/.."])
@pytest.mark.parametrize(
    ("read", "line"),
    [
        (read_image_list, "{}"),
        (read_pair_list, "{} b.jpg 1"),
        (read_pair_list, "b.jpg {} 1"),
        (read_template_list, "t {}"),
    ],
)
def test_a_path_that_leaves_its_folder_is_refused(read, line, image, tmp_path):
    good = line.format("a.jpg")
    path = written(tmp_path / "l.txt", f"{good}\n{line.format(image)}\n")
    with pytest.raises(BadFile, match=rf"l\.txt:2: must hold a path below .*; got '{image}'"):
        read(path)


@pytest.mark.parametrize(
    ("read", "text", "what"),
    [
        (read_image_list, "a.jpg\n\nb.jpg\n", r"l\.txt:2: is empty; each line is the path"),
        (read_image_list, "a\0.jpg\n", r"l\.txt:1: must hold a path below"),
        (read_pair_list, "a b 1\n\na b 1\n", r"l\.txt:2: must read 'IMAGE IMAGE 0\|1'; got ''"),
        (read_pair_list, "a b\n", r"l\.txt:1: must read 'IMAGE IMAGE 0\|1'; got 'a b'"),
        (read_pair_list, "a b c 1\n", r"l\.txt:1: must read"),
        (read_pair_list, "a\t\t1\n", r"l\.txt:1: must read"),
        (read_pair_list, "a b 1\na b 2\n", r"l\.txt:2: a pair ends in 1 .* or 0 .*; got '2'"),
        (read_pair_list, "a b True\n", r"l\.txt:1: a pair ends in 1 .*; got 'True'"),
        (read_template_list, "t\n", r"l\.txt:1: must read 'TEMPLATE IMAGE'; got 't'"),
        (read_template_list, "t a b\n", r"l\.txt:1: must read"),
        (read_template_list, "t a\nt b\nt a\n", r"l\.txt:3: a is in template t twice"),
    ],
)
def test_a_line_that_breaks_the_form_is_named(read, text, what, tmp_path):
    with pytest.raises(BadFile, match=what):
        read(written(tmp_path / "l.txt", text))
