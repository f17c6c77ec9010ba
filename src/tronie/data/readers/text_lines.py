"""Lines of a text file, and the numbers on them; what is wrong is told as file:line."""

from __future__ import annotations

import math
from pathlib import Path

from tronie.errors import BadFile, BadInput, NotFound


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, without their ends.

    Raises:
        NotFound: there is no such file.
        BadFile: it is no UTF-8 text.
        BadInput: it may not be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    return lines_of(data, where=str(path))


def lines_of(data: bytes, *, where: str) -> list[str]:
    """The lines of a text that was read, without their ends.

    Raises:
        BadFile: it is no UTF-8 text; the message begins with `where`.
    """
    try:
        return data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise BadFile(f"{where} is not UTF-8 text: {error.reason} at byte {error.start}") from error


def read_numbers(line: str, *, where: str) -> list[float]:
    """The numbers of a line.

    Raises:
        BadFile: something in it is no finite number; the message begins with `where`.
    """
    try:
        values = [float(field) for field in line.split()]
    except ValueError:
        raise BadFile(f"{where}: must hold numbers only; got {line.strip()!r}") from None
    if not all(map(math.isfinite, values)):
        raise BadFile(f"{where}: must hold finite numbers; got {line.strip()!r}")
    return values


def read_count(line: str, *, where: str) -> int:
    """The count that stands alone on a line.

    Raises:
        BadFile: it is none.
    """
    word = line.strip()
    if not (word.isascii() and word.isdecimal() and len(word) < 10):
        raise BadFile(f"{where}: must hold the number of faces that follow; got {word!r}")
    return int(word)
