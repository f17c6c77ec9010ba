"""YouTube Faces: the pairs of videos in splits.txt.

    split number, pair number, first name, second name, ..., is same      a line of names
    1, 1, Ada_Lovelace/0, Ada_Lovelace/3, 1                               5,000 lines

Fields are parted by commas, with or without a space. A video is a person's name and a number.
Where there are six fields, as in splits_corrected.txt, the last one says whether a pair shows
one person, and the one before it what was thought first.

Source: Wolf, Hassner and Maoz, "Face Recognition in Unconstrained Videos with Matched
Background Similarity", CVPR 2011.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.text_lines import read_lines
from tronie.errors import BadFile

_FORM = "SPLIT, PAIR, FIRST/N, SECOND/N, 0|1"


class VideoPairs(NamedTuple):
    """One row a pair, in the order of the file."""

    first: tuple[str, ...]
    """(P,): videos, such as "Ada_Lovelace/0"."""
    second: tuple[str, ...]
    same: NDArray[np.bool_]
    """(P,): whether they show one person."""
    folds: NDArray[np.int64]
    """(P,): the split each belongs to, as it is numbered in the file."""


def read_splits(path: str | Path) -> VideoPairs:
    """The pairs of splits.txt or splits_corrected.txt; the first line holds names and is passed.

    Raises:
        NotFound: there is no such file.
        BadFile: a line breaks the form, or there is none.
    """
    lines = read_lines(Path(path))
    pairs = [
        _pair(line, where=f"{path}:{n}")
        for n, line in enumerate(lines[1:], start=2)
        if line.strip()
    ]
    if not pairs:
        raise BadFile(f"{path} has no line '{_FORM}' below its first, which holds names")
    folds, first, second, same = zip(*pairs, strict=True)
    return VideoPairs(first, second, np.array(same, np.bool_), np.array(folds, np.int64))


def _pair(line: str, *, where: str) -> tuple[int, str, str, bool]:
    fields = [field.strip() for field in line.split(",")]
    numbers = fields[:2] + fields[4:]
    whole = len(fields) in (5, 6) and all(
        field.isascii() and field.isdecimal() and len(field) < 10 for field in numbers
    )
    if not whole or any("/" not in video for video in fields[2:4]) or int(fields[-1]) > 1:
        raise BadFile(f"{where}: must read '{_FORM}'; got {line.strip()!r}")
    return int(fields[0]), fields[2], fields[3], fields[-1] == "1"
