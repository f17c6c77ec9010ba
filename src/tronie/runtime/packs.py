"""InsightFace model packs, and any folder or zip of ONNX files, into the zoo.

A pack is a folder or a zip with `*.onnx` in it, perhaps one level down, perhaps zips in a
zip. Each file that is a detector of a known format or an embedder is kept as PACK/FILE; the
others (landmarks, attributes) are named and left where they are. A single .onnx file is kept
under its own name. Nothing is unpacked to disk but the models that are kept; one model is in
memory at a time, and number, size, depth and the ratio of compression are bounded.

The packs of that project are for non-commercial research; a pack does not say so itself, so
its licence is accepted by whoever pulls it, once.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from tronie.errors import BadFile, BadModel, NotFound, ZooError
from tronie.runtime import cache, graph, zoo
from tronie.runtime.contract import Contract, infer_contract
from tronie.runtime.entries import entry_of_file
from tronie.runtime.session import EngineOptions, session_of

MAX_FILES = 64
MAX_FILE_BYTES = graph.MAX_MODEL_BYTES
MAX_DEPTH = 3
MAX_RATIO = 100
"""Weights hardly compress; what shrinks more than this is made to fill a disk."""
TERMS = "not stated in the pack; InsightFace's packs are for non-commercial research only"

_DAMAGED = (
    *(zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError),
    *(OSError, ValueError, zlib.error, lzma.LZMAError),
)


class Pulled(NamedTuple):
    """What became of the files of a pack."""

    kept: tuple[zoo.ModelFile, ...]
    left: tuple[str, ...]
    """One sentence for each file that is no model this package runs."""


def pull_pack(source: Path, *, name: str | None = None, accept_license: bool = False) -> Pulled:
    """Register every detector and embedder of a folder or zip under PACK/FILE.

    `source` may be a single .onnx file too, which is registered under NAME; `name` is by
    default that of the folder or file.

    Raises:
        NotFound: no such folder, zip or file.
        BadInput: `name` cannot name a pack.
        LicenseNotAccepted: nobody has accepted the pack's terms.
        ZooError: the zip is damaged, too deep or too large, or holds no usable model.
    """
    if not source.exists():
        raise NotFound(f"no model pack at {source}; give a folder of .onnx files, or a zip")
    resolved = source.resolve()
    pack = name or (resolved.name if resolved.is_dir() else resolved.stem)
    cache.folder_of(f"{pack}/any")
    zoo.require_license(pack, TERMS, needed=True, accepted=accept_license, again=str(source))
    kept: dict[str, zoo.ModelFile] = {}
    left: list[str] = []
    for place, data in _models(resolved):
        single = resolved.is_file() and place == resolved.name
        registered = pack if single else f"{pack}/{PurePosixPath(place).stem}"
        if registered in kept:
            left.append(f"{place} was left out: {registered} is kept already")
            continue
        if not cache.is_name(registered):
            left.append(f"{place!r} was left out: {registered!r} cannot name a model")
            continue
        sha256 = hashlib.sha256(data).hexdigest()
        try:
            contract = _contract(registered, data, sha256)
        except (BadModel, BadFile) as fault:
            left.append(f"{place} was left out: {fault}")
            continue
        kept[registered] = zoo.keep(
            registered,
            data,
            sha256=sha256,
            license_text=TERMS,
            allowed_use="see the licence",
            contract=contract,
        )
    if not kept:
        why = "".join(f"; {sentence}" for sentence in left)
        raise ZooError(f"{source} holds no detector and no embedder{why}")
    return Pulled(tuple(kept.values()), tuple(left))


def _contract(name: str, data: bytes, sha256: str) -> Contract:
    """What the catalogue knows of the file, else what its inputs and outputs tell.

    Raises:
        BadModel: neither a detector nor an embedder, or it cannot be opened.
    """
    model = graph.parse_graph(data, name=name)
    session = session_of(model, EngineOptions(threads=1, precision="stored"), name=name)
    known = entry_of_file(sha256)
    return known.contract if known else infer_contract(session)


def _models(source: Path) -> Iterator[tuple[str, bytes]]:
    """Place in the pack and bytes of each .onnx file, sorted by place, one at a time."""
    found: Iterator[tuple[str, bytes]]
    if source.is_dir():
        files = [f for f in sorted(source.rglob("*.onnx")) if f.is_file()]
        found = ((f.relative_to(source).as_posix(), _read(f)) for f in files)
    elif source.suffix.lower() == ".onnx":
        found = ((place, _read(source)) for place in [source.name])
    else:
        found = _in_zip(io.BytesIO(_read(source)), source.name, depth=1)
    for number, model in enumerate(found):
        if number == MAX_FILES:
            raise ZooError(f"{source} holds more than {MAX_FILES} models; refused")
        yield model


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise ZooError(f"{file} has more than {MAX_FILE_BYTES} bytes; refused")
        return file.read_bytes()
    except OSError as fault:
        raise ZooError(f"{file} cannot be read: {fault.strerror}") from fault


def _in_zip(stream: IO[bytes], name: str, *, depth: int) -> Iterator[tuple[str, bytes]]:
    """The models of a zip and of the zips in it, read into memory under bounds."""
    if depth > MAX_DEPTH:
        raise ZooError(f"{name} lies deeper than {MAX_DEPTH} zips; refused")
    try:
        pack = zipfile.ZipFile(stream)
        items = sorted(pack.infolist(), key=lambda item: item.filename)
    except _DAMAGED as fault:
        raise ZooError(f"{name} is no readable zip: {fault}") from fault
    with pack:
        for item in items:
            suffix = PurePosixPath(item.filename).suffix.lower()
            if item.is_dir() or suffix not in (".onnx", ".zip"):
                continue
            if item.file_size > min(MAX_FILE_BYTES, MAX_RATIO * (item.compress_size + 10_000)):
                raise ZooError(
                    f"{name}: {item.filename} would unpack {item.compress_size} bytes to "
                    f"{item.file_size}; refused"
                )
            try:
                content = pack.read(item)
            except _DAMAGED as fault:
                raise ZooError(f"{name}: {item.filename} cannot be read: {fault}") from fault
            if suffix == ".onnx":
                yield item.filename, content
            else:
                place = f"{name}/{item.filename}"
                yield from _in_zip(io.BytesIO(content), place, depth=depth + 1)
