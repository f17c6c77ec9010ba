"""A secret in a file of its own: made once with random bytes, readable by its owner alone."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from tronie.errors import BadInput

SECRET_BYTES = 32


def kept_secret(file: Path) -> bytes:
    """The bytes of a file, which is made with SECRET_BYTES random ones where it is not there.

    Several processes may begin at once, and be killed: the file is there whole or not at all.
    What is there already is never changed; that it has SECRET_BYTES is for the caller to see.

    Raises:
        BadInput: it cannot be written, or not be read.
    """
    part = file.with_name(f"{file.name}.{secrets.token_hex(8)}.part")
    try:
        if not file.exists():
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as out:
                out.write(secrets.token_bytes(SECRET_BYTES))
                out.flush()
                os.fsync(out.fileno())
            with contextlib.suppress(FileExistsError):  # another was first, and its bytes count
                file.hardlink_to(part)
        return file.read_bytes()
    except OSError as fault:
        raise BadInput(f"{file} cannot be written and read: {fault.strerror}") from fault
    finally:
        part.unlink(missing_ok=True)
