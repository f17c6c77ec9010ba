"""The directory of a zip from a stranger, read byte by byte, with nothing forgiven.

A zip says everything twice: before each member, and in a directory at its end. Programs differ in
which they believe, what they skip, and what they make of bytes between. Here both must agree, and
the members must fill the file from its first byte to the directory without gap or overlap:

    [header name extra data [descriptor]] ... [directory] [zip64 end] [end]

What members are called, hold and weigh is judged in `archive`; nothing is decompressed here.

Source: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3 and 4.4.
Differs from it: no comments, no data in front, no splitting over disks, at most MOST_MEMBERS.
"""

from __future__ import annotations

import struct
from typing import IO, NamedTuple

from tronie.errors import BadInput

MOST_MEMBERS = 16
MOST_DIRECTORY_BYTES = 1 << 16
ENCRYPTED, DESCRIPTOR, UTF8 = 0x0001, 0x0008, 0x0800
_STRONG_ENCRYPTION, _MASKED = 0x0040, 0x2000
STORED, DEFLATED = 0, 8

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF


class BadUpload(BadInput):
    """A file that breaks a rule; `rule` is the rule's name."""

    def __init__(self, rule: str, sentence: str) -> None:
        super().__init__(sentence)
        self.rule = rule


class Member(NamedTuple):
    """One entry of the directory."""

    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed_bytes: int
    size_bytes: int
    mode: int
    """Of a file on Unix, type bits included; 0 where the zip was made elsewhere."""
    header_at: int
    data_at: int
    """Where its bytes begin."""

    @property
    def encrypted(self) -> bool:
        """By any of the three ways."""
        return bool(self.flags & (ENCRYPTED | _STRONG_ENCRYPTION | _MASKED))


def read_directory(file: IO[bytes], size: int) -> tuple[Member, ...]:
    """The members of a zip of `size` bytes, in the order of the file.

    Raises:
        BadUpload: "archive.damaged", "archive.too_many", "archive.surroundings",
            "archive.overlap", "archive.headers".
    """
    end_at, count, directory_at, directory_bytes = _end(file, size)
    if count > MOST_MEMBERS:
        raise BadUpload(
            "archive.too_many",
            f"the zip announces {count} members; at most {MOST_MEMBERS} are looked at. Send what "
            "the track asks for and nothing else",
        )
    if directory_bytes > MOST_DIRECTORY_BYTES or directory_at + directory_bytes != end_at:
        raise BadUpload(
            "archive.surroundings",
            f"the zip's directory should end where its end begins, at byte {end_at}, and have at "
            f"most {MOST_DIRECTORY_BYTES} bytes; it has {directory_bytes} and ends at "
            f"{directory_at + directory_bytes}. Zip the files again",
        )
    directory = _read(file, directory_at, directory_bytes)
    members = []
    at = 0
    for _ in range(count):
        member, at = _member(directory, at)
        members.append(member)
    if at != len(directory):
        raise _damaged(f"its directory has {len(directory) - at} bytes behind the last member")
    members.sort(key=lambda member: member.header_at)
    return _fitted(file, members, directory_at)


def _end(file: IO[bytes], size: int) -> tuple[int, int, int, int]:
    """Where the directory must end, how many members, where it begins and its bytes."""
    if size < _END.size:
        raise _damaged(f"it has {size} bytes, too few for any zip")
    at = size - _END.size
    head = _END.unpack(_read(file, at, _END.size))
    if head[0] != b"PK\5\6" or head[7]:
        raise BadUpload(
            "archive.surroundings",
            "a zip must end with the end of its directory; found other bytes or a comment there. "
            "Zip the files again, without a comment and with nothing appended",
        )
    disk, first_disk, here, count, directory_bytes, directory_at = head[1:7]
    if (here, count) != (_FULL16, _FULL16) and _FULL32 not in (directory_bytes, directory_at):
        if disk or first_disk or here != count:
            raise _damaged("it is one part of several")
        return at, count, directory_at, directory_bytes
    at -= _LOCATOR.size + _END64.size
    if at < 0:
        raise _damaged("it announces a zip64 directory and has none")
    end = _END64.unpack(_read(file, at, _END64.size))
    locator = _LOCATOR.unpack(_read(file, at + _END64.size, _LOCATOR.size))
    if end[0] != b"PK\6\6" or end[1] != _END64.size - 12 or locator != (b"PK\6\7", 0, at, 1):
        raise _damaged("it announces a zip64 directory and has none")
    if end[4] or end[5] or end[6] != end[7]:
        raise _damaged("it is one part of several")
    return at, end[7], end[9], end[8]


def _member(directory: bytes, at: int) -> tuple[Member, int]:
    if at + _CENTRAL.size > len(directory) or directory[at : at + 4] != b"PK\1\2":
        raise _damaged("its directory is cut off")
    head = _CENTRAL.unpack_from(directory, at)
    flags, method, crc, packed, size = head[3], head[4], head[7], head[8], head[9]
    name_bytes, extra_bytes, comment_bytes, disk = head[10:14]
    at += _CENTRAL.size
    stop = at + name_bytes + extra_bytes + comment_bytes
    if stop > len(directory):
        raise _damaged("its directory is cut off")
    name = directory[at : at + name_bytes]
    extra = directory[at + name_bytes : at + name_bytes + extra_bytes]
    offset = head[16]
    size, packed, offset = _zip64(extra, [size, packed, offset])
    if disk or comment_bytes:
        raise _damaged("a member has a comment or lies on another disk")
    unix = head[1] >> 8 == 3
    mode = head[15] >> 16 if unix else 0
    return Member(name, flags, method, crc, packed, size, mode, offset, 0), stop


def _zip64(extra: bytes, fields: list[int]) -> list[int]:
    """Sizes that did not fit into 32 bits, from the extra field of zip64."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        body = extra[at + 4 : at + 4 + length]
        if len(body) != length:
            raise _damaged("an extra field is cut off")
        if kind == 1:
            for n, value in enumerate(fields):
                if value == _FULL32:
                    if len(body) < 8:
                        raise _damaged("its zip64 sizes are cut off")
                    fields[n] = int.from_bytes(body[:8], "little")
                    body = body[8:]
        at += 4 + length
    return fields


def _fitted(file: IO[bytes], members: list[Member], directory_at: int) -> tuple[Member, ...]:
    """The same members with where their data begin, seen to fill the file."""
    found = []
    at = 0
    for n, member in enumerate(members):
        if member.header_at != at:
            overlaps = member.header_at < at
            raise BadUpload(
                "archive.overlap" if overlaps else "archive.surroundings",
                f"member {n + 1} of the zip should begin at byte {at}; it begins at "
                f"{member.header_at}, "
                + ("inside another member" if overlaps else "behind bytes that belong to nobody")
                + ". Zip the files again",
            )
        head = _LOCAL.unpack(_read(file, at, _LOCAL.size))
        name = _read(file, at + _LOCAL.size, head[9])
        described = bool(member.flags & DESCRIPTOR)
        sizes = _zip64(_read(file, at + _LOCAL.size + head[9], head[10]), [head[8], head[7]])
        told = (head[0], name, head[2], head[3]), (head[6], sizes[1], sizes[0])
        here = (b"PK\3\4", member.raw_name, member.flags, member.method)
        there = (member.crc, member.packed_bytes, member.size_bytes)
        if told[0] != here or (told[1] != there and not (described and not any(told[1]))):
            raise BadUpload(
                "archive.headers",
                f"member {n + 1} of the zip is described in two ways, before it and in the "
                "directory at the end; zip the files again",
            )
        data_at = at + _LOCAL.size + head[9] + head[10]
        found.append(member._replace(data_at=data_at))
        at = data_at + member.packed_bytes
        if described:
            at += _descriptor(file, at, member)
        if at > directory_at:
            raise BadUpload(
                "archive.overlap",
                f"member {n + 1} of the zip reaches into its directory; zip the files again",
            )
    if at != directory_at:
        raise BadUpload(
            "archive.surroundings",
            f"{directory_at - at} bytes of the zip belong to no member; zip the files again",
        )
    return tuple(found)


def _descriptor(file: IO[bytes], at: int, member: Member) -> int:
    """Bytes of what follows a member that was written as a stream."""
    sizes = (member.packed_bytes, member.size_bytes)
    for width in ("L", "Q"):
        for mark in (b"PK\7\x08", b""):
            wide = struct.Struct(f"<L2{width}")
            fits = max(sizes) <= _FULL32 or width == "Q"
            if fits and _peek(file, at, len(mark) + wide.size) == mark + wide.pack(
                member.crc, *sizes
            ):
                return len(mark) + wide.size
    raise BadUpload(
        "archive.headers",
        "what follows a member of the zip does not agree with its directory; zip the files again",
    )


def _peek(file: IO[bytes], at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)


def _read(file: IO[bytes], at: int, count: int) -> bytes:
    data = _peek(file, at, count)
    if len(data) != count:
        raise _damaged("it is cut off")
    return data


def _damaged(why: str) -> BadUpload:
    return BadUpload("archive.damaged", f"the zip cannot be read: {why}. Zip the files again")
