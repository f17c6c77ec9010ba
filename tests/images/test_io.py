"""Pictures in and out: every kind of file, and every kind of damage."""

import io
import os
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tronie.images.io as io_module
from tronie.errors import BadArray, BadImage, BadInput, NotFound
from tronie.images.io import (
    IMAGE_SUFFIXES,
    MAX_PIXELS,
    WRITABLE_SUFFIXES,
    decode_image,
    encode_image,
    image_size,
    read_image,
    write_image,
)

RNG = np.random.default_rng(23)
NOISE = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)


def smooth(height=48, width=64):
    y, x = np.mgrid[:height, :width]
    channels = [128 + 100 * np.sin(x / 9), 128 + 100 * np.cos(y / 7), (x + y) % 256]
    return np.stack(channels, axis=-1).astype(np.uint8)


def saved(picture, kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def exif_with(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def run_python(code, *arguments):
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    )
    return done.stdout


# --- plain pictures, from every kind of source


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "TIFF"])
def test_a_picture_kept_without_loss_comes_back_pixel_by_pixel(kind):
    image = decode_image(saved(Image.fromarray(NOISE), kind))
    np.testing.assert_array_equal(image, NOISE)
    assert image.dtype == np.uint8
    assert image.flags.writeable
    assert image.flags.c_contiguous


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_a_picture_kept_with_loss_comes_back_nearly(kind):
    image = decode_image(saved(Image.fromarray(smooth()), kind, quality=95))
    assert np.abs(image.astype(int) - smooth()).mean() < 4


def test_a_path_a_string_bytes_and_a_stream_give_the_same(tmp_path):
    path = tmp_path / "picture.png"
    data = saved(Image.fromarray(NOISE), "PNG")
    path.write_bytes(data)
    with path.open("rb") as file:
        sources = [path, str(path), data, bytearray(data), io.BytesIO(data), file]
        for source in sources:
            np.testing.assert_array_equal(read_image(source), NOISE)


def test_the_bytes_decide_and_not_the_name(tmp_path):
    path = tmp_path / "really_a_png.jpg"
    path.write_bytes(saved(Image.fromarray(NOISE), "PNG"))
    np.testing.assert_array_equal(read_image(path), NOISE)


def test_a_pipe_or_a_device_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(BadImage, match="is no plain file but a pipe or device; save it first"):
            read_image(path)


def test_an_open_pipe_can_be_read(tmp_path):
    data = saved(Image.fromarray(NOISE), "PNG")
    read, write = os.pipe()

    def send():
        with os.fdopen(write, "wb") as sink:
            sink.write(data)

    writer = threading.Thread(target=send)
    writer.start()
    with os.fdopen(read, "rb") as pipe:
        np.testing.assert_array_equal(read_image(pipe), NOISE)
    writer.join()


# --- orientation

# Where the first row and the first column of the stored pixels belong: CIPA DC-008, 4.6.4 A.
SPEC = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def stored_for(upright, orientation):
    """What a camera stores so that `upright` is seen: each stored pixel, looked up one by one."""
    height, width = upright.shape[:2]
    first_row, first_column = SPEC[orientation]
    rows, columns = (height, width) if first_row in ("top", "bottom") else (width, height)
    stored = np.zeros((rows, columns, 3), np.uint8)
    for r in range(rows):
        for c in range(columns):
            place = {}
            for side, index in ((first_row, r), (first_column, c)):
                axis, size = ("y", height) if side in ("top", "bottom") else ("x", width)
                place[axis] = index if side in ("top", "left") else size - 1 - index
            stored[r, c] = upright[place["y"], place["x"]]
    return stored


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_a_turned_picture_comes_back_upright(orientation, kind):
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    picture = Image.fromarray(stored_for(NOISE, orientation))
    data = saved(picture, kind, exif=exif_with(orientation), **options)
    np.testing.assert_array_equal(decode_image(data), NOISE)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_jpeg_comes_back_upright(orientation):
    upright = smooth(48, 64)
    picture = Image.fromarray(stored_for(upright, orientation))
    data = saved(picture, "JPEG", quality=95, subsampling=0, exif=exif_with(orientation))
    assert np.abs(decode_image(data).astype(int) - upright).mean() < 3


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: np.rot90(a, 2)),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, 2).transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a, 1)),
    ],
)
def test_each_orientation_is_one_turn_of_the_stored_pixels(orientation, turn):
    data = saved(Image.fromarray(NOISE), "PNG", exif=exif_with(orientation))
    np.testing.assert_array_equal(decode_image(data), turn(NOISE))


def test_an_exif_block_that_is_damaged_means_upright_and_gives_no_warning():
    good = exif_with(6)
    for start, count in (
        (b"\xff\xff\xff\xff", b""),
        (b"", b"\xff\xff"),
    ):  # beyond the end, too many
        bad = good[:10] + (start or good[10:14]) + (count or good[14:16]) + good[16:18] + b"\1"
        data = saved(Image.fromarray(smooth()), "JPEG", exif=bad)
        assert decode_image(data).shape == (48, 64, 3)


# --- modes


def test_grey_is_copied_to_three_channels():
    grey = NOISE[..., 0]
    for picture in (Image.fromarray(grey), Image.fromarray(grey).convert("LA")):
        image = decode_image(saved(picture, "PNG"))
        np.testing.assert_array_equal(image, np.dstack([grey] * 3))


def test_sixteen_bits_are_scaled_and_not_clipped():
    values = np.array([[0, 1, 128, 129, 255, 256, 257, 385, 386, 32768, 65534, 65535]], np.uint16)
    image = decode_image(saved(Image.fromarray(values), "PNG"))
    np.testing.assert_array_equal(image[..., 0], np.round(values / 257))
    assert image.max() == 255
    assert (image == image[..., :1]).all()


def test_sixteen_bit_pgm_and_tiff_are_scaled_too():
    values = RNG.integers(0, 65536, (5, 4), dtype=np.uint16)
    pgm = b"P5 4 5 65535\n" + values.astype(">u2").tobytes()
    tiff = saved(Image.fromarray(values), "TIFF")
    for data in (pgm, tiff):
        np.testing.assert_array_equal(decode_image(data)[..., 0], np.round(values / 257))


def test_black_and_white_becomes_0_and_255():
    bits = Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert("1")
    assert decode_image(saved(bits, "PNG"))[..., 1].tolist() == [[0, 255], [255, 0]]


def on_white(rgba):
    color, alpha = rgba[..., :3].astype(float), rgba[..., 3:] / 255.0
    return np.round(color * alpha + 255 * (1 - alpha))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_transparency_is_laid_on_white(kind):
    rgba = RNG.integers(0, 256, (40, 30, 4), dtype=np.uint8)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    image = decode_image(saved(Image.fromarray(rgba), kind, **options))
    np.testing.assert_array_equal(image, on_white(rgba))


def test_a_palette_with_transparency_is_laid_on_white():
    picture = Image.new("P", (3, 1))
    picture.putpalette([10, 20, 30, 200, 100, 50, 7, 7, 7])
    picture.putdata([0, 1, 2])
    opaque = decode_image(saved(picture, "PNG"))
    assert opaque.tolist() == [[[10, 20, 30], [200, 100, 50], [7, 7, 7]]]
    see_through = decode_image(saved(picture, "PNG", transparency=bytes([255, 255, 0])))
    assert see_through.tolist() == [[[10, 20, 30], [200, 100, 50], [255, 255, 255]]]
    gif = decode_image(saved(picture, "GIF", transparency=1))
    assert gif.tolist() == [[[10, 20, 30], [255, 255, 255], [7, 7, 7]]]


def test_one_color_that_stands_for_transparent_is_white():
    picture = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    image = decode_image(saved(picture, "PNG", transparency=(1, 2, 3)))
    assert image.tolist() == [[[255, 255, 255], [4, 5, 6]]]


@pytest.mark.parametrize("ink", [(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 128, 0), (0, 0, 0, 255)])
def test_cmyk_is_light_that_the_inks_leave(ink):
    data = saved(Image.new("CMYK", (16, 16), ink), "JPEG", quality=100)
    expected = [(255 - c) * (255 - ink[3]) / 255 for c in ink[:3]]
    assert np.abs(decode_image(data)[8, 8] - np.array(expected)).max() <= 3


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_of_an_animation_or_many_pages_the_first_is_taken(kind):
    frames = [Image.new("RGB", (20, 10), c) for c in [(250, 0, 0), (0, 250, 0), (0, 0, 250)]]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    red, green, blue = decode_image(data)[5, 10].tolist()
    assert red > 200
    assert max(green, blue) < 50


def test_pixels_of_32_bits_are_refused_because_their_range_is_not_stated():
    data = saved(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF")
    with pytest.raises(BadImage, match=r"'f\.tif' cannot be used: its pixels are 32-bit numbers"):
        decode_image(data, name="f.tif")


# --- HEIC


def test_heic_is_read_upright_where_its_package_is_installed():
    heif = pytest.importorskip("pillow_heif")
    turned = Image.fromarray(stored_for(smooth(48, 64), 6))
    out = io.BytesIO()
    heif.from_pillow(turned).save(out, quality=95, exif=exif_with(6))
    image = decode_image(out.getvalue(), name="phone.heic")
    assert image.shape == (48, 64, 3)
    assert np.abs(image.astype(int) - smooth(48, 64)).mean() < 8


def test_heic_without_its_package_is_refused_by_name_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    with pytest.raises(BadImage, match=r"'phone\.heic' is a HEIC picture.*pip install pillow-heif"):
        decode_image(data, name="phone.heic")


# --- arrays


def test_an_rgb_array_is_returned_as_it_is():
    assert read_image(NOISE) is NOISE


def test_an_array_seen_backwards_is_made_contiguous():
    image = read_image(NOISE[..., ::-1])
    np.testing.assert_array_equal(image, NOISE[..., ::-1])
    assert image.flags.c_contiguous


def test_grey_and_transparent_arrays_are_treated_like_files():
    grey = NOISE[..., 0]
    np.testing.assert_array_equal(read_image(grey), np.dstack([grey] * 3))
    np.testing.assert_array_equal(read_image(grey[..., None]), np.dstack([grey] * 3))
    rgba = RNG.integers(0, 256, (7, 5, 4), dtype=np.uint8)
    np.testing.assert_array_equal(read_image(rgba), on_white(rgba))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16, np.int64, bool])
def test_an_array_of_another_dtype_is_refused_with_advice(dtype):
    with pytest.raises(BadImage, match=r"must be uint8.* got .*pass \(image \* 255\)"):
        read_image(np.zeros((4, 4, 3), dtype))


@pytest.mark.parametrize("shape", [(4,), (4, 4, 2), (4, 4, 5), (1, 4, 4, 3), (0, 4, 3), (4, 0)])
def test_an_array_of_another_shape_is_refused(shape):
    with pytest.raises(BadImage, match=r"arrays of pixels must have shape .* not be empty; got"):
        read_image(np.zeros(shape, np.uint8))


# --- what cannot be read


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"no file '.*nobody\.jpg'"):
        read_image(tmp_path / "nobody.jpg")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(BadImage, match="is a folder, not a picture"):
        read_image(tmp_path)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(BadImage, match=r"empty\.jpg' is empty; JPEG, PNG, .* can be read"):
        read_image(tmp_path / "empty.jpg")


def test_a_text_named_jpg_is_refused(tmp_path):
    (tmp_path / "text.jpg").write_text("<!DOCTYPE html>")
    with pytest.raises(BadImage, match=r"text\.jpg' begins with b'<!DOCTYP'; JPEG, PNG"):
        read_image(tmp_path / "text.jpg")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path):
    path = tmp_path / "private.png"
    path.write_bytes(saved(Image.fromarray(NOISE), "PNG"))
    path.chmod(0)
    with pytest.raises(BadImage, match=r"private\.png' cannot be read: Permission denied"):
        read_image(path)


def test_a_file_that_the_system_refuses_is_named_with_the_reason(tmp_path, monkeypatch):
    def refuse(self, mode):
        raise PermissionError(13, "Permission denied", str(self))

    (tmp_path / "private.png").write_bytes(b"x")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BadImage, match=r"private\.png' cannot be read: Permission denied"):
        read_image(tmp_path / "private.png")


@pytest.mark.parametrize("name", ["a\0b.jpg", "x" * 5000 + ".jpg"])
def test_a_name_that_no_file_can_have_is_refused(name):
    with pytest.raises((BadImage, NotFound), match=r"cannot be read|no file"):
        read_image(name)


def test_a_stream_of_text_and_a_closed_one_are_refused(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(saved(Image.fromarray(NOISE), "PNG"))
    with path.open(encoding="latin-1") as text, pytest.raises(BadImage, match="open it with 'rb'"):
        read_image(text)
    with pytest.raises(BadImage, match=r"picture\.png' cannot be read: I/O operation on closed"):
        read_image(text)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_truncated_picture_is_refused(kind, part):
    noise = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), kind)
    with pytest.raises(BadImage, match=f"'cut' (is a damaged or truncated {kind}|cannot be used)"):
        decode_image(data[: int(len(data) * part)], name="cut")


def test_a_jpeg_that_lacks_its_last_byte_is_refused():
    data = saved(Image.fromarray(smooth()), "JPEG")
    with pytest.raises(BadImage, match="'cut' is a damaged or truncated JPEG picture"):
        decode_image(data[:-1], name="cut")


# --- bounds


def test_the_limit_is_a_hundred_million_pixels():
    assert MAX_PIXELS == 100_000_000


def bomb(kind, width, height):
    """A small file that says it is very large."""
    options = {"lossless": True} if kind == "WEBP" else {}
    data = bytearray(saved(Image.new("RGB", (8, 8)), kind, **options))
    if kind == "PNG":
        data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    elif kind == "JPEG":
        frame = data.index(b"\xff\xc0")
        data[frame + 5 : frame + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    elif kind == "GIF":
        data[6:10] = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    elif kind == "BMP":
        data[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    else:
        data[21:25] = ((width - 1) | (height - 1) << 14).to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_a_decompression_bomb_is_refused_by_its_header(kind):
    data = bomb(kind, 16000, 12000)
    with pytest.raises(
        BadImage, match="has 16000 x 12000 = 192000000 pixels, over the limit of 100"
    ):
        decode_image(data, name="bomb")


def test_refusing_bombs_takes_no_memory(tmp_path):
    """In a process of its own, whose largest size can be asked for."""
    for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP"):
        (tmp_path / kind).write_bytes(bomb(kind, 16000, 12000))
    code = """if True:
        import pathlib, resource, sys
        from tronie.errors import BadImage
        from tronie.images.io import read_image
        def peak_mb():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        before, refused = peak_mb(), 0
        for path in pathlib.Path(sys.argv[1]).iterdir():
            try:
                read_image(path)
            except BadImage:
                refused += 1
        print(refused, peak_mb() - before)
    """
    refused, grown_mb = run_python(code, tmp_path).split()
    assert int(refused) == 5
    assert float(grown_mb) < 30  # the readers themselves; one picture would be 576


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF"])
def test_pillow_does_not_warn_of_sizes_that_are_within_our_limit(kind, monkeypatch):
    data = saved(Image.fromarray(NOISE), kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)  # the picture has 54
    assert decode_image(data).shape == (6, 9, 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "AVIF"])
def test_pillow_does_not_refuse_sizes_that_are_within_our_limit(kind, monkeypatch):
    data = saved(Image.fromarray(NOISE), kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)  # it refuses over twice its limit
    assert decode_image(data).shape == (6, 9, 3)


def test_a_caller_may_set_the_limit():
    data = saved(Image.fromarray(NOISE), "PNG")
    assert decode_image(data, max_pixels=54).shape == (6, 9, 3)
    with pytest.raises(BadImage, match="9 x 6 = 54 pixels, over the limit of 53; shrink it, or"):
        decode_image(data, max_pixels=53)


def test_a_file_larger_than_any_such_picture_is_not_read(tmp_path):
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(8 * 1000 + (1 << 20) + 1)  # a hole: takes no space
    with pytest.raises(BadImage, match="holds over 1056576 bytes, more than a picture of 1000"):
        read_image(path, max_pixels=1000)


# --- threads and lightness


def test_many_threads_read_what_one_reads():
    files = [
        saved(Image.fromarray(np.roll(smooth(), n, axis=1)), kind)
        for n, kind in enumerate(["JPEG", "PNG", "GIF", "TIFF", "WEBP", "JPEG"])
    ]
    alone = [decode_image(data) for data in files]
    wrong = []

    def read_all():
        for _ in range(10):
            for data, expected in zip(files, alone, strict=True):
                if not np.array_equal(decode_image(data), expected):
                    wrong.append(data)

    threads = [threading.Thread(target=read_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_reading_pictures_does_not_import_opencv():
    assert run_python("import sys, tronie.images.io; print('cv2' in sys.modules)") == "False\n"


# --- writing


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".PNG"])
def test_what_is_written_without_loss_is_read_again_pixel_by_pixel(suffix, tmp_path):
    write_image(tmp_path / f"picture{suffix}", NOISE)
    np.testing.assert_array_equal(read_image(tmp_path / f"picture{suffix}"), NOISE)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_quality_buys_likeness(suffix):
    errors = [
        np.abs(
            decode_image(encode_image(smooth(), suffix, quality=q)).astype(int) - smooth()
        ).mean()
        for q in (20, 95)
    ]
    assert errors[1] < 2 < errors[0]


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "picture.png"
    write_image(path, NOISE)
    write_image(str(path), NOISE[::-1])
    np.testing.assert_array_equal(read_image(path), NOISE[::-1])
    assert [p.name for p in tmp_path.iterdir()] == ["picture.png"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    write_image(path, NOISE)

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(BadInput, match=r"cannot write '.*picture\.png': No space left on device"):
        write_image(path, NOISE[::-1])
    monkeypatch.undo()
    np.testing.assert_array_equal(read_image(path), NOISE)
    assert [p.name for p in tmp_path.iterdir()] == ["picture.png"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"cannot write .* no folder '.*nowhere'"):
        write_image(tmp_path / "nowhere" / "picture.png", NOISE)


def test_a_folder_in_the_way_is_refused(tmp_path):
    (tmp_path / "picture.png").mkdir()
    with pytest.raises(BadInput, match=r"cannot write '.*picture\.png'"):
        write_image(tmp_path / "picture.png", NOISE)
    assert [p.name for p in tmp_path.iterdir()] == ["picture.png"]


@pytest.mark.parametrize("suffix", ["", ".tiff", "jpg"])
def test_another_suffix_is_refused_with_the_ones_there_are(suffix):
    with pytest.raises(BadInput, match=r"choose one of \.jpg, \.jpeg, \.png, \.webp, \.bmp"):
        encode_image(NOISE, suffix)


@pytest.mark.parametrize("quality", [0, 101])
def test_a_quality_outside_1_to_100_is_refused(quality):
    with pytest.raises(BadInput, match="quality must be from 1 to 100; got"):
        encode_image(NOISE, ".jpg", quality=quality)


def test_what_is_no_image_is_not_written():
    with pytest.raises(BadArray, match="an image must be uint8 of shape"):
        encode_image(NOISE / 255.0, ".png")


def test_a_picture_too_wide_for_its_format_is_refused():
    with pytest.raises(BadImage, match=r"cannot write \(1, 70000, 3\) pixels as JPEG"):
        encode_image(np.zeros((1, 70000, 3), np.uint8), ".jpg")


def test_suffixes_are_those_that_listing_compares_with():
    assert {".jpg", ".jpeg", ".png", ".webp", ".heic"} <= IMAGE_SUFFIXES
    assert all(s == s.lower() and s.startswith(".") for s in IMAGE_SUFFIXES)


# --- the size alone


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_the_size_is_that_of_the_decoded_picture(kind):
    data = saved(Image.fromarray(smooth(48, 64)), kind)
    height, width = decode_image(data).shape[:2]
    assert image_size(data) == (width, height) == (64, 48)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_of_the_upright_picture(orientation):
    data = saved(Image.fromarray(smooth(48, 64)), "JPEG", exif=exif_with(orientation))
    height, width = decode_image(data).shape[:2]
    assert image_size(data) == (width, height)


def test_the_size_of_a_whole_jpeg_needs_no_decoding(monkeypatch):
    data = saved(Image.fromarray(smooth()), "JPEG")
    monkeypatch.setattr(io_module, "decode_image", None)
    assert image_size(data) == (64, 48)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.95])
def test_the_size_of_a_truncated_picture_is_refused(kind, part):
    noise = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), kind)
    with pytest.raises(BadImage, match=r"'cut' (is|begins|cannot)"):
        image_size(data[: int(len(data) * part)], name="cut")


def test_the_size_of_a_broken_header_is_refused():
    data = saved(Image.fromarray(smooth()), "JPEG")
    with pytest.raises(BadImage, match="'odd' cannot be used: the JPEG header ends before"):
        image_size(data[:20] + data[-2:], name="odd")
    with pytest.raises(BadImage, match="'odd' is a damaged PNG picture"):
        image_size(b"\x89PNG\r\n\x1a\n" + b"IEND\xaeB`\x82", name="odd")


def test_the_size_over_the_limit_is_refused():
    data = saved(Image.fromarray(smooth(48, 64)), "JPEG")
    with pytest.raises(BadImage, match="64 x 48 = 3072 pixels, over the limit of 3000"):
        image_size(data, max_pixels=3000)


def test_what_can_be_written_is_listed():
    for suffix in WRITABLE_SUFFIXES:
        assert decode_image(encode_image(smooth(), suffix)).shape == (48, 64, 3)
