"""What is stored, byte by byte, and refusals in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tronie.errors import GalleryError, GalleryLocked
from tronie.gallery.records import Photograph, from_blobs, sqlite_refused, to_blob, to_row

PATH = Path("g.db")


def test_a_vector_is_stored_as_little_endian_float32():
    # IEEE 754: 1.0 is 0x3f800000 and -0.5 is 0xbf000000, lowest byte first.
    assert to_blob(np.array([1.0, -0.5], np.float32)) == bytes.fromhex("0000803f000000bf")


def test_vectors_come_back_bit_for_bit():
    rows = np.array([[0.6, 0.8], [1.0, 0.0]], np.float32)
    found = from_blobs([to_blob(row) for row in rows], PATH, dimension=2)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, rows)


def test_numpy_numbers_are_stored_as_plain_ones():
    photo = Photograph(
        source="a.jpg",
        sha256="00",
        box=tuple(np.arange(4, dtype=np.float32)),
        detector_score=np.float32(0.5),
        embedding=np.ones(2, np.float32),
    )
    row = to_row(photo)
    assert [type(side) for side in row["box"]] == [float] * 4
    assert type(row["detector_score"]) is float


@pytest.mark.parametrize("code", [5, 6, 5 | 1 << 8])  # extended codes keep the primary low byte
def test_busy_codes_of_sqlite_are_a_locked_gallery(code):
    assert isinstance(sqlite_refused(PATH, code=code, text="busy"), GalleryLocked)


def test_damage_is_told_in_one_line():
    error = sqlite_refused(PATH, code=11, text="malformed\nPage 8")
    assert type(error) is GalleryError
    assert str(error).startswith("g.db is damaged or no gallery: malformed Page 8. Nothing was")


def test_any_other_code_keeps_the_words_of_sqlite():
    assert "disk is full" in str(sqlite_refused(PATH, code=13, text="disk is full"))
