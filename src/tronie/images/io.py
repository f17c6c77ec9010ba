r"""Pictures in and out: a file, bytes or an array to (H, W, 3) uint8 RGB, upright; and back.

    orientation     applied from Exif (JPEG, PNG, WebP, TIFF) or the container (AVIF, HEIC)
    grey            copied to all three channels
    16 bits         grey: round(v / 257), so that 65535 becomes 255; color: the high byte
    transparency    laid on white, as viewers show it; what lies under it is arbitrary
    CMYK            converted by Pillow's plain formula; color profiles are not applied
    animations      the first frame; of files with several pages, the first page
    arrays          uint8 (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA. The order of
                    colors cannot be seen in an array: RGB is taken on trust, so turn
                    OpenCV's BGR around first with image[..., ::-1]

HEIC needs the package pillow-heif; without it, it is refused by name.

Bounds: the number of pixels is read from the header and compared with `max_pixels` before
anything is decoded; a file of more than 8 bytes for each of those pixels is not read.
Pillow's own limit plays no part, but that WebP and TIFF stay under its 179 million pixels.
A truncated file is refused, not half shown.

One decoder, Pillow. OpenCV takes about a third less time for a JPEG (1.6 ms against 2.4 ms
for 1024 x 713 pixels, 42 against 57 for 12 million; the pixels are the same), but answers
None without a reason, writes to standard error, and takes 0.25 s to import.
Safe to call from many threads; Pillow lets go of the interpreter while it decodes. The rare
formats whose readers warn (GIF, TIFF, AVIF, HEIC, animated PNG) take turns under one lock,
because warnings can be silenced only for the whole process. What libtiff writes to standard
error about a damaged TIFF cannot be held back from here.
"""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tronie.errors import BadImage, BadInput, NotFound
from tronie.images.headers import exif_orientation, jpeg_pixels_only, picture_format, webp_size
from tronie.images.pixels import Pixels, expect_image

MAX_PIXELS = 100_000_000
"""Largest picture that is decoded unless a caller allows more: 0.3 GB as RGB, and 0.7 GB
at the peak of decoding, 1.1 GB where it has to be turned upright."""

IMAGE_SUFFIXES: frozenset[str] = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".heic", ".heif"}
)
"""Names that pictures go by, in small letters. Only for listing folders: the bytes decide."""

_READERS: dict[str, tuple[str, str]] = {
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "PPM": ("PIL.PpmImagePlugin", "PpmImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIC": ("pillow_heif", "HeifImageFile"),
}
_MAY_WARN = frozenset({"GIF", "TIFF", "AVIF", "HEIC"})
_WARNINGS_LOCK = threading.Lock()

_WRITERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".jpg": ("JPEG", {"subsampling": 0}),
    ".jpeg": ("JPEG", {"subsampling": 0}),
    ".png": ("PNG", {"compress_level": 3}),
    ".webp": ("WEBP", {}),
    ".bmp": ("BMP", {}),
}
WRITABLE_SUFFIXES: tuple[str, ...] = tuple(_WRITERS)
"""Names of files that `write_image` makes."""

_TURN_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = 5  # orientations from here on exchange width and height
_END_MARKS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
_BYTES_PER_PIXEL = 8  # of a file: sixteen bits in four channels, uncompressed
_STRIP = 1 << 15  # pixels that are brought into an array at a time


def read_image(
    source: str | Path | bytes | BinaryIO | NDArray[Any], *, max_pixels: int = MAX_PIXELS
) -> Pixels:
    """A picture as (H, W, 3) uint8 RGB, upright.

    Args:
        source: A path, the bytes of a file, a file opened for reading bytes, or an array
            (see the top of this file). A uint8 RGB array is returned as it is, not copied.
        max_pixels: Width times height that is still decoded. Arrays are not limited.

    Raises:
        NotFound: no such file.
        BadImage: a file that cannot be read, is no picture of a known format, is damaged,
            or is over the limit; an array of another dtype or shape. The message names
            the file.

    Example:
        >>> read_image(np.zeros((2, 3), np.uint8)).shape
        (2, 3, 3)
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return decode_image(bytes(source), max_pixels=max_pixels)
    if isinstance(source, str | Path):
        name, data = str(source), _read_file(Path(source), max_pixels)
    else:
        name = str(getattr(source, "name", "the stream"))
        data = _read_stream(source, name, max_pixels)
    return decode_image(data, name=name, max_pixels=max_pixels)


def decode_image(data: bytes, *, name: str = "image", max_pixels: int = MAX_PIXELS) -> Pixels:
    """The bytes of a picture file as (H, W, 3) uint8 RGB, upright.

    Args:
        data: The whole file.
        name: What to call it in an error.
        max_pixels: Width times height that is still decoded.

    Raises:
        BadImage: the bytes are no picture of a known format, damaged, or over the limit.
    """
    kind = picture_format(data)
    if kind is None:
        found = f"begins with {data[:8]!r}" if data else "is empty"
        raise BadImage(
            f"{name!r} {found}; JPEG, PNG, WebP, GIF, BMP, TIFF, PPM, AVIF and HEIC can be read"
        )
    reader = _reader(kind, name)
    try:
        if kind in _MAY_WARN or (kind == "PNG" and b"acTL" in data):
            with _silent_alone():
                return _decode(kind, reader, data, max_pixels)
        return _decode(kind, reader, data, max_pixels)
    except BadImage as problem:
        raise BadImage(f"{name!r} cannot be used: {problem}") from problem
    except Exception as problem:  # readers of damaged bytes raise every kind there is
        reason = str(problem) or type(problem).__name__
        raise BadImage(f"{name!r} is a damaged or truncated {kind} picture: {reason}") from problem


def image_size(
    data: bytes, *, name: str = "image", max_pixels: int = MAX_PIXELS
) -> tuple[int, int]:
    """Width and height of the upright picture in these bytes, as far as possible unread.

    Of a JPEG or a PNG that has its end mark only the header is read, 0.05 ms; damage between
    the two goes unseen. Everything else is decoded.

    Raises:
        BadImage: as `decode_image`, whose arguments these are.
    """
    kind = picture_format(data)
    if kind not in _END_MARKS or not data.endswith(_END_MARKS[kind]) or b"acTL" in data[:99]:
        height, width = decode_image(data, name=name, max_pixels=max_pixels).shape[:2]
        return width, height
    try:
        pixels, turned = jpeg_pixels_only(data) if kind == "JPEG" else (data, 1)
        with _reader(kind, name)(io.BytesIO(pixels), "") as image:
            _refuse_too_many(image.size, max_pixels)
            width, height = image.size
            if kind == "PNG":
                turned = exif_orientation(image.info.get("exif", b""))
    except BadImage as problem:
        raise BadImage(f"{name!r} cannot be used: {problem}") from problem
    except Exception as problem:  # as in `decode_image`
        reason = str(problem) or type(problem).__name__
        raise BadImage(f"{name!r} is a damaged {kind} picture: {reason}") from problem
    return (height, width) if turned >= _SIDEWAYS else (width, height)


def encode_image(image: Pixels, suffix: str, *, quality: int = 95) -> bytes:
    """The bytes of a picture file that shows `image`.

    Args:
        image: Shape (H, W, 3), uint8 RGB.
        suffix: .jpg, .jpeg, .png, .webp or .bmp, as in a file's name. PNG and BMP keep every
            pixel as it is; JPEG keeps color at full resolution.
        quality: 1 to 100, for JPEG and WebP.

    Raises:
        BadArray: `image` has another shape or dtype.
        BadImage: it is too large for the format.
        BadInput: another suffix or quality.
    """
    if suffix.lower() not in _WRITERS:
        raise BadInput(f"cannot write {suffix!r} pictures; choose one of {', '.join(_WRITERS)}")
    if not 1 <= quality <= 100:
        raise BadInput(f"quality must be from 1 to 100; got {quality}")
    expect_image(image)
    kind, options = _WRITERS[suffix.lower()]
    out = io.BytesIO()
    try:
        Image.fromarray(np.ascontiguousarray(image)).save(out, kind, quality=quality, **options)
    except (OSError, ValueError) as problem:
        raise BadImage(f"cannot write {image.shape} pixels as {kind}: {problem}") from problem
    return out.getvalue()


def write_image(path: str | Path, image: Pixels, *, quality: int = 95) -> None:
    """Write `image` to `path`; the suffix chooses the format, as in `encode_image`.

    The file appears whole or not at all, and replaces one of the same name.

    Raises:
        BadArray: `image` has another shape or dtype.
        BadImage: it is too large for the format.
        BadInput: another suffix, or the file cannot be written.
        NotFound: the folder does not exist.
    """
    path = Path(path)
    data = encode_image(image, path.suffix, quality=quality)
    half = path.with_name(f".{os.getpid()}.{threading.get_ident()}.part")
    try:
        half.write_bytes(data)
        half.replace(path)
    except FileNotFoundError as problem:
        raise NotFound(f"cannot write {str(path)!r}: no folder {str(path.parent)!r}") from problem
    except OSError as problem:
        raise BadInput(f"cannot write {str(path)!r}: {problem.strerror}") from problem
    finally:
        with suppress(OSError):  # it was renamed, or never made
            half.unlink()


def _read_file(path: Path, max_pixels: int) -> bytes:
    try:
        if path.is_dir():
            raise BadImage(f"{str(path)!r} is a folder, not a picture; name the files in it")
        if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
            raise BadImage(f"{str(path)!r} is no plain file but a pipe or device; save it first")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if 0 < size <= _most_bytes(max_pixels):
                return file.read()
            return _read_stream(file, str(path), max_pixels)
    except FileNotFoundError as problem:
        raise NotFound(f"no file {str(path)!r}") from problem
    except (OSError, ValueError) as problem:  # ValueError: a NUL byte in the name
        reason = getattr(problem, "strerror", None) or problem
        raise BadImage(f"{str(path)!r} cannot be read: {reason}") from problem


def _read_stream(source: BinaryIO, name: str, max_pixels: int) -> bytes:
    """All bytes of a stream, which may be a pipe of unknown length, within the limit."""
    parts, total = [], 0
    while part := _next_part(source, name):
        if not isinstance(part, bytes):
            raise BadImage(f"{name!r} gives {type(part).__name__}, not bytes; open it with 'rb'")
        parts.append(part)
        total += len(part)
        if total > _most_bytes(max_pixels):
            raise BadImage(
                f"{name!r} holds over {_most_bytes(max_pixels)} bytes, more than a picture of"
                f" {max_pixels} pixels can need; raise max_pixels if it is one"
            )
    return b"".join(parts)


def _next_part(source: BinaryIO, name: str) -> bytes:
    try:
        return source.read(1 << 20)
    except (OSError, ValueError) as problem:  # ValueError: a closed file, or one open for text
        raise BadImage(f"{name!r} cannot be read: {problem}") from problem


def _most_bytes(max_pixels: int) -> int:
    return _BYTES_PER_PIXEL * max_pixels + (1 << 20)


def _reader(kind: str, name: str) -> Any:
    module, reader = _READERS[kind]
    try:
        return getattr(import_module(module), reader)
    except (ImportError, AttributeError) as problem:
        package = "pillow-heif" if kind == "HEIC" else "'pillow>=11.3'"
        raise BadImage(
            f"{name!r} is a {kind} picture, and reading those needs another package:"
            f" pip install {package}, or save it as JPEG"
        ) from problem


def _decode(kind: str, reader: Any, data: bytes, max_pixels: int) -> Pixels:
    orientation = 1
    if kind == "WEBP":
        _refuse_too_many(webp_size(data), max_pixels)
    if kind == "JPEG":
        data, orientation = jpeg_pixels_only(data)
    with reader(io.BytesIO(data), "") as image:
        _refuse_too_many(image.size, max_pixels)
        image.load()
        _refuse_too_many(image.size, max_pixels)  # a frame may be larger than its file said
        if kind != "JPEG":
            orientation = exif_orientation(image.info.get("exif", b""))
        upright = _TURN_UPRIGHT.get(orientation)
        return _rgb(image if upright is None else image.transpose(upright), kind)


def _refuse_too_many(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise BadImage(f"it says it has {width} x {height} pixels")
    if width * height > max_pixels:
        raise BadImage(
            f"it has {width} x {height} = {width * height} pixels, over the limit of"
            f" {max_pixels}; shrink it, or raise max_pixels"
        )


def _rgb(image: Image.Image, kind: str) -> Pixels:
    """The pixels of a loaded Pillow image of any mode, as RGB.

    In strips that stay in the cache: three to five times as fast as the whole at once, and
    less memory at the peak.
    """
    width, height = image.size
    rgb = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        rgb[top:bottom] = _strip_rgb(image.crop((0, top, width, bottom)), kind)
    return rgb


def _strip_rgb(image: Image.Image, kind: str) -> NDArray[Any]:
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and kind in ("PNG", "PPM")):
        values = np.asarray(image).astype(np.uint32).clip(0, 65535)
        return ((values + 128) // 257)[..., None]
    if mode in ("I", "F"):
        raise BadImage("its pixels are 32-bit numbers whose range is not stated; save it as PNG")
    see_through = "transparency" in image.info and mode in ("1", "L", "P", "RGB")
    if see_through or mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        return _on_white(np.asarray(image.convert("RGBA")))
    return np.asarray(image if mode == "RGB" else image.convert("RGB"))


def _from_array(array: NDArray[Any]) -> Pixels:
    if array.dtype != np.uint8:
        raise BadImage(
            f"arrays of pixels must be uint8, 0 to 255; got {array.dtype}. If yours are in"
            " [0, 1], pass (image * 255).round().astype(np.uint8)"
        )
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or array.size == 0:
        raise BadImage(
            "arrays of pixels must have shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) and"
            f" not be empty; got {array.shape}"
        )
    if array.shape[2] == 4:
        return _on_white(array).astype(np.uint8)
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    return np.ascontiguousarray(array)


def _on_white(rgba: Pixels) -> NDArray[np.uint16]:
    """RGBA laid on white: round((c * a + 255 * (255 - a)) / 255), shape (H, W, 3)."""
    wide = rgba.astype(np.uint16)
    alpha = wide[..., 3:]
    return (wide[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255


@contextmanager
def _silent_alone() -> Iterator[None]:
    """No warnings, one thread at a time: the filters of `warnings` belong to the process."""
    with _WARNINGS_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
