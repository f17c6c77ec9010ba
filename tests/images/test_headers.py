"""Headers: formats, sizes and orientations, against files that Pillow writes."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from tronie.errors import BadImage
from tronie.images.headers import (
    exif_orientation,
    jpeg_pixels_only,
    picture_format,
    webp_size,
)

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 14, 3), dtype=np.uint8))


def saved(kind, picture=PICTURE, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def exif_with(orientation):
    exif = Image.Exif()
    exif[0x010F] = "a maker of cameras"
    exif[0x0112] = orientation
    return exif.tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "PPM", "WEBP"])
def test_a_format_is_known_by_its_first_bytes(kind):
    assert picture_format(saved(kind)) == kind


@pytest.mark.parametrize(
    ("brands", "kind"),
    [
        (b"heic\0\0\0\0mif1heic", "HEIC"),
        (b"mif1\0\0\0\0mif1avif", "AVIF"),
        (b"avif\0\0\0\0avifmif1", "AVIF"),
        (b"mif1\0\0\0\0heic", "HEIC"),
        (b"isom\0\0\0\0mp41", None),
    ],
)
def test_brands_tell_avif_heic_and_films_apart(brands, kind):
    assert picture_format(struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands) == kind


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"hello", b"P6", b"RIFF\0\0\0\0WAVE", b"\0" * 64]
)
def test_other_bytes_have_no_format(data):
    assert picture_format(data) is None


@pytest.mark.parametrize("size", [(1, 1), (300, 7), (5000, 3)])
@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": exif_with(6)}])
def test_the_size_of_a_webp_is_in_whichever_chunk_comes_first(size, options):
    assert webp_size(saved("WEBP", Image.new("RGB", size), **options)) == size


@pytest.mark.parametrize("length", [0, 12, 20, 24, 29])
def test_a_webp_that_is_cut_off_in_its_header_is_refused(length):
    with pytest.raises(BadImage, match="its WebP header is damaged or cut off"):
        webp_size(saved("WEBP", exif=exif_with(1))[:length])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [(3, "H2x"), (4, "I")])
def test_orientation_is_read_in_either_byte_order_and_integer_size(orientation, order, kind):
    number, layout = kind
    head = b"II*\0" if order == "<" else b"MM\0*"
    other = struct.pack(order + "HHII", 0x0110, 2, 4, 0)
    entry = struct.pack(order + "HHI" + layout, 0x0112, number, 1, orientation)
    block = head + struct.pack(order + "IH", 8, 2) + other + entry
    assert exif_orientation(block) == exif_orientation(b"Exif\0\0" + block) == orientation


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_that_which_pillow_wrote(orientation):
    assert exif_orientation(exif_with(orientation)) == orientation


@pytest.mark.parametrize("value", [0, 9, 255])
def test_an_orientation_that_does_not_exist_means_upright(value):
    assert exif_orientation(exif_with(value)) == 1


def test_a_damaged_exif_block_means_upright():
    whole = exif_with(6)
    rng = np.random.default_rng(1)
    for cut in range(len(whole)):
        assert exif_orientation(whole[:cut]) in (1, 6)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        assert 1 <= exif_orientation(bytes(damaged)) <= 8


def test_a_jpeg_keeps_its_pixels_and_loses_its_metadata():
    whole = saved("JPEG", exif=exif_with(8), icc_profile=b"p" * 70_000, comment=b"a remark")
    bare, orientation = jpeg_pixels_only(whole)
    assert orientation == 8
    assert len(bare) < len(whole) - 70_000
    assert b"Exif" not in bare
    assert b"remark" not in bare
    with Image.open(io.BytesIO(whole)) as before, Image.open(io.BytesIO(bare)) as after:
        np.testing.assert_array_equal(np.asarray(before), np.asarray(after))


def test_a_cmyk_jpeg_keeps_the_mark_that_says_its_inks_are_inverted():
    whole = saved("JPEG", Image.new("CMYK", (8, 8), (10, 200, 30, 40)))
    assert b"Adobe" in jpeg_pixels_only(whole)[0]


def test_junk_and_fill_bytes_between_segments_are_passed_over():
    whole = saved("JPEG", exif=exif_with(3))
    messy = whole[:2] + b"junk" + b"\xff\x00" + b"\xff\xff\xff" + whole[2:]
    assert jpeg_pixels_only(messy) == jpeg_pixels_only(whole)


def test_a_jpeg_whose_header_is_cut_off_is_refused():
    whole = saved("JPEG", exif=exif_with(1))
    scan = whole.index(b"\xff\xda")
    for cut in range(2, scan + 2):
        with pytest.raises(
            BadImage, match=r"the JPEG header (ends before any|is cut off or damaged)"
        ):
            jpeg_pixels_only(whole[:cut])
