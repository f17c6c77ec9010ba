"""IJB-B and IJB-C: which image belongs to which template, what is compared, who is who.

    ijbb_face_tid_mid.txt           IMAGE TEMPLATE MEDIA        an image of a template
    ijbb_template_pair_label.txt    TEMPLATE TEMPLATE 0|1       two templates; 1: one person
    ijbb_name_5pts_score.txt        IMAGE x1 y1 ... x5 y5 score pixels; the detector's score
    ijbb_1N_gallery_S1.csv          TEMPLATE,SUBJECT,...        below a row of column names
    ijbb_1N_probe_mixed.csv         the same

Spaces part the columns of the text files. A template is a set of photographs and video frames
of one person; frames of one video share a media number. IJB-C's files have the same form.

Source: Whitelam et al., "IARPA Janus Benchmark-B", CVPR-W 2017; Maze et al., "IARPA Janus
Benchmark-C", ICB 2018; the names and columns of the text files are InsightFace's.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.text_lines import read_lines, read_numbers
from tronie.data.readers.whole_numbers import read_whole_numbers
from tronie.errors import BadFile

_MOST_DIGITS = 18
_POINTS_FORM = "IMAGE x1 y1 x2 y2 x3 y3 x4 y4 x5 y5 score"


class IjbMedia(NamedTuple):
    """One row an image, in the order of the file."""

    images: tuple[str, ...]
    templates: NDArray[np.int64]
    """(N,)."""
    media: NDArray[np.int64]
    """(N,): frames of one video share a number."""


class IjbPairs(NamedTuple):
    """One row a comparison of two templates, in the order of the file."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    same: NDArray[np.bool_]
    """(P,): whether they show one person."""


class IjbPoints(NamedTuple):
    """One row an image, in the order of the file."""

    images: tuple[str, ...]
    points: NDArray[np.float32]
    """(N, 5, 2): x and y in pixels."""
    scores: NDArray[np.float32]
    """(N,): how sure the detector was."""


class IjbSubjects(NamedTuple):
    """One row a template, in the order in which the file first names it."""

    templates: NDArray[np.int64]
    """(G,), each once."""
    subjects: NDArray[np.int64]
    """(G,): the person it shows."""


def read_media(path: str | Path) -> IjbMedia:
    """The template and the media number of every image.

    Raises:
        NotFound: there is no such file.
        BadFile: a line breaks the form, or the file has none.
    """
    form = "IMAGE TEMPLATE MEDIA"
    lines = _lines(Path(path), form)
    images = []
    numbers = np.empty((len(lines), 2), np.int64)
    for n, line in enumerate(lines):
        fields = line.split()
        if len(fields) != 3 or not (_is_number(fields[1]) and _is_number(fields[2])):
            raise BadFile(
                f"{path}:{n + 1}: must read '{form}', the last two whole numbers; got {line!r}"
            )
        images.append(fields[0])
        numbers[n] = int(fields[1]), int(fields[2])
    return IjbMedia(tuple(images), numbers[:, 0].copy(), numbers[:, 1].copy())


def read_pairs(path: str | Path) -> IjbPairs:
    """The templates to compare, two and two; 16 million lines take seconds.

    Raises:
        NotFound: there is no such file.
        BadFile: a line breaks the form, or the file has none.
    """
    first, second, same = [], [], []
    count = 0
    for rows in read_whole_numbers(Path(path), form="TEMPLATE TEMPLATE 0|1"):
        if rows[:, 2].max() > 1:
            at = int(np.argmax(rows[:, 2] > 1))
            raise BadFile(
                f"{path}:{count + at + 1}: a pair ends in 1 (one person) or 0 (two); "
                f"got {rows[at, 2]}"
            )
        count += len(rows)
        first.append(rows[:, 0].copy())
        second.append(rows[:, 1].copy())
        same.append(rows[:, 2] == 1)
    if not count:
        raise BadFile(f"{path} holds no pair of templates")
    return IjbPairs(np.concatenate(first), np.concatenate(second), np.concatenate(same))


def read_points(path: str | Path) -> IjbPoints:
    """Five points of the face of every image, and the detector's score.

    Raises:
        NotFound: there is no such file.
        BadFile: a line breaks the form, a number is not finite, or the file has no line.
    """
    lines = _lines(Path(path), _POINTS_FORM)
    images = []
    numbers = np.empty((len(lines), 11), np.float32)
    for n, line in enumerate(lines):
        name, *rest = line.split(None, 1)
        values = read_numbers(" ".join(rest), where=f"{path}:{n + 1}")
        if len(values) != 11:
            raise BadFile(
                f"{path}:{n + 1}: must read '{_POINTS_FORM}'; got {len(values)} numbers after "
                f"{name!r}"
            )
        images.append(name)
        numbers[n] = values
    points = numbers[:, :10].reshape(-1, 5, 2)
    return IjbPoints(tuple(images), points, numbers[:, 10].copy())


def read_gallery(path: str | Path) -> IjbSubjects:
    """Templates and their subjects, from a gallery's file or the probes'.

    Such a file has one line an image; a template is returned once.

    Raises:
        NotFound: there is no such file.
        BadFile: a line breaks the form, a template shows two subjects, or the row of column
            names is missing.
    """
    subjects: dict[int, int] = {}
    for n, line in enumerate(_lines(Path(path), "TEMPLATE,SUBJECT"), start=1):
        template, subject = [field.strip() for field in [*line.split(",", 2), ""][:2]]
        numbers = _is_number(template) and _is_number(subject)
        if n == 1 and numbers:
            raise BadFile(f"{path}:1: must be a row of column names; got {line!r}")
        if n == 1:
            continue
        if not numbers:
            raise BadFile(
                f"{path}:{n}: must begin 'TEMPLATE,SUBJECT' in whole numbers; got {line!r}"
            )
        earlier = subjects.setdefault(int(template), int(subject))
        if earlier != int(subject):
            raise BadFile(
                f"{path}:{n}: template {template} shows subject {subject} here "
                f"and subject {earlier} above"
            )
    if not subjects:
        raise BadFile(f"{path} holds no template")
    return IjbSubjects(
        np.array(list(subjects.keys()), np.int64), np.array(list(subjects.values()), np.int64)
    )


def _lines(path: Path, form: str) -> list[str]:
    lines = read_lines(path)
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise BadFile(f"{path} is empty; each line must read '{form}'")
    return lines


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) <= _MOST_DIGITS
