r"""Headers: what the first bytes of a picture say, read without decoding a pixel.

Pictures come from strangers, so the format is found by these bytes and never by the name
of the file, and each is then handed to the one decoder it needs. Three things are read
here and not left to a library:

    orientation     Exif tag 0x0112, a number from 1 to 8. A damaged Exif block means 1;
                    libraries warn, and a warning cannot be caught safely among threads.
    JPEG segments   of the header only those are kept that make the pixels: tables, frame,
                    JFIF and Adobe. Cameras put tens of kilobytes of the rest there.
    WebP size       its decoder takes memory for the whole canvas before it can be asked.

Standard library only. Sources: ITU-T T.81 annex B (JPEG); CIPA DC-008 (Exif) and TIFF 6.0;
RFC 9649 (WebP); ISO/IEC 14496-12 (the ftyp box of AVIF and HEIC).
"""

from __future__ import annotations

import struct

from tronie.errors import BadImage

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    *((b"P%d%c" % (kind, space), "PPM") for kind in range(1, 7) for space in b" \t\r\n#"),
)
_HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"}
_HEIC_BRANDS |= {b"mif1", b"msf1", b"mif2"}
_AVIF_BRANDS = {b"avif", b"avis"}

_TABLES_AND_FRAMES = {*range(0xC0, 0xD0), 0xDB, 0xDC, 0xDD, 0xDE, 0xDF}  # C8 is refused later
_JFIF, _EXIF, _ADOBE = 0xE0, 0xE1, 0xEE
_ALONE = {0x00, 0x01, *range(0xD0, 0xD9)}  # markers without a length: skipped in a header
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9

_ORIENTATION_TAG, _SHORT, _LONG = 0x0112, 3, 4


def picture_format(data: bytes) -> str | None:
    """JPEG, PNG, GIF, BMP, TIFF, PPM, WEBP, AVIF or HEIC; None for anything else."""
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        length = min(int.from_bytes(data[:4], "big"), 256)
        brands = {data[8:12]} | {data[i : i + 4] for i in range(16, length, 4)}
        if brands & _AVIF_BRANDS:
            return "AVIF"
        if brands & _HEIC_BRANDS:
            return "HEIC"
    return None


def webp_size(data: bytes) -> tuple[int, int]:
    """Width and height of a WebP picture in pixels.

    Raises:
        BadImage: the first chunk is none that a WebP file may begin with, or is cut off.
    """
    kind, body = data[12:16], data[20:30]
    if len(body) == 10 and kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if len(body) == 10 and kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", body[6:10])
        return width & 0x3FFF, height & 0x3FFF
    if len(body) >= 5 and kind == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    raise BadImage("its WebP header is damaged or cut off")


def jpeg_pixels_only(data: bytes) -> tuple[bytes, int]:
    """The JPEG without its metadata, and the orientation that its Exif block asked for.

    The bytes from the first scan on are passed as they are.

    Raises:
        BadImage: no scan begins before the data end.
    """
    kept = [data[:2]]
    orientation, at = 1, 2
    while True:
        at = data.find(b"\xff", at)
        while at >= 0 and data[at + 1 : at + 2] == b"\xff":
            at += 1
        if at < 0 or at + 1 >= len(data) or data[at + 1] == _END_OF_IMAGE:
            raise BadImage("the JPEG header ends before any pixels begin")
        marker = data[at + 1]
        if marker in _ALONE:
            at += 2
            continue
        if marker == _START_OF_SCAN:
            return b"".join([*kept, data[at:]]), orientation
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        segment = data[at : at + 2 + length]
        if length < 2 or len(segment) < 2 + length:
            raise BadImage(f"the JPEG header is cut off or damaged at byte {at}")
        if marker in _TABLES_AND_FRAMES or marker in (_JFIF, _ADOBE):
            kept.append(segment)
        elif marker == _EXIF and segment[4:10] == b"Exif\0\0" and orientation == 1:
            orientation = exif_orientation(segment[10:])
        at += 2 + length


def exif_orientation(block: bytes) -> int:
    """The orientation, 1 to 8, in an Exif block; 1 where there is none or it is damaged."""
    tiff = block.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return 1
    (start,) = struct.unpack(order + "I", tiff[4:8])
    if start + 2 > len(tiff):
        return 1
    (count,) = struct.unpack(order + "H", tiff[start : start + 2])
    for at in range(start + 2, start + 2 + 12 * count, 12):
        entry = tiff[at : at + 12]
        if len(entry) < 12:
            return 1
        tag, kind, number = struct.unpack(order + "HHI", entry[:8])
        if tag == _ORIENTATION_TAG and number == 1 and kind in (_SHORT, _LONG):
            layout = order + ("H" if kind == _SHORT else "I")
            (value,) = struct.unpack_from(layout, entry, 8)
            return value if 1 <= value <= 8 else 1
    return 1
