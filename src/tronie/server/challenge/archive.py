"""What a team sends: model.onnx, alone or in a zip; for some tracks a feature matrix beside it.

    model       FILE.onnx, or a zip of exactly model.onnx
    features    a zip of exactly model.onnx and one of features.npy, features.bin, features.fea

Names in a zip are compared and never used as paths. Members are read as a stream: no more bytes
are taken than were announced, and no more than the track allows, whatever a header says. The
matrix goes into a file of a fresh private folder, under a name of ours.

Source: submission guides of the MFR21 (zip of model.onnx) and LFR19 (matrix) challenges.
"""

from __future__ import annotations

import stat
import tempfile
import unicodedata
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Literal

from tronie.errors import BadInput, NotFound
from tronie.server.challenge.track import Limits
from tronie.server.challenge.zip_directory import (
    DEFLATED,
    STORED,
    BadUpload,
    Member,
    read_directory,
)

MODEL = "model.onnx"
MATRICES = ("features.npy", "features.bin", "features.fea")
MOST_MODEL_BYTES = 2**31 - 1
"""A protobuf cannot be larger."""
MOST_PACKED = 2
"""Bytes of a matrix from one of the upload, where the track does not say how many rows there are;
embeddings are noise to a packer."""
MATRIX_HEADER_BYTES = 2**12
MOST_RATIO = 64
"""Bytes that come out of one byte; weights give at most 10."""
SMALL_BYTES = 2**20
"""A member up to this size may be packed as tightly as it likes."""

_CHUNK = 1 << 20
_ARCHIVES = {
    b"PK\3\4": "zip",
    b"PK\5\6": "zip",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!": "RAR",
    b"\x28\xb5\x2f\xfd": "Zstandard",
}
_NESTED = (".zip", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".tar", ".zst")


class Upload:
    """What was sent, taken out of its wrapping; close it, since a matrix lies on the disk."""

    def __init__(
        self, model: bytes, features: Path | None, folder: tempfile.TemporaryDirectory[str] | None
    ) -> None:
        self.model = model
        """The bytes of model.onnx."""
        self.features = features
        """A file of ours with the matrix; None where the track takes none."""
        self._folder = folder

    def close(self) -> None:
        """Remove the matrix."""
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Upload:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_upload(
    path: str | Path,
    *,
    kind: Literal["model", "features"],
    limits: Limits,
    rows: int | None = None,
    workspace: Path | None = None,
) -> Upload:
    """Read what a team sent.

    Args:
        path: Of the file; its name is not looked at.
        kind: What the track takes.
        limits: `upload_bytes`, `model_bytes` and `dimension` bound what is read.
        rows: Of the matrix, where the track says it.
        workspace: Where the matrix is put; the system's folder for temporary files by default.

    Raises:
        NotFound: there is no such file.
        BadInput: it cannot be read, or the workspace cannot be written.
        BadUpload: it breaks a rule, "archive.what"; the sentence is for the team.
    """
    file = Path(path)
    if not file.is_file():
        raise NotFound(f"no file at {file}; give the path of model.onnx or of a zip")
    size = file.stat().st_size
    if size > limits.upload_bytes:
        raise BadUpload(
            "archive.size",
            f"the file has {size} bytes; this track takes at most {limits.upload_bytes}",
        )
    try:
        with file.open("rb") as opened:
            return _opened(opened, size, kind, limits, rows, workspace)
    except OSError as fault:
        raise BadInput(f"{file.name} cannot be read, or unpacked: {fault.strerror}") from fault


def _opened(
    file: IO[bytes],
    size: int,
    kind: Literal["model", "features"],
    limits: Limits,
    rows: int | None,
    workspace: Path | None,
) -> Upload:
    form = _form(file.read(8))
    most_model = min(MOST_MODEL_BYTES, limits.model_bytes or MOST_MODEL_BYTES)
    if form != "zip":
        if form or kind == "features":
            asked = f"{MODEL}, or a zip of it" if kind == "model" else _asked(kind)
            raise BadUpload(
                "archive.kind", f"this track takes {asked}; got {form or 'a file that is no zip'}"
            )
        _expect_room("the file", size, most_model, "limits.model_bytes")
        file.seek(0)
        return Upload(file.read(), None, None)
    members = _named(read_directory(file, size), kind)
    _expect_room(MODEL, members[MODEL].size_bytes, most_model, "limits.model_bytes")
    if kind == "model":
        return Upload(b"".join(_stream(file, members[MODEL], MODEL)), None, None)
    matrix = next(name for name in members if name != MODEL)
    most = (
        MATRIX_HEADER_BYTES + 4 * rows * limits.dimension
        if rows
        else MOST_PACKED * limits.upload_bytes
    )
    _expect_room(matrix, members[matrix].size_bytes, most, "archive.matrix_bytes")
    folder = tempfile.TemporaryDirectory(prefix="tronie-upload-", dir=workspace)
    try:
        features = Path(folder.name) / "matrix"
        with features.open("xb") as out:
            for piece in _stream(file, members[matrix], matrix):
                out.write(piece)
        return Upload(b"".join(_stream(file, members[MODEL], MODEL)), features, folder)
    except BaseException:
        folder.cleanup()
        raise


def _form(head: bytes) -> str:
    """The archive that a file is by its first bytes; empty for anything else."""
    return next((form for magic, form in _ARCHIVES.items() if head.startswith(magic)), "")


def _asked(kind: str) -> str:
    more = "" if kind == "model" else f" and one of {', '.join(MATRICES)}"
    return f"a zip of {MODEL}{more}"


def _expect_room(what: str, size: int, most: int, rule: str) -> None:
    if size > most:
        raise BadUpload(rule, f"{what} has {size} bytes; this track takes at most {most}")


def _named(members: tuple[Member, ...], kind: Literal["model", "features"]) -> dict[str, Member]:
    """The members by name, exactly those that are asked for."""
    found: dict[str, Member] = {}
    for member in members:
        name = _name(member.raw_name)
        _expect_plain_file(member, name)
        folded = unicodedata.normalize("NFKC", name).casefold()
        if folded in {other.casefold() for other in found}:
            raise BadUpload(
                "archive.duplicate",
                f"the zip holds {name!a} twice, or two names that some systems take for one; "
                "zip the files again",
            )
        found[name] = member
    allowed = {MODEL, *(MATRICES if kind == "features" else ())}
    strange = next((name for name in found if name not in allowed), None)
    if strange is not None:
        raise BadUpload(
            "archive.members",
            f"this track takes {_asked(kind)} and nothing else; the zip also holds "
            f"{strange[:80]!a}. Zip it as in: zip submission.zip {MODEL}",
        )
    if MODEL not in found or len(found) != (1 if kind == "model" else 2):
        raise BadUpload(
            "archive.missing",
            f"this track takes {_asked(kind)}; the zip holds {', '.join(found) or 'nothing'}",
        )
    return found


def _name(raw: bytes) -> str:
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        name = ""
    if not name or any(unicodedata.category(c)[0] in "CZ" and c != " " for c in name):
        raise BadUpload(
            "archive.name",
            f"a member of the zip is called {raw[:80]!a}, which is not plain UTF-8 text; call "
            f"it {MODEL}",
        )
    return name


def _expect_plain_file(member: Member, name: str) -> None:
    """No path, no folder, no link, nothing locked or wrapped, no bomb."""
    shown = ascii(name[:80])
    kind = stat.S_IFMT(member.mode)
    if kind == stat.S_IFLNK or kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadUpload(
            "archive.link", f"{shown} in the zip is a link or a device; send the file itself"
        )
    if name.endswith("/") or kind == stat.S_IFDIR:
        raise BadUpload(
            "archive.folder",
            f"{shown} in the zip is a folder; put {MODEL} at the top, as in: zip -j "
            f"submission.zip path/{MODEL}",
        )
    if "/" in name or "\\" in name or ":" in name or PurePosixPath(name).name in ("", ".", ".."):
        raise BadUpload(
            "archive.path",
            f"{shown} in the zip is a path; put {MODEL} at the top, as in: zip -j submission.zip "
            f"path/{MODEL}",
        )
    if member.encrypted:
        raise BadUpload(
            "archive.encrypted", f"{shown} in the zip is encrypted; zip it without a password"
        )
    if name.lower().endswith(_NESTED):
        raise BadUpload(
            "archive.nested", f"{shown} is an archive inside the zip; zip the file itself"
        )
    if member.method not in (STORED, DEFLATED):
        raise BadUpload(
            "archive.compression",
            f"{shown} in the zip is packed by method {member.method}; only store (0) and deflate "
            "(8) are read",
        )
    if member.size_bytes > max(SMALL_BYTES, MOST_RATIO * member.packed_bytes):
        raise BadUpload(
            "archive.ratio",
            f"{shown} would unpack from {member.packed_bytes} to {member.size_bytes} bytes, more "
            f"than {MOST_RATIO} times as many; no weights or features do",
        )


def _stream(file: IO[bytes], member: Member, name: str) -> Iterator[bytes]:
    """The bytes of a member in pieces, never more than it announces.

    Raises:
        BadUpload: it gives more or fewer bytes than announced, or others.
    """
    left, crc = member.size_bytes, 0
    inflate = zlib.decompressobj(-15) if member.method == DEFLATED else None
    for block in _blocks(file, member, name):
        while True:
            # One byte more than announced is enough to know, and a bound of 0 would be none.
            most = min(_CHUNK, left + 1)
            try:
                piece = inflate.decompress(block, most) if inflate else block
            except zlib.error as fault:
                raise BadUpload(
                    "archive.damaged", f"{name} in the zip is damaged: {fault}. Zip it again"
                ) from fault
            block = inflate.unconsumed_tail if inflate else b""
            if left == member.size_bytes:
                _expect_no_archive(piece, name)
            left -= len(piece)
            if left < 0:
                raise _lies(name)
            crc = zlib.crc32(piece, crc)
            yield piece
            if not block and len(piece) < most:
                break
    if left or crc != member.crc or (inflate and (not inflate.eof or inflate.unused_data)):
        raise _lies(name)


def _blocks(file: IO[bytes], member: Member, name: str) -> Iterator[bytes]:
    """The packed bytes of a member."""
    file.seek(member.data_at)
    packed = member.packed_bytes
    while packed > 0:
        block = file.read(min(_CHUNK, packed))
        if not block:
            raise _lies(name)
        packed -= len(block)
        yield block


def _expect_no_archive(head: bytes, name: str) -> None:
    if form := _form(head):
        raise BadUpload(
            "archive.nested", f"{name} in the zip is itself {form}; zip the file itself"
        )


def _lies(name: str) -> BadUpload:
    return BadUpload(
        "archive.sizes",
        f"{name} in the zip does not unpack to the bytes that were announced; zip it again",
    )
