"""InsightFace model packs, and any folder or zip of ONNX files, into the zoo.

A pack is a folder or a zip with `*.onnx` in it, perhaps one level down, perhaps zips in a
zip. Each file that is a detector of a known format or an embedder is kept as PACK/FILE; the
others (landmarks, attributes) are named and left where they are. A single .onnx file is kept
under its own name. Nothing is unpacked to disk but the models that are kept; one model is in
memory at a time, and number, size, sum of sizes, depth and the ratio of compression are
bounded.

A file that the catalogue knows by its SHA-256 comes under the licence the catalogue states.
The packs of that project are for non-commercial research; a pack does not say so itself, so
the licence of every other file is accepted by whoever pulls it, once a pack. A source is read
twice: nothing is kept before everything was looked at and every licence accepted.
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
from tronie.runtime.entries import Entry, entry_of_file
from tronie.runtime.session import EngineOptions, session_of

MAX_FILES = 64
MAX_MEMBERS = 2000
"""Files of any kind in a zip and the zips in it."""
MAX_UNPACKED_BYTES = 2 * graph.MAX_MODEL_BYTES
"""Of all that is unpacked of one source, inner zips included."""
MAX_FILE_BYTES = graph.MAX_MODEL_BYTES
MAX_DEPTH = 3
MAX_RATIO = 100
"""Weights hardly compress; what shrinks more than this is made to fill a disk."""
TERMS = "not stated in the pack; InsightFace's packs are for non-commercial research only"

_DAMAGED = (
    *(zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError),
    *(OSError, ValueError, zlib.error, lzma.LZMAError),
)


class _Planned(NamedTuple):
    """A file that will be kept, as it was found in the first reading."""

    name: str
    sha256: str
    known: Entry | None
    contract: Contract


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
        LicenseNotAccepted: nobody has accepted the terms of a file that needs it.
        ZooError: the zip is damaged, too deep or too large, or holds no usable model.
    """
    if not source.exists():
        raise NotFound(f"no model pack at {source}; give a folder of .onnx files, or a zip")
    resolved = source.resolve()
    pack = name or (resolved.name if resolved.is_dir() else resolved.stem)
    cache.folder_of(f"{pack}/any")
    planned, left = _plan(resolved, pack)
    if not planned:
        why = "".join(f"; {sentence}" for sentence in left)
        raise ZooError(f"{source} holds no detector and no embedder{why}")
    for owner, terms in sorted({_terms(plan.known, pack) for plan in planned.values()}):
        zoo.require_license(
            owner,
            terms,
            needed=owner == pack or zoo.entry(owner).needs_acceptance,
            accepted=accept_license,
            again=str(source),
        )
    kept = [
        _kept(planned[number], data)
        for number, (_, data) in enumerate(_models(resolved))
        if number in planned
    ]
    return Pulled(tuple(kept), tuple(left))


def _plan(source: Path, pack: str) -> tuple[dict[int, _Planned], list[str]]:
    """What to keep, by its place among the models of `source`, and why the others are left."""
    planned: dict[int, _Planned] = {}
    left: list[str] = []
    for number, (place, data) in enumerate(_models(source)):
        single = source.is_file() and place == source.name
        registered = pack if single else f"{pack}/{PurePosixPath(place).stem}"
        if any(plan.name == registered for plan in planned.values()):
            left.append(f"{place} was left out: {registered} is kept already")
            continue
        if not cache.is_name(registered):
            left.append(f"{place!r} was left out: {registered!r} cannot name a model")
            continue
        sha256 = hashlib.sha256(data).hexdigest()
        known = entry_of_file(sha256)
        try:
            contract = _contract(registered, data, known)
        except (BadModel, BadFile) as fault:
            left.append(f"{place} was left out: {fault}")
            continue
        planned[number] = _Planned(registered, sha256, known, contract)
    return planned, left


def _terms(known: Entry | None, pack: str) -> tuple[str, str]:
    """Under which name a licence is accepted, and its terms."""
    if known is None:
        return pack, TERMS
    return known.name, f"{known.license}, {known.allowed_use}"


def _kept(plan: _Planned, data: bytes) -> zoo.ModelFile:
    return zoo.keep(
        plan.name,
        data,
        sha256=plan.sha256,
        license_text=plan.known.license if plan.known else TERMS,
        allowed_use=plan.known.allowed_use if plan.known else "see the licence",
        contract=plan.contract,
    )


def _contract(name: str, data: bytes, known: Entry | None) -> Contract:
    """What the catalogue knows of the file, else what its inputs and outputs tell.

    Raises:
        BadModel: neither a detector nor an embedder, or it cannot be opened.
    """
    model = graph.parse_graph(data, name=name)
    session = session_of(model, EngineOptions(threads=1, precision="stored"), name=name)
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
        found = _in_zip(io.BytesIO(_read(source)), source.name, _Budget(), depth=1)
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


class _Budget:
    """What may still be unpacked of one source, its inner zips included."""

    def __init__(self) -> None:
        self._members, self._unpacked_bytes = 0, 0

    def members(self, count: int, name: str) -> None:
        """Account for the members of one more zip."""
        self._members += count
        if self._members > MAX_MEMBERS:
            raise ZooError(f"{name}: more than {MAX_MEMBERS} files lie in the zip; refused")

    def unpack(self, size_bytes: int, name: str) -> None:
        """Account for one member, before it is unpacked."""
        self._unpacked_bytes += size_bytes
        if self._unpacked_bytes > MAX_UNPACKED_BYTES:
            raise ZooError(
                f"{name}: the zip would unpack to more than {MAX_UNPACKED_BYTES} bytes; refused"
            )


def _in_zip(
    stream: IO[bytes], name: str, budget: _Budget, *, depth: int
) -> Iterator[tuple[str, bytes]]:
    """The models of a zip and of the zips in it, read into memory under bounds."""
    if depth > MAX_DEPTH:
        raise ZooError(f"{name} lies deeper than {MAX_DEPTH} zips; refused")
    try:
        pack = zipfile.ZipFile(stream)
        items = sorted(pack.infolist(), key=lambda item: item.filename)
    except _DAMAGED as fault:
        raise ZooError(f"{name} is no readable zip: {fault}") from fault
    budget.members(len(items), name)
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
            budget.unpack(item.file_size, name)
            try:
                content = pack.read(item)
            except _DAMAGED as fault:
                raise ZooError(f"{name}: {item.filename} cannot be read: {fault}") from fault
            if suffix == ".onnx":
                yield item.filename, content
            else:
                place = f"{name}/{item.filename}"
                yield from _in_zip(io.BytesIO(content), place, budget, depth=depth + 1)
