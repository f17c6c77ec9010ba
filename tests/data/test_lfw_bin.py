"""LFW-type .bin files: images and flags of every Python's pickles, and nothing else."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from tronie.data.readers import lfw_bin
from tronie.data.readers.lfw_bin import read_lfw_bin
from tronie.errors import BadFile, BadInput, NotFound
from tronie.images.io import decode_image

IMAGES = [b"\xff\xd8 one", b"\x89PNG two", b"\xff\xd8 '\n\\", b"\x00"]
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def written(path, value, *, protocol=2):
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("as_array", [False, True], ids=["bytes", "arrays"])
@pytest.mark.parametrize("flag", [bool, np.bool_])
@pytest.mark.parametrize("whole", [tuple, list])
def test_images_and_flags_come_back_in_their_order(protocol, as_array, flag, whole, tmp_path):
    images = [np.frombuffer(i, np.uint8) for i in IMAGES] if as_array else IMAGES
    found = read_lfw_bin(
        written(tmp_path / "a.bin", whole((images, [flag(1), flag(0)])), protocol=protocol)
    )
    assert found.images == tuple(IMAGES)
    assert found.same.tolist() == [True, False]
    assert found.same.dtype == np.bool_


def test_an_image_of_two_pairs_may_be_stored_once(tmp_path):
    image = np.frombuffer(IMAGES[0], np.uint8)
    found = read_lfw_bin(written(tmp_path / "a.bin", ([image] * 4, [True, True])))
    assert found.images == (IMAGES[0],) * 4


@pytest.mark.data
def test_a_real_file_is_read_as_python_reads_it(test_data):
    path = test_data / "formats" / "small_lfw.bin"
    found = read_lfw_bin(path)
    images, same = pickle.loads(path.read_bytes())
    assert [image.tobytes() for image in images] == list(found.images)
    assert same == found.same.tolist() == [True] * 10
    assert {decode_image(image).shape for image in found.images} == {(112, 112, 3)}


class Calls:
    """Its pickle calls os.system."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_hostile_file_is_refused_by_the_name_it_asks_for_and_runs_nothing(protocol, tmp_path):
    made = tmp_path / "made"
    hostile = ([IMAGES[0], Calls(f"touch {made}")], [True])
    path = written(tmp_path / "a.bin", hostile, protocol=protocol)
    with pytest.raises(BadFile, match=rf"a\.bin .* asks for {os.system.__module__}\.system, which"):
        read_lfw_bin(path)
    assert not made.exists()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_file_cut_anywhere_is_refused(protocol, tmp_path):
    images = [IMAGES[2], np.frombuffer(IMAGES[0], np.uint8)]
    path = written(tmp_path / "a.bin", (images, [np.bool_(True)]), protocol=protocol)
    whole = path.read_bytes()
    for end in range(0, len(whole), 3):
        path.write_bytes(whole[:end])
        with pytest.raises(BadFile, match=r"a\.bin is no LFW-type \.bin that can be read"):
            read_lfw_bin(path)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (b"images", "it must hold images and flags, two lists; it holds a value of type bytes"),
        ((IMAGES, [True], []), "two lists; it holds a tuple of 3"),
        ((b"images", [True]), "a list of images and one of flags; it holds a value of type bytes"),
        ((IMAGES[:3], [True, False]), "3 images and 2 flags do not fit"),
        ((IMAGES, [True]), "4 images and 1 flags do not fit"),
        ((IMAGES, [True] * 3), "4 images and 3 flags do not fit"),
        (([], []), "0 images and 0 flags do not fit"),
        ((IMAGES, [True, 1]), "flag 1 must be true or false; it is a value of type int"),
        ((IMAGES, [None, True]), "flag 0 must be true or false; it is nothing"),
        ((IMAGES, [[], True]), "flag 0 must be true or false; it is a list of 0"),
        (
            ([*IMAGES[:3], "text"], [True, True]),
            "image 3 must be encoded bytes; it is a value of type str",
        ),
        (([b"a", [b"a"]], [True]), "image 1 must be encoded bytes; it is a list of 1"),
        (([b"a", np.zeros(0, np.uint8)], [True]), "image 1 must be encoded bytes; it is empty"),
    ],
)
def test_a_pickle_of_another_shape_is_refused(value, what, tmp_path):
    with pytest.raises(BadFile, match=what):
        read_lfw_bin(written(tmp_path / "a.bin", value, protocol=4))


def test_more_images_or_bytes_than_the_bounds_are_refused(tmp_path, monkeypatch):
    path = written(tmp_path / "a.bin", (IMAGES, [True, True]))
    monkeypatch.setattr(lfw_bin, "MAX_IMAGES", 3)
    with pytest.raises(BadFile, match="it holds 4 images; the limit is 3"):
        read_lfw_bin(path)
    monkeypatch.setattr(lfw_bin, "MAX_BYTES", 50)
    with pytest.raises(BadFile, match=r"a\.bin has \d+ bytes; the limit is 50"):
        read_lfw_bin(path)


def test_a_file_that_is_not_there_or_is_a_folder_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"there is no file .*a\.bin"):
        read_lfw_bin(tmp_path / "a.bin")
    with pytest.raises(BadInput, match="cannot read"):
        read_lfw_bin(tmp_path)
