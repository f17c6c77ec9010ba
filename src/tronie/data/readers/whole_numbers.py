"""Large text files of whole numbers in columns, read in blocks: millions of lines a second.

    1 <tab> 0               a RecordIO index: two columns
    11 4076 0               a list of template pairs: three

Numbers have no sign and at most 18 digits; spaces and tabs part them. Empty lines may only
stand at the end. Memory is that of the numbers of one block, whatever the file's length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadFile, BadInput, NotFound

BLOCK_BYTES = 4 << 20

_BOM = b"\xef\xbb\xbf"
_MOST_DIGITS = 18
_SHOWN = 80


def read_whole_numbers(path: Path, *, form: str) -> Iterator[NDArray[np.int64]]:
    """Blocks of rows (L, C), in the order of the file; the errors come as the blocks do.

    Args:
        form: What a line must read, a word a column; it is shown in messages.

    Raises:
        NotFound: there is no such file.
        BadFile: a line breaks the form; the message names it.
        BadInput: it may not be read.
    """
    columns = len(form.split())
    number, blank = 1, 0
    for lines in _blocks(path):
        content = lines.rstrip()
        if content and blank:
            raise BadFile(f"{path}:{blank}: is empty; a line must read '{form}'")
        if content:
            rows = _rows(content, columns)
            if rows is None:
                raise _broken(content, form, path=path, number=number)
            yield rows
        kept = content.count(b"\n") + bool(content)
        ends = lines.count(b"\n")
        blank = blank or (number + kept if ends > kept else 0)
        number += ends


def _blocks(path: Path) -> Iterator[bytes]:
    """The file in parts that end where a line does."""
    try:
        with path.open("rb") as file:
            rest = file.read(len(_BOM)).removeprefix(_BOM)
            while block := file.read(BLOCK_BYTES):
                block = rest + block
                end = block.rfind(b"\n") + 1
                if not end and len(block) > BLOCK_BYTES:
                    raise BadFile(f"{path} is no text of short lines: one has {len(block)} bytes")
                if end:
                    yield block[:end]
                rest = block[end:]
            if rest:
                yield rest
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def _rows(content: bytes, columns: int) -> NDArray[np.int64] | None:
    """The numbers, or None where some line does not hold `columns` of them and nothing else."""
    if content.translate(None, b"0123456789 \t\r\n"):
        return None
    codes = np.frombuffer(b"\n" + content + b"\n", np.uint8)
    is_digit = codes >= ord("0")
    edges = np.flatnonzero(is_digit[1:] != is_digit[:-1]) + 1
    starts, ends = edges[0::2], edges[1::2]
    breaks = np.flatnonzero(codes == ord("\n"))
    if len(starts) != columns * (len(breaks) - 1):
        return None
    if (starts[0::columns] < breaks[:-1]).any() or (
        ends[columns - 1 :: columns] > breaks[1:]
    ).any():
        return None
    lengths = ends - starts
    if lengths.max() > _MOST_DIGITS:
        return None
    values = np.zeros(len(starts), np.int64)
    for place in range(int(lengths.max())):
        digit = codes[ends - 1 - place].astype(np.int64) - ord("0")
        values += np.where(lengths > place, digit, 0) * 10**place
    return values.reshape(-1, columns)


def _broken(content: bytes, form: str, *, path: Path, number: int) -> BadFile:
    """The error for the first line that breaks the form."""
    digits = rb"[0-9]{1,%d}" % _MOST_DIGITS
    line = re.compile(rb"[ \t\r]*" + rb"[ \t\r]+".join([digits] * len(form.split())) + rb"[ \t\r]*")
    lines = content.split(b"\n")
    at = next(n for n, text in enumerate(lines) if line.fullmatch(text) is None)
    shown = lines[at][:_SHOWN].decode("utf-8", "replace").strip()
    return BadFile(f"{path}:{number + at}: must read '{form}' in whole numbers; got {shown!r}")
