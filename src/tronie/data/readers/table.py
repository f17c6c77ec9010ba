"""A table with named columns: a CSV file that says of each row of a matrix what it is.

    id,subject,group            the column names
    0001.jpg,17,African         one line a row of the feature matrix, in the same order

Fields are text, as written; commas part them, and quotes hold what has a comma in it (RFC
4180). UTF-8, with or without a byte order mark; lines end in LF or CRLF.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from tronie.errors import BadFile, BadInput, NotFound

_ROWS_AT_ONCE = 8192


def read_table(
    path: str | Path, *, required: Sequence[str], optional: Sequence[str] = ()
) -> Mapping[str, tuple[str, ...]]:
    """The columns of a table: a name to the field of every line, in the order of the file.

    Args:
        required: Columns that must be there, in any order.
        optional: Columns that may be. Any other is refused, since a misspelled name would
            otherwise be passed over in silence.

    Returns:
        The columns that are there, in the order of the file, all of one length.

    Raises:
        NotFound: there is no such file.
        BadFile: a column is missing, unknown or there twice, a line has too many or too few
            fields, or there is no line.
        BadInput: it may not be read.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            return _read(file, str(path), required=required, optional=optional)
    except FileNotFoundError:
        raise NotFound(f"there is no table {path}") from None
    except UnicodeDecodeError as error:
        raise BadFile(f"{path} is not UTF-8 text: {error.reason}") from error
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def _read(
    file: TextIO, path: str, *, required: Sequence[str], optional: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    rows = _rows(file, path)
    names = next(rows, None)
    if names is None:
        raise BadFile(
            f"{path} is empty; its first line must name its columns: {','.join(required)}"
        )
    _check_columns(names, path, required=required, optional=optional)
    columns: list[list[str]] = [[] for _ in names]
    waiting: list[list[str]] = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == _ROWS_AT_ONCE:
            _move(waiting, columns)
    _move(waiting, columns)
    if not columns[0]:
        raise BadFile(f"{path} has no line below its column names")
    return {name: tuple(column) for name, column in zip(names, columns, strict=True)}


def _rows(file: TextIO, path: str) -> Iterator[list[str]]:
    """Rows of as many fields as the first; empty lines may only stand at the end."""
    reader = csv.reader(file, strict=True)
    width, empty = 0, 0
    try:
        for row in reader:
            if not row:
                empty = empty or reader.line_num
                continue
            if empty:
                raise BadFile(f"{path}:{empty}: is empty; each line is a row of the table")
            width = width or len(row)
            if len(row) != width:
                raise BadFile(
                    f"{path}:{reader.line_num}: has {len(row)} fields; "
                    f"there are {width} column names"
                )
            yield row
    except csv.Error as error:
        raise BadFile(f"{path}:{reader.line_num}: is no line of a CSV file: {error}") from error


def _move(rows: list[list[str]], columns: list[list[str]]) -> None:
    """Append `rows` to the columns, and empty `rows`."""
    for column, fields in zip(columns, zip(*rows, strict=True), strict=False):
        column.extend(fields)
    rows.clear()


def _check_columns(
    names: Sequence[str], path: str, *, required: Sequence[str], optional: Sequence[str]
) -> None:
    known = [*required, *optional]
    holds = f"its columns are {', '.join(names)}"
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name.strip().lower(), known, n=1)
            suggestion = f". Did you mean {near[0]!r}?" if near else "."
            raise BadFile(
                f"{path}:1: unknown column {name!r}{suggestion} It may hold: {', '.join(known)}"
            )
        if names.count(name) > 1:
            raise BadFile(f"{path}:1: the column {name!r} is there twice; {holds}")
    missing = [name for name in required if name not in names]
    if missing:
        raise BadFile(f"{path}:1: lacks the column {', '.join(map(repr, missing))}; {holds}")
