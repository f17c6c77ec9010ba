"""Fuzz: whatever the bytes, a picture comes back or BadImage is raised, and nothing else.

Warnings are errors in this suite, so a warning that leaks fails too.
"""

import io
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tronie.errors import BadImage
from tronie.images.io import decode_image

LIMIT = 1_000_000  # pixels: bounds the memory of any one example to a few megabytes
SHAPED = np.random.default_rng(29).integers(0, 256, (24, 31, 4), dtype=np.uint8)

SIGNATURES = [
    b"",
    b"\xff\xd8\xff\xe0",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"P6 ",
    b"RIFF\0\0\0\0WEBPVP8X",
    b"\0\0\0\x18ftypavif\0\0\0\0",
]


def exif():
    block = Image.Exif()
    block[0x0112] = 6
    block[0x010F] = "maker"
    return block.tobytes()


def files():
    color = Image.fromarray(SHAPED[..., :3])
    palette = color.convert("P")
    wanted = [
        (color, "JPEG", {"exif": exif(), "quality": 80}),
        (color, "JPEG", {"progressive": True}),
        (color.convert("CMYK"), "JPEG", {}),
        (color, "PNG", {"exif": exif()}),
        (Image.fromarray(SHAPED), "PNG", {}),
        (palette, "PNG", {"transparency": 3}),
        (Image.fromarray(SHAPED[..., 0].astype(np.uint16) * 257), "PNG", {}),
        (color, "PNG", {"save_all": True, "append_images": [color.rotate(90)]}),
        (palette, "GIF", {"save_all": True, "append_images": [palette.rotate(90)]}),
        (color, "WEBP", {"exif": exif()}),
        (Image.fromarray(SHAPED), "WEBP", {"lossless": True}),
        (color, "TIFF", {"compression": "tiff_lzw"}),
        (color, "BMP", {}),
        (color, "PPM", {}),
    ]
    for picture, kind, options in wanted:
        out = io.BytesIO()
        picture.save(out, kind, **options)
        yield out.getvalue()


FILES = list(files())


def survives(data):
    image = None
    with suppress(BadImage):
        image = decode_image(data, name="fuzz", max_pixels=LIMIT)
    if image is not None:
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert 0 < image.shape[0] * image.shape[1] <= LIMIT


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SIGNATURES), st.binary(max_size=200))
def test_random_bytes_behind_any_signature(signature, data):
    survives(signature + data)


@pytest.mark.parametrize("data", FILES, ids=range(len(FILES)))
def test_every_file_is_read_when_it_is_whole(data):
    assert decode_image(data, name="fuzz", max_pixels=LIMIT).shape in [(24, 31, 3), (31, 24, 3)]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FILES), st.floats(0, 1))
def test_truncations(data, part):
    survives(data[: int(len(data) * part)])


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    st.booleans(),
)
def test_changed_bytes(data, changes, in_the_header):
    damaged = bytearray(data)
    reach = min(len(data), 120) if in_the_header else len(data)
    for place, value in changes:
        damaged[int(place * reach)] = value
    survives(bytes(damaged))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(FILES), st.floats(0, 1), st.floats(0, 1), st.binary(max_size=30))
def test_a_stretch_cut_out_and_another_put_in(data, start, end, inserted):
    low, high = sorted([int(start * len(data)), int(end * len(data))])
    survives(data[:low] + inserted + data[high:])
