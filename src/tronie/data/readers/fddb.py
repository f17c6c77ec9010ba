"""FDDB: the ellipses drawn around faces, and what a detector found.

    2002/08/11/big/img_591                      a photograph, without its suffix
    1                                           how many faces follow
    123.58 85.55 1.2658 269.69 161.78  1        a face: an ellipse

    ellipse      major radius, minor radius, angle, center x, center y, and 1 or the score
    rectangle    left, top, width, height, score                        (detections only)

Pixels; the angle, in radians, turns from the x axis towards the y axis, which points down:
the major axis lies along (cos, sin). The ten files FDDB-fold-01-ellipseList.txt ... hold
the 2,845 photographs and 5,171 faces; the usual numbers are those of all ten at once.

Source: Jain and Learned-Miller, "FDDB", UMass Amherst UM-CS-2010-009, and its README; the
sense of the angle is that of its evaluation program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.text_lines import read_count, read_lines, read_numbers
from tronie.errors import BadFile, NotFound
from tronie.geometry.boxes import xywh_to_xyxy


class Regions(NamedTuple):
    """What was found in one photograph."""

    shapes: NDArray[np.float64]
    """Rectangles (N, 4), x1 y1 x2 y2, or ellipses (N, 5), radii, angle and center."""
    scores: NDArray[np.float64]
    """(N,), any real numbers."""


Ellipses: TypeAlias = Mapping[str, NDArray[np.float64]]
"""Photograph to its faces, (M, 5): major and minor radius, angle, center x, center y."""


def read_ellipses(path: str | Path) -> dict[str, NDArray[np.float64]]:
    """The faces of every photograph, from one file or from all FDDB-fold-*-ellipseList.txt.

    Args:
        path: A file, or the folder of the ten.

    Raises:
        NotFound: it is not there, or the folder holds no such file.
        BadFile: a line breaks the format, or a photograph is there twice.
    """
    faces: dict[str, NDArray[np.float64]] = {}
    for file in _files(Path(path)):
        for name, rows, where in _photographs(file):
            if name in faces:
                raise BadFile(f"{where}: {name} is there twice")
            faces[name] = _table(rows, widths=(6,), where=where)[:, :5]
    return faces


def read_detections(path: str | Path) -> dict[str, Regions]:
    """What a detector found: rectangles or ellipses, one kind in a file.

    Raises:
        NotFound: there is no such file.
        BadFile: a line breaks the format, a photograph is there twice, or kinds are mixed.
    """
    found: dict[str, Regions] = {}
    kinds: set[int] = set()
    for name, rows, where in _photographs(Path(path)):
        if name in found:
            raise BadFile(f"{where}: {name} is there twice")
        table = _table(rows, widths=(5, 6), where=where)
        kinds |= {table.shape[1]} if rows else set()
        if len(kinds) > 1:
            raise BadFile(f"{where}: rectangles (5 numbers) and ellipses (6) are mixed")
        boxes = table.shape[1] == 5
        shapes = np.asarray(xywh_to_xyxy(table[:, :4]) if boxes else table[:, :5], np.float64)
        found[name] = Regions(shapes, table[:, -1])
    return found


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("FDDB-fold-*-ellipseList.txt"))
    if not files:
        raise NotFound(f"{path} holds no FDDB-fold-01-ellipseList.txt")
    return files


def _photographs(file: Path) -> list[tuple[str, list[list[float]], str]]:
    """Name, rows of numbers, and where the name stands."""
    lines = read_lines(file)
    while lines and not lines[-1].strip():
        lines.pop()
    found, at = [], 0
    while at < len(lines):
        where = f"{file}:{at + 1}"
        if at + 1 == len(lines):
            raise BadFile(f"{where}: the file ends after the name {lines[at].strip()!r}")
        count = read_count(lines[at + 1], where=f"{file}:{at + 2}")
        rows = lines[at + 2 : at + 2 + count]
        if len(rows) < count:
            raise BadFile(f"{file}:{at + 2}: announces {count} faces; {len(rows)} lines follow")
        numbers = [read_numbers(r, where=f"{file}:{n}") for n, r in enumerate(rows, start=at + 3)]
        found.append((lines[at].strip(), numbers, where))
        at += 2 + count
    return found


def _table(
    rows: Sequence[Sequence[float]], *, widths: tuple[int, ...], where: str
) -> NDArray[np.float64]:
    if {len(row) for row in rows} - set(widths) or len({len(row) for row in rows}) > 1:
        allowed = " or ".join(map(str, widths))
        raise BadFile(f"{where}: a face has {allowed} numbers; got {[len(row) for row in rows]}")
    table = np.array(rows, np.float64).reshape(len(rows), -1 if rows else widths[0])
    sizes = table[:, 2:4] if table.shape[1] == 5 else table[:, :2]
    if (sizes < 0).any() or (table.shape[1] == 6 and (sizes == 0).any()):
        raise BadFile(f"{where}: a face has a width, height or radius below zero, or no radius")
    return table
