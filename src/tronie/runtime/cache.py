"""The models on this machine: one folder each, whole or not there.

The cache is `$TRONIE_HOME`, else `$XDG_CACHE_HOME/tronie`, else `~/.cache/tronie`:

    models/NAME/model.onnx      the file that is run, perhaps rewritten (see `preparation`)
    models/NAME/manifest.json   SHA-256 of what was fetched and of model.onnx, licence, contract
    licenses/NAME.json          which terms were accepted, and when
    models/NAME/model.calibration.json  the user's own card, which goes before a shipped one

NAME is one word, or PACK/FILE for a model out of a pack; nothing else is a name, so that no
name leads out of the folder. A model's folder appears by one rename: of two processes that
store at once the second finds the first one's. What a killed process leaves behind is a
folder called .part-..., which is never listed and is swept a day later.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tronie.errors import BadFile, BadInput, LicenseNotAccepted, NotFound, ZooError
from tronie.provenance import file_sha256

SWEEP_AFTER_S = 86_400
"""Age at which what a killed process left behind is removed."""
_WORD = re.compile(r"\w[\w .+()@=-]{0,99}")


def home() -> Path:
    """The cache folder; it may not exist yet."""
    asked = os.environ.get("TRONIE_HOME")
    if asked:
        return Path(asked)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tronie"


def is_name(text: str) -> bool:
    """Whether `text` can name a model: NAME or PACK/FILE, each a word that stays in its folder."""
    parts = text.split("/")
    return (
        len(parts) <= 2
        and all(_WORD.fullmatch(part) for part in parts)
        and not text.endswith((".onnx", ".json"))
    )


def folder_of(name: str) -> Path:
    """Where a model of that name lies, or would.

    Raises:
        BadInput: `name` cannot name a model.
    """
    if not is_name(name):
        raise BadInput(
            f"{name!r} cannot name a model: use letters, digits, space and _ . + ( ) @ = -, "
            "beginning with a letter or digit, with at most one / between a pack and its file"
        )
    return home() / "models" / name


def is_here(name: str) -> bool:
    """Whether the cache holds a model of that name."""
    return is_name(name) and (folder_of(name) / "manifest.json").is_file()


def registered() -> tuple[str, ...]:
    """Names in the cache, packs as PACK/FILE, sorted."""
    folder = home() / "models"
    found = [*folder.glob("*/manifest.json"), *folder.glob("*/*/manifest.json")]
    names = (file.parent.relative_to(folder).as_posix() for file in found)
    return tuple(sorted(name for name in names if is_name(name)))


def store(name: str, data: bytes, told: dict[str, Any]) -> dict[str, Any]:
    """Put the bytes of a model under `name`, whole or not at all; returns its manifest.

    `told` is what the manifest says beside the name, the date and the SHA-256 of `data`; it
    must hold the SHA-256 of the file as its maker published it. A model that is there already
    stays if that agrees.

    Raises:
        BadInput: `name` cannot name a model.
        ZooError: another model has that name, or the cache cannot be written.
    """
    target = folder_of(name)
    made = {
        "name": name,
        "file_sha256": hashlib.sha256(data).hexdigest(),
        **told,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if "/" in name and (target.parent / "manifest.json").is_file():
        raise ZooError(f"{target.parent.name} is a model, and no pack can have its name")
    try:
        with _fresh_folder(target) as folder:
            (folder / "model.onnx").write_bytes(data)
            (folder / "manifest.json").write_text(json.dumps(made, indent=2) + "\n")
    except OSError as fault:
        raise ZooError(f"cannot write {target}: {fault.strerror or fault}") from fault
    there = manifest(name)
    if there["sha256"] != made["sha256"]:
        raise ZooError(
            f"there is another model {name} in {home()} (SHA-256 {there['sha256'][:12]}...); "
            f"remove {target}, or choose another name"
        )
    return there


def manifest(name: str) -> dict[str, Any]:
    """What was written down when the model was stored.

    Raises:
        BadInput, NotFound: no such name.
        BadFile: the manifest is damaged.
    """
    file = folder_of(name) / "manifest.json"
    if not file.is_file():
        raise NotFound(f"model {name} is not in {home()}; run `tronie models pull {name}`")
    try:
        found = json.loads(file.read_text("utf-8"))
        texts = [found[key] for key in ("sha256", "file_sha256", "license")]
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise BadFile(
            f"{file} is damaged ({type(fault).__name__} {fault}); remove its folder and pull again"
        ) from fault
    if not all(isinstance(text, str) for text in texts):
        raise BadFile(f"{file} is damaged (no checksums); remove its folder and pull again")
    return dict(found)


def verify(name: str) -> bool:
    """Whether the cached file of that name still has the hash it was kept with.

    Raises:
        BadInput, NotFound: no such name.
        BadFile: the manifest is damaged.
    """
    promised = manifest(name)["file_sha256"]
    file = folder_of(name) / "model.onnx"
    return file.is_file() and file_sha256(file) == promised


def require_license(
    name: str, terms: str, *, needed: bool, accepted: bool, again: str = ""
) -> None:
    """Remember an acceptance, or ask for one; `again` is what was asked to be pulled.

    Terms that changed since they were accepted have to be accepted anew.

    Raises:
        LicenseNotAccepted: it is needed, was not given now, and not before.
        BadInput: `name` cannot name a model or a pack.
        BadFile: what was written down about an acceptance is damaged.
        ZooError: it cannot be written.
    """
    if not needed:
        return
    file = home() / "licenses" / f"{folder_of(name).relative_to(home() / 'models')}.json"
    if accepted:  # a file each, so that of two processes none loses what the other wrote
        told = {"terms": terms, "date": datetime.now(UTC).isoformat(timespec="seconds")}
        part = file.with_name(f".part-{os.getpid()}-{secrets.token_hex(4)}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(told, indent=2) + "\n")
            part.replace(file)
        except OSError as fault:
            raise ZooError(f"cannot write {file}: {fault.strerror or fault}") from fault
    elif _accepted_terms(file) != terms:
        raise LicenseNotAccepted(
            f"{name} comes under: {terms}. If your use is allowed, say so once with "
            f"`tronie models pull {again or name} --accept-license`"
        )


def _accepted_terms(file: Path) -> str | None:
    if not file.is_file():
        return None
    try:
        return str(json.loads(file.read_text("utf-8"))["terms"])
    except (OSError, ValueError, TypeError, KeyError) as fault:
        raise BadFile(f"{file} is damaged ({fault}); remove it and accept again") from fault


@contextmanager
def _fresh_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target` that becomes `target` at the end, or vanishes.

    A model that is at `target` by then stays; the fresh one vanishes.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target.parent)
    scratch = target.parent / f".part-{os.getpid()}-{secrets.token_hex(4)}"
    scratch.mkdir()
    try:
        yield scratch
        if not (target / "manifest.json").is_file():
            try:
                scratch.rename(target)
            except OSError as fault:
                if not (target / "manifest.json").is_file():
                    raise ZooError(
                        f"{target} is in the way ({fault.strerror}) and is no model; is it a "
                        "pack? Remove it, or choose another name"
                    ) from fault
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left behind a day ago or more."""
    for part in folder.glob(".part-*"):
        try:
            old = time.time() - part.stat().st_mtime > SWEEP_AFTER_S
        except FileNotFoundError:  # its process is alive, and has finished
            continue
        if old:
            shutil.rmtree(part, ignore_errors=True)
