"""Small files that a reader finds whole, as they were before, or not at all; JSON objects in them.

A file is written under a name nobody can guess, brought to the disk, and renamed.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from tronie.errors import BadFile, BadInput, NotFound


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path`, in place of what was there.

    Raises:
        BadInput: it cannot be written.
    """
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def read_json(path: Path, *, lacking: str) -> Any:
    """The JSON in a file.

    Args:
        lacking: What is said where there is no such file.

    Raises:
        NotFound: there is none.
        BadFile: it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(lacking) from None
    except (OSError, ValueError) as error:
        raise BadFile(f"{path} cannot be read: {error}") from error


def read_object(path: Path, *, lacking: str) -> dict[str, Any]:
    """The JSON object in a file.

    Args:
        lacking: What is said where there is no such file.

    Raises:
        NotFound: there is none.
        BadFile: it cannot be read, or holds something else.
    """
    record = read_json(path, lacking=lacking)
    if not isinstance(record, dict):
        raise BadFile(f"{path} must hold an object; it holds {record!r:.40}")
    return record
