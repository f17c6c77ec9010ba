"""Files that verbs write: refused before the work where they cannot be, whole or not there.

A file is written under a name nobody can guess, then renamed, so that a reader finds the
old one or the new one. What stands at a name and is no plain file (a folder, a device) is
left alone; of a link, the link is replaced and not what it points at.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from tronie.errors import BadInput, NotFound


def writable_folder(folder: Path, *, option: str) -> None:
    """Make the folder if it is not there, and see that files can be made in it.

    Raises:
        BadInput: it cannot be; `option` is what the message calls it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise BadInput(f"{option} {folder} is a file; name a folder") from None
    except (OSError, ValueError) as fault:
        raise BadInput(f"{option} {folder} cannot be made: {_reason(fault)}") from fault
    _refuse_locked(folder, option)


def writable_file(file: Path, *, option: str) -> None:
    """See that a file can be made, or replaced, under this name.

    Raises:
        NotFound: its folder is not there.
        BadInput: something else stands there, or the folder cannot be written.
    """
    try:
        if not file.parent.is_dir():
            raise NotFound(f"{option} {file}: there is no folder {file.parent}; make it first")
        if file.is_dir():
            raise BadInput(f"{option} {file} is a folder; name a file")
        if file.exists() and not file.is_file():
            raise BadInput(f"{option} {file} is no plain file, and is not replaced")
    except (OSError, ValueError) as fault:
        raise BadInput(f"{option} {file} cannot be used: {_reason(fault)}") from fault
    _refuse_locked(file.parent, option)


@contextmanager
def whole(*files: Path) -> Iterator[list[BinaryIO]]:
    """Open files to be written, one for each name; they take their names when all is done.

    If anything fails none of the names is touched, but for the renames themselves, which
    come at the very end and one after another.

    Raises:
        BadInput: a file cannot be written.
    """
    made: list[Path] = []
    try:
        with ExitStack() as opened:
            handles: list[BinaryIO] = []
            for file in files:
                part = file.with_name(f".{secrets.token_hex(8)}.part")
                handles.append(opened.enter_context(part.open("xb")))
                made.append(part)
            yield handles
        for part, file in zip(made, files, strict=True):
            part.replace(file)
    except OSError as fault:
        names = " and ".join(map(str, files))
        raise BadInput(f"cannot write {names}: {_reason(fault)}") from fault
    finally:
        for part in made:
            part.unlink(missing_ok=True)  # those that have not taken their name


def _refuse_locked(folder: Path, option: str) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"{option}: the folder {folder} may not be written; choose another")


def _reason(fault: Exception) -> str:
    return getattr(fault, "strerror", None) or str(fault)
