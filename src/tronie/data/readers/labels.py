"""Labels: whose a row is, or in what group: one short text each.

A label is a line of a text file or a field of a table. Blanks around it are no part of it, so
that one person is not taken for two; a line without a label is refused, since every row has one.
A label has 256 characters at most: an array of texts takes as much room for each as for the
longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.text_lines import read_lines
from tronie.errors import BadFile

LONGEST = 256


def read_label_lines(path: Path) -> NDArray[np.str_]:
    """The labels of a text file, one a line: (N,).

    Raises:
        NotFound: there is no such file.
        BadFile: it is no UTF-8 text, or a line is blank or holds no label.
        BadInput: it may not be read.
    """
    return labels_of(read_lines(path), path=path)


def labels_of(
    fields: Sequence[str], *, path: str | Path, first_line: int = 1, or_none: bool = False
) -> NDArray[np.str_]:
    """Labels (N,) from lines of a file, or from a column of a table.

    Args:
        fields: One a line.
        path: Of the file that they are from.
        first_line: Of the file that has a label: 2 below a header.
        or_none: A blank field is "" and stands for no label, as in an attribute that not
            every row has.

    Raises:
        BadFile: a field is blank, too long or holds a NUL; the message names the line.
    """
    labels = [field.strip() for field in fields]
    for line, label in enumerate(labels, start=first_line):
        if not (label or or_none):
            raise BadFile(f"{path}:{line} is blank; each row has a label (-1: nobody known)")
        if len(label) > LONGEST:
            raise BadFile(
                f"{path}:{line}: a label has {LONGEST} characters at most; this one has "
                f"{len(label)}"
            )
        if "\0" in label:
            raise BadFile(f"{path}:{line}: a label holds no NUL; got {label!r}")
    return np.array(labels, np.str_)
