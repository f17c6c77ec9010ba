"""Published ROC files, as the pages of LFW hold them: two rates a line.

    0.999000 0.501333           true positive rate, false positive rate

Spaces, tabs or a comma part the two; lines that begin with a percent sign, and a first line
of words, are passed over. Some authors wrote the two rates the other way round. A file
cannot tell, so the caller does; a curve that then lies below the diagonal is refused.

Source: the result files of Huang et al., LFW, plotted there with the second column as x.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.text_lines import read_lines, read_numbers
from tronie.errors import BadFile

Columns = Literal["tpr fpr", "fpr tpr"]


def read_roc(path: str | Path, *, columns: Columns = "tpr fpr") -> NDArray[np.float64]:
    """The points of a curve, in the order of the file.

    Args:
        columns: What the file's first and second number are.

    Returns:
        Rows of (true positive rate, false positive rate), shape (K, 2).

    Raises:
        NotFound: there is no such file.
        BadFile: a line that does not hold two rates in [0, 1], no line at all, or a curve
            that is worse than chance, so that the columns were taken the wrong way round.
    """
    rows: list[list[float]] = []
    for n, line in enumerate(read_lines(Path(path)), start=1):
        words = line.replace(",", " ")
        if not words.strip() or words.lstrip().startswith("%") or (n == 1 and _is_title(words)):
            continue
        row = read_numbers(words, where=f"{path}:{n}")
        if len(row) != 2 or not all(0.0 <= rate <= 1.0 for rate in row):
            raise BadFile(f"{path}:{n}: must hold two rates in [0, 1]; got {line.strip()!r}")
        rows.append(row if columns == "tpr fpr" else row[::-1])
    if not rows:
        raise BadFile(f"{path} holds no point of a curve")
    curve = np.array(rows)
    if (curve[:, 0] - curve[:, 1]).mean() < 0:
        raise BadFile(
            f"{path}: read as '{columns}' the curve is worse than chance;"
            " its columns are the other way round"
        )
    return curve


def _is_title(line: str) -> bool:
    return any(word[:1].isalpha() for word in line.split())
