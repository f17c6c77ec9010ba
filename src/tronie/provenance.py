"""Who made this number: date, code, machine, libraries and the checksums of what went in.

    record = provenance({"pairs.txt": Path("lfw/pairs.txt"), "model": "8f2383e4..."})
    record.to_dict()                     # JSON, to lie beside the number

Only what is needed to repeat a number is kept: no user name, no host name and no path.
Inputs are named by the caller and known by their SHA-256. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from tronie.errors import BadFile, BadInput, NotFound

LIBRARIES = (
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnx",
    "openvino",
    "opencv-python-headless",
    "opencv-python",
    "pillow",
    "pillow-heif",
    "sqlalchemy",
    "torch",
)
"""Distributions whose version can change a number; those not installed are left out."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a number was made with. Every field is plain JSON."""

    date: str
    """UTC, to the second, ISO 8601."""
    version: str
    """Of tronie; "unknown" when it is imported without being installed."""
    commit: str | None
    """Git commit of the checkout it ran from; None outside a checkout."""
    dirty: bool | None
    """Whether files under src differ from that commit; None outside a checkout."""
    python: str
    platform: str
    cpu: str
    cores: int
    """Logical cores this process may use."""
    libraries: dict[str, str]
    inputs: dict[str, str]
    """Name to SHA-256, lower-case hexadecimal."""

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary, ready for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Provenance:
        """The inverse of `to_dict`.

        Raises:
            BadFile: a field is missing or unknown.
        """
        try:
            return Provenance(**record)
        except TypeError as error:
            raise BadFile(f"this provenance record cannot be read: {error}") from error


def provenance(inputs: Mapping[str, str | Path] | None = None) -> Provenance:
    """Describe this run: code, machine, libraries, and the checksum of each input.

    Args:
        inputs: Name to a file, or to a SHA-256 that is already known (64 hexadecimal digits).

    Raises:
        NotFound: an input file is not there.
        BadInput: an input is a folder, or cannot be read.
    """
    commit, dirty = _checkout()
    return Provenance(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        version=_version("tronie") or "unknown",
        commit=commit,
        dirty=dirty,
        python=platform.python_version(),
        platform=platform.platform(),
        cpu=_cpu_model(),
        cores=_usable_cores(),
        libraries={name: found for name in LIBRARIES if (found := _version(name)) is not None},
        inputs={name: _sha256_of(value) for name, value in (inputs or {}).items()},
    )


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, as 64 lower-case hexadecimal digits.

    Raises:
        NotFound: there is no such file.
        BadInput: it is a folder, or may not be read.
    """
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except FileNotFoundError:
        raise NotFound(f"cannot take the checksum of {path}: there is no such file") from None
    except OSError as error:
        raise BadInput(f"cannot take the checksum of {path}: {error.strerror}") from error
    return digest.hexdigest()


def _sha256_of(value: str | Path) -> str:
    if isinstance(value, str) and _SHA256.fullmatch(value.lower()):
        return value.lower()
    return file_sha256(value)


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _checkout() -> tuple[str | None, bool | None]:
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None, None
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return None, None
    changes = _git(root, "status", "--porcelain", "--", "src")
    return commit, None if changes is None else changes != ""


def _git(root: Path, *arguments: str) -> str | None:
    # A git hook sets GIT_DIR and its like, which would point at another repository.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            env=clean,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
